"""Features of a frozen backbone, computed once per image: untouched, augmented views, and corruptions."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batik_utils.models.backbones import Backbone
from batik_utils.models.extract import Extractor
from batik_utils.study_models import Augmentation, Image


@dataclass(frozen=True)
class FeatureSpec:
    """What is computed of each image, in this order along axis 0: view 0 (untouched), views 1 … views, corruptions."""

    backbone: Backbone | Extractor
    image: Image  # how pictures become arrays
    augmentation: Augmentation
    views: int
    corruptions: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Of one image's features: (1 + views + corruptions, d)."""
        return 1 + self.views + len(self.corruptions), self.backbone.features

    @property
    def cost(self) -> float:
        """Seconds of one core for one image, roughly: a network's work goes by its weights and its pixels."""
        return self.shape[0] * (0.01 + 4e-9 * self.backbone.parameters * (self.image.size / 224) ** 2)


def compute_features(spec: FeatureSpec, image: NDArray[np.uint8], sha256: str) -> NDArray[np.float32]:
    """All features of one image, uint8 [size, size, 3] RGB with the sha256 of its file: float32 of spec.shape.

    The batch holds one image's views and nothing else, so that the numbers do not depend on how the work was cut.
    """
    from batik_utils.models.augment import draw_transforms, warp
    from batik_utils.models.corruptions import tamper

    every = range(1 + spec.views)
    drawn = draw_transforms(spec.augmentation, [sha256] * len(every), list(every), spec.image.size)
    # Flips alone make two different views, however many are asked for.
    distinct, where = np.unique(drawn, axis=0, return_inverse=True)
    batch = warp(np.repeat(image[None], len(distinct), axis=0), distinct)
    corruptions = [tamper(image[None], corruption, [sha256]).astype(np.float32) for corruption in spec.corruptions]
    features = np.asarray(
        _built(spec.backbone, spec.image.size).predict_on_batch(np.concatenate([batch, *corruptions]))
    )
    views, corrupted = features[: len(distinct)], features[len(distinct) :]
    return np.concatenate([views[where.reshape(-1)], corrupted]).astype(np.float32)


@lru_cache(maxsize=1)
def _built(backbone: Backbone | Extractor, size: int) -> Any:
    # One at a time: the features of one backbone are computed before those of the next.
    return backbone.build(size)
