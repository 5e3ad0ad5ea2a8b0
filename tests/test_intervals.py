"""Intervals and variance components."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from batik_utils.errors import BatikError
from batik_utils.stats.intervals import nadeau_bengio, wilson


def test_wilson_of_the_published_counts_is_as_wide_as_30_images_allow():
    # Wilson's formula by hand for 24 of 30.
    n, p, z = 30, 0.8, 1.959963985
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    found = wilson(24, 30)
    assert (found.value, found.n) == (0.8, 30)
    assert (found.low, found.high) == pytest.approx((middle - reach, middle + reach), abs=1e-9)
    assert wilson(30, 30).low < 0.9, "a perfect score still has an interval"


def test_an_impossible_count_has_no_interval():
    for correct, n in ((0, 0), (31, 30), (-1, 30)):
        with pytest.raises(BatikError, match="no interval"):
            wilson(correct, n)


def test_the_corrected_interval_widens_the_naive_one_by_the_overlap_of_training_sets():
    values = [0.7, 0.8, 0.75, 0.9, 0.65]
    found = nadeau_bengio(values, ratio=1 / 4)
    naive = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert found.value == pytest.approx(np.mean(values))
    assert (found.high - found.low) / (naive[1] - naive[0]) == pytest.approx(np.sqrt((1 / 5 + 1 / 4) * 5))
    with pytest.raises(BatikError, match="two fold scores"):
        nadeau_bengio([0.8], ratio=1 / 4)
    many = np.random.default_rng(1).normal(0.8, 0.05, 5000)
    found = nadeau_bengio(many, ratio=1 / 4)  # more repeats cannot narrow it to nothing
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * many.std() * np.sqrt(1 / 4), rel=0.01)


def _scores(values):
    """fold_scores of values [splits, seeds], five splits to a repeat."""
    rows = [(s // 5, s % 5, k, v) for s, row in enumerate(values) for k, v in enumerate(row)]
    return pd.DataFrame(rows, columns=["repeat", "fold", "seed", "value"])


def _drawn(data_sd, seed_sd, splits=400, seeds=5):
    rng = np.random.default_rng(2)
    return _scores(rng.normal(0, data_sd, (splits, 1)) + rng.normal(0, seed_sd, (splits, seeds)))
