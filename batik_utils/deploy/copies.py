"""Which pictures a classifier has learnt from, without the pictures: by fingerprints that its file holds."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from batik_utils.audit.look import DIHEDRAL, lay
from batik_utils.deploy.bundle import About
from batik_utils.study_models import Image

SMALL = Image(size=32, resize="bilinear")
"""The whole picture, squeezed, of which a fingerprint is made."""
HALVES = (40, 9)
"""Bits of each half of two fingerprints, of 256, that may differ in one picture: either half is enough. Of the
collection's 980 photographs no two that the audit takes for different ones differ by less than 44 and 10."""


def fingerprint(picture: NDArray[np.uint8]) -> str:
    """128 hex digits that tell a picture [h, w, 3], RGB 0-255, again when re-encoded or resized; not when cropped.

    Of 32 × 32 grey pixels: which of the 255 lowest frequencies but the mean are above their median, and which of
    16 × 16 fields are brighter against their surroundings than most. Source: C. Zauner, Implementation and
    benchmarking of perceptual image hash functions (2010).
    """
    return np.packbits(_bits(_grey(picture))).tobytes().hex()


def _grey(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (SMALL.size, SMALL.size), interpolation=cv2.INTER_AREA).astype(np.float32)


def _bits(grey: NDArray[np.float32]) -> NDArray[np.bool_]:
    grey = np.ascontiguousarray(grey)
    low = cv2.dct(grey)[:16, :16].ravel()[1:]
    fields = cv2.resize(grey - cv2.GaussianBlur(grey, (0, 0), 4), (16, 16), interpolation=cv2.INTER_AREA).ravel()
    return np.concatenate([low > np.median(low), [False], fields > np.median(fields)])


class Copies:
    """The training pictures of a classifier, to be told again: re-encoded, resized, mirrored or turned by quarters."""

    def __init__(self, about: About) -> None:
        self._names = [row.name for row in about.training.rows]
        known = bytes.fromhex("".join(row.fingerprint for row in about.training.rows))
        self._known = np.unpackbits(np.frombuffer(known, np.uint8).reshape(len(self._names), -1), axis=1).astype(bool)

    def of(self, picture: NDArray[np.uint8]) -> str | None:
        """The name of the training picture that a picture [h, w, 3] is a copy of; None where it is of none."""
        grey = _grey(picture)
        ways = np.stack([_bits(lay(grey, way)) for way in DIHEDRAL])
        apart = (
            (ways[:, None] != self._known[None]).reshape(len(ways), len(self._names), 2, -1).sum(axis=-1).min(axis=0)
        )
        alike = (apart <= HALVES).any(axis=1)
        return self._names[int(np.argmin(np.where(alike, apart.sum(axis=1), 512)))] if alike.any() else None
