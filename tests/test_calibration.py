"""Calibration of probabilities."""

import numpy as np
import pytest
from results_factory import make_fit, make_results

from batik_utils.stats.calibration import calibrate, fit_temperature, quality, scale
from batik_utils.values import Results


def _honest(n=20000, seed=0):
    """Labels drawn from the very probabilities that are stated."""
    rng = np.random.default_rng(seed)
    y_prob = rng.dirichlet([1.0, 1.0, 1.0], n)
    return (rng.random((n, 1)) > y_prob.cumsum(axis=1)).sum(axis=1), y_prob


def test_probabilities_that_mean_what_they_say_have_hardly_any_error():
    found = quality(*_honest())
    table = found.reliability
    assert found.ece < 0.015
    assert table["count"].sum() == 20000 and table["confidence"].is_monotonic_increasing
    big = table[table["count"] > 300]
    assert np.allclose(big["accuracy"], big["confidence"], atol=0.08)


def test_calibration_errors_by_hand():
    y_prob = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    assert quality(np.array([0, 0, 1, 1]), y_prob).ece == pytest.approx(0.5 * 0.1 + 0.5 * 0.6)
    sure = quality(np.arange(3), np.eye(3))
    assert sure.reliability.to_numpy().tolist() == [[1.0, 1.0, 3]], "all in the last bin"
    assert sure.brier == 0 and quality(np.array([1, 2, 0]), np.eye(3)).brier == 2
    assert quality(np.arange(3), np.full((3, 3), 1 / 3)).brier == pytest.approx(2 / 3)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_temperature_that_was_put_in_is_found_again(temperature):
    y_true, y_prob = _honest()
    scaled = scale(y_prob, 3.0)
    assert np.allclose(scaled.sum(axis=1), 1) and (scaled.argmax(axis=1) == y_prob.argmax(axis=1)).all()
    assert scaled.max(axis=1).mean() < y_prob.max(axis=1).mean()
    assert fit_temperature(y_true, scale(y_prob, 1 / temperature)) == pytest.approx(temperature, rel=0.05)


def test_an_over_sure_model_is_mended_by_a_temperature_from_other_folds():
    found = calibrate(make_results({"m": 0.7}, repeats=2, seeds=1, sure=0.98), "m")
    assert found.before.confidence == pytest.approx(0.98) and found.before.ece > 0.2
    assert found.after.ece < 0.06
    assert found.after.brier < found.before.brier and found.after.log_loss < found.before.log_loss
    assert np.median(found.temperatures) > 1.5 and len(found.temperatures) == 10
    assert found.after.accuracy == found.before.accuracy


def test_the_temperature_of_a_fold_never_sees_that_fold():
    results = make_results({"m": 0.7}, repeats=1, seeds=1, sure=0.98)
    first = calibrate(results, "m")
    spoilt = [
        r if r.fit.fold else make_fit("m", [False] * 30, r.y_true, r.paths, protocol="grouped", sure=0.98)
        for r in results.select("m")
    ]
    second = calibrate(Results(tuple(spoilt)), "m")
    assert second.temperatures[0] == first.temperatures[0]
    assert all(b > a for a, b in zip(first.temperatures[1:], second.temperatures[1:], strict=True))
    assert calibrate(Results(results.items[:1]), "m") is None, "one fold alone cannot be calibrated"
    assert calibrate(results, "another") is None
