"""Whole models on disk: one .keras file, from a picture's RGB values to motif probabilities, without a pickle.

The file is Keras' own zip of JSON and HDF5 and opens with keras.saving.load_model anywhere, since it holds only
Keras' own layers. The motif names and what else predict must know are in its metadata.json, under "batik".
"""

import json
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
from batik_utils.files import atomic
from batik_utils.models.backbones import backbone

FORMAT = 1
"""Raised when a file of this version can no longer be read by the version before."""
MOST_BYTES = {"config.json": 1 << 24, "metadata.json": 1 << 20, "model.weights.h5": 1 << 30}
"""A model's members, and what each may have at most; none is compressed, so none is larger than the file."""
MOST_SIDE = 1024  # pixels of its pictures, as of a study's
_METADATA = "metadata.json"


def assemble(
    backbone_name: str, head_weights: Mapping[str, NDArray[Any]], size: int, motifs: Sequence[str], dropout: float = 0.0
) -> Any:
    """The whole pretrained model as a keras.Model: float32 [b, size, size, 3] RGB 0-255 → [b, motifs], softmax.

    head_weights: hidden_kernel [d, h] and hidden_bias [h] (or neither), kernel [h or d, motifs], bias [motifs]. Batch
    normalisation is not folded, so that parameters count as published. Raises BatikError for an unknown backbone,
    weights that cannot be had, or a head that does not fit.
    """
    backend.start()
    import keras

    known, hidden = backbone(backbone_name), head_weights.get("hidden_kernel")
    width = known.features if hidden is None else hidden.shape[-1]
    shapes = {"kernel": (width, len(motifs)), "bias": (len(motifs),)}
    if hidden is not None:
        shapes |= {"hidden_kernel": (known.features, width), "hidden_bias": (width,)}
    given = {name: tuple(value.shape) for name, value in head_weights.items()}
    if given != shapes:
        raise BatikError(f"This head does not fit {known.title}: it has {given}, not {shapes}.")
    base = known.build(size, fold=False)
    x = base.output
    if hidden is not None:
        x = keras.layers.Dense(width, activation="relu", name="hidden")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    model = keras.Model(base.input, keras.layers.Dense(len(motifs), "softmax", name="motif")(x), name=backbone_name)
    if hidden is not None:
        model.get_layer("hidden").set_weights([hidden, head_weights["hidden_bias"]])
    model.get_layer("motif").set_weights([head_weights["kernel"], head_weights["bias"]])
    return model


def save_model(path: Path, model: Any, motifs: Sequence[str], info: Mapping[str, Any]) -> None:
    """Write a model (RGB 0-255 → softmax over motifs) to a .keras file, whole or not at all, without its optimiser.

    info: plain JSON values; predict uses "resize" ("nearest" or "bilinear", the default). The same model gives the
    same bytes. Raises BatikError for another ending than .keras, or another number of outputs than motifs.
    """
    import keras

    if path.suffix != ".keras":
        raise BatikError(f"A model is saved to a file that ends in .keras, not to {path.name}.")
    _check_shapes(path, model, motifs)
    # The same layers in another model, because a trained one would take its optimiser's state with it.
    bare = keras.Model(model.inputs, model.outputs, name=model.name)
    with tempfile.TemporaryDirectory(prefix="batik-") as folder, atomic(path) as part:
        whole = Path(folder) / "whole.keras"
        bare.save(whole)
        with zipfile.ZipFile(whole) as old, zipfile.ZipFile(part, "w") as new:
            # In a member that Keras writes anyway and does not read; its "date_saved" is dropped.
            version = json.loads(old.read(_METADATA))["keras_version"]
            batik = {"format": FORMAT, "motifs": list(motifs), "info": dict(info)}
            metadata = json.dumps({"keras_version": version, "batik": batik}, indent=1, sort_keys=True)
            for name in sorted(old.namelist()):
                content = metadata.encode() if name == _METADATA else old.read(name)
                new.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)


