"""What the audit looks at: one small grey picture per file with local features, and the poses that those propose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from batik_utils.cache import digest, digest_file
from batik_utils.data.decode import open_image

SIDE = 384  # longest side of the grey picture, pixels: motifs stay legible, a pair is confirmed in milliseconds
LEAST = 16  # shortest side, pixels: less is stretched
FEATURES = 500  # most local features kept per picture, strongest first
UPRIGHT = 15.0  # degrees: a copy is turned by quarters, give or take; another photograph of a like cloth by any angle
DIHEDRAL: tuple[tuple[int, bool], ...] = tuple((turn, flip) for flip in (False, True) for turn in range(4))
"""(quarter turns counter-clockwise, mirrored left to right first) of the eight ways to lay a picture down."""

_CELL = 64.0  # side of a cell of agreeing shifts, pixels of the larger picture
_BINS = 128
POSES = 4 * _BINS**3  # the numbers of poses are below this

# Mirroring a picture reorders a SIFT descriptor's 4 × 4 cells × 8 directions, in the frame of its own
# orientation: rows upside down, directions the other way round. So no mirrored picture need be described.
_MIRROR = np.array([((3 - row) * 4 + col) * 8 + (8 - d) % 8 for row in range(4) for col in range(4) for d in range(8)])


@dataclass(frozen=True, eq=False)
class Features:
    """Local features, strongest first."""

    places: NDArray[np.complex64]  # [k], x + iy from the picture's centre, pixels of grey
    descriptors: NDArray[np.float32]  # [k, 128], RootSIFT, unit length
    angles: NDArray[np.float32]  # [k], degrees
    sizes: NDArray[np.float32]  # [k], pixels of grey

    def __len__(self) -> int:
        return len(self.places)

    @property
    def mirrored(self) -> Features:
        """Those of the mirrored picture."""
        return Features(-self.places.conj(), self.descriptors[:, _MIRROR], 180 - self.angles, self.sizes)


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture as the audit sees it."""

    name: str  # path relative to the data folder, posix
    sha256: str
    width: int  # of the full picture, upright, pixels
    height: int
    grey: NDArray[Any]  # uint8 [h, w], longest side at most SIDE
    chroma: NDArray[np.float32]  # [h, w, 2], red-green and yellow-blue (Cr, Cb; grey is 128), a quarter of grey's side
    features: Features

    @property
    def points(self) -> NDArray[Any]:
        """[k, 2], (x, y) of the features in grey, pixels."""
        places = self.features.places
        return np.stack([places.real, places.imag], axis=1) + (np.array(self.grey.shape[::-1], np.float32) - 1) / 2


def look(source: Path | NDArray[np.uint8], name: str) -> Picture:
    """Describe one file, or RGB array uint8 [h, w, 3]; raises NotAnImage. The caller silences Pillow, for threads."""
    if isinstance(source, Path):
        sha256 = digest_file(source)
        image, facts = open_image(source, name, 2 * SIDE)
        upright = ("height", "width") if facts["orientation"] >= 5 else ("width", "height")
        pixels, (width, height) = np.asarray(image), (facts[side] for side in upright)
    else:
        pixels, (height, width), sha256 = np.asarray(source), source.shape[:2], digest(source.tobytes())
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    factor = min(1.0, SIDE / max(grey.shape))
    size = (max(LEAST, round(grey.shape[1] * factor)), max(LEAST, round(grey.shape[0] * factor)))
    grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(pixels, (grey.shape[1] // 4, grey.shape[0] // 4), interpolation=cv2.INTER_AREA)
    chroma = cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(np.float32)
    found, descriptors = cv2.SIFT.create(nfeatures=FEATURES, contrastThreshold=0.02).detectAndCompute(grey, None)
    order = np.argsort([-k.response for k in found], kind="stable")[:FEATURES]
    centre = complex(grey.shape[1] - 1, grey.shape[0] - 1) / 2
    places = np.array([complex(*found[i].pt) - centre for i in order], np.complex64)
    angles, sizes = (np.array([getattr(found[i], what) for i in order], np.float32) for what in ("angle", "size"))
    # RootSIFT (Arandjelović & Zisserman 2012): the Hellinger kernel, which bursts of one direction cannot dominate.
    described = np.zeros((0, 128), np.float32) if descriptors is None else descriptors[order]
    roots = np.sqrt(described / np.maximum(described.sum(axis=1, keepdims=True), 1e-9))
    return Picture(name, sha256, width, height, grey, chroma, Features(places, roots, angles, sizes))


def lay(picture: NDArray[Any], way: tuple[int, bool]) -> NDArray[Any]:
    """The picture [h, w, ...] mirrored and turned as one of DIHEDRAL says."""
    turns, flip = way
    return np.rot90(picture[:, ::-1] if flip else picture, turns)


def poses(own: Features, rows: NDArray, other: Features, match: NDArray) -> tuple[NDArray, list[NDArray]]:
    """The pose that each match of features own[rows] and other[match] proposes by itself.

    Returns which matches are turned by about a quarter [m], and for those the number of their pose, once for each of
    two grids that lie half a cell apart (no agreement is cut in two by both). A pose is a quarter turn, half an octave
    of scale, and a cell of shifts (weak geometric consistency, Jégou et al. 2008).
    """
    turn, scale = other.angles[match] - own.angles[rows], other.sizes[match] / own.sizes[rows]
    quarters = np.round(turn / 90)
    straight = np.abs(turn - 90 * quarters) < UPRIGHT
    quarter, scale = quarters[straight].astype(np.int64) % 4, scale[straight]
    shift = other.places[match[straight]] - scale * 1j**quarter * own.places[rows[straight]]
    shift = shift / (_CELL * np.maximum(scale, 1))
    grids = []
    for offset in (0.0, 0.5):
        number = quarter
        for value in (2 * np.log2(scale), shift.real, shift.imag):
            number = number * _BINS + (np.floor(value + offset).astype(np.int64) + _BINS // 2) % _BINS
        grids.append(number)
    return straight, grids
