"""The augmentation's warp in a third of the time: a pixel's three colours are fetched together, as one integer."""

from batik_utils.backend import compiled  # before keras: one thread, quiet logs

# isort: split
import numpy as np
from keras import ops


def four_passes():
    """A warp for AffineAugmentation in four passes over memory: warp(images, transforms, height, width)."""
    aim, surround, fetch, mix = [compiled(stage) for stage in (_aim, _surround, _fetch, _mix)]

    def warp(images, transforms, height, width):
        # Four passes on purpose. In one, every colour of every pixel would find its position again; and a
        # position must be the same number, to the last bit, for the corners and for their weights.
        x, y = aim(transforms, np.arange(height), np.arange(width), tuple(images.shape[1:3]))
        pixels, corners = surround(images, x, y)
        return mix(fetch(pixels, corners), x, y)

    return warp


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
