"""`batik export`: the recommended model in other forms, each held to what Keras says before it is written."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from batik_utils.cache import atomic
from batik_utils.deploy.convert import (
    LEAST_AGREEMENT,
    Pictures,
    Precision,
    Said,
    agreement,
    ask_keras,
    ask_litert,
    demand_parity,
    to_litert,
    to_saved_model,
)
from batik_utils.deploy.litert import quiet
from batik_utils.errors import BatikError

Form = Literal["litert", "onnx", "saved_model"]
SUFFIXES: dict[Form, str] = {"litert": ".tflite", "onnx": ".onnx", "saved_model": ""}
"""How what is written is called, by form."""


def export(model: Any, pictures: Pictures, form: Form, precision: Precision, to: Path) -> str:
    """Write a network of with_three_outputs to a file, or of saved_model to a folder that is not there yet.

    Returns a line on its size and how far it is from Keras on these pictures. Raises BatikError where it is further
    than it may be (in float32 by probability, in float16 by the most probable motif; int8 is as it is), for a
    precision that a form does not have, and where onnx is not installed.
    """
    demand(form, precision, to)
    with tempfile.TemporaryDirectory(prefix="batik-") as folder:
        made = Path(folder) / "model"
        ask = {"litert": _litert, "onnx": _onnx, "saved_model": _saved_model}[form](model, pictures, precision, made)
        expected, said = ask_keras(model, pictures)["probabilities"], ask(pictures)["probabilities"]
        if precision == "float32":
            demand_parity(said, expected)
        agreed = agreement(said, expected)
        if precision == "float16" and agreed < LEAST_AGREEMENT:
            raise BatikError(f"In float16 it agrees with Keras on {agreed:.1%} of the pictures only; use float32.")
        files = [made] if made.is_file() else [path for path in made.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        if made.is_file():
            with atomic(to) as part:
                part.write_bytes(made.read_bytes())
        else:
            with tempfile.TemporaryDirectory(prefix=f".{to.name}.", dir=to.parent) as beside:
                os.rename(shutil.copytree(made, Path(beside) / to.name), to)  # whole or not at all
    apart = float(np.abs(said - expected).max())
    return (
        f"{to}: {size / 1e6:.1f} MB; on {len(pictures)} pictures its probabilities are at most {apart:.2g} from "
        f"Keras', and it names the same motif for {agreed:.1%}"
    )


def demand(form: Form, precision: Precision, to: Path) -> None:
    """BatikError where export would refuse whatever the model is."""
    if form != "litert" and precision != "float32":
        raise BatikError(f"{form} is written in float32 only; smaller precisions are LiteRT's.")
    if form == "onnx" and not all(map(importlib.util.find_spec, ("tf2onnx", "onnxruntime"))):
        raise BatikError("ONNX needs more packages: install batik-utils[onnx], or tf2onnx and onnxruntime.")
    if to.exists():
        raise BatikError(f"{to} is there already; name another place with --to.")


def _litert(model: Any, pictures: Pictures, precision: Precision, to: Path) -> Callable[[Pictures], Said]:
    (content,) = to_litert(model, [precision], pictures)
    to.write_bytes(content)
    return lambda asked: ask_litert(content, asked)


def _saved_model(model: Any, pictures: Pictures, precision: Precision, to: Path) -> Callable[[Pictures], Said]:
    import tensorflow as tf

    with quiet():
        to_saved_model(model, to)
        signature = tf.saved_model.load(str(to)).signatures["serving_default"]
    return lambda asked: _stacked([signature(image=tf.constant(picture[None])) for picture in asked])


def _onnx(model: Any, pictures: Pictures, precision: Precision, to: Path) -> Callable[[Pictures], Said]:
    import keras
    import onnxruntime

    one = keras.InputSpec(shape=(1, *model.input_shape[1:]), dtype="uint8", name="image")
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras, of NumPy's names that tf2onnx no longer asks for
        model.export(to, format="onnx", input_signature=[one], verbose=False)
    session = onnxruntime.InferenceSession(os.fspath(to))
    names = [output.name for output in session.get_outputs()]
    return lambda asked: _stacked(
        [dict(zip(names, session.run(None, {"image": picture[None]}), strict=True)) for picture in asked]
    )


def _stacked(answers: list[dict[str, Any]]) -> Said:
    return {name: np.concatenate([np.asarray(answer[name]) for answer in answers]) for name in answers[0]}
