"""What a design can find: images needed to tell two models apart, and how often a difference would be found."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from batik_utils.stats.compare import fold_pairs, mcnemar_fits
from batik_utils.stats.metrics import published_summary
from batik_utils.values import Results

ALPHA = 0.05
TARGET = 0.8
PLANTED = 0.1


def images_needed(only_a: float, only_b: float, power: float = TARGET, alpha: float = ALPHA) -> int | None:
    """Test images for McNemar's test to tell two models apart with this power; None where they do not differ.

    only_a and only_b are the shares of images that only A and only B get right. Images must be independent.
    Source: R. J. Connor, Biometrics 43 (1987) 207-211.
    """
    discordant, gap = only_a + only_b, abs(only_a - only_b)
    if gap < 1e-12:
        return None
    z_alpha, z_beta = stats.norm.ppf(1 - alpha / 2), stats.norm.ppf(power)
    return math.ceil((z_alpha * math.sqrt(discordant) + z_beta * math.sqrt(discordant - gap**2)) ** 2 / gap**2)


def mcnemar_power(n: int, only_a: float, only_b: float, alpha: float = ALPHA) -> float:
    """Power of the exact McNemar test on n images, summed over every number of discordant images (no approximation).

    only_a and only_b as in images_needed.
    """
    discordant = only_a + only_b
    if discordant <= 0:
        return 0.0
    total = 0.0
    for d in range(1, n + 1):
        weight = float(stats.binom.pmf(d, n, discordant))
        if weight < 1e-12:
            continue
        # Largest count for which the two-sided exact p, 2 P(X <= count), is still under alpha.
        edge = int(stats.binom.ppf(alpha / 2, d, 0.5))
        while edge >= 0 and 2 * stats.binom.cdf(edge, d, 0.5) >= alpha:
            edge -= 1
        if edge >= 0:
            lot = stats.binom(d, only_a / discordant)
            total += weight * float(lot.cdf(edge) + lot.sf(d - edge - 1))
    return total


def power_of_corrected_test(
    n_images: int,
    difference: float,
    spread: float,
    folds: int,
    repeats: int,
    persistence: float = 0.0,
    alpha: float = ALPHA,
) -> float:
    """How often the Nadeau-Bengio corrected paired test finds a true difference of accuracy, 0-1.

    spread is the standard deviation over images of (A right) - (B right) within a repeat, each averaged over its
    seeds; persistence (0-1) is the correlation of that quantity between repeats, for the same image. The
    corrected statistic is a scaled non-central t: its numerator has the variance of the mean over all repeats, its
    denominator the variance that folds show. Variation from retraining on other images than these is not in it, so
    the power is, if anything, flattering.
    """
    scores = folds * repeats
    within_fold = spread**2 * folds / n_images
    of_mean = spread**2 * (persistence + (1 - persistence) / repeats) / n_images
    if spread == 0:
        return float(difference != 0)
    seen = scores / (scores - 1) * (within_fold - of_mean)
    scale = math.sqrt(seen * (1 / scores + 1 / (folds - 1)) / of_mean)
    edge = float(stats.t.ppf(1 - alpha / 2, scores - 1)) * scale
    shift = abs(difference) / math.sqrt(of_mean)
    # The non-central t is averaged over its denominator's quantiles: scipy's own gives NaN for large shifts.
    quantiles = (np.arange(2000) + 0.5) / 2000
    denominator = edge * np.sqrt(stats.chi2.ppf(quantiles, scores - 1) / (scores - 1))
    return float((stats.norm.cdf(shift - denominator) + stats.norm.cdf(-shift - denominator)).mean())


def detectable_difference(
    n_images: int, spread: float, folds: int, repeats: int, persistence: float = 0.0, power: float = TARGET
) -> float:
    """The smallest true difference (fraction) that the corrected test finds with this power; at most 1."""
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        found = power_of_corrected_test(n_images, middle, spread, folds, repeats, persistence) >= power
        low, high = (low, middle) if found else (middle, high)
    return high


@dataclass(frozen=True)
class Power:
    """What the present design can and cannot tell about two models."""

    a: str
    b: str
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
    repeats = sorted(set(pairs.scores.index.get_level_values("repeat")))
    right = [_right(results, m, repeats) for m in (a, b)]
    gaps = right[0] - right[1]
    spread, persistence = measured_spread(gaps)
    only_a = float((right[0] * (1 - right[1])).mean())
    only_b = float((right[1] * (1 - right[0])).mean())
    design = (pairs.folds, pairs.repeats, persistence)
    summaries = published_summary(results, a), published_summary(results, b)
    published_n = published_found = None
    if summaries[0] is not None and summaries[1] is not None:
        test = mcnemar_fits(summaries[0].median, summaries[1].median)
        published_n = test.n
        published_found = mcnemar_power(test.n, *_plant(only_a + only_b, planted))
    return Power(
        a=a,
        b=b,
        n_images=gaps.shape[1],
        folds=pairs.folds,
        repeats=pairs.repeats,
        spread=spread,
        persistence=persistence,
        planted=planted,
        found=power_of_corrected_test(gaps.shape[1], planted, spread, *design),
        detectable=detectable_difference(gaps.shape[1], spread, *design),
        only_a=only_a,
        only_b=only_b,
        images_needed=images_needed(only_a, only_b),
        published_n=published_n,
        published_found=published_found,
    )


def measured_spread(gaps: NDArray[np.float64]) -> tuple[float, float]:
    """Spread and persistence (see power_of_corrected_test) of per-image differences [repeats, images]."""
    repeats = len(gaps)
    variance = float(gaps.var(axis=1, ddof=1).mean())
    if repeats < 2 or variance == 0:
        return math.sqrt(variance), 0.0
    table = np.cov(gaps)
    shared = float((table.sum() - np.trace(table)) / (repeats * (repeats - 1)))
    return math.sqrt(variance), min(1.0, max(0.0, shared / variance))


@dataclass(frozen=True)
class Simulated:
    """One simulated cross-validation of two models."""

    a: NDArray[np.float64]
    b: NDArray[np.float64]
    """[repeats * folds], fold accuracies in order of repeat, then fold."""
    right_a: NDArray[np.float64]
    right_b: NDArray[np.float64]
    """[repeats, images], 1 where the image was right."""


def simulate_cv(
    n_images: int,
    accuracy_a: float,
    accuracy_b: float,
    rho: float,
    folds: int,
    repeats: int,
    rng: np.random.Generator,
    own: float = 0.0,
) -> Simulated:
    """Simulate repeated k-fold cross-validation of two models whose right and wrong answers go together.

    An image is right where a normal score falls under the model's accuracy. rho (0-1) is the share of that score
    that is the image's difficulty, common to both models and all repeats; own (0-1, rho + own <= 1) is the share that
    is common to one model's repeats only: 0 for two copies of one model. Images are drawn afresh, so a simulated
    difference also carries what another draw of photographs would.
    """
    difficulty = math.sqrt(rho) * rng.standard_normal(n_images)
    right = []
    for accuracy in (accuracy_a, accuracy_b):
        taste = math.sqrt(own) * rng.standard_normal(n_images)
        luck = math.sqrt(1 - rho - own) * rng.standard_normal((repeats, n_images))
        right.append((difficulty + taste + luck < stats.norm.ppf(accuracy)).astype(np.float64))
    scores: list[list[float]] = [[], []]
    for repeat in range(repeats):
        for fold in np.array_split(rng.permutation(n_images), folds):
            for side in (0, 1):
                scores[side].append(float(right[side][repeat, fold].mean()))
    return Simulated(np.array(scores[0]), np.array(scores[1]), right[0], right[1])


def simulated_spread(accuracy_a: float, accuracy_b: float, rho: float, own: float = 0.0) -> tuple[float, float]:
    """The true spread and persistence (see power_of_corrected_test) of simulate_cv's per-image differences."""

    def both(p: float, q: float, correlation: float) -> float:
        edges = stats.norm.ppf([p, q])
        cov = [[1.0, correlation], [correlation, 1.0]]
        return float(stats.multivariate_normal.cdf(edges, mean=[0.0, 0.0], cov=cov, allow_singular=True))

    cross = both(accuracy_a, accuracy_b, rho)
    gap = accuracy_a - accuracy_b
    variance = accuracy_a + accuracy_b - 2 * cross - gap**2
    shared = both(accuracy_a, accuracy_a, rho + own) + both(accuracy_b, accuracy_b, rho + own) - 2 * cross - gap**2
    return math.sqrt(variance), shared / variance


def _right(results: Results, model: str, repeats: list[int]) -> NDArray[np.float64]:
    """[repeats, images by path], share of seeds for which the image was right."""
    rows = []
    for repeat in repeats:
        seen: dict[str, list[bool]] = {}
        for r in results.select(model=model, protocol="grouped"):
            if r.fit.repeat == repeat:
                for path, hit in zip(r.paths, r.y_prob.argmax(axis=1) == r.y_true, strict=True):
                    seen.setdefault(path, []).append(bool(hit))
        rows.append([float(np.mean(seen[path])) for path in sorted(seen)])
    return np.array(rows)


def _plant(discordant: float, gap: float) -> tuple[float, float]:
    """Shares right in one model only, of the same total discordance where it can hold such a gap."""
    total = max(discordant, gap)
    return (total + gap) / 2, (total - gap) / 2
