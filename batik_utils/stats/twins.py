"""Test images that have a twin in training, and what accuracy is left without them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from batik_utils.values import FitResult, Split


def twins_across(split: Split, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Dataset rows, ascending, of the split's test images whose group also has training images; groups is [n]."""
    test = np.sort(np.asarray(split.test, dtype=np.int64))
    return test[np.isin(groups[test], groups[list(split.train)])]


def accuracy_without(result: FitResult, paths: Collection[str]) -> float:
    """Accuracy, 0-1, over a fit's test images that are not among paths; nan where none is left."""
    kept = np.array([path not in paths for path in result.paths], dtype=bool)
    if not kept.any():
        return float("nan")
    return float((result.y_prob[kept].argmax(axis=1) == result.y_true[kept]).mean())
