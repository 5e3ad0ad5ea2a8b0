"""Published claims beside ours."""

from dataclasses import replace

import numpy as np
import pytest
from results_factory import make_fit, make_results, make_study, paths_and_labels
from scipy import stats

from batik_utils.errors import BatikError
from batik_utils.stats.claims import (
    OnSplit,
    binomial_variance,
    claims_table,
    expected,
    expected_best,
    luck,
    nearest_reading,
)
from batik_utils.values import Hyper, Results

SEED = dict.fromkeys(("title", "institution", "language", "framework", "summary"), "A")
SEED |= {"authors": ["B"], "year": 2024, "test_images_known": True}


def _claim(value, metric="accuracy", n=30, model="scratch", **more):
    return {"id": "c", "what": "it", "model": model, "metric": metric, "value": value, "n": n, "where": "3"} | more


def _row(value, counts=(17, 20, 22), metric="accuracy", n=30, model="scratch", results=None, same=True, **study):
    of_claim = ("motif", "read_off", "instead_of", "epochs", "dropout")
    given = {name: study.pop(name) for name in of_claim if name in study}
    results = results or make_results({"scratch": 0.6}, repeats=1, seeds=1, published={"scratch": counts})
    made = make_study(claims=[_claim(value, metric, n, model, **given)], **study)
    (row,) = claims_table(made, results, same)
    return row


@pytest.mark.parametrize(
    ("published", "counts", "verdict"),
    [
        (8, (19, 20, 21), "not reproduced"),
        (11, (19, 20, 21), "not reproduced"),
        (12, (19, 20, 21), "cannot be told"),  # outside, but Fisher's exact p is 0.07
        (13, (19, 20, 21), "reproduced"),
        (27, (19, 20, 21), "reproduced"),
        (28, (19, 20, 21), "not reproduced"),
        (29, (17, 20, 22), "cannot be told"),  # inside, but only because our seeds differ so much: p is 0.006
        (30, (17, 20, 22), "not reproduced"),
    ],
)
def test_an_accuracy_is_judged_by_where_a_replicate_should_lie_and_by_a_test(published, counts, verdict):
    row = _row(published / 30, counts)
    assert row.verdict == verdict and f"{published} of 30 lies" in row.reason
    assert row.p_value == pytest.approx(stats.fisher_exact([[published, 30 - published], [20, 10]]).pvalue)


def test_twelve_of_fifteen_against_six_cannot_be_told_apart():
    paths, labels = paths_and_labels(5)
    ours = [make_fit("scratch", np.arange(15) < right, labels, paths, seed=i) for i, right in enumerate((5, 6, 7))]
    row = _row(12 / 15, n=15, results=Results(tuple(ours)))
    assert row.verdict == "cannot be told" and row.p_value == pytest.approx(0.060, abs=0.001)


def test_a_true_replicate_lies_inside_19_times_in_20_and_more_noise_widens_the_interval():
    rng, inside = np.random.default_rng(0), 0
    for _ in range(2000):
        *ours, theirs = rng.normal(0.65, 0.08, 6) + rng.normal(0, np.sqrt(0.65 * 0.35 / 30), 2)[[0] * 5 + [1]]
        band, _ = expected(ours, binomial_variance(np.mean(ours), 30, 30))
        inside += band.low <= theirs <= band.high
    assert 0.93 < inside / 2000 < 0.975
    alike, (apart, freedom) = expected([0.6, 0.6, 0.6], 0.01)[0], expected([0.5, 0.6, 0.7], 0.01)
    assert (alike.low, alike.high) == pytest.approx(stats.norm.interval(0.95, 0.6, 0.1))
    assert apart.low < alike.low and freedom == pytest.approx((0.01 + 0.04 / 3) ** 2 * 2 / (0.04 / 3) ** 2)


def test_holm_is_over_all_claims_that_are_tested():
    results = make_results({"scratch": 0.6}, repeats=1, seeds=1, published={"scratch": (19, 20, 21)})
    claims = [_claim(11 / 30), _claim(0.66, id="d"), _claim(0.9, "ten_images", 10, id="e")]
    first, second, ten = claims_table(make_study(claims=claims), results)
    assert first.verdict == "cannot be told" and first.p_adjusted == pytest.approx(2 * first.p_value)
    assert "after Holm" in first.reason
    assert second.verdict == "reproduced" and ten.p_value is None and ten.p_adjusted is None


