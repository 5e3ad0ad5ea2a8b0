"""A Keras network as LiteRT models, in three precisions, each held to what the network itself says."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray

from batik_utils import backend
from batik_utils.deploy.litert import Runtime, quiet
from batik_utils.errors import BatikError

Precision = Literal["float32", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")
MOST_APART = 1e-4
"""What a probability in float32 may differ from Keras'."""
LEAST_AGREEMENT = 0.99
"""The share of pictures whose most probable motif in float16 must be Keras', or float32 is given out."""

Pictures = NDArray[np.uint8]  # [n, s, s, 3], RGB 0-255
Said = dict[str, NDArray[np.float32]]  # outputs by name, each [n, ...]


def to_litert(model: Any, precisions: Sequence[Precision], pictures: Pictures) -> list[bytes]:
    """A network of with_three_outputs for one picture at a time, in each of these precisions.

    float32 keeps the weights as they are, float16 halves them (arithmetic stays in float32), int8 rounds weights and
    arithmetic to ranges that are measured on the pictures. The same network gives the same bytes.
    """
    backend.start()
    import tensorflow as tf

    made = []
    with tempfile.TemporaryDirectory(prefix="batik-") as folder, quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow, of its own interpreter, which it measures ranges with
        to_saved_model(model, Path(folder))
        for precision in precisions:
            converter = tf.lite.TFLiteConverter.from_saved_model(folder)
            if precision != "float32":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
            if precision == "float16":
                converter.target_spec.supported_types = [tf.float16]
            if precision == "int8":
                converter.representative_dataset = lambda: ({"image": picture[None]} for picture in pictures)
            made.append(converter.convert())
    return made


def to_saved_model(model: Any, folder: Path) -> None:
    """The same as a TensorFlow SavedModel."""
    import keras

    one = keras.InputSpec(shape=(1, *model.input_shape[1:]), dtype="uint8", name="image")
    model.export(folder, format="tf_saved_model", input_signature=[one], verbose=False)


def ask_keras(model: Any, pictures: Pictures) -> Said:
    """What a network of with_three_outputs says."""
    answers = [model.predict_on_batch(picture[None]) for picture in pictures]
    return {name: np.concatenate([np.asarray(answer[name]) for answer in answers]) for name in answers[0]}


def ask_litert(content: bytes, pictures: Pictures) -> Said:
    """What a converted model says; each core asks about its part of the pictures, on one thread."""
    parts = np.array_split(pictures, min(len(pictures), cpu_count()))
    runtimes = [Runtime(content) for _ in parts]  # not by the threads: what keeps one quiet is the whole process's
    ask = Parallel(n_jobs=len(parts), prefer="threads")
    found = ask(delayed(lambda r, own: [*map(r.ask, own)])(r, own) for r, own in zip(runtimes, parts, strict=True))
    answers = [answer for part in found for answer in part]
    return {name: np.stack([answer[name] for answer in answers]) for name in answers[0]}


def faithful(model: Any, pictures: Pictures) -> tuple[Precision, bytes]:
    """The smallest conversion of a network that says what the network says of these pictures: (its precision, itself).

    That is float16 where the most probable motif is Keras' for LEAST_AGREEMENT of them or more, else float32. Raises
    BatikError where a probability in float32 is MOST_APART off or more.
    """
    expected = ask_keras(model, pictures)["probabilities"]
    (half,) = to_litert(model, ["float16"], pictures)
    if agreement(ask_litert(half, pictures)["probabilities"], expected) >= LEAST_AGREEMENT:
        return "float16", half
    (whole,) = to_litert(model, ["float32"], pictures)
    demand_parity(ask_litert(whole, pictures)["probabilities"], expected)
    return "float32", whole


def demand_parity(said: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """BatikError where a float32 conversion's probabilities [n, m] are not those expected, Keras'."""
    apart = float(np.abs(said - expected).max())
    if not apart < MOST_APART:
        raise BatikError(f"The converted model is not the network: its probabilities are up to {apart:.2g} off.")


def agreement(said: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The share of pictures, 0-1, whose most probable motif is the same by both probabilities [n, m]."""
    return float((said.argmax(1) == expected.argmax(1)).mean())
