"""A network's answers as three; the network as a LiteRT model that says the same, and as a `.keras` file."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path
from typing import Any

import batik_utils.backend  # noqa: F401  (before keras)

# isort: split
import keras
import numpy as np
import tensorflow as tf
from joblib import cpu_count
from keras import layers, ops
from numpy.typing import NDArray

from batik_utils.cache import atomic
from batik_utils.deploy.answers import Runtime, quiet
from batik_utils.errors import BatikError
from batik_utils.models.scratch import ask_all_views
from batik_utils.stats.scores import SMALLEST

MOST_APART = 1e-4  # what a probability of the `.keras` file may differ from the network's
LEAST_AGREEMENT = 0.99  # the share of pictures whose most probable motif in float16 must be Keras'
Pictures = NDArray[np.uint8]  # [n, s, s, 3], RGB 0-255
Said = dict[str, NDArray[np.float32]]  # outputs by name, each [n, ...]


def with_three_outputs(network: Any, temperature: float) -> Any:
    """A network (float32 [b, s, s, 3], RGB 0-255 → softmax [b, m]) as one of uint8 pictures and several answers.

    - probabilities [b, m]: the softmax of the logits divided by the temperature;
    - features [b, d], of length 1: the last feature maps averaged over the picture; where nothing is averaged, what
      the last layer is given;
    - evidence [b, h, w, m], only where dense layers follow maps that are averaged: what each place adds to the
      logits. With its hidden units switched as they are for this picture such a head is linear, so the mean over
      places is the logits: the map is the network's own arithmetic.
    """
    image = keras.Input(network.input_shape[1:], dtype="uint8", name="image")
    answers = keras.Model(network.inputs, _answers(network, temperature))(ops.cast(image, "float32"))
    answers["features"] = layers.UnitNormalization()(answers["features"])
    named = {name: layers.Identity(name=name)(value) for name, value in answers.items()}
    return keras.Model(image, named, name="classifier")


def _answers(network: Any, temperature: float) -> dict[str, Any]:
    last = network.layers[-1]
    inside = [layer for layer in network.layers if isinstance(layer, keras.Model)]
    if not isinstance(last, layers.Dense):  # the mean of one network's answers to several views of a picture
        described, side = keras.Model(inside[0].input, inside[0].layers[-1].input), inside[0].input_shape[1]
        small, whole = network.input, network.input.shape[1]
        if whole != side:  # antialiased as ops.image.resize does it, which LiteRT has no step for
            unit = ops.reshape(ops.eye(whole), (1, whole, whole, 1))
            matrix = ops.image.resize(unit, (side, whole), antialias=True)[0, :, :, 0]
            small = ops.einsum("yh,bhwc,xw->byxc", matrix, small, matrix)
        logits = ops.log(ops.maximum(ask_all_views(inside[0], side)(small), SMALLEST)) / temperature
        return {"probabilities": ops.softmax(logits), "features": ask_all_views(described, side)(small)}
    below = [layer for layer in reversed(network.layers[:-1]) if not isinstance(layer, layers.Dropout)]
    hidden = [*takewhile(lambda layer: isinstance(layer, layers.Dense), below)]  # the last one first
    before = below[len(hidden)]
    if isinstance(before, layers.GlobalAveragePooling2D):
        evidence = before.input
        for layer in reversed(hidden):
            each = _dense(layer, 1.0)(evidence)
            switched_on = ops.mean(each, axis=(1, 2), keepdims=True) > 0
            evidence = each * ops.cast(switched_on, each.dtype)
        evidence = _dense(last, temperature)(evidence)
        probabilities = ops.softmax(ops.mean(evidence, axis=(1, 2)))
        return {"probabilities": probabilities, "features": before.output, "evidence": evidence}
    features = last.input
    if inside:  # of the maps that a recipe takes from its first backbone those of the last layer
        order = {id(layer.output): place for place, layer in enumerate(inside[0].layers)}
        deepest = max(inside[0].outputs, key=lambda output: order[id(output)])
        averaged = keras.Model(inside[0].input, layers.GlobalAveragePooling2D()(deepest))
        features = averaged(network.input)
    return {"probabilities": ops.softmax(_dense(last, temperature)(last.input)), "features": features}


def _dense(layer: Any, temperature: float) -> Any:
    """A dense layer without its activation, divided by a temperature."""
    bare = layers.Dense(layer.units, name=f"{layer.name}_everywhere")
    bare.build(layer.input.shape)
    bare.set_weights([weight / temperature for weight in layer.get_weights()])
    return bare


def to_litert(model: Any) -> bytes:
    """A network of with_three_outputs for one picture at a time, in float16; the same network gives the same bytes."""
    one = keras.InputSpec(shape=(1, *model.input_shape[1:]), dtype="uint8", name="image")
    with tempfile.TemporaryDirectory(prefix="batik-") as folder, quiet():
        model.export(folder, format="tf_saved_model", input_signature=[one], verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
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
    with ThreadPoolExecutor(len(parts)) as threads:
        found = threads.map(lambda runtime, own: [runtime.ask(picture) for picture in own], runtimes, parts)
        answers = [answer for part in found for answer in part]
    return {name: np.stack([answer[name] for answer in answers]) for name in answers[0]}


def faithful(model: Any, pictures: Pictures) -> tuple[bytes, float]:
    """A network of with_three_outputs converted, and the share of pictures of which both name one motif.

    Raises BatikError where that is under LEAST_AGREEMENT.
    """
    content = to_litert(model)
    named = [said["probabilities"].argmax(1) for said in (ask_keras(model, pictures), ask_litert(content, pictures))]
    agreed = float((named[0] == named[1]).mean())
    if agreed < LEAST_AGREEMENT:
        raise BatikError(f"The converted model is not the network: they agree on {agreed:.0%} of pictures.")
    return content, agreed


def write_keras(network: Any, pictures: Pictures, to: Path) -> None:
    """Write a network to a `.keras` file; BatikError unless what is read of it says of these pictures what it says."""
    given = pictures.astype(np.float32)
    with atomic(to) as part:
        network.save(part)
        again = keras.models.load_model(part)
        apart = float(np.abs(again.predict(given, verbose=0) - network.predict(given, verbose=0)).max())
        if not apart < MOST_APART:
            raise BatikError(f"The file is not the network: its probabilities are up to {apart:.2g} off.")
