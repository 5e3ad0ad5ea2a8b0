"""Tests between two models, across folds (corrected t, Bayesian) and on one split, and what they could find."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from baycomp import two_on_single
from numpy.typing import NDArray
from scipy import optimize, stats
from sklearn.metrics import confusion_matrix
from statsmodels.stats.contingency_tables import mcnemar

from batik_utils.errors import BatikError
from batik_utils.stats.intervals import LEVEL, Interval, corrected_test, holm
from batik_utils.stats.scores import fold_scores, mean_over_seeds, out_of_fold, published_summary
from batik_utils.values import FitResult, Results

ROPE = 0.02
"""Half-width of the region of practical equivalence: two models within two points of accuracy are the same."""
SAME_FROM = 0.95
"""Posterior probability from which two models are called practically the same."""
POWER = 0.8
"""How often a difference is found that the design can tell."""


@dataclass(frozen=True)
class Comparison:
    """Model A against model B on the folds that both have; every difference is A minus B, as a fraction."""

    a: str
    b: str
    metric: str
    folds: int
    repeats: int
    """Repeats that both models completed; others are left out."""
    seeds_a: int
    seeds_b: int
    """Training seeds averaged within each fold (the fewest of any fold)."""
    mean_a: float
    mean_b: float
    difference: Interval
    """Nadeau-Bengio."""
    p_value: float
    """Two-sided, of the Nadeau-Bengio corrected paired t test."""
    p_a_better: float
    p_same: float
    p_b_better: float
    """Posterior probabilities (Bayesian correlated t test) that A is better by more than the rope, that the two are
    within it, that B is better; they sum to 1."""
    rope: float
    p_adjusted: float | None = None
    """Holm's, over the family of comparisons; None where it has but one."""

    @property
    def p(self) -> float:
        """The p that counts: Holm's where there is one."""
        return self.p_value if self.p_adjusted is None else self.p_adjusted

    @property
    def declared(self) -> bool:
        """Whether the two are declared different: p under 0.05, after Holm's correction where there is one."""
        return self.p < 1 - LEVEL

    @property
    def word(self) -> Literal["better", "worse", "same", "open"]:
        """What A is: "same" as B (practically), else "open" where nothing is declared, "better" or "worse"."""
        if self.p_same >= SAME_FROM or not self.declared:
            return "same" if self.p_same >= SAME_FROM else "open"
        return "better" if self.difference.value > 0 else "worse"


class Standing(NamedTuple):
    """How a model stands against chance and against what costs next to nothing."""

    title: str
    accuracy: Interval | None
    """In cross-validation; None with too few folds."""
    chance: float
    against: Mapping[str, Comparison]
    """{what it is against, as within a sentence: the model against it}"""


def sorted_out(against: Mapping[str, Comparison]) -> tuple[list[str], list[str], list[str]]:
    """Names of what A is declared better than, of what nothing is declared about, and of what A is worse than."""
    signs = {name: c.declared * float(np.sign(c.difference.value)) for name, c in against.items()}
    better, open_, worse = ([name for name, sign in signs.items() if sign == which] for which in (1, 0, -1))
    return better, open_, worse


class FoldPairs(NamedTuple):
    """Fold scores of two models, side by side; the numbers are Comparison's."""

    scores: pd.DataFrame
    """Index (repeat, fold), columns a and b: means over seeds."""
    folds: int
    repeats: int
    seeds_a: int
    seeds_b: int
    images: int
    """Tested in one repeat."""


