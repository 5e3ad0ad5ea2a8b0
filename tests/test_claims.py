"""Published claims beside ours."""

from dataclasses import replace

import pytest
from results_factory import make_fit, make_results, make_study, paths_and_labels

from batik_utils.stats.claims import claims_table
from batik_utils.values import Results


def _row(value, counts=(17, 20, 22), metric="accuracy", n=30, model="scratch", results=None, **study):
    claim = {"id": "c", "what": "it", "model": model, "metric": metric, "value": value, "n": n, "where": "3"}
    results = results or make_results({"scratch": 0.6}, repeats=1, seeds=1, published={"scratch": counts})
    (row,) = claims_table(make_study(claims=[claim], **study), results)
    return row


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (17 / 30, "reproduced"),
        (0.57, "reproduced"),  # the seed rounds 17 of 30
        (0.73, "reproduced"),
        (23 / 30, "within interval"),
        (15 / 30, "within interval"),
        (25 / 30, "not reproduced"),
        (0.3, "not reproduced"),
    ],
)
def test_an_accuracy_is_judged_in_whole_images_then_by_the_interval(value, verdict):
    row = _row(value)
    assert row.verdict == verdict
    assert f"{round(value * 30)} of 30" in row.reason and "17–22 of 30" in row.reason


def test_a_row_carries_both_protocols_and_another_number_of_images_is_not_comparable():
    row = _row(0.8)
    assert row.published.median == pytest.approx(20 / 30) and row.published.interval.n == 30
    assert row.published.range == pytest.approx((17 / 30, 22 / 30))
    assert row.grouped.low < 0.6 < row.grouped.high
    assert row.value_interval.low == pytest.approx(0.627, abs=1e-3)
    fewer = _row(0.8667, n=15)
    assert fewer.verdict == "not comparable" and "15 test images, ours are 30" in fewer.reason


@pytest.mark.parametrize("known", [True, False, None])
def test_unknown_test_images_are_said_and_compared_all_the_same(known):
    words = ("title", "institution", "language", "framework", "summary")
    seed = dict.fromkeys(words, "A") | {"authors": ["B"], "year": 2024, "test_images_known": known}
    row = _row(0.6, seed_study=None if known is None else seed)
    assert row.verdict == "reproduced" and ("is not known" in row.reason) == (known is not True)


def test_a_model_that_could_not_be_had_is_not_comparable_and_its_stand_in_is_named():
    results = make_results({}, published={"efficientnet_lite2": (26, 27, 24)})
    row = _row(0.8667, model="efficientnet_b2", results=results)
    assert row.verdict == "not comparable" and row.published is None and row.grouped is None
    assert "EfficientNet-Lite2, got 86.7\u00a0% (80.0–90.0\u00a0% over 3 seeds)" in row.reason
    assert "stand-in would be EfficientNet-Lite2" in _row(0.8667, model="efficientnet_b2").reason
    alone = {"efficientnet_b2": make_study().models["efficientnet_b2"].model_dump(exclude={"stand_in"})}
    models = make_study().model_dump(mode="json")["models"] | alone
    assert _row(0.8667, model="efficientnet_b2", models=models).reason.endswith("no weights could be had.")


def test_a_model_without_results_is_not_comparable():
    row = _row(0.8, results=make_results({"scratch": 0.6}, repeats=1, seeds=1))
    assert row.verdict == "not comparable" and "no result" in row.reason
    assert row.grouped is not None
    failed = replace(make_fit("efficientnet_b2", [], [], []), missing="out of memory")
    assert "could not be fitted" in _row(0.8, model="efficientnet_b2", results=Results((failed,))).reason


def test_a_loss_is_judged_by_the_range_then_by_the_images():
    ours = make_results({}, published={"scratch": (17, 20, 22)})
    sample = _row(1.0, metric="loss", results=ours).published
    inside, beside = sum(sample.range) / 2, sample.interval.high - 0.01
    assert beside > sample.range[1], "the fixture must leave room between the range and the interval"
    assert _row(inside, metric="loss", results=ours).verdict == "reproduced"
    assert _row(beside, metric="loss", results=ours).verdict == "within interval"
    far = _row(5.5518, metric="loss", results=ours)
    assert far.verdict == "not reproduced" and far.value_interval is None and "5.5518" in far.reason
    row = _row(0.05, metric="macro_f1", results=ours)
    assert row.verdict == "not reproduced" and row.published.median in row.published.interval


def test_training_accuracy_comes_from_the_last_epoch():
    # The factory's seeds end at 0.7, 0.8 and 0.9.
    assert _row(0.9, metric="train_accuracy", n=120).verdict == "reproduced"
    assert _row(0.99, metric="train_accuracy", n=120).verdict == "not reproduced"
    paths, labels = paths_and_labels(10)
    silent = Results((make_fit("scratch", [True] * 30, labels, paths),))
    assert _row(0.9, metric="train_accuracy", n=120, results=silent).verdict == "not comparable"


def test_shuffled_reports_and_ten_images_are_not_comparable():
    inside, outside = (_row(v, metric="paired_wrong_accuracy") for v in (0.27, 0.8))
    assert "27.0\u00a0% lies inside" in inside.reason and "lies outside" in outside.reason
    assert "true accuracy is 66.7\u00a0%" in inside.reason
    ten = _row(0.9, metric="ten_images", n=10)
    assert "9 of 10" in ten.reason and "not named" in ten.reason
    assert {row.verdict for row in (inside, outside, ten)} == {"not comparable"}
    assert claims_table(make_study(), make_results({})) == []
