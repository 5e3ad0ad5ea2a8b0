"""Features of a frozen backbone, computed once per image: untouched, augmented views, and corruptions."""

from __future__ import annotations

import batik_utils.backend  # noqa: F401  isort: skip  (before keras)

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batik_utils.models.backbones import Backbone
from batik_utils.study import Augmentation


@dataclass(frozen=True)
class FeatureSpec:
    """What is computed of each image, in this order along axis 0: view 0 (untouched), views 1 … views, corruptions."""

    backbone: Backbone
    size: int
    """Side of the images, pixels."""
    augmentation: Augmentation
    views: int
    corruptions: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Of one image's features: (1 + views + corruptions, d)."""
        return 1 + self.views + len(self.corruptions), self.backbone.features


def compute_features(spec: FeatureSpec, image: NDArray[np.uint8], sha256: str) -> NDArray[np.float32]:
    """All features of one image, uint8 [size, size, 3] RGB with the sha256 of its file: float32 of spec.shape.

    The batch holds one image's views and nothing else, so that the numbers do not depend on how the work was cut.
    """
    from batik_utils.models.augment import draw_transforms
    from batik_utils.models.corruptions import tamper

    every = range(1 + spec.views)
    drawn = draw_transforms(spec.augmentation, [sha256] * len(every), list(every), spec.size)
    # Flips alone make two different views, however many are asked for.
    distinct, where = np.unique(drawn, axis=0, return_inverse=True)
    batch = _augmented(np.repeat(image[None], len(distinct), axis=0), distinct)
    corruptions = [tamper(image[None], corruption, [sha256]).astype(np.float32) for corruption in spec.corruptions]
    features = np.asarray(_built(spec.backbone, spec.size).predict_on_batch(np.concatenate([batch, *corruptions])))
    views, corrupted = features[: len(distinct)], features[len(distinct) :]
    return np.concatenate([views[where.reshape(-1)], corrupted]).astype(np.float32)


class FeatureStore:
    """One small file per image in one folder; a folder belongs to one key (experiment.keys.feature_key)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, image: str, spec: FeatureSpec) -> bool:
        """Whether the features of the image with this content hash are there and whole."""
        return self.read(image, spec) is not None

    def write(self, image: str, features: NDArray[np.float32]) -> None:
        """Write one image's features, wholly or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # Processes of two machines that share a folder may have one number.
        handle, part = tempfile.mkstemp(prefix=f".{image}.", suffix=".part", dir=self.folder)
        with os.fdopen(handle, "wb") as file:
            np.save(file, features)
        os.chmod(part, 0o644)
        os.replace(part, self._path(image))

    def read(self, image: str, spec: FeatureSpec) -> NDArray[np.float32] | None:
        """One image's features, memory-mapped; None if they are not there or damaged."""
        try:
            found = np.load(self._path(image), mmap_mode="r")
        except (OSError, ValueError, EOFError):
            return None
        return found if found.shape == spec.shape else None

    def gather(self, images: Sequence[str], rows: Sequence[int], spec: FeatureSpec) -> NDArray[np.float32]:
        """Features of the images at rows, [n, 1 + views + corruptions, d]; zero at all others."""
        out = np.zeros((len(images), *spec.shape), np.float32)
        for row in rows:
            out[row] = self.read(images[row], spec)
        return out

    def _path(self, image: str) -> Path:
        return self.folder / f"{image}.npy"


@lru_cache(maxsize=1)
def _built(backbone: Backbone, size: int):
    # One at a time: the features of one backbone are computed before those of the next.
    return backbone.build(size)


@lru_cache(maxsize=1)
def _augmentation():
    from batik_utils.models.augment import AffineAugmentation

    return AffineAugmentation()


def _augmented(images: NDArray[np.uint8], transforms: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(_augmentation()([images, transforms]))
