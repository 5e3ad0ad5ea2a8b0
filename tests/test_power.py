"""Power: what is promised is what simulated comparisons do."""

import math

import numpy as np
import pytest
from results_factory import make_results
from scipy import stats

from batik_utils.stats.compare import detectable, detectable_difference, measured_spread, power_of_corrected_test
from batik_utils.stats.intervals import corrected_test

TRIALS = 200
# (images, folds, repeats, rho, own): both studies' design, with one repeat and with ten, and models that each have
# their own taste in images.
DESIGNS = [(150, 5, 1, 0.5, 0.0), (150, 5, 10, 0.5, 0.0), (150, 5, 10, 0.4, 0.3), (300, 5, 10, 0.6, 0.2)]


def _simulate(design, accuracies, rng):
    """Fold scores [2, repeats * folds] and right answers [2, repeats, images] of two models' cross-validation.

    An image is right where a normal score falls under the model's accuracy. rho is the share of that score that is
    the image's difficulty, common to both models; own is the share that is common to one model's repeats only.
    """
    n, folds, repeats, rho, own = design
    difficulty = math.sqrt(rho) * rng.standard_normal(n)
    taste = math.sqrt(own) * rng.standard_normal((2, 1, n))
    luck = math.sqrt(1 - rho - own) * rng.standard_normal((2, repeats, n))
    right = (difficulty + taste + luck < stats.norm.ppf(accuracies)[:, None, None]).astype(np.float64)
    parts = [(r, fold) for r in range(repeats) for fold in np.array_split(rng.permutation(n), folds)]
    return np.array([right[:, r, fold].mean(axis=1) for r, fold in parts]).T, right


def _true_spread(p, q, rho, own=0.0):
    """The spread and persistence of such a simulation's per-image differences."""

    def both(a, b, correlation):
        normal = stats.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], allow_singular=True)
        return float(normal.cdf(stats.norm.ppf([a, b])))

    cross = both(p, q, rho)
    variance = p + q - 2 * cross - (p - q) ** 2
    shared = both(p, p, rho + own) + both(q, q, rho + own) - 2 * cross - (p - q) ** 2
    return math.sqrt(variance), shared / variance


def _declared(design, accuracies, seed):
    rng = np.random.default_rng(seed)
    runs = (_simulate(design, accuracies, rng)[0] for _ in range(TRIALS))
    return sum(corrected_test(*scores, design[1], design[0])[1] < 0.05 for scores in runs) / TRIALS


def _promised(design):
    n, folds, repeats, rho, own = design
    spread, persistence = _true_spread(0.85, 0.75, rho, own)
    return power_of_corrected_test(n, spread, folds, repeats, persistence, 0.1)


@pytest.mark.parametrize("design", DESIGNS)
def test_copies_are_not_declared_different_and_a_planted_difference_is_found_as_often_as_promised(design):
    n, folds, repeats, rho, own = design
    # Two copies share all tastes, so nothing is the model's own. 95 % up to what 200 comparisons can show: no more
    # than a count that 5 % would pass once in a hundred times.
    declared = _declared((n, folds, repeats, rho + own, 0.0), (0.8, 0.8), seed=1)
    assert declared * TRIALS <= stats.binom.ppf(0.99, TRIALS, 0.05)
    assert _declared(design, (0.85, 0.75), seed=2) == pytest.approx(_promised(design), abs=0.08)


def test_the_designs_above_are_neither_all_hopeless_nor_all_certain_and_simulated_as_asked():
    assert min(map(_promised, DESIGNS)) < 0.4 and max(map(_promised, DESIGNS)) > 0.8
    scores, right = _simulate((40_000, 5, 4, 0.4, 0.3), (0.85, 0.7), np.random.default_rng(3))
    assert scores.mean(axis=1) == pytest.approx([0.85, 0.7], abs=0.01) and scores.shape == (2, 20)
    assert measured_spread(right[0] - right[1]) == pytest.approx(_true_spread(0.85, 0.7, 0.4, 0.3), abs=0.02)


def test_power_grows_with_the_difference_with_images_and_with_repeats():
    def power(n=150, gap=0.1, repeats=1):
        return power_of_corrected_test(n, 0.45, 5, repeats, 0.3, gap)

    assert 0 < power(gap=0) < 0.05, "the size of the test is under its level"
    assert power(gap=0.05) < power() < power(gap=0.2) < power(gap=0.4) <= 1
    assert power(n=75) < power() < power(n=1000)
    assert power() < power(repeats=10)
    assert power_of_corrected_test(150, 0.05, 5, 10, 0.0, 0.9) == pytest.approx(1)
    assert power_of_corrected_test(150, 0.0, 5, 1, 0.0, 0.1) == 1
    # For one repeat it is the textbook's non-central t.
    shift, edge = 0.1 / (0.45 / np.sqrt(150)), stats.t.ppf(0.975, 4) * np.sqrt(5 * (1 / 5 + 1 / 4))
    assert power_of_corrected_test(150, 0.45, 5, 1, 0.0, 0.1) == pytest.approx(stats.nct.sf(edge, 4, shift), abs=1e-4)
    found = detectable_difference(150, 0.45, 5, 10, 0.3)
    assert power_of_corrected_test(150, 0.45, 5, 10, 0.3, found) == pytest.approx(0.8, abs=1e-3)
    assert detectable_difference(2, 5.0, 2, 1) == 1, "nothing that could be is large enough"


def test_what_can_be_found_rests_on_the_folds_that_two_models_share():
    results = make_results({"a": 0.8, "b": 0.7}, repeats=3, seeds=2)
    found = detectable(results, "a", "b")
    assert (found.images, found.folds, found.repeats) == (150, 5, 3)
    # Images are right independently in each repeat of these results, so nothing persists; two seeds halve the noise.
    expected = detectable_difference(150, math.sqrt((0.8 * 0.2 + 0.7 * 0.3) / 2), 5, 3)
    assert found.difference == pytest.approx(expected, abs=0.02)
    assert detectable(results, "a", "c") is None
