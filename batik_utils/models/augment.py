"""Augmentation as numbers: each image's random view is eight numbers drawn from its hash, applied by OpenCV.

Ranges and order of composition are those of Keras' ImageDataGenerator, which the seed studies used (its
get_random_transform and apply_affine_transform); tests hold this module to it. It is stateless: an image and a view
number give the same picture on every machine, which is what lets features of views be cached.
"""

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from batik_utils.study_models import Augmentation

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)  # the transform that changes nothing


def draw_transforms(spec: Augmentation, sha256s: Sequence[str], views: Sequence[int], size: int) -> NDArray[np.float32]:
    """Draw one affine transform per (image, view): a pure function of the image's hash and the view's number.

    sha256s and views are [b]; size is the side in pixels. View 0 is always the untouched image. Returns
    float32 [b, 8] in the convention of keras.ops.image.affine_transform (output pixel to input pixel).
    """
    rows = np.empty((len(views), 8), dtype=np.float32)
    for row, sha256, view in zip(rows, sha256s, views, strict=True):
        row[:] = IDENTITY if view == 0 else transform_vector(draw_parameters(spec, sha256, view, size), size)
    return rows


def draw_parameters(spec: Augmentation, sha256: str, view: int, size: int) -> dict[str, float]:
    """The parameters of one view, by ImageDataGenerator's names: theta, tx, ty, shear, zx, zy, flip_horizontal.

    theta and shear in ± *degrees* (a shear of 0.2 moves no pixel of 224 by more than 0.4: practically none), tx and
    ty in ± shift x size pixels, zx and zy in [1 - zoom, 1 + zoom], all uniform; a flip has probability one half. Every
    view draws seven numbers whatever spec asks for, so that turning one range off leaves the other draws as they were.
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


def warp(images: NDArray[np.uint8], transforms: NDArray[np.float32], side: int | None = None) -> NDArray[np.float32]:
    """Move images uint8 [b, h, w, 3] by drawn transforms [b, 8]: bilinear, the nearest border pixel outside.

    Returns float32 [b, h, w, 3] of 0-255, or its top left [b, side, side, 3] where a side is given. Float32, because
    ImageDataGenerator does not round between neighbours either; what is not moved stays the very picture.
    """
    height, width = images.shape[1:3]
    out = np.empty((len(images), side or height, side or width, 3), np.float32)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for image, transform, moved in zip(images, transforms, out, strict=True):
        matrix = np.asarray(transform[:6], np.float64).reshape(2, 3)
        picture = image.astype(np.float32)
        moved[:] = cv2.warpAffine(picture, matrix, moved.shape[1::-1], flags=how, borderMode=cv2.BORDER_REPLICATE)
    return out