def test_other_images_are_not_comparable():
    assert _row(0.66).verdict == "reproduced" and _row(0.66, seed_study=SEED).verdict == "reproduced"
    other = _row(0.66, seed_study=SEED | {"test_images_known": False})
    assert other.verdict == "not comparable" and "20 of 30 there, 20 of 30 here" in other.reason
    assert other.published.median == pytest.approx(2 / 3) and other.expected is None
    own = _row(0.66, same=False)
    assert own.verdict == "not comparable" and "not the original study's" in own.reason
    fewer = _row(0.8667, n=15)
    assert fewer.verdict == "not comparable" and "15 test images, ours are 30" in fewer.reason


def test_a_row_carries_both_protocols():
    row = _row(0.8)
    assert row.published.median == pytest.approx(20 / 30) and row.published.interval.n == 30
    assert row.published.range == pytest.approx((17 / 30, 22 / 30))
    assert row.grouped.low < 0.6 < row.grouped.high


def test_a_stand_in_is_shown_and_judges_nothing():
    row = _row(0.66, instead_of="ResNet")
    assert row.verdict == "not comparable" and row.reason == "Scratch CNN stands in for ResNet."
    assert row.published.values == pytest.approx((17 / 30, 20 / 30, 22 / 30)) and row.p_value is None


def _run(seed, dropout, right):
    """A run on 15 pictures: {epochs: right}."""
    paths, labels = paths_and_labels(5)
    said = {e: {"test": make_fit("m", np.arange(15) < n, labels, paths).y_prob} for e, n in right.items()}
    hyper = Hyper(max(right), 0.001, dropout)
    what = {"protocol": "runs", "hyper": hyper, "checkpoints": said, "seed": seed}
    return make_fit("scratch", np.arange(15) < right[max(right)], labels, paths, **what)


def test_a_claim_of_a_run_is_judged_by_the_fits_of_that_setting():
    fits = [_run(seed, d, {10: 5 + seed, 20: n + seed}) for seed in (0, 1) for d, n in ((0.0, 9), (0.2, 13))]
    models = make_study().model_dump(mode="json", exclude_none=True)["models"]
    models["scratch"]["runs"] = {"epochs": [10, 20], "dropout": [0.0, 0.2], "seeds": 2}
    asked = {"n": 15, "results": Results(tuple(fits)), "models": models}
    for (epochs, dropout), low in {(10, 0.0): 5, (20, 0.0): 9, (20, 0.2): 13}.items():
        row = _row(12 / 15, epochs=epochs, dropout=dropout, **asked)
        assert row.published.values == pytest.approx((low / 15, (low + 1) / 15))
    assert row.verdict == "reproduced" and _row(3 / 15, epochs=20, dropout=0.2, **asked).verdict == "not reproduced"
    assert _row(0.8, **asked).verdict == "not comparable", "there are no published fits"
    with pytest.raises(BatikError, match="of no run"):
        _row(0.8, epochs=30, dropout=0.2, **asked)


def test_the_best_of_many_runs_owes_to_luck_what_the_binomial_says():
    share, runs = 0.5, 20
    rows = [_row(8 / 15, n=15, results=Results((_run(0, 0.0, {10: 8}),)))] * (runs - 1)
    rows += [rows[0].model_copy(update={"value": 13 / 15})]
    found = luck(rows)
    drawn = np.random.default_rng(0).binomial(15, found.mean, (100_000, runs)).max(axis=1)
    assert found.expected == pytest.approx(drawn.mean() / 15, abs=0.002)
    assert found.at_least == pytest.approx((drawn >= 13).mean(), abs=0.005)
    assert found.lucky and not luck([*rows[:2], rows[0].model_copy(update={"value": 1.0})]).at_least > found.at_least
    sure = luck([rows[0].model_copy(update={"value": value}) for value in (0.2, 0.2, 0.2, 1.0)])
    assert not sure.lucky and sure.ours is None
    curve = expected_best(share, 15, runs)
    assert curve[0] == pytest.approx(share) and (np.diff(curve) > 0).all()


