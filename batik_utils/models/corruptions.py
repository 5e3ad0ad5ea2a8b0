"""Test images tampered with: what a model still knows without colour, detail, arrangement or motif."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

PATCHES = 4  # rows and columns of patches
BORDER = 0.12  # share of the side that the border keeps at each edge
BLUR = 1 / 40  # standard deviation of the blur, as a share of the side
Picture = NDArray[np.uint8]


def tamper(images: Picture, corruption: str, sha256s: Sequence[str]) -> Picture:
    """The images [n, h, w, 3], RGB 0-255, tampered with as one of CORRUPTIONS says; same shape and type.

    A pure function of each image, and for patches of its file's sha256 (hex), which seeds the order: the corruption
    of an image is the same whichever others are asked for.
    """
    done = [_TAMPER[corruption](np.asarray(image), sha256) for image, sha256 in zip(images, sha256s, strict=True)]
    return np.stack(done)


def _patches(image: Picture, sha256: str) -> Picture:
    out = image.copy()  # What is left over where the side is not a multiple of PATCHES stays in place.
    h, w = image.shape[0] // PATCHES, image.shape[1] // PATCHES
    places = [(r * h, c * w) for r in range(PATCHES) for c in range(PATCHES)]
    order = np.random.Generator(np.random.PCG64(int(sha256[:16], 16))).permutation(len(places))
    for (y, x), source in zip(places, order, strict=True):
        v, u = places[source]
        out[y : y + h, x : x + w] = image[v : v + h, u : u + w]
    return out


def _border(image: Picture, sha256: str) -> Picture:
    height, width = image.shape[:2]
    y, x = max(1, round(BORDER * height)), max(1, round(BORDER * width))
    inside = np.zeros((height, width), dtype=bool)
    inside[y : height - y, x : width - x] = True
    out = image.copy()
    out[inside] = np.round(image[~inside].mean(axis=0)).astype(np.uint8)
    return out


_TAMPER: dict[str, Callable[[Picture, str], Picture]] = {
    "greyscale": lambda image, _: np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2),
    "blur": lambda image, _: np.asarray(cv2.GaussianBlur(image, (0, 0), BLUR * max(image.shape[:2])), np.uint8),
    "patches": _patches,
    "border": _border,
}
CORRUPTIONS = tuple(_TAMPER)
"""Without colour; without detail; cut into patches and shuffled; without all but the border."""
