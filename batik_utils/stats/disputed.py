"""Pictures that stand in the folders of two motifs: what they cost, whoever answers."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray


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
