"""Augmentation as numbers: each image's random view is eight numbers drawn from its hash, applied in the graph.

The ranges and the order of composition are those of Keras' ImageDataGenerator, which the seed studies used
(keras.src.legacy.preprocessing.image: get_random_transform, apply_affine_transform); tests hold this module to
that function. It is stateless: the same image and view number give the same picture on every machine, in every
process and for every model, which is what lets features of augmented views be cached.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from batik_utils.backend import compiled  # before keras: one thread, quiet logs

# isort: split
import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from batik_utils.study import Augmentation

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
"""The transform that changes nothing."""


def draw_transforms(spec: Augmentation, sha256s: Sequence[str], views: Sequence[int], size: int) -> NDArray[np.float32]:
    """Draw one affine transform per (image, view): a pure function of the image's hash and the view's number.

    sha256s and views are [b]; size is the side in pixels. View 0 is always the untouched image. Returns
    float32 [b, 8] in the convention of keras.ops.image.affine_transform (output pixel to input pixel).

    The ranges of spec mean what ImageDataGenerator means by them: rotation uniform in ± degrees; each shift
    uniform in ± shift x size pixels; shear uniform in ± *degrees* (so the seed's 0.2 moves no pixel by more than
    0.4: practically no shear); zoom factors of the two axes independent, uniform in [1 - zoom, 1 + zoom]; then
    a horizontal flip with probability one half.
    """
    if len(sha256s) != len(views):
        raise ValueError(f"{len(sha256s)} hashes for {len(views)} views")
    rows = np.empty((len(views), 8), dtype=np.float32)
    for row, sha256, view in zip(rows, sha256s, views, strict=True):
        row[:] = IDENTITY if view == 0 else transform_vector(draw_parameters(spec, sha256, view, size), size)
    return rows


def draw_parameters(spec: Augmentation, sha256: str, view: int, size: int) -> dict[str, float]:
    """The parameters of one view, by ImageDataGenerator's names: theta, tx, ty, shear, zx, zy, flip_horizontal.

    theta and shear in degrees, tx and ty in pixels. Every view draws seven numbers whatever spec asks for, so
    that turning one range off leaves the others' draws as they were.
    """
    key = hashlib.sha256(f"{sha256}:{int(view)}".encode()).digest()
    u = np.random.Generator(np.random.Philox(key=int.from_bytes(key[:16], "little"))).random(7)
    either_way = 2.0 * u - 1.0
    return {
        "theta": spec.rotation * either_way[0],
        "tx": spec.shift * size * either_way[1],
        "ty": spec.shift * size * either_way[2],
        "shear": spec.shear * either_way[3],
        "zx": 1.0 + spec.zoom * either_way[4],
        "zy": 1.0 + spec.zoom * either_way[5],
        "flip_horizontal": bool(spec.horizontal_flip and u[6] < 0.5),
    }


def transform_vector(parameters: dict[str, float], size: int) -> NDArray[np.float64]:
    """The eight numbers [a0, a1, a2, b0, b1, b2, 0, 0] of one view: input x = a0·x + a1·y + a2, y = b0·x + b1·y + b2.

    Composition (rotation · shift · shear · zoom about the centre, then the flip) as in apply_affine_transform,
    whose matrices are in x, y order. Its tx, drawn from height_shift_range, therefore moves columns.
    """
    theta, shear = np.deg2rad(parameters["theta"]), np.deg2rad(parameters["shear"])
    rotate = np.array([[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]])
    shift = np.array([[1, 0, parameters["tx"]], [0, 1, parameters["ty"]], [0, 0, 1]])
    slant = np.array([[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]])
    zoom = np.diag([parameters["zx"], parameters["zy"], 1.0])
    centre = size / 2 - 0.5
    from_centre = np.array([[1, 0, centre], [0, 1, centre], [0, 0, 1.0]])
    to_centre = np.array([[1, 0, -centre], [0, 1, -centre], [0, 0, 1.0]])
    matrix = from_centre @ rotate @ shift @ slant @ zoom @ to_centre
    if parameters["flip_horizontal"]:
        matrix = matrix @ np.array([[-1, 0, size - 1], [0, 1, 0], [0, 0, 1.0]])
    return np.concatenate([matrix[0], matrix[1], [0.0, 0.0]])


@keras.saving.register_keras_serializable("batik")
class AffineAugmentation(keras.layers.Layer):
    """Apply drawn transforms to images: bilinear, the nearest border pixel outside; no state, no randomness.

    Call with [images uint8 [b, h, w, 3], transforms float32 [b, 8]]; returns float32 [b, h, w, 3] of 0-255, or
    its top left [b, side, side, 3] where a side is given. Always computes in float32: eight-bit mantissas
    (bfloat16) cannot hold a pixel's position. It does what keras.ops.image.affine_transform does, on one core in
    a third of the time: a pixel's three colours are fetched together, as one integer.
    """

    def __init__(self, side: int | None = None, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.side = side
        self._stages = [compiled(stage) for stage in (_aim, _surround, _fetch, _mix)]

    def call(self, inputs):
        """See the class."""
        aim, surround, fetch, mix = self._stages
        images, transforms = inputs
        height, width = (self.side or side for side in images.shape[1:3])
        # Four passes on purpose. In one, every colour of every pixel would find its position again; and a
        # position must be the same number, to the last bit, for the corners and for their weights.
        x, y = aim(transforms, np.arange(height), np.arange(width), tuple(images.shape[1:3]))
        pixels, corners = surround(images, x, y)
        return mix(fetch(pixels, corners), x, y)

    def compute_output_shape(self, input_shape):
        """That of the images, or of their top left."""
        batch, height, width, channels = input_shape[0]
        return batch, self.side or height, self.side or width, channels

    def get_config(self):
        """With the side."""
        return super().get_config() | {"side": self.side}


def _aim(transforms, rows, columns, shape):
    """Say where each output pixel looks, inside an image of this shape: x and y, float32 [b, rows, columns]."""
    a = [transforms[:, k, None, None] for k in range(6)]
    x, y = ops.cast(columns, "float32")[None, None], ops.cast(rows, "float32")[None, :, None]
    height, width = shape
    return (
        ops.clip(a[0] * x + a[1] * y + a[2], 0.0, width - 1.0),
        ops.clip(a[3] * x + a[4] * y + a[5], 0.0, height - 1.0),
    )


def _surround(images, x, y):
    """Number all pixels, int32 [b·h·w] with three colours each, and the four around each position, int32 [b, r, c]."""
    height, width = images.shape[1:3]
    wide = ops.cast(images, "int32")
    pixels = ops.reshape(wide[..., 0] + 256 * wide[..., 1] + 65536 * wide[..., 2], (-1,))
    left, upper = ops.cast(ops.floor(x), "int32"), ops.cast(ops.floor(y), "int32")
    right, lower = ops.minimum(left + 1, width - 1), ops.minimum(upper + 1, height - 1)
    first = ops.arange(ops.shape(images)[0], dtype="int32")[:, None, None] * (height * width)
    return pixels, [first + row * width + column for row in (upper, lower) for column in (left, right)]


def _fetch(pixels, corners):
    return [ops.take(pixels, corner) for corner in corners]


def _mix(corners, x, y):
    across, down = (x - ops.floor(x))[..., None], (y - ops.floor(y))[..., None]
    place = np.array([0, 8, 16], dtype=np.int32)
    colours = [
        ops.cast(ops.bitwise_and(ops.right_shift(corner[..., None], place), 255), "float32") for corner in corners
    ]
    upper = colours[0] + (colours[1] - colours[0]) * across
    lower = colours[2] + (colours[3] - colours[2]) * across
    return upper + (lower - upper) * down
