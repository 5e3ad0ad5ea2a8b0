"""Whole models on disk: one .keras file, from a picture's RGB values to motif probabilities, without a pickle.

The file is Keras' own zip of JSON and HDF5 and opens with keras.saving.load_model anywhere, since it holds only
Keras' own layers. The motif names and what else predict must know are in its metadata.json, under "batik".
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from batik_utils import backend
from batik_utils.data.decode import NotAnImage, read_image
from batik_utils.errors import BatikError
from batik_utils.models.backbones import backbone

FORMAT = 1
"""Raised when a file of this version can no longer be read by the version before."""
_METADATA = "metadata.json"
_MEMBERS = {_METADATA, "config.json", "model.weights.h5"}
_METADATA_LIMIT = 1 << 20


def assemble(
    backbone_name: str, head_weights: Mapping[str, NDArray[Any]], size: int, motifs: Sequence[str], dropout: float = 0.0
) -> Any:
    """The whole pretrained model as a keras.Model: float32 [b, size, size, 3] RGB 0-255 → [b, motifs], softmax.

    head_weights: hidden_kernel [d, h] and hidden_bias [h] (both absent for a head without a hidden layer),
    kernel [h or d, motifs], bias [motifs]. Batch normalisation is not folded, so that its parameters count as
    published. Raises BatikError for an unknown backbone, weights that cannot be had, or a head that does not fit.
    """
    backend.start()
    import keras

    found = backbone(backbone_name)
    hidden = head_weights.get("hidden_kernel")
    width = found.features if hidden is None else hidden.shape[-1]
    shapes = {"kernel": (width, len(motifs)), "bias": (len(motifs),)}
    if hidden is not None:
        shapes |= {"hidden_kernel": (found.features, width), "hidden_bias": (width,)}
    given = {name: tuple(value.shape) for name, value in head_weights.items()}
    if given != shapes:
        raise BatikError(f"This head does not fit {found.title}: it has {given}, not {shapes}.")
    base = found.build(size, fold=False)
    x = base.output
    if hidden is not None:
        x = keras.layers.Dense(width, activation="relu", name="hidden")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    out = keras.layers.Dense(len(motifs), activation="softmax", name="motif")(x)
    model = keras.Model(base.input, out, name=backbone_name)
    if hidden is not None:
        model.get_layer("hidden").set_weights([hidden, head_weights["hidden_bias"]])
    model.get_layer("motif").set_weights([head_weights["kernel"], head_weights["bias"]])
    return model


def save_model(path: Path, model: Any, motifs: Sequence[str], info: Mapping[str, Any]) -> None:
    """Write a model (RGB 0-255 → softmax over motifs) to a .keras file, whole or not at all.

    info: plain JSON values; predict uses "resize" ("nearest" or "bilinear", the default). The optimiser is left
    out and nothing in the file tells the time. Raises BatikError if the path does not end in .keras or the model does
    not have one output per motif.
    """
    backend.start()
    import keras

    path = Path(path)
    if path.suffix != ".keras":
        raise BatikError(f"A model is saved to a file that ends in .keras, not to {path.name}.")
    _check_shapes(path, model, motifs)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A copy, because a trained model would take its optimiser's state with it.
    bare = keras.models.clone_model(model)
    bare.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory(prefix=".batik-", dir=path.parent) as folder:
        whole, final = Path(folder) / "whole.keras", Path(folder) / "final.keras"
        bare.save(whole)
        with zipfile.ZipFile(whole) as old, zipfile.ZipFile(final, "w") as new:
            metadata = json.loads(old.read(_METADATA))
            batik = {"format": FORMAT, "motifs": list(motifs), "info": dict(info)}
            # In a member that Keras writes anyway and does not read; its "date_saved" is dropped.
            metadata = {"keras_version": metadata["keras_version"], "batik": batik}
            for name in sorted(old.namelist()):
                content = old.read(name)
                if name == _METADATA:
                    content = json.dumps(metadata, indent=1, sort_keys=True, ensure_ascii=False).encode()
                new.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
        os.replace(final, path)


def load_model(path: Path) -> tuple[Any, tuple[str, ...], dict[str, Any]]:
    """Read a file of save_model: the keras.Model, its motif names in output order, and its info.

    Loads in Keras' safe mode, without code from the file. Raises BatikError if there is no such file, or it is
    not one of this project's models, or it is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise BatikError(f"There is no model file {path}; make one with `make report`.")
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise BatikError(f"{path.name} is not a .keras model file (pickles and other formats are not read).")
    backend.start()
    import keras

    try:
        motifs, info = _read_metadata(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except BatikError:
        raise
    # What a damaged or hostile file raises inside Keras, HDF5 or zipfile has no common type.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BatikError(f"{path.name} cannot be loaded: {reason[:200]}") from None
    _check_shapes(path, model, motifs)
    return model, motifs, info


def newest_model(reports: Path) -> Path:
    """The model.keras that was saved last in a folder of reports; raises BatikError where there is none."""
    found = sorted(reports.glob("*/model.keras"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise BatikError("There is no saved model yet: make one with `make report`, or name one with --model.")
    return found[-1]


def predict(model_file: Path, image_paths: Sequence[Path]) -> list[dict[str, Any]]:
    """What a saved model says about pictures, in their order.

    Each answer: path (as given), motif, probability (0 to 1) and probabilities, a list of (motif, probability), the
    most probable first. Raises BatikError if the model cannot be loaded, or with a line for each path that is
    not a usable image (nothing is predicted then).
    """
    model, motifs, info = load_model(model_file)
    size = int(model.input_shape[1])
    resize: Literal["nearest", "bilinear"] = "nearest" if info.get("resize") == "nearest" else "bilinear"
    pictures, wrong = [], []
    for image in image_paths:
        try:
            pictures.append(read_image(Path(image), size, resize)[0])
        except NotAnImage as error:
            wrong.append(str(error))
    if wrong:
        raise BatikError("\n".join(wrong))
    answers = []
    for image, picture in zip(image_paths, pictures, strict=True):
        # One at a time: a picture's answer must not depend on which others were asked about.
        row = np.asarray(model.predict_on_batch(picture[None].astype(np.float32)))[0]
        order = np.argsort(-row, kind="stable")
        ranked = [(motifs[i], float(row[i])) for i in order]
        answers.append(
            {"path": str(image), "motif": ranked[0][0], "probability": ranked[0][1], "probabilities": ranked}
        )
    return answers


def _read_metadata(path: Path) -> tuple[tuple[str, ...], dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        if not names >= _MEMBERS or archive.getinfo(_METADATA).file_size > _METADATA_LIMIT:
            raise BatikError(f"{path.name} is not a model that this project saved.")
        batik = json.loads(archive.read(_METADATA)).get("batik")
    match batik:
        case {"format": int(version), "motifs": [*motifs], "info": dict(info)} if version == FORMAT:
            if all(isinstance(m, str) for m in motifs):
                return tuple(motifs), info
        case {"format": int(version)} if version != FORMAT:
            raise BatikError(f"{path.name} is in format {version}; this version reads format {FORMAT}.")
    raise BatikError(f"{path.name} is not a model that this project saved: it names no motifs.")


def _check_shapes(path: Path, model: Any, motifs: Sequence[str]) -> None:
    takes, gives = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    ok = isinstance(takes, tuple) and len(takes) == 4 and takes[1] == takes[2] and takes[3] == 3
    if not ok or not takes[1] or gives != (None, len(motifs)):
        raise BatikError(f"{path.name}: the model takes {takes} and gives {gives}, not {len(motifs)} motifs.")