def test_our_own_seeds_say_what_the_best_reaches_on_these_very_pictures():
    seeds = [OnSplit(0.4, (0.2, 0.6), None, values) for values in ((0.2, 0.4), (0.4, 0.6))]
    rows = [_row(3 / 5, n=5).model_copy(update={"published": ours}) for ours in seeds]
    assert luck(rows).ours == pytest.approx(((2 + 3) / 2 / 5, 0.5))
    missing = rows[0].model_copy(update={"published": None})
    assert luck([*rows, missing]).ours is None and luck(rows[:1]) is None


def test_a_model_without_results_is_not_comparable():
    row = _row(0.8, results=make_results({"scratch": 0.6}, repeats=1, seeds=1))
    assert row.verdict == "not comparable" and "no result" in row.reason
    assert row.grouped is not None
    failed = replace(make_fit("efficientnet_b2", [], [], []), missing="out of memory")
    assert "could not be fitted" in _row(0.8, model="efficientnet_b2", results=Results((failed,))).reason


def test_a_loss_is_judged_by_the_same_interval():
    ours = make_results({}, published={"scratch": (19, 20, 21)})
    band = _row(1.0, metric="loss", results=ours).expected
    assert band.low < band.value < band.high
    assert _row(band.high - 0.01, metric="loss", results=ours).verdict == "reproduced"
    far = _row(band.high + 0.01, metric="loss", results=ours)
    assert far.verdict == "not reproduced" and 0.01 < far.p_value < 0.05
    row = _row(0.05, metric="macro_f1", results=ours)
    band = row.published.interval
    assert row.verdict == "not reproduced" and band.low < row.published.median < band.high


def test_training_accuracy_and_loss_come_from_the_last_epoch():
    # The factory's seeds end at 0.7, 0.8 and 0.9, and at a loss of 0.5.
    assert _row(0.85, metric="train_accuracy", n=120).verdict == "reproduced"
    assert _row(0.3, metric="train_accuracy", n=120).verdict == "not reproduced"
    assert _row(0.5, metric="train_loss", n=None).verdict == "reproduced"
    assert _row(0.6, metric="train_loss", n=None).verdict == "not reproduced"
    paths, labels = paths_and_labels(10)
    silent = Results((make_fit("scratch", [True] * 30, labels, paths),))
    row = _row(0.9, metric="train_accuracy", n=120, results=silent)
    assert row.verdict == "not comparable" and "kept no training accuracy" in row.reason


def test_a_number_read_off_a_plot_counts_as_the_nearest_that_may_have_been_there():
    assert _row(0.45, metric="train_loss", n=None).verdict == "not reproduced"
    row = _row(0.45, metric="train_loss", n=None, read_off=0.05)
    assert row.verdict == "reproduced" and "0.45, read off to within 0.05," in row.reason
    read = row.model_copy(update={"value": 0.9})
    assert [nearest_reading(read, ours) for ours in (0.5, 0.92, 1.2)] == pytest.approx([0.85, 0.92, 0.95])
    assert row.grouped is None and _row(0.66, read_off=0.05).grouped is None, "a reading stands beside the split alone"


def test_counts_of_images_are_the_same_or_not():
    results = make_results({"scratch": 0.6}, repeats=1, seeds=1, published={"scratch": (20,)})
    for metric, n in (("images", 150), ("test_images", 30), ("train_images", 120)):
        assert _row(n, metric=metric, n=None, results=results).verdict == "reproduced"
        assert _row(n + 1, metric=metric, n=None, results=results).verdict == "not reproduced"
        assert _row(n, metric=metric, n=None, results=results, same=False).verdict == "not comparable"


def test_shuffled_reports_and_ten_images_are_not_comparable():
    inside, outside = (_row(v, metric="paired_wrong_accuracy") for v in (0.27, 0.8))
    assert "27\u00a0% lies inside" in inside.reason and "lies outside" in outside.reason
    assert "true accuracy is 66.7\u00a0%" in inside.reason
    ten = _row(0.9, metric="ten_images", n=10)
    assert "9 of 10" in ten.reason and "not named" in ten.reason
    assert {row.verdict for row in (inside, outside, ten)} == {"not comparable"}
    assert claims_table(make_study(), make_results({})) == []
