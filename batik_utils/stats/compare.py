"""Tests between two models: across folds (corrected t, Bayesian with a region of equivalence) and on one split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from baycomp import two_on_single
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import confusion_matrix
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from batik_utils.errors import BatikError
from batik_utils.stats.intervals import LEVEL, Interval, corrected_error, nadeau_bengio
from batik_utils.stats.metrics import fold_scores, mean_over_seeds, published_fits, published_summary
from batik_utils.values import FitResult, Results

ROPE = 0.02
"""Half-width of the region of practical equivalence: two models within two points of accuracy are the same."""


@dataclass(frozen=True)
class Comparison:
    """Model A against model B on the same folds; every difference is A minus B, as a fraction."""

    a: str
    b: str
    protocol: str
    metric: str
    folds: int
    repeats: int
    """Repeats that both models completed; others are left out."""
    seeds_a: int
    seeds_b: int
    """Training seeds averaged within each fold (the fewest of any fold)."""
    mean_a: float
    mean_b: float
    """Over the common folds."""
    difference: Interval
    """Nadeau-Bengio, over the common folds."""
    p_value: float
    """Two-sided, of the Nadeau-Bengio corrected paired t test."""
    p_a_better: float
    p_same: float
    p_b_better: float
    """Posterior probabilities (Bayesian correlated t test) that A is better by more than the rope, that the two are
    within it, that B is better; they sum to 1."""
    rope: float
    p_adjusted: float | None = None
    """Holm's, where this is one of several comparisons."""

    @property
    def declared(self) -> bool:
        """Whether the two are declared different: p under 0.05, after Holm's correction where there is one."""
        p = self.p_value if self.p_adjusted is None else self.p_adjusted
        return p < 1 - LEVEL


@dataclass(frozen=True)
class FoldPairs:
    """Fold scores of two models, side by side; index (repeat, fold), columns a and b (means over seeds)."""

    scores: pd.DataFrame
    folds: int
    repeats: int
    seeds_a: int
    seeds_b: int


