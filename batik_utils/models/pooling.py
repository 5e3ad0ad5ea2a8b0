"""Feature maps pooled into vectors of length 1, by Keras' own operations: a saved model needs no code of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import batik_utils.backend  # noqa: F401  (before keras)

# isort: split
import keras
from keras import ops

GEM_POWER = 3.0


def average(maps: Any) -> Any:
    """The mean over places: [b, h, w, c] → [b, c]."""
    return ops.mean(maps, axis=(1, 2))


def gem(maps: Any) -> Any:
    """The generalised mean of the positive parts, between mean and maximum: [b, h, w, c] → [b, c].

    Source: F. Radenović, G. Tolias, O. Chum, IEEE TPAMI 41 (2019) 1655-1668.
    """
    return ops.power(ops.mean(ops.power(ops.maximum(maps, 1e-6), GEM_POWER), axis=(1, 2)), 1 / GEM_POWER)


def covariance(maps: Any) -> Any:
    """Which channels rise and fall together over the places: [b, h, w, c] → [b, c (c + 1) / 2].

    The upper triangle of the covariance matrix, row by row, each number's root with its sign, so that a few busy
    channels do not drown the rest. Source: T.-Y. Lin and S. Maji, BMVC 2017.
    """
    _, height, width, channels = maps.shape
    places = ops.reshape(maps, (-1, height * width, channels))
    centred = ops.subtract(places, ops.mean(places, axis=1, keepdims=True))
    matrix = ops.divide(ops.matmul(ops.transpose(centred, (0, 2, 1)), centred), float(height * width))
    rows, columns = np.triu_indices(channels)
    upper = ops.take(ops.reshape(matrix, (-1, channels**2)), (rows * channels + columns).tolist(), axis=1)
    return ops.multiply(ops.sign(upper), ops.sqrt(ops.abs(upper)))


POOLINGS: dict[str, Callable[[Any], Any]] = {f.__name__: f for f in (average, gem, covariance)}


def pool(maps: Any, how: str) -> Any:
    """One of POOLINGS, brought to length 1."""
    return keras.layers.UnitNormalization(axis=-1)(POOLINGS[how](maps))


def pooled_width(channels: int, how: str) -> int:
    """How many numbers pool gives of maps with so many channels."""
    return channels * (channels + 1) // 2 if how == "covariance" else channels
