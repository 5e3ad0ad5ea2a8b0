"""Scores per fit and put together, labels in doubt and the mispaired report."""

from dataclasses import replace

import numpy as np
import pytest
from results_factory import HYPER, MOTIFS, make_dataset, make_fit, make_results, paths_and_labels

from batik_utils.errors import BatikError
from batik_utils.stats import scores
from batik_utils.stats.intervals import wilson
from batik_utils.stats.mistakes import (
    confusion_order,
    disputed,
    fall_on_large,
    large_sources,
    mispaired_fit,
    most_confidently_wrong,
    most_confused,
)
from batik_utils.stats.table import score_table
from batik_utils.study import PictureSource
from batik_utils.values import Results

PATHS, LABELS = paths_and_labels(10)


def _fit(correct=20, seed=0, **more):
    return make_fit("m", np.arange(30) < correct, LABELS, PATHS, seed=seed, **more)


def test_scores_of_one_fit_by_hand():
    y_true = np.array([0, 0, 1, 2])
    y_prob = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3], [0.25, 0.25, 0.5]])
    assert scores.accuracy(y_true, y_prob) == 0.75
    assert scores.log_loss(y_true, y_prob) == pytest.approx(-np.log([0.7, 0.1, 0.5, 0.5]).mean())
    assert scores.confusion(y_true, y_prob).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert scores.macro_f1(y_true, y_prob) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert scores.balanced(y_true, y_prob) == pytest.approx((0.5 + 1 + 1) / 3)
    assert scores.balanced(y_true[:2], y_prob[:2]) == 0.5, "classes without an image do not count"
    four = np.hstack([y_prob[:, :1] / 100, np.full((4, 1), 0.15), y_prob[:, 1:]])
    assert scores.top_3(y_true, four) == 0.5 and scores.top_3(y_true, y_prob) == 1
    table = scores.classification_table(y_true, np.array([0, 1, 1, 1]), MOTIFS)
    assert table.loc["batik-betawi"].tolist() == [1 / 3, 1, 0.5, 1] and table["precision"].tolist()[2] == 0
    impossible = scores.log_loss(np.array([0]), np.array([[0.0, 1.0, 0.0]]))
    assert impossible == pytest.approx(-np.log(1e-7), rel=1e-3), "a large loss, not an infinite one"


def test_the_published_summary_shows_the_median_seed_and_the_range():
    results = make_results({}, published={"m": (24, 20, 26, 22, 23), "even": (24, 20)})
    found = scores.published_summary(results, "m")
    assert found.values["accuracy"] == pytest.approx([n / 30 for n in (24, 20, 26, 22, 23)])
    assert found.median.fit.seed == found.place == 4
    assert found.interval == wilson(23, 30)
    assert found.values["train_accuracy"] == pytest.approx((0.7, 0.8, 0.9, 1.0, 1.1))
    assert scores.published_summary(results, "another") is None
    assert scores.published_summary(results, "even").median.fit.seed == 1, "the lower middle one"


def test_fits_that_do_not_belong_together_are_not_summarised():
    other = make_fit("m", [True], [0], ["batik-bali/99.jpg"], seed=1)
    for second, words in ((other, "different images"), (_fit(hyper=replace(HYPER, dropout=0.1)), "several settings")):
        with pytest.raises(BatikError, match=words):
            scores.published_summary(Results((_fit(), second)), "m")


def test_out_of_fold_keeps_every_image_with_its_label():
    results = make_results({"m": 0.8}, repeats=3, seeds=2)
    found = scores.out_of_fold(results, "m")
    paths, labels = paths_and_labels(50)
    assert dict(zip(found.paths, found.y_true.tolist(), strict=True)) == dict(zip(paths, labels.tolist(), strict=True))
    assert np.allclose(found.y_prob.sum(axis=1), 1)
    row = found.paths.index("batik-bali/7.jpg")
    said = [r.y_prob[r.paths.index("batik-bali/7.jpg")] for r in results if "batik-bali/7.jpg" in r.paths]
    assert len(said) == 6 and found.y_prob[row] == pytest.approx(np.mean(said, axis=0))
    fold_mean = scores.fold_scores(results, "m")["value"].mean()
    assert found.right.mean() == pytest.approx(fold_mean)
    assert found.confusion.sum(axis=1) == pytest.approx([50, 50, 50])
    assert np.trace(found.confusion) / 150 == pytest.approx(fold_mean)


