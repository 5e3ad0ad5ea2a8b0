"""What the audit looks at: one small grey picture per file, with its local features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from batik_utils.cache import digest, digest_file
from batik_utils.data.decode import open_image

SIDE = 384  # longest side of the grey picture, pixels: motifs stay legible, a pair is confirmed in milliseconds
LEAST = 16  # shortest side, pixels: less is stretched
COARSE = 3
DIHEDRAL: tuple[tuple[int, bool], ...] = tuple((turn, flip) for flip in (False, True) for turn in range(4))
"""(quarter turns counter-clockwise, mirrored left to right first) of the eight ways to lay a picture down."""
FEATURES = 500  # most local features kept per picture, strongest first

# Mirroring a picture reorders a SIFT descriptor's 4 × 4 cells × 8 directions, in the frame of its own
# orientation: rows upside down, directions the other way round. So no mirrored picture need be described.
_MIRROR = np.array([((3 - row) * 4 + col) * 8 + (8 - d) % 8 for row in range(4) for col in range(4) for d in range(8)])


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture as the audit sees it."""

    name: str  # path relative to the data folder, posix; its folder is the label
    sha256: str
    width: int  # of the full picture, upright, pixels
    height: int
    grey: NDArray[Any]  # uint8 [h, w], longest side at most SIDE
    chroma: NDArray[np.float32]  # [h, w, 2], red-green and yellow-blue (Cr, Cb; grey is 128), a quarter of grey's side
    points: NDArray[np.float32]  # [k, 2], (x, y) in grey, pixels; k <= FEATURES, strongest first
    descriptors: NDArray[np.float32]  # [k, 128], RootSIFT, unit length
    angles: NDArray[np.float32]  # [k], degrees
    sizes: NDArray[np.float32]  # [k], pixels of grey

    @property
    def label(self) -> str:
        """The folder that the picture lies in."""
        return self.name.rpartition("/")[0]

    @cached_property
    def coarse(self) -> NDArray[Any]:
        """uint8, grey at a third of its side."""
        return cv2.resize(self.grey, None, fx=1 / COARSE, fy=1 / COARSE, interpolation=cv2.INTER_AREA)

    @cached_property
    def thumb(self) -> NDArray[Any]:
        """float32 [32, 32], the whole picture, its aspect not kept."""
        return cv2.resize(self.grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)

    @property
    def mirrored(self) -> NDArray[np.float32]:
        """[k, 128], the descriptors that the mirrored picture would have at the mirrored points."""
        return self.descriptors[:, _MIRROR]


def look(source: Path | NDArray[np.uint8], name: str, sha256: str = "") -> Picture:
    """Describe one file, or one RGB array [h, w, 3] uint8; raises NotAnImage where a file is not an image.

    Pillow's remarks are the caller's to silence: this runs in threads.
    """
    if isinstance(source, Path):
        sha256 = sha256 or digest_file(source)
        image, facts = open_image(source, name, 2 * SIDE)
        pixels, turned = np.asarray(image), facts["orientation"] >= 5
        width, height = (facts[side] for side in (("height", "width") if turned else ("width", "height")))
    else:
        sha256 = sha256 or digest(np.ascontiguousarray(source).tobytes())
        pixels, (height, width) = np.asarray(source), source.shape[:2]
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    factor = min(1.0, SIDE / max(grey.shape))
    size = (max(LEAST, round(grey.shape[1] * factor)), max(LEAST, round(grey.shape[0] * factor)))
    grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(pixels, (grey.shape[1] // 4, grey.shape[0] // 4), interpolation=cv2.INTER_AREA)
    chroma = cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(np.float32)
    return Picture(name, sha256, width, height, grey, chroma, *_features(grey))


def lay(picture: NDArray[Any], way: tuple[int, bool]) -> NDArray[Any]:
    """The picture [h, w] mirrored and turned as one of DIHEDRAL says."""
    turns, flip = way
    return np.rot90(picture[:, ::-1] if flip else picture, turns)


def _features(grey: NDArray[Any]) -> tuple[NDArray[np.float32], ...]:
    found, descriptors = cv2.SIFT.create(nfeatures=FEATURES, contrastThreshold=0.02).detectAndCompute(grey, None)
    if descriptors is None:
        return tuple(np.zeros(shape, np.float32) for shape in ((0, 2), (0, 128), (0,), (0,)))
    order = np.argsort([-k.response for k in found], kind="stable")[:FEATURES]
    # RootSIFT (Arandjelović & Zisserman 2012): the Hellinger kernel, which bursts of one direction cannot dominate.
    roots = np.sqrt(descriptors[order] / np.maximum(descriptors[order].sum(axis=1, keepdims=True), 1e-9))
    points, angles, sizes = zip(*((found[i].pt, found[i].angle, found[i].size) for i in order), strict=True)
    return tuple(np.array(v, dtype=np.float32) for v in (points, roots, angles, sizes))
