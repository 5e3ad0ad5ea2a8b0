"""Texture and colour of a picture as numbers that need no training: nothing of any other picture is in them."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.feature import local_binary_pattern

Picture = NDArray[np.uint8]
Map = NDArray[Any]  # [h, w] of what OpenCV makes of a picture

RADII = (1, 2, 4)  # of the local binary patterns, pixels; eight neighbours each
PATTERNS = 59  # of eight neighbours, rotation told apart: 58 uniform ones and all others
WAVELENGTHS = (4, 8, 16, 32)  # of the Gabor filters, pixels
ORIENTATIONS = 6


def patterns(image: Picture) -> NDArray[np.float64]:
    """Shares of the local binary patterns (Ojala et al. 2002) of the picture in grey, [177]; square roots of them."""
    return _patterns(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def colour_patterns(image: Picture) -> NDArray[np.float64]:
    """The same of lightness and of both opponent colours (CIELAB), [531]."""
    return np.concatenate([_patterns(channel) for channel in cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2LAB))])


def region_covariance(image: Picture) -> NDArray[np.float64]:
    """How colour, its changes and Gabor filters' answers vary together over the picture, [780].

    The logarithm of the covariance matrix, upper triangle, so that plain distances are those between such matrices.
    Sources: Tuzel et al. 2006 (region covariance), Arsigny et al. 2006 (log-Euclidean).
    """
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / 100
    changes = [np.abs(cv2.Sobel(lab, -1, dx, dy)) for dx, dy in ((1, 0), (0, 1), (2, 0), (0, 2))]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    maps = np.dstack(
        [lab, *changes, *(_gabor(grey, wavelength, k) for wavelength in WAVELENGTHS for k in range(ORIENTATIONS))]
    )
    # Every fourth pixel: neighbours say nearly the same.
    covariance = np.cov(maps.reshape(-1, maps.shape[2])[::4].T) + 1e-6 * np.eye(maps.shape[2])
    values, vectors = np.linalg.eigh(covariance)
    logarithm = (vectors * np.log(np.maximum(values, 1e-9))) @ vectors.T
    rows, columns = np.triu_indices(len(logarithm))
    # What stands twice in the matrix counts twice in a distance.
    return logarithm[rows, columns] * np.where(rows == columns, 1, np.sqrt(2))


DESCRIPTORS: dict[str, tuple[Callable[[Picture], NDArray[np.float64]], int]] = {
    "patterns": (patterns, len(RADII) * PATTERNS),
    "colour_patterns": (colour_patterns, 3 * len(RADII) * PATTERNS),
    "region_covariance": (region_covariance, 780),
}
"""By name: the function, and how many numbers it gives."""


def describe(image: Picture, name: str) -> NDArray[np.float32]:
    """A picture, uint8 [h, w, 3] RGB, by one of DESCRIPTORS, brought to length 1."""
    found = DESCRIPTORS[name][0](image)
    return (found / np.linalg.norm(found)).astype(np.float32)


def _patterns(channel: Map) -> NDArray[np.float64]:
    inside = slice(max(RADII), -max(RADII))  # beyond a picture's edge all is black
    found = (local_binary_pattern(channel, 8, radius, "nri_uniform")[inside, inside] for radius in RADII)
    codes = [code.astype(np.int64) for code in found]
    return np.sqrt(np.concatenate([np.bincount(code.ravel(), minlength=PATTERNS) / code.size for code in codes]))


def _gabor(grey: Map, wavelength: int, orientation: int) -> Map:
    """How strong a wave of this length and direction is at each pixel."""
    deviation, angle = wavelength / 2, np.pi * orientation / ORIENTATIONS
    side = 2 * (int(3 * deviation) | 1) + 1
    even, odd = (cv2.getGaborKernel((side, side), deviation, angle, wavelength, 0.7, phase) for phase in (0, np.pi / 2))
    return np.hypot(cv2.filter2D(grey, -1, even - even.mean()), cv2.filter2D(grey, -1, odd))
