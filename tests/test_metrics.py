"""Metrics per fit and put together, the search, label issues and the seed's mispairing."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from results_factory import HYPER, MOTIFS, make_fit, make_results, paths_and_labels
from sklearn.metrics import classification_report

from batik_utils.errors import BatikError
from batik_utils.stats import metrics
from batik_utils.stats.label_issues import label_issues
from batik_utils.stats.mispairing import mispaired_accuracy
from batik_utils.stats.search import choose, settings_table
from batik_utils.values import Results

PATHS, LABELS = paths_and_labels(10)


def _fit(model="m", correct=20, seed=0, **more):
    right = np.arange(30) < correct
    return make_fit(model, right, LABELS, PATHS, seed=seed, **more)


def test_scores_of_one_fit_by_hand():
    y_true = np.array([0, 0, 1, 2])
    y_prob = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3], [0.25, 0.25, 0.5]])
    assert metrics.accuracy(y_true, y_prob) == 0.75
    assert metrics.log_loss(y_true, y_prob) == pytest.approx(-np.log([0.7, 0.1, 0.5, 0.5]).mean())
    assert metrics.confusion(y_true, y_prob).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert metrics.macro_f1(y_true, y_prob) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


def test_a_probability_of_zero_for_the_truth_is_a_large_loss_not_an_infinite_one():
    assert metrics.log_loss(np.array([0]), np.array([[0.0, 1.0, 0.0]])) == pytest.approx(-np.log(1e-7), rel=1e-3)


def test_the_classification_table_says_what_scikit_learn_says():
    y_true, y_pred = LABELS, np.where(np.arange(30) % 3 == 0, 0, LABELS)
    ours = metrics.classification_table(y_true, y_pred, MOTIFS)
    theirs = classification_report(y_true, y_pred, target_names=MOTIFS, output_dict=True)
    for motif in MOTIFS:
        assert ours.loc[motif, "precision"] == theirs[motif]["precision"]
        assert ours.loc[motif, "F1"] == theirs[motif]["f1-score"]
        assert ours.loc[motif, "support"] == 10


def test_a_class_that_is_never_predicted_scores_nothing_and_warns_nobody():
    table = metrics.classification_table(LABELS, np.zeros(30, dtype=int), MOTIFS)
    assert table.loc["batik-celup", ["precision", "recall", "F1"]].tolist() == [0, 0, 0]


def test_the_published_summary_shows_the_median_seed_and_the_range():
    results = make_results({}, published={"m": (24, 20, 26, 22, 23)})
    found = metrics.published_summary(results, "m")
    assert found.correct == (24, 20, 26, 22, 23)
    assert found.median.fit.seed == 4 and found.median_accuracy == pytest.approx(23 / 30)
    assert (found.low, found.high) == (pytest.approx(20 / 30), pytest.approx(26 / 30))
    assert found.interval.n == found.n_test == 30
    assert found.train_accuracy == pytest.approx((0.7, 0.8, 0.9, 1.0, 1.1))
    assert metrics.published_summary(results, "another") is None


def test_an_even_number_of_seeds_takes_the_lower_middle_one():
    found = metrics.published_summary(make_results({}, published={"m": (24, 20)}), "m")
    assert found.median.fit.seed == 1


def test_fits_of_different_images_are_not_summarised():
    other = make_fit("m", [True], [0], ["batik-bali/99.jpg"], seed=1)
    with pytest.raises(BatikError, match="different images"):
        metrics.published_summary(Results((_fit(), other)), "m")


def test_out_of_fold_keeps_every_image_with_its_label():
    results = make_results({"m": 0.8}, repeats=3, seeds=2)
    found = metrics.out_of_fold(results, "m")
    paths, labels = paths_and_labels(50)
    assert dict(zip(found.paths, found.y_true.tolist(), strict=True)) == dict(zip(paths, labels.tolist(), strict=True))
    assert found.fits == 30 and sorted(found.per_repeat) == [0, 1, 2]
    assert np.allclose(found.y_prob.sum(axis=1), 1)
    fold_mean = metrics.fold_scores(results, "m")["value"].mean()
    assert found.accuracy == pytest.approx(fold_mean)
    assert found.confusion.sum(axis=1) == pytest.approx([50, 50, 50])
    assert np.trace(found.confusion) / 150 == pytest.approx(fold_mean)


def test_a_missing_fold_leaves_gaps_and_no_wrong_rows():
    results = make_results({"m": 0.8}, repeats=2, seeds=1)
    kept = Results(tuple(r for r in results if not (r.fit.repeat == 1 and r.fit.fold == 3)))
    found = metrics.out_of_fold(kept, "m")
    assert np.isnan(found.per_repeat[1][:, 0]).sum() == 30
    assert not np.isnan(found.y_prob).any()


def test_one_image_with_two_labels_is_an_error():
    results = make_results({"m": 0.8}, repeats=1, seeds=1)
    first = results.items[0]
    flipped = replace(first, fit=replace(first.fit, seed=9), y_true=(first.y_true + 1) % 3)
    with pytest.raises(BatikError, match="two labels"):
        metrics.out_of_fold(Results((*results.items, flipped)), "m")


def test_the_motif_table_covers_the_truth_and_widens_with_groups():
    oof = metrics.out_of_fold(make_results({"m": 0.8}, repeats=1, seeds=1), "m")
    table = metrics.per_motif(oof, MOTIFS)
    report = metrics.classification_table(oof.y_true, oof.votes.argmax(axis=1), MOTIFS)
    for score in ("precision", "recall", "F1"):
        assert table[score].tolist() == pytest.approx(report[score].tolist())
        assert (table[f"{score}_low"] < table[score]).all() and (table[score] < table[f"{score}_high"]).all()
    # Ten images of one answer in a group are one image's worth of evidence.
    right = oof.votes[np.arange(150), oof.y_true]
    order = np.lexsort((right, oof.y_true))
    groups = {oof.paths[i]: k // 10 for k, i in enumerate(order)}
    grouped = metrics.per_motif(oof, MOTIFS, groups)
    width, wider = (t["recall_high"] - t["recall_low"] for t in (table, grouped))
    assert (wider > 1.5 * width).all()


def test_the_interval_across_folds_never_promises_more_than_everything():
    found = metrics.grouped_interval(make_results({"m": 0.99}, repeats=1, seeds=1), "m")
    assert found.low < found.value < found.high == 1.0
    assert metrics.grouped_interval(make_results({"m": 0.9}), "other") is None


def test_probes_are_scored_like_the_images_they_came_from():
    fit = _fit(correct=30, protocol="grouped")
    fit = replace(fit, corruptions={"blur": np.roll(fit.y_prob, 1, axis=1)})
    scores = metrics.fold_scores(Results((fit, _fit(correct=30, protocol="grouped", seed=1))), "m", corruption="blur")
    assert scores["value"].tolist() == [0.0] and scores["seed"].tolist() == [0]


def test_the_most_confused_and_the_most_confidently_wrong():
    table = np.array([[8, 2, 0], [5, 5, 0], [0, 0, 10]])
    found = metrics.most_confused(table, MOTIFS)
    assert found.iloc[0].tolist() == ["batik-betawi", "batik-bali", 5, 0.5] and len(found) == 2
    y_prob = np.array([[0.1, 0.9, 0.0], [0.4, 0.6, 0.0], [0.0, 0.1, 0.9]])
    wrong = metrics.most_confidently_wrong(["b", "a", "c"], np.array([0, 0, 2]), y_prob, MOTIFS)
    assert wrong["path"].tolist() == ["b", "a"] and wrong["probability"].tolist() == [0.9, 0.6]
    assert wrong["predicted"].tolist() == ["batik-betawi"] * 2


def _searched(epochs_right: dict[int, tuple[int, int]], seed: int, rate: float):
    """A fit with checkpoints: {epochs: (right of 15 in validation, right of 15 in test)}."""
    paths, labels = paths_and_labels(5)
    made = {
        e: tuple(make_fit("m", np.arange(15) < k, labels, paths).y_prob for k in counts)
        for e, counts in epochs_right.items()
    }
    last = max(made)
    return make_fit(
        "m",
        np.arange(15) < epochs_right[last][1],
        labels,
        paths,
        seed=seed,
        protocol="search",
        hyper=replace(HYPER, epochs=last, learning_rate=rate),
        val_paths=tuple(f"v/{p}" for p in paths),
        val_true=labels,
        val_prob=made[last][0],
        checkpoints={e: {"val": v, "test": t} for e, (v, t) in made.items()},
    )


def test_the_search_chooses_on_validation_and_says_what_the_test_set_would_have_chosen():
    results = Results(
        (
            _searched({10: (13, 9), 20: (11, 14)}, 0, 0.001),
            _searched({10: (12, 10), 20: (11, 14)}, 1, 0.001),
            _searched({10: (9, 8), 20: (9, 8)}, 0, 0.01),
            _searched({10: (9, 8), 20: (9, 8)}, 1, 0.01),
        )
    )
    choice = choose(results, "m")
    assert choice.hyper == replace(HYPER, epochs=10, learning_rate=0.001)
    assert (choice.settings, choice.seeds) == (4, 2)
    assert choice.val_accuracy == pytest.approx(12.5 / 15)
    assert choice.test_accuracy == pytest.approx(9.5 / 15)
    assert choice.test_chosen.epochs == 20
    assert choice.optimism == pytest.approx(4.5 / 15)
    assert choice.best_single == pytest.approx(14 / 15)
    table = settings_table(results, "m")
    assert table["seeds"].tolist() == [2, 2, 2, 2]
    assert table["epochs"].iloc[0] == choice.hyper.epochs, "the table starts with what was chosen"


def test_a_setting_of_which_a_fit_failed_is_passed_over():
    good = _searched({10: (9, 9)}, 0, 0.01)
    half = [_searched({10: (15, 15)}, seed, 0.001) for seed in (0, 1)]
    half[1] = replace(half[1], missing="killed")
    assert choose(Results((good, *half)), "m").hyper.learning_rate == 0.01


def test_a_tie_on_validation_goes_to_fewer_epochs_and_never_asks_the_test_set():
    results = Results((_searched({10: (12, 5), 20: (12, 15)}, 0, 0.001),))
    assert choose(results, "m").hyper.epochs == 10


def test_the_report_shows_the_choice_that_the_experiment_made():
    from batik_utils.experiment.choose import choose as made

    rng = np.random.default_rng(6)
    for _ in range(20):
        fits = [
            _searched({e: tuple(rng.integers(10, 13, 2)) for e in (10, 20, 40)}, seed, rate)
            for seed in (0, 1)
            for rate in (0.001, 0.003)
        ]
        results = Results(tuple(fits))
        assert choose(results, "m").hyper == made(results, "m")


def test_two_settings_on_the_published_split_are_one_too_many():
    fits = (_fit(), _fit(hyper=replace(HYPER, dropout=0.1)))
    with pytest.raises(BatikError, match="several settings"):
        metrics.published_summary(Results(fits), "m")
    assert choose(Results(fits), "m") is None
    with pytest.raises(BatikError, match="no search"):
        settings_table(Results(fits), "m")


def test_two_swapped_labels_are_found_among_sure_answers():
    results = make_results({"m": 0.999}, repeats=1, seeds=1, sure=0.9)
    swap = {"batik-bali/3.jpg": 1, "batik-celup/7.jpg": 0}
    items = []
    for r in results:
        labels = np.array([swap.get(p, y) for p, y in zip(r.paths, r.y_true, strict=True)])
        items.append(replace(r, y_true=labels))
    found = label_issues(metrics.out_of_fold(Results(tuple(items)), "m"), MOTIFS)
    assert set(swap) <= set(found["path"]) and len(found) <= 4
    row = found.set_index("path").loc["batik-bali/3.jpg"]
    assert (row["given"], row["suggested"]) == ("batik-betawi", "batik-bali")


def test_sure_and_right_answers_raise_no_doubt_even_where_a_motif_has_no_image():
    oof = metrics.out_of_fold(make_results({"m": 1.0}, repeats=1, seeds=1, sure=0.9), "m")
    assert label_issues(oof, MOTIFS).empty
    keep = oof.y_true < 2
    fewer = replace(
        oof,
        paths=tuple(p for p, k in zip(oof.paths, keep, strict=True) if k),
        y_true=oof.y_true[keep],
        y_prob=oof.y_prob[keep],
        votes=oof.votes[keep],
    )
    assert label_issues(fewer, MOTIFS).empty


def test_shuffling_predictions_against_labels_brings_a_good_model_near_chance():
    y_pred = np.where(np.arange(30) % 5 == 0, (LABELS + 1) % 3, LABELS)
    found = mispaired_accuracy(LABELS, y_pred, MOTIFS, shuffles=4000)
    assert found.right == 0.8
    assert found.expected == pytest.approx(1 / 3)
    # The spread of a mean of 4000 shuffles is far under one point.
    assert found.mean == pytest.approx(found.expected, abs=0.01)
    assert found.low < 0.27 < 0.5 <= found.high + 0.04
    assert 0 < found.at_least(0.5) < 0.1 and 0.1 < found.at_most(0.27) < 0.5
    assert found.at_least(0.0) == found.at_most(1.0) == 1.0
    hits = found.wrong_report["recall"] * found.wrong_report["support"]
    assert hits.sum() / 30 == pytest.approx(found.example)
    assert found.right_report["recall"].mean() == pytest.approx(0.8)


def test_the_expected_value_of_the_mistake_follows_what_is_predicted_not_what_is_right():
    labels = np.repeat([0, 1], [20, 10])
    found = mispaired_accuracy(labels, np.zeros(30, dtype=np.int64), ("a", "b"), shuffles=50)
    assert found.expected == pytest.approx(2 / 3)
    assert found.accuracies == pytest.approx(np.full(50, 2 / 3))


def test_the_order_that_images_came_in_does_not_matter_to_the_mistake():
    y_pred = np.where(np.arange(30) % 5 == 0, (LABELS + 1) % 3, LABELS)
    order = np.random.default_rng(0).permutation(30)
    found = mispaired_accuracy(LABELS[order], y_pred[order], MOTIFS, shuffles=10)
    assert found.right == 0.8


def test_reading_results_never_loads_a_deep_learning_library():
    code = (
        "import sys, batik_utils.report.metrics_json, batik_utils.report.remarks;"
        "import batik_utils.stats.label_issues; import cleanlab.filter;"
        "sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras', 'jax', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
