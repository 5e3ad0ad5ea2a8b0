"""A network's answers as three: calibrated probabilities, features to compare pictures by, where evidence lies."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import batik_utils.backend  # noqa: F401  (before keras)

# isort: split
import keras
from keras import layers, ops

from batik_utils.models.scratch import ask_all_views
from batik_utils.stats.scores import SMALLEST


def with_three_outputs(network: Any, temperature: float) -> Any:
    """A network (float32 [b, s, s, 3], RGB 0-255 → softmax [b, m]) as one of uint8 pictures and several answers.

    It gives a dict:

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
    if not isinstance(last, layers.Dense):  # the mean of one network's answers to several views of a picture
        inner = next(layer for layer in network.layers if isinstance(layer, keras.Model))
        described, side = keras.Model(inner.input, inner.layers[-1].input), inner.input_shape[1]
        small = _shrunk(network.input, side)
        logits = ops.log(ops.maximum(ask_all_views(inner, side)(small), SMALLEST)) / temperature
        return {"probabilities": ops.softmax(logits), "features": ask_all_views(described, side)(small)}
    below = [layer for layer in reversed(network.layers[:-1]) if not isinstance(layer, layers.Dropout)]
    hidden = [*takewhile(lambda layer: isinstance(layer, layers.Dense), below)]  # the last one first
    before = below[len(hidden)]
    if isinstance(before, layers.GlobalAveragePooling2D):
        maps = before.input
        evidence = maps
        for layer in reversed(hidden):
            each = _dense(layer, 1.0)(evidence)
            switched_on = ops.mean(each, axis=(1, 2), keepdims=True) > 0
            evidence = each * ops.cast(switched_on, each.dtype)
        evidence = _dense(last, temperature)(evidence)
        probabilities = ops.softmax(ops.mean(evidence, axis=(1, 2)))
        return {"probabilities": probabilities, "features": before.output, "evidence": evidence}
    features, backbones = last.input, [layer for layer in network.layers if isinstance(layer, keras.Model)]
    if backbones:  # of the maps that a recipe takes from its first one those of the last layer
        order = {id(layer.output): place for place, layer in enumerate(backbones[0].layers)}
        deepest = max(backbones[0].outputs, key=lambda output: order[id(output)])
        averaged = keras.Model(backbones[0].input, layers.GlobalAveragePooling2D()(deepest))
        features = averaged(network.input)
    return {"probabilities": ops.softmax(_dense(last, temperature)(last.input)), "features": features}


def _shrunk(pictures: Any, side: int) -> Any:
    """Pictures [b, s, s, 3] antialiased to another side as ops.image.resize does it, which LiteRT has no step for."""
    whole = pictures.shape[1]
    if whole == side:
        return pictures
    unit = ops.reshape(ops.eye(whole), (1, whole, whole, 1))
    matrix = ops.image.resize(unit, (side, whole), antialias=True)[0, :, :, 0]
    return ops.einsum("yh,bhwc,xw->byxc", matrix, pictures, matrix)


def _dense(layer: Any, temperature: float) -> Any:
    """A dense layer without its activation, divided by a temperature."""
    bare = layers.Dense(layer.units, name=f"{layer.name}_everywhere")
    bare.build(layer.input.shape)
    bare.set_weights([weight / temperature for weight in layer.get_weights()])
    return bare