def fold_pairs(results: Results, a: str, b: str, protocol: str = "grouped") -> FoldPairs | None:
    """Pair two models' accuracies fold by fold, each averaged over its seeds; None where both completed no repeat.

    Raises BatikError where the same fold held different images.
    """
    held: dict[tuple[int, int], set[str]] = {}
    for r in (*results.select(a, protocol), *results.select(b, protocol)):
        images = set(r.paths)
        if held.setdefault((r.fit.repeat, r.fit.fold), images) != images:
            where = f"Repeat {r.fit.repeat}, fold {r.fit.fold} of {protocol}"
            raise BatikError(f"{where} holds different images for {a} and {b}; run the study again.")
    tables = [fold_scores(results, m, protocol) for m in (a, b)]
    both, folds = _whole_repeats(*tables)
    if both.empty or folds < 2:
        return None
    seeds = [int(t.groupby(["repeat", "fold"])["seed"].nunique().loc[both.index].min()) for t in tables]
    tested = sum(len(paths) for (repeat, _), paths in held.items() if repeat == both.index[0][0])
    return FoldPairs(both, folds, len(both) // folds, seeds[0], seeds[1], tested)


def _whole_repeats(x: pd.DataFrame, y: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Two tables of fold_scores side by side (means over seeds, a and b) in the repeats that both have; folds."""
    folds = 0 if x.empty or y.empty else int(max(x["fold"].max(), y["fold"].max())) + 1
    both = pd.concat([mean_over_seeds(x), mean_over_seeds(y)], axis=1, keys=["a", "b"], join="inner").sort_index()
    return both[(both.groupby(level="repeat")["a"].transform("size") == folds).to_numpy()], folds


def fold_gap(x: pd.DataFrame, y: pd.DataFrame) -> Interval | None:
    """Mean of one model's fold scores (metrics.fold_scores, an accuracy) minus its others on the same folds.

    With the interval of corrected_test; None where no repeat of two folds or more is complete in both.
    """
    both, folds = _whole_repeats(x, y)
    if both.empty or folds < 2:
        return None
    first = x[(x["repeat"] == both.index[0][0]) & (x["seed"] == x["seed"].min())]
    return corrected_test(both["a"].to_numpy(), both["b"].to_numpy(), folds, int(first["n"].sum()))[0]


def shared_folds(results: Results, a: str, b: str) -> Results:
    """The results with grouped fits of those repeats only that models A and B both completed; all, where none is."""
    pairs = fold_pairs(results, a, b)
    if pairs is None:
        return results
    repeats = set(pairs.scores.index.unique(level="repeat"))
    return Results(tuple(r for r in results if r.fit.protocol != "grouped" or r.fit.repeat in repeats))


def compare(results: Results, a: str, b: str, protocol: str = "grouped") -> Comparison | None:
    """Compare two models' accuracy across the folds of a protocol; None where no repeat was completed by both.

    The decision rule is the corrected test (declared); the posterior is reported beside it.
    Sources: C. Nadeau and Y. Bengio (2003), for the test; G. Corani and A. Benavoli, Machine Learning 100 (2015)
    285-304, and A. Benavoli et al., Journal of Machine Learning Research 18 (2017) 77, for the posterior.
    """
    pairs = fold_pairs(results, a, b, protocol)
    if pairs is None:
        return None
    x, y = pairs.scores["a"].to_numpy(), pairs.scores["b"].to_numpy()
    difference, p_value = corrected_test(x, y, pairs.folds, pairs.images)
    # baycomp looks at y - x, so its left is "x better".
    better_a, same, better_b = map(float, two_on_single(x, y, rope=ROPE, runs=pairs.repeats))
    if np.ptp(x - y) < 1e-12:
        believed = stats.norm(difference.value, (difference.high - difference.low) / (2 * stats.norm.ppf(0.975)))
        better_a, better_b = float(believed.sf(ROPE)), float(believed.cdf(-ROPE))
        same = 1 - better_a - better_b
    where = (a, b, "accuracy", pairs.folds, pairs.repeats, pairs.seeds_a, pairs.seeds_b)
    means = (float(x.mean()), float(y.mean()))
    return Comparison(*where, *means, difference, p_value, better_a, same, better_b, ROPE)


def compare_family(
    results: Results, pairs: Iterable[tuple[str, str]], protocol: str = "grouped"
) -> tuple[Comparison, ...]:
    """Each pair (A, B) that can be compared, in order and once: one family of tests, Holm-corrected if several."""
    found = [c for a, b in dict.fromkeys(pairs) if (c := compare(results, a, b, protocol))]
    return tuple(replace(c, p_adjusted=p) for c, p in zip(found, holm([c.p_value for c in found]), strict=True))


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
    p_adjusted: float | None = None
    """Holm's, over the pairs of models of one split; None where there is but one."""

    @property
    def p(self) -> float:
        """The p that counts: Holm's where there is one."""
        return self.p_value if self.p_adjusted is None else self.p_adjusted

    @property
    def n(self) -> int:
        """Test images."""
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def word(self) -> str:
        """What A is: "better" or "worse" than B, or "open" where the test does not tell them apart."""
        return "open" if self.p >= 1 - LEVEL else "better" if self.only_a > self.only_b else "worse"


def mcnemar_fits(a: FitResult, b: FitResult) -> McNemar:
    """McNemar's exact test between two fits; raises BatikError where they tested different images.

    Source: Q. McNemar, Psychometrika 12 (1947) 153-157.
    """
    right_a, right_b = (dict(zip(r.paths, r.y_prob.argmax(axis=1) == r.y_true, strict=True)) for r in (a, b))
    if right_a.keys() != right_b.keys():
        raise BatikError(f"{a.fit.name} and {b.fit.name} tested different images and cannot be paired.")
    table = confusion_matrix(list(right_a.values()), [right_b[path] for path in right_a], labels=[True, False])
    counts: tuple[int, int, int, int] = tuple(table.ravel().tolist())
    p = float(mcnemar(table, exact=True).pvalue)
    return McNemar(a.fit.model, b.fit.model, a.fit.seed, b.fit.seed, *counts, p)


@dataclass(frozen=True)
class PublishedComparison:
    """McNemar's tests on the published split: of the two median fits, and of each common training seed."""

    median: McNemar
    seeds: tuple[McNemar, ...]


def compare_published(results: Results, a: str, b: str) -> PublishedComparison | None:
    """Exact McNemar tests between two models on the published split; None where either has no fits there."""
    ours, theirs = published_summary(results, a), published_summary(results, b)
    if ours is None or theirs is None:
        return None
    other = {r.fit.seed: r for r in theirs.fits}
    seeds = tuple(mcnemar_fits(r, other[r.fit.seed]) for r in ours.fits if r.fit.seed in other)
    return PublishedComparison(mcnemar_fits(ours.median, theirs.median), seeds)


def published_family(results: Results, a: str, others: Sequence[str]) -> tuple[PublishedComparison, ...]:
    """A against each of the others on the published split, Holm-corrected over the others.

    The tests of median fits are one family, and so are those of each training seed.
    """
    found = [c for b in others if (c := compare_published(results, a, b))]
    medians = _adjusted([c.median for c in found])
    by_seed: dict[int, list[McNemar]] = {}
    for test in (test for c in found for test in c.seeds):
        by_seed.setdefault(test.seed_a, []).append(test)
    adjusted = {(test.b, test.seed_a): test for tests in by_seed.values() for test in _adjusted(tests)}
    return tuple(
        PublishedComparison(median, tuple(adjusted[test.b, test.seed_a] for test in c.seeds))
        for c, median in zip(found, medians, strict=True)
    )


def _adjusted(tests: Sequence[McNemar]) -> list[McNemar]:
    adjusted = holm([test.p_value for test in tests])
    return [replace(test, p_adjusted=p) for test, p in zip(tests, adjusted, strict=True)]


class Detectable(NamedTuple):
    """What the present design can tell about two models."""

    images: int
    folds: int
    repeats: int
    difference: float
    """The smallest true difference (fraction) that the corrected test finds with 80 % power; at most 1."""


def detectable(results: Results, a: str, b: str) -> Detectable | None:
    """Measure the noise between two models' grouped results and say what it allows; None where unpaired."""
    pairs = fold_pairs(results, a, b)
    if pairs is None:
        return None
    gaps = []
    for repeat in pairs.scores.index.unique(level="repeat"):
        fits = Results(tuple(r for r in results if r.fit.repeat == repeat))
        first, second = out_of_fold(fits, a), out_of_fold(fits, b)
        assert first is not None and second is not None  # fold_pairs has met this repeat
        gaps.append(first.right - second.right)
    spread, persistence = measured_spread(np.array(gaps))
    design = (len(gaps[0]), spread, pairs.folds, pairs.repeats, persistence)
    return Detectable(len(gaps[0]), pairs.folds, pairs.repeats, detectable_difference(*design))


def measured_spread(gaps: NDArray[np.float64]) -> tuple[float, float]:
    """Spread and persistence (see power_of_corrected_test) of per-image differences [repeats, images]."""
    repeats, variance = len(gaps), float(gaps.var(axis=1, ddof=1).mean())
    if repeats < 2 or variance == 0:
        return math.sqrt(variance), 0.0
    table = np.cov(gaps)
    shared = float((table.sum() - np.trace(table)) / (repeats * (repeats - 1)))
    return math.sqrt(variance), min(1.0, max(0.0, shared / variance))


def power_of_corrected_test(
    images: int, spread: float, folds: int, repeats: int, persistence: float, difference: float
) -> float:
    """How often the Nadeau-Bengio corrected paired test finds a true difference of accuracy, 0-1.

    spread is the standard deviation over images of (A right) - (B right) within a repeat, each averaged over its
    seeds; persistence (0-1) is the correlation of that quantity between repeats, for the same image. Variation from
    retraining on other images than these is not in it, so the power is, if anything, flattering.
    """
    # The corrected statistic is a scaled non-central t: its numerator has the variance of the mean over all repeats,
    # its denominator the variance that folds show.
    if spread == 0:
        return float(difference != 0)
    scores = folds * repeats
    of_mean = spread**2 * (persistence + (1 - persistence) / repeats) / images
    seen = scores / (scores - 1) * (spread**2 * folds / images - of_mean)
    edge = float(stats.t.ppf((1 + LEVEL) / 2, scores - 1)) * math.sqrt(seen * (1 / scores + 1 / (folds - 1)) / of_mean)
    shift = abs(difference) / math.sqrt(of_mean)
    # The non-central t is averaged over its denominator's quantiles: scipy's own gives NaN for large shifts.
    quantiles = (np.arange(2000) + 0.5) / 2000
    denominator = edge * np.sqrt(stats.chi2.ppf(quantiles, scores - 1) / (scores - 1))
    return float((stats.norm.cdf(shift - denominator) + stats.norm.cdf(-shift - denominator)).mean())


def detectable_difference(images: int, spread: float, folds: int, repeats: int, persistence: float = 0.0) -> float:
    """The smallest true difference (fraction) that the corrected test finds with 80 % power; at most 1."""

    def lacking(difference: float) -> float:
        return POWER - power_of_corrected_test(images, spread, folds, repeats, persistence, difference)

    return 1.0 if lacking(1.0) > 0 else float(optimize.brentq(lacking, 0.0, 1.0, xtol=1e-9))