def test_one_image_with_two_labels_is_an_error_and_a_missing_fold_is_not():
    results = make_results({"m": 0.8}, repeats=2, seeds=1)
    kept = Results(tuple(r for r in results if not (r.fit.repeat == 1 and r.fit.fold == 3)))
    assert not np.isnan(scores.out_of_fold(kept, "m").y_prob).any()
    first = results.items[0]
    flipped = replace(first, fit=replace(first.fit, seed=9), y_true=(first.y_true + 1) % 3)
    with pytest.raises(BatikError, match="two labels"):
        scores.out_of_fold(Results((*results.items, flipped)), "m")


def test_the_motif_table_covers_the_truth_and_widens_with_groups():
    oof = scores.out_of_fold(make_results({"m": 0.8}, repeats=1, seeds=1), "m")
    table = scores.per_motif(oof, MOTIFS)
    report = scores.classification_table(oof.y_true, oof.votes.argmax(axis=1), MOTIFS)
    for score in ("precision", "recall", "F1"):
        assert table[score].tolist() == pytest.approx(report[score].tolist())
        assert (table[f"{score}_low"] < table[score]).all() and (table[score] < table[f"{score}_high"]).all()
    # Ten images of one answer in a group are one image's worth of evidence.
    order = np.lexsort((oof.right, oof.y_true))
    grouped = scores.per_motif(oof, MOTIFS, {oof.paths[i]: k // 10 for k, i in enumerate(order)})
    width, wider = (t["recall_high"] - t["recall_low"] for t in (table, grouped))
    assert (wider > 1.5 * width).all()


def test_a_score_that_no_resample_changes_has_wilsons_bound_on_the_distinct_pictures():
    oof = scores.out_of_fold(make_results({"m": 1.0}, repeats=1, seeds=1), "m")
    table = scores.per_motif(oof, MOTIFS, {path: i // 2 for i, path in enumerate(oof.paths)})
    assert table[["recall", "F1_high"]].to_numpy() == pytest.approx(1)
    assert table["recall_low"].tolist() == pytest.approx([wilson(25, 25).low] * 3)


def test_the_interval_across_folds_never_promises_more_than_everything():
    found = scores.grouped_interval(make_results({"m": 0.99}, repeats=1, seeds=1), "m")
    assert found.low < found.value < found.high == 1.0
    perfect = scores.grouped_interval(make_results({"m": 1.0}, repeats=2, seeds=2), "m")
    assert (perfect.low, perfect.high) == (wilson(150, 150).low, 1.0), "folds that are all alike are no certainty"
    assert scores.grouped_interval(make_results({"m": 0.9}), "other") is None


def test_corruptions_are_scored_like_the_images_they_came_from():
    fit = _fit(correct=30, protocol="grouped")
    fit = replace(fit, corruptions={"blur": np.roll(fit.y_prob, 1, axis=1)})
    table = scores.fold_scores(Results((fit, _fit(correct=30, protocol="grouped", seed=1))), "m", part="blur")
    assert table["value"].tolist() == [0.0] and table["seed"].tolist() == [0]


def test_motifs_that_are_confused_stand_together():
    table = 20 * np.eye(4)
    table[0, 2] = table[2, 0] = table[1, 3] = 9
    order = confusion_order(table)
    assert sorted(order) == [0, 1, 2, 3]
    assert all(abs(order.index(a) - order.index(b)) == 1 for a, b in ((0, 2), (1, 3)))
    assert sorted(confusion_order(np.zeros((3, 3)))) == [0, 1, 2]


def test_the_most_confused_and_the_most_confidently_wrong():
    found = most_confused(np.array([[8, 2, 0], [5, 5, 0], [0, 0, 10]]), MOTIFS)
    assert found.iloc[0].tolist() == ["batik-betawi", "batik-bali", 5, 0.5] and len(found) == 2
    y_prob = np.array([[0.1, 0.9, 0.0], [0.4, 0.6, 0.0], [0.0, 0.1, 0.9]])
    wrong = most_confidently_wrong(["b", "a", "c"], np.array([0, 0, 2]), y_prob, MOTIFS)
    assert wrong["path"].tolist() == ["b", "a"] and wrong["probability"].tolist() == [0.9, 0.6]
    assert wrong["predicted"].tolist() == ["batik-betawi"] * 2


def test_shuffling_predictions_against_labels_brings_a_good_model_near_chance():
    order = np.random.default_rng(0).permutation(30)
    right, paths = np.arange(30) % 5 > 0, np.array(PATHS)
    found = mispaired_fit(make_fit("m", right[order], LABELS[order], paths[order]), len(MOTIFS), shuffles=4000)
    assert found.right == 0.8, "whatever order the images came in"
    assert found.expected == pytest.approx(1 / 3)
    # The spread of a mean of 4000 shuffles is far under one point.
    assert found.accuracies.mean() == pytest.approx(found.expected, abs=0.01)
    assert found.low < 0.27 < 0.5 <= found.high + 0.04
    # The expected value follows what is predicted, not what is right.
    labels = np.repeat([0, 1], [20, 10])
    found = mispaired_fit(make_fit("m", labels == 0, labels, PATHS, classes=2), 2, shuffles=50)
    assert found.expected == pytest.approx(2 / 3) and found.accuracies == pytest.approx(np.full(50, 2 / 3))


def test_a_group_with_two_labels_is_disputed_and_costs_all_but_its_commonest_label():
    labels, groups = np.array([0, 0, 1, 1, 0, 1]), np.array([7, 7, 7, 8, 9, 9])
    found = disputed(labels, groups)
    assert found.rows.tolist() == [True, True, True, False, True, True]
    assert found.ceiling == pytest.approx(4 / 6)


def test_copies_within_one_motif_cost_nothing():
    found = disputed(np.array([0, 0, 1]), np.array([3, 3, 4]))
    assert (found.rows.any(), found.ceiling) == (False, 1.0)


def test_the_table_of_scores_has_every_protocol_and_what_only_some_folds_share():
    models = {"a": 0.9, "b": 0.6}
    fits = make_results(models, repeats={"a": 2, "b": 1}, seeds=2, published={"a": (24, 20), "b": (15, 15)})
    fits = [replace(r, corruptions={"blur": r.y_prob}) if r.fit.protocol == "grouped" else r for r in fits]
    shared = Results(tuple(r for r in fits if r.fit.protocol != "grouped" or r.fit.repeat == 0))
    oof = scores.out_of_fold(shared, "a")
    table = score_table(Results(tuple(fits)), shared, MOTIFS, {"a": scores.per_motif(oof, MOTIFS)})
    found = table.set_index(["model", "protocol", "metric"])
    assert not found.index.has_duplicates
    near, every = found.loc["a", "grouped", "accuracy"], found.loc["a", "grouped-all", "accuracy"]
    band = scores.grouped_interval(shared, "a")
    assert (near["value"], near["low"], near["high"], near["interval"]) == (
        band.value, band.low, band.high, "nadeau-bengio",
    )  # fmt: skip
    assert (near["n"], near["fits"], every["fits"]) == (150, 10, 20) and "grouped-all" not in found.loc["b"].index
    assert found.loc["a", "grouped-blur", "loss"]["value"] == found.loc["a", "grouped", "loss"]["value"]
    assert found.loc["a", "published", "accuracy"][["value", "interval", "fits"]].tolist() == [20 / 30, "wilson", 2]
    assert found.loc["a", "published-seed-0", "accuracy"]["value"] == 24 / 30
    bali = found.loc["a", "grouped", "f1/batik-bali"]
    assert bali["interval"] == "bootstrap" and bali["n"] == 50 and bali["low"] < bali["value"] < bali["high"]
    assert score_table(Results(()), Results(()), MOTIFS, {}).empty


@pytest.mark.parametrize(("apart", "says"), [(0.71, "large"), (0.73, "alike"), (0.9, "none"), (0.95, "none")])
def test_large_sources_say_whether_accuracy_falls_on_them(apart, says):
    """Six pictures of one shop, three of another, and a group of five copies; all others fall by 16 points."""
    data = make_dataset()
    units = np.arange(150)
    units[:6], units[10:13], units[60:65] = 0, 10, 60
    data = replace(data, sources=units)
    known = (
        PictureSource(name="shop", why="one mark", pictures=data.paths[:6]),
        PictureSource(name="few", why="another", pictures=data.paths[10:13]),
    )

    def oof(large, others):
        right = np.where(np.isin(units, (0, 60)), large, others)
        return scores.OutOfFold(data.paths, data.labels, *[np.zeros((150, 3))] * 2, np.zeros((3, 3)), right)

    rows = large_sources(known, data, oof(0.9, 0.8), oof(apart, 0.64))
    assert [(r.name, r.why, r.pictures) for r in rows] == [
        ("shop", "one mark", 6),
        ("batik-betawi/11.jpg", "copies of one picture", 5),
        ("", "all of these", 11),
        ("", "all others", 139),
    ]
    assert rows[0].motifs == {"batik-bali": 6} and rows[2].motifs == {"batik-bali": 6, "batik-betawi": 5}
    assert (rows[2].grouped, rows[2].sources) == pytest.approx((0.9, apart))
    assert (rows[3].grouped, rows[3].sources) == pytest.approx((0.8, 0.64)) and fall_on_large(rows) == says
    assert large_sources((), make_dataset(), oof(1, 1), oof(1, 1)) == []