def fold_pairs(
    results: Results, a: str, b: str, protocol: str = "grouped", metric: str = "accuracy"
) -> FoldPairs | None:
    """Pair two models' scores fold by fold; None where no repeat was completed by both.

    Where the two have unequal seeds, each is averaged over its own; where they have unequal repeats, the common ones
    count. Raises BatikError where the same fold held different images.
    """
    held: dict[tuple[int, int], set[str]] = {}
    for r in (*results.select(a, protocol), *results.select(b, protocol)):
        images = set(r.paths)
        if held.setdefault((r.fit.repeat, r.fit.fold), images) != images:
            raise BatikError(
                f"Repeat {r.fit.repeat}, fold {r.fit.fold} of {protocol} holds different images for {a} and {b}; "
                "run the study again."
            )
    tables = [fold_scores(results, m, protocol, metric) for m in (a, b)]
    if any(t.empty for t in tables):
        return None
    folds = int(max(t["fold"].max() for t in tables)) + 1
    both = pd.concat([mean_over_seeds(t) for t in tables], axis=1, keys=["a", "b"], join="inner").sort_index()
    whole = both.groupby(level="repeat")["a"].transform("size") == folds
    both = both[whole.to_numpy()]
    if both.empty or folds < 2:
        return None
    seeds = [int(t.groupby(["repeat", "fold"])["seed"].nunique().loc[both.index].min()) for t in tables]
    return FoldPairs(both, folds, len(both) // folds, seeds[0], seeds[1])


def compare(results: Results, a: str, b: str, protocol: str = "grouped", metric: str = "accuracy") -> Comparison | None:
    """Compare two models across folds; None where no repeat was completed by both.

    The decision rule is the corrected test (declared); the posterior is reported beside it.
    Sources: C. Nadeau and Y. Bengio (2003), for the test; G. Corani and A. Benavoli, Machine Learning 100 (2015)
    285-304, and A. Benavoli et al., Journal of Machine Learning Research 18 (2017) 77, for the posterior.
    """
    pairs = fold_pairs(results, a, b, protocol, metric)
    if pairs is None:
        return None
    x, y = pairs.scores["a"].to_numpy(), pairs.scores["b"].to_numpy()
    difference, p_value = corrected_test(x, y, pairs.folds)
    better_a, same, better_b = posterior(x, y, pairs.repeats)
    return Comparison(
        a=a,
        b=b,
        protocol=protocol,
        metric=metric,
        folds=pairs.folds,
        repeats=pairs.repeats,
        seeds_a=pairs.seeds_a,
        seeds_b=pairs.seeds_b,
        mean_a=float(x.mean()),
        mean_b=float(y.mean()),
        difference=difference,
        p_value=p_value,
        p_a_better=better_a,
        p_same=same,
        p_b_better=better_b,
        rope=ROPE,
    )


def corrected_test(x: NDArray[np.float64], y: NDArray[np.float64], folds: int) -> tuple[Interval, float]:
    """Nadeau-Bengio interval of the mean of x - y (fold scores [J]) and its two-sided p.

    Where every fold differs by the same amount there is no variance: p is 1 for no difference, else 0.
    """
    gaps = x - y
    interval = nadeau_bengio(gaps, folds)
    error = corrected_error(gaps, folds)
    if error < 1e-12:
        return interval, 1.0 if abs(interval.value) < 1e-12 else 0.0
    return interval, float(2 * stats.t.sf(abs(interval.value) / error, len(gaps) - 1))


def posterior(x: NDArray[np.float64], y: NDArray[np.float64], repeats: int) -> tuple[float, float, float]:
    """P(x better), P(within ROPE), P(y better) of fold scores [J] by baycomp's correlated t test."""
    # baycomp looks at y - x, so its left is "x better".
    left, same, right = two_on_single(x, y, rope=ROPE, runs=repeats)
    return float(left), float(same), float(right)


def compare_with(results: Results, a: str, others: Sequence[str], protocol: str = "grouped") -> tuple[Comparison, ...]:
    """A against each of the others that it can be compared with: one family of tests, Holm-corrected if several."""
    found = [c for b in others if (c := compare(results, a, b, protocol))]
    if len(found) > 1:
        adjusted = multipletests([c.p_value for c in found], method="holm")[1]
        found = [replace(c, p_adjusted=float(p)) for c, p in zip(found, adjusted, strict=True)]
    return tuple(found)


@dataclass(frozen=True)
class McNemar:
    """Two fits on the same test images: how often which was right, and the exact test of the discordant ones."""

    a: str
    b: str
    seed_a: int
    seed_b: int
    both: int
    only_a: int
    only_b: int
    neither: int
    p_value: float
    """Two-sided and exact (binomial); 1 where no image sets the two apart."""

    @property
    def n(self) -> int:
        """Test images."""
        return self.both + self.only_a + self.only_b + self.neither


def mcnemar_fits(a: FitResult, b: FitResult) -> McNemar:
    """McNemar's exact test between two fits; raises BatikError where they tested different images.

    Source: Q. McNemar, Psychometrika 12 (1947) 153-157.
    """
    right_a, right_b = (dict(zip(r.paths, r.y_prob.argmax(axis=1) == r.y_true, strict=True)) for r in (a, b))
    if right_a.keys() != right_b.keys():
        raise BatikError(f"{a.fit.name} and {b.fit.name} tested different images and cannot be paired.")
    table = confusion_matrix(list(right_a.values()), [right_b[path] for path in right_a], labels=[True, False])
    p = float(mcnemar(table, exact=True).pvalue)
    (both, only_a), (only_b, neither) = table.tolist()
    return McNemar(a.fit.model, b.fit.model, a.fit.seed, b.fit.seed, both, only_a, only_b, neither, p)


@dataclass(frozen=True)
class PublishedComparison:
    """McNemar's test on the published split, for each common training seed and for the two median fits."""

    a: str
    b: str
    per_seed: tuple[McNemar, ...]
    median: McNemar


def compare_published(results: Results, a: str, b: str) -> PublishedComparison | None:
    """Exact McNemar tests between two models on the published split; None where either has no fits there."""
    summaries = published_summary(results, a), published_summary(results, b)
    if summaries[0] is None or summaries[1] is None:
        return None
    by_seed = [{r.fit.seed: r for r in published_fits(results, m)} for m in (a, b)]
    common = sorted(by_seed[0].keys() & by_seed[1].keys())
    per_seed = tuple(mcnemar_fits(by_seed[0][s], by_seed[1][s]) for s in common)
    return PublishedComparison(a, b, per_seed, mcnemar_fits(summaries[0].median, summaries[1].median))
