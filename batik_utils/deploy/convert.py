"""A Keras network as a LiteRT model that says what the network says, and as a `.keras` file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray

from batik_utils import backend
from batik_utils.cache import atomic
from batik_utils.deploy.answers import Runtime, quiet
from batik_utils.errors import BatikError

Precision = Literal["float16", "float32"]
MOST_APART = 1e-4
"""What a probability in float32 may differ from Keras'."""
LEAST_AGREEMENT = 0.99
"""The share of pictures whose most probable motif in float16 must be Keras', or float32 is given out."""

Pictures = NDArray[np.uint8]  # [n, s, s, 3], RGB 0-255
Said = dict[str, NDArray[np.float32]]  # outputs by name, each [n, ...]


def to_litert(model: Any, precision: Precision = "float16") -> bytes:
    """A network of with_three_outputs for one picture at a time; the same network gives the same bytes.

    float16 halves the weights, float32 keeps them; arithmetic is in float32.
    """
    backend.start()
    import keras
    import tensorflow as tf

    one = keras.InputSpec(shape=(1, *model.input_shape[1:]), dtype="uint8", name="image")
    with tempfile.TemporaryDirectory(prefix="batik-") as folder, quiet():
        model.export(folder, format="tf_saved_model", input_signature=[one], verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if precision == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()


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


def faithful(model: Any, pictures: Pictures) -> tuple[bytes, Precision, float]:
    """The smallest conversion of a network that says what it says of these pictures; float16's agreement with it, 0-1.

    That is float16 where the most probable motif is Keras' for LEAST_AGREEMENT of them or more, else float32. Raises
    BatikError where a probability in float32 is MOST_APART off or more.
    """
    expected, half = ask_keras(model, pictures)["probabilities"], to_litert(model, "float16")
    agreed = agreement(ask_litert(half, pictures)["probabilities"], expected)
    if agreed >= LEAST_AGREEMENT:
        return half, "float16", agreed
    whole = to_litert(model, "float32")
    demand_parity(ask_litert(whole, pictures)["probabilities"], expected)
    return whole, "float32", agreed


def demand_parity(said: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """BatikError where a conversion's probabilities [n, m] are not those expected, Keras'."""
    apart = float(np.abs(said - expected).max())
    if not apart < MOST_APART:
        raise BatikError(f"The converted model is not the network: its probabilities are up to {apart:.2g} off.")


def agreement(said: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The share of pictures, 0-1, whose most probable motif is the same by both probabilities [n, m]."""
    return float((said.argmax(1) == expected.argmax(1)).mean())


def write_keras(network: Any, pictures: Pictures, to: Path) -> None:
    """Write a network to a `.keras` file, once what is read of it says of these pictures what the network says.

    Raises BatikError where it does not.
    """
    import keras

    given = pictures.astype(np.float32)
    with atomic(to) as part:
        network.save(part)
        again = keras.models.load_model(part)
        demand_parity(again.predict(given, verbose=0), network.predict(given, verbose=0))
