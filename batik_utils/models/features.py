"""Features of a frozen backbone, computed once per image: untouched, augmented views, and corruptions."""

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batik_utils.files import read_sealed, write_sealed
from batik_utils.models.backbones import Backbone
from batik_utils.models.recipes import Extractor
from batik_utils.study import Augmentation


@dataclass(frozen=True)
class FeatureSpec:
    """What is computed of each image, in this order along axis 0: view 0 (untouched), views 1 … views, corruptions."""

    backbone: Backbone | Extractor
    size: int  # side of the images, pixels
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
    from batik_utils.models.augment import draw_transforms, warp
    from batik_utils.models.corruptions import tamper

    every = range(1 + spec.views)
    drawn = draw_transforms(spec.augmentation, [sha256] * len(every), list(every), spec.size)
    # Flips alone make two different views, however many are asked for.
    distinct, where = np.unique(drawn, axis=0, return_inverse=True)
    batch = warp(np.repeat(image[None], len(distinct), axis=0), distinct)
    corruptions = [tamper(image[None], corruption, [sha256]).astype(np.float32) for corruption in spec.corruptions]
    features = np.asarray(_built(spec.backbone, spec.size).predict_on_batch(np.concatenate([batch, *corruptions])))
    views, corrupted = features[: len(distinct)], features[len(distinct) :]
    return np.concatenate([views[where.reshape(-1)], corrupted]).astype(np.float32)


class FeatureStore:
    """One sealed file per image in one folder; a folder belongs to one spec (experiment.keys.feature_key)."""

    def __init__(self, folder: Path, spec: FeatureSpec) -> None:
        self.folder, self.spec = folder, spec

    def write(self, image: str, features: NDArray[np.float32]) -> None:
        """Keep the features of the image with this content hash, wholly or not at all."""
        content = io.BytesIO()
        np.save(content, features)
        write_sealed(self._path(image), content.getvalue())

    def read(self, image: str) -> NDArray[np.float32] | None:
        """One image's features, of spec.shape; None where they are not there, damaged or not finite."""
        content = read_sealed(self._path(image))
        if content is None:
            return None
        features = np.load(io.BytesIO(content), allow_pickle=False)
        return features if features.shape == self.spec.shape and np.isfinite(features).all() else None

    def _path(self, image: str) -> Path:
        return self.folder / f"{image}.features"


@lru_cache(maxsize=1)
def _built(backbone: Backbone | Extractor, size: int) -> Any:
    # One at a time: the features of one backbone are computed before those of the next.
    return backbone.build(size)