def load_model(path: Path) -> tuple[Any, tuple[str, ...], dict[str, Any]]:
    """Read a file of save_model: the keras.Model, its motif names in output order, and its info.

    No code from the file is run (Keras' safe mode), and its limits are held before it takes any memory. Raises
    BatikError if it is absent, damaged or no such model.
    """
    if not path.is_file():
        raise BatikError(f"There is no model file {path}; make one with `make report`.")
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise BatikError(f"{path.name} is not a .keras model file (pickles and other formats are not read).")
    backend.start()
    import keras

    try:
        with zipfile.ZipFile(path) as archive:
            _demand_modest(archive)
            motifs, info = _read_metadata(archive, path.name)
            _demand_weights(archive)
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
    models = list(reports.glob("*/model.keras"))
    if not models:
        raise BatikError("There is no saved model yet: make one with `make report`, or name one with --model.")
    return max(models, key=lambda path: path.stat().st_mtime)


def predict(model_file: Path, image_paths: Sequence[Path]) -> list[dict[str, Any]]:
    """What a saved model says about pictures, in their order.

    Each answer: path (as given), and probabilities, a list of (motif, 0 to 1), the most probable first. Raises
    BatikError if the model cannot be loaded, or with a line for each unusable image.
    """
    model, motifs, info = load_model(model_file)
    resize: Literal["nearest", "bilinear"] = "nearest" if info.get("resize") == "nearest" else "bilinear"
    answers, wrong = [], []
    for path in image_paths:
        try:
            picture = read_image(path, int(model.input_shape[1]), resize)[0]
        except NotAnImage as error:
            wrong.append(str(error))
            continue
        # One at a time: a picture's answer must not depend on which others were asked about.
        row = np.asarray(model.predict_on_batch(picture[None].astype(np.float32)))[0]
        ranked = [(motifs[i], float(row[i])) for i in np.argsort(-row, kind="stable")]
        answers.append({"path": str(path), "probabilities": ranked})
    if wrong:
        raise BatikError("\n".join(wrong))
    return answers


def _demand_modest(archive: zipfile.ZipFile) -> None:
    members = {member.filename: member for member in archive.infolist()}
    if members.keys() != MOST_BYTES.keys():
        raise ValueError(f"a saved model is made of {', '.join(MOST_BYTES)}")
    for name, most in MOST_BYTES.items():
        if members[name].file_size > most:
            raise ValueError(f"{name} is said to have {members[name].file_size:,} bytes, and may have {most:,}")
        if members[name].compress_type or members[name].file_size != members[name].compress_size:
            raise ValueError(f"{name} is compressed, which a saved model's never is")


def _demand_weights(archive: zipfile.ZipFile) -> None:
    """ValueError where the weights, or the layers that want them, are said to be larger than what the file holds."""
    import h5py
    import keras

    sizes = []

    def measure(name: str, part: Any) -> None:
        if isinstance(part, h5py.Dataset):
            if part.nbytes > part.id.get_storage_size():
                raise ValueError(f"its weights {name} take {part.nbytes:,} bytes, which it does not hold")
            sizes.append(part.size)

    with archive.open("model.weights.h5") as member, h5py.File(member) as weights:
        weights.visititems(measure)
    # Variables that are not initialised have a shape and no memory.
    with keras.StatelessScope(initialize_variables=False):
        model = keras.saving.deserialize_keras_object(json.loads(archive.read("config.json")), safe_mode=True)
    if model.count_params() > sum(sizes):
        raise ValueError(f"its layers want {model.count_params():,} weights, and it holds {sum(sizes):,}")


def _read_metadata(archive: zipfile.ZipFile, name: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    match json.loads(archive.read(_METADATA)).get("batik"):
        case {"format": int(version)} if version != FORMAT:
            raise BatikError(f"{name} is in format {version}; this version reads format {FORMAT}.")
        case {"format": int(), "motifs": [*motifs], "info": dict(info)} if all(isinstance(m, str) for m in motifs):
            return tuple(motifs), info
    raise BatikError(f"{name} is not a model that this project saved: it names no motifs.")


def _check_shapes(path: Path, model: Any, motifs: Sequence[str]) -> None:
    takes, gives = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    side = takes[1] if isinstance(takes, tuple) and len(takes) == 4 else None
    if not side or side > MOST_SIDE or takes != (None, side, side, 3) or gives != (None, len(motifs)):
        raise BatikError(f"{path.name}: the model takes {takes} and gives {gives}, not {len(motifs)} motifs.")
