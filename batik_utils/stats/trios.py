"""Every three of many motifs told apart by a linear head on frozen features: how much the choice of three decides."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import solve
from scipy.stats import linregress


class Trios(NamedTuple):
    """What a head reaches on all trios of m motifs."""

    table: pd.DataFrame  # a row per trio, in order: a, b, c (labels), n (pictures), accuracy (0-1, on test rows)
    confused: NDArray[np.float64]  # [m, m] share of one motif's pictures taken for another, over the trios of both


def kernel(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scalar products [n, n] of features [n, d], on average 1 of a picture with itself; of blocks, their mean."""
    x = features.astype(np.float32)
    gram = (x @ x.T).astype(np.float64)
    return gram / (np.trace(gram) / len(gram))


def every_trio(
    gram: NDArray[np.float64], labels: NDArray[np.int64], folds: NDArray[np.int64], strength: float
) -> Trios:
    """Test every trio of the motifs 0 … m - 1 by a ridge on the trio's pictures alone, each fold by the others.

    gram is kernel(features) [n, n]; labels and folds (the one in which a picture is tested) are [n]; decisions are
    those of scikit-learn's RidgeClassifier of that strength.
    """
    m = int(labels.max()) + 1
    places = [np.flatnonzero(labels == label) for label in range(m)]
    rows, taken = [], np.zeros((m, m))
    for trio in combinations(range(m), 3):
        own = np.concatenate([places[label] for label in trio])
        truth = np.repeat(range(3), [len(places[label]) for label in trio])
        guess, part, inside = np.empty_like(truth), folds[own], gram[np.ix_(own, own)]
        for fold in np.unique(part):
            test, train = part == fold, part != fold
            target = 2.0 * (truth[train, None] == range(3)) - 1
            across = inside[:, train]
            means = across[train].mean(axis=0)
            # Both sides are centred: there is an intercept.
            across = across - across.mean(axis=1, keepdims=True) - means + means.mean()
            solved = solve(across[train] + strength * np.eye(len(target)), target - target.mean(axis=0), assume_a="pos")
            guess[test] = (across @ solved + target.mean(axis=0))[test].argmax(axis=1)
        rows.append((*trio, len(own), float((guess == truth).mean())))
        np.add.at(taken, (np.array(trio)[truth], np.array(trio)[guess]), 1)
    np.fill_diagonal(taken, 0)
    met = np.array([max(1, len(own)) * max(1, m - 2) for own in places])  # two motifs are together in m - 2 trios
    return Trios(pd.DataFrame(rows, columns=["a", "b", "c", "n", "accuracy"]), taken / met[:, None])


def motif_means(table: pd.DataFrame, motifs: int) -> NDArray[np.float64]:
    """[motifs] mean accuracy over the trios that hold each."""
    trios = table[["a", "b", "c"]].to_numpy()
    return np.array([table["accuracy"][(trios == label).any(axis=1)].mean() for label in range(motifs)])


def line(x: Sequence[float], y: Sequence[float]) -> dict[str, float] | None:
    """The regression of y on x (slope, intercept, r, n); None for fewer than three points, or where all x are one."""
    if len(x) < 3 or np.ptp(x) == 0:
        return None
    found = linregress(x, y)
    return {"slope": found.slope, "intercept": found.intercept, "r": found.rvalue, "n": len(x)}
