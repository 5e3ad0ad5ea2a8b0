"""A Keras network as LiteRT models, in three precisions."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from batik_utils import backend
from batik_utils.deploy.litert import quiet

Precision = Literal["float32", "float16", "int8"]


def to_litert(model: Any, precisions: Sequence[Precision], pictures: NDArray[np.uint8]) -> list[bytes]:
    """A network of with_three_outputs for one picture at a time, in each of these precisions.

    float32 keeps the weights as they are, float16 halves them (arithmetic stays in float32), int8 rounds weights and
    arithmetic to ranges that are measured on these pictures [n, s, s, 3]. The same network gives the same bytes.
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
