"""What the best of many runs on few pictures reaches by luck."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom

from batik_utils.stats.claims import ClaimRow


@dataclass(frozen=True)
class Luck:
    """The best of a seed study's runs on the same pictures, beside what luck alone would give; shares are 0-1."""

    runs: int
    images: int
    mean: float  # of the reported accuracies
    best: float  # of them: what was published
    expected: float
    """The best to expect if every run had the mean accuracy and each answer were drawn by itself (binomial)."""
    at_least: float
    """How probable such runs reach what was published."""
    ours: tuple[float, float] | None
    """The same two where each run is repeated by one of our training seeds at random: on these very pictures, each
    with its own accuracy. None where a run has no fits here."""

    @property
    def lucky(self) -> bool:
        """Whether luck reaches what was published one time in twenty or more often."""
        return self.at_least >= 0.05


def seed_runs(claims: Sequence[ClaimRow]) -> list[ClaimRow]:
    """The claims that are accuracies of runs, and such of other fits on as many images; empty without runs."""
    images = {row.n for row in claims if row.epochs}
    return [row for row in claims if row.metric == "accuracy" and row.n in images]


def runs_and_luck(
    rows: Sequence[ClaimRow], scratch: Collection[str]
) -> tuple[pd.DataFrame, dict[str, Luck], dict[str, NDArray[np.float64]]]:
    """A seed study's runs beside ours (run, arm, reported, ours), the luck in their best by arm, and its curves.

    scratch has the models trained from random weights. Arms are "pretrained" and "scratch", and "all" of the luck; a
    curve is the best to expect of 1, 2, … runs.
    """
    arms = ["scratch" if row.model in scratch else "pretrained" for row in rows]
    parts = {arm: [row for row, its in zip(rows, arms, strict=True) if its == arm] for arm in dict.fromkeys(arms)}
    lucks = {arm: found for arm, these in (parts | {"all": list(rows)}).items() if (found := luck(these))}
    ours = [row.published.values if row.published else () for row in rows]
    told = {"run": [r.what for r in rows], "arm": arms, "reported": [r.value for r in rows], "ours": ours}
    curves = {arm: expected_best(lucks[arm].mean, lucks[arm].images, len(rows)) for arm in parts if arm in lucks}
    return pd.DataFrame(told), lucks, curves


def luck(rows: Sequence[ClaimRow]) -> Luck | None:
    """The luck in the best of these runs, accuracies on as many pictures each; None for fewer than two."""
    if len(rows) < 2:
        return None
    images = rows[0].n or 1
    reported = [round(row.value * images) / images for row in rows]  # they are often printed to four decimals
    mean, best = float(np.mean(reported)), max(reported)
    one = binom.cdf(np.arange(images + 1), images, mean)
    again = [row.published.values for row in rows if row.published]
    ours = None
    if len(again) == len(rows):
        right = np.arange(images + 1)[:, None] + 0.5
        ours = _best(np.prod([(np.multiply(values, images) < right).mean(axis=1) for values in again], axis=0), best)
    return Luck(len(rows), images, mean, best, *_best(one ** len(rows), best), ours)


def expected_best(mean: float, images: int, runs: int) -> NDArray[np.float64]:
    """[runs] the best accuracy to expect of 1, 2, … runs that each have the mean accuracy on so many pictures."""
    one = binom.cdf(np.arange(images + 1), images, mean)
    return np.array([_best(one**k, 0.0)[0] for k in range(1, runs + 1)])


def _best(at_most: NDArray[np.float64], reported: float) -> tuple[float, float]:
    """Expected best, and the probability of the reported one or more, from P(best ≤ 0, 1, … pictures right)."""
    images, below = len(at_most) - 1, round(reported * (len(at_most) - 1)) - 1
    return float((1 - at_most[:-1]).sum() / images), float(1 - at_most[below]) if below >= 0 else 1.0
