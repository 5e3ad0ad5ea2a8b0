"""Pictures that stand in the folders of more than one motif: which these are, and what they cost, whoever answers."""

from itertools import combinations
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


def shared_pairs(labels: NDArray[np.int64], groups: NDArray[np.int64]) -> pd.DataFrame:
    """One row per pair of labels that share groups: columns a, b, groups, pictures; most groups first."""
    found: dict[tuple[int, int], list[int]] = {}
    for _, held in pd.Series(labels).groupby(groups):
        for pair in combinations(sorted(held.unique().tolist()), 2):
            found.setdefault(pair, []).append(int(held.isin(pair).sum()))
    rows = [(*pair, len(counts), sum(counts)) for pair, counts in found.items()]
    table = pd.DataFrame(rows, columns=["a", "b", "groups", "pictures"])
    return table.sort_values(["groups", "a", "b"], ascending=[False, True, True], ignore_index=True)
