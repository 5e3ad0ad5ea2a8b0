"""Pictures that stand in the folders of two motifs: what they cost, whoever answers."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batik_utils.stats.intervals import Interval, nadeau_bengio, wilson
from batik_utils.values import Results


class Disputed(NamedTuple):
    """Groups of near-duplicates whose pictures carry more than one label."""

    rows: NDArray[np.bool_]
    """[n], whether a picture is in such a group."""
    groups: int
    ceiling: float
    """Accuracy, 0-1, of whoever answers every picture right but gives all copies of one picture the same label."""


def disputed(labels: NDArray[np.int64], groups: NDArray[np.int64]) -> Disputed:
    """The disputed pictures among labels [n] and groups of near-duplicates [n]."""
    counts = pd.crosstab(groups, labels)
    several = counts.index[(counts > 0).sum(axis=1) > 1]
    return Disputed(np.isin(groups, several), len(several), float(counts.max(axis=1).sum() / len(labels)))


def accuracy_on(results: Results, model: str, paths: set[str], folds: int) -> Interval | None:
    """Mean grouped accuracy over the folds' pictures that are among paths, None with fewer than two."""
    scores: dict[tuple[int, int], list[float]] = {}
    for r in results.select(model, "grouped"):
        kept = np.isin(r.paths, list(paths))
        if kept.any():
            right = (r.y_prob.argmax(axis=1) == r.y_true)[kept]
            scores.setdefault((r.fit.repeat, r.fit.fold), []).append(float(right.mean()))
    means = [float(np.mean(scores[place])) for place in sorted(scores)]
    if len(means) < 2 or folds < 2:
        return None
    if np.ptp(means) < 1e-12:
        return wilson(means[0] * len(paths), len(paths))
    band = nadeau_bengio(means, folds)
    return replace(band, low=max(0.0, band.low), high=min(1.0, band.high))
