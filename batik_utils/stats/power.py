"""What a design can find: images needed to tell two models apart, and how often a difference would be found."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from batik_utils.stats.compare import compare_published, fold_pairs
from batik_utils.stats.metrics import out_of_fold
from batik_utils.values import Results

ALPHA, TARGET, PLANTED = 0.05, 0.8, 0.1
"""Level of the tests, the power that is wanted, and the true difference asked about."""


def images_needed(only_a: float, only_b: float, power: float = TARGET) -> int | None:
    """Test images for McNemar's test to tell two models apart with this power; None where they do not differ.

    only_a and only_b are the shares of images that only A and only B get right. Images must be independent.
    Source: R. J. Connor, Biometrics 43 (1987) 207-211.
    """
    discordant, gap = only_a + only_b, abs(only_a - only_b)
    if gap < 1e-12:
        return None
    z_alpha, z_beta = stats.norm.ppf(1 - ALPHA / 2), stats.norm.ppf(power)
    return math.ceil((z_alpha * math.sqrt(discordant) + z_beta * math.sqrt(discordant - gap**2)) ** 2 / gap**2)


def mcnemar_power(n: int, only_a: float, only_b: float) -> float:
    """Power of the exact McNemar test on n images, 0-1, exactly; only_a and only_b as in images_needed."""
    discordant = only_a + only_b
    if discordant <= 0:
        return 0.0
    d = np.arange(1, n + 1)
    # The largest count whose two-sided exact p, 2 P(X <= count), is under ALPHA: ppf is the first that is not.
    edge = stats.binom.ppf(ALPHA / 2, d, 0.5) - 1
    lot = stats.binom(d, only_a / discordant)
    return float((stats.binom.pmf(d, n, discordant) * (lot.cdf(edge) + lot.sf(d - edge - 1))).sum())


def power_of_corrected_test(
    n_images: int, difference: float, spread: float, folds: int, repeats: int, persistence: float = 0.0
) -> float:
    """How often the Nadeau-Bengio corrected paired test finds a true difference of accuracy, 0-1.

    spread is the standard deviation over images of (A right) - (B right) within a repeat, each averaged over its
    seeds; persistence (0-1) is the correlation of that quantity between repeats, for the same image. Variation from
    retraining on other images than these is not in it, so the power is, if anything, flattering.
    """
    # The corrected statistic is a scaled non-central t: its numerator has the variance of the mean over all repeats,
    # its denominator the variance that folds show.
    scores = folds * repeats
    within_fold = spread**2 * folds / n_images
    of_mean = spread**2 * (persistence + (1 - persistence) / repeats) / n_images
    if spread == 0:
        return float(difference != 0)
    seen = scores / (scores - 1) * (within_fold - of_mean)
    scale = math.sqrt(seen * (1 / scores + 1 / (folds - 1)) / of_mean)
    edge = float(stats.t.ppf(1 - ALPHA / 2, scores - 1)) * scale
    shift = abs(difference) / math.sqrt(of_mean)
    # The non-central t is averaged over its denominator's quantiles: scipy's own gives NaN for large shifts.
    quantiles = (np.arange(2000) + 0.5) / 2000
    denominator = edge * np.sqrt(stats.chi2.ppf(quantiles, scores - 1) / (scores - 1))
    return float((stats.norm.cdf(shift - denominator) + stats.norm.cdf(-shift - denominator)).mean())


def detectable_difference(
    n_images: int, spread: float, folds: int, repeats: int, persistence: float = 0.0, power: float = TARGET
) -> float:
    """The smallest true difference (fraction) that the corrected test finds with this power; at most 1."""

    def lacking(difference: float) -> float:
        return power - power_of_corrected_test(n_images, difference, spread, folds, repeats, persistence)

    return 1.0 if lacking(1.0) > 0 else float(optimize.brentq(lacking, 0.0, 1.0, xtol=1e-9))


@dataclass(frozen=True)
class Power:
    """What the present design can and cannot tell about two models."""

    n_images: int
    folds: int
    repeats: int
    spread: float
    persistence: float
    planted: float
    """The true difference asked about, as a fraction."""
    found: float
    """How often the corrected test would find it with the present images, folds and repeats, 0-1."""
    detectable: float
    """The smallest true difference found with 80 % power."""
    only_a: float
    only_b: float
    """Shares of images that only one of the two gets right (average single fits, across folds)."""
    images_needed: int | None
    """Fresh test images for an 80 % chance to tell the two apart as they are; None where they do not differ."""
    published_n: int | None
    published_found: float | None
    """Chance that McNemar's exact test on the published split finds the planted difference, given its discordance."""


def power_statement(results: Results, a: str, b: str, planted: float = PLANTED) -> Power | None:
    """Measure the noise between two models' grouped results and say what it allows; None where unpaired."""
    pairs = fold_pairs(results, a, b)
    if pairs is None:
        return None
    repeats = pairs.scores.index.unique(level="repeat")
    right_a, right_b = (np.array([_right(results, model, repeat) for repeat in repeats]) for model in (a, b))
    spread, persistence = measured_spread(right_a - right_b)
    n, design = right_a.shape[1], (spread, pairs.folds, pairs.repeats, persistence)
    only_a, only_b = float((right_a * (1 - right_b)).mean()), float((right_b * (1 - right_a)).mean())
    on_split: tuple[int, float] | tuple[None, None] = None, None
    if published := compare_published(results, a, b):
        # The same total discordance, where it can hold such a gap.
        discordant = max(only_a + only_b, planted)
        shares = (discordant + planted) / 2, (discordant - planted) / 2
        on_split = published.median.n, mcnemar_power(published.median.n, *shares)
    found = power_of_corrected_test(n, planted, *design), detectable_difference(n, *design)
    setting = (n, pairs.folds, pairs.repeats, spread, persistence, planted)
    return Power(*setting, *found, only_a, only_b, images_needed(only_a, only_b), *on_split)


def measured_spread(gaps: NDArray[np.float64]) -> tuple[float, float]:
    """Spread and persistence (see power_of_corrected_test) of per-image differences [repeats, images]."""
    repeats, variance = len(gaps), float(gaps.var(axis=1, ddof=1).mean())
    if repeats < 2 or variance == 0:
        return math.sqrt(variance), 0.0
    table = np.cov(gaps)
    shared = float((table.sum() - np.trace(table)) / (repeats * (repeats - 1)))
    return math.sqrt(variance), min(1.0, max(0.0, shared / variance))


def _right(results: Results, model: str, repeat: int) -> NDArray[np.float64]:
    """[images by path], share of seeds for which the image was right in one repeat."""
    oof = out_of_fold(Results(tuple(r for r in results if r.fit.repeat == repeat)), model)
    assert oof is not None  # fold_pairs has met this repeat
    return oof.right
