"""Scores per fit and put together, mistakes, intervals, and tests between two models."""

from dataclasses import replace

import numpy as np
import pytest
from results_factory import HYPER, MOTIFS, make_dataset, make_fit, make_results, paths_and_labels
from scipy import stats

from batik_utils.errors import BatikError
from batik_utils.stats import mistakes, scores
from batik_utils.stats.compare import compare, compare_family, fold_gap, shared_folds
from batik_utils.stats.intervals import Interval, corrected_test, nadeau_bengio, wilson
from batik_utils.stats.scores import fold_scores, whole_repeats
from batik_utils.stats.table import score_table
from batik_utils.study import PictureSource
from batik_utils.values import Results

PATHS, LABELS = paths_and_labels(10)


def fit(correct=20, seed=0, **more):
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


def test_the_published_summary_shows_the_median_seed_and_the_range_of_fits_that_belong_together():
    results = make_results({}, published={"m": (24, 20, 26, 22, 23), "even": (24, 20)})
    found = scores.published_summary(results, "m")
    assert found.values["accuracy"] == pytest.approx([n / 30 for n in (24, 20, 26, 22, 23)])
    assert found.median.fit.seed == found.place == 4
    assert found.interval == wilson(23, 30)
    assert found.values["train_accuracy"] == pytest.approx((0.7, 0.8, 0.9, 1.0, 1.1))
    assert scores.published_summary(results, "another") is None
    assert scores.published_summary(results, "even").median.fit.seed == 1, "the lower middle one"
    other = make_fit("m", [True], [0], ["batik-bali/99.jpg"], seed=1)
    for second, words in ((other, "different images"), (fit(hyper=replace(HYPER, dropout=0.1)), "several settings")):
        with pytest.raises(BatikError, match=words):
            scores.published_summary(Results((fit(), second)), "m")


def test_out_of_fold_keeps_every_image_with_its_one_label():
    results = make_results({"m": 0.8}, repeats=3, seeds=2)
    found = scores.out_of_fold(results, "m")
    assert {*zip(found.paths, found.y_true, strict=True)} == {*zip(*paths_and_labels(50), strict=True)}
    assert np.allclose(found.y_prob.sum(axis=1), 1)
    row = found.paths.index("batik-bali/7.jpg")
    said = [r.y_prob[r.paths.index("batik-bali/7.jpg")] for r in results if "batik-bali/7.jpg" in r.paths]
    assert len(said) == 6 and found.y_prob[row] == pytest.approx(np.mean(said, axis=0))
    fold_mean = fold_scores(results, "m")["value"].mean()
    assert found.right.mean() == pytest.approx(fold_mean) == np.trace(found.confusion) / 150
    assert found.confusion.sum(axis=1) == pytest.approx([50, 50, 50])
    kept = Results(tuple(r for r in results if not (r.fit.repeat == 1 and r.fit.fold == 3)))
    assert not np.isnan(scores.out_of_fold(kept, "m").y_prob).any(), "a missing fold is no error"
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


def test_no_interval_promises_more_than_everything_nor_calls_folds_that_are_all_alike_a_certainty():
    oof = scores.out_of_fold(make_results({"m": 1.0}, repeats=1, seeds=1), "m")
    table = scores.per_motif(oof, MOTIFS, {path: i // 2 for i, path in enumerate(oof.paths)})
    assert table[["recall", "F1_high"]].to_numpy() == pytest.approx(1)
    assert table["recall_low"].tolist() == pytest.approx([wilson(25, 25).low] * 3), "of the distinct pictures"
    found = scores.grouped_interval(make_results({"m": 0.99}, repeats=1, seeds=1), "m")
    assert found.low < found.value < found.high == 1.0
    perfect = scores.grouped_interval(make_results({"m": 1.0}, repeats=2, seeds=2), "m")
    assert (perfect.low, perfect.high) == (wilson(150, 150).low, 1.0)
    assert scores.grouped_interval(make_results({"m": 0.9}), "other") is None


def test_motifs_that_are_confused_stand_together_and_the_most_confidently_wrong_come_first():
    table = 20 * np.eye(4)
    table[0, 2] = table[2, 0] = table[1, 3] = 9
    order = mistakes.confusion_order(table)
    assert sorted(order) == [0, 1, 2, 3] and sorted(mistakes.confusion_order(np.zeros((3, 3)))) == [0, 1, 2]
    assert all(abs(order.index(a) - order.index(b)) == 1 for a, b in ((0, 2), (1, 3)))
    found = mistakes.most_confused(np.array([[8, 2, 0], [5, 5, 0], [0, 0, 10]]), MOTIFS)
    assert found.iloc[0].tolist() == ["batik-betawi", "batik-bali", 5, 0.5] and len(found) == 2
    y_prob = np.array([[0.1, 0.9, 0.0], [0.4, 0.6, 0.0], [0.0, 0.1, 0.9]])
    wrong = mistakes.most_confidently_wrong(["b", "a", "c"], np.array([0, 0, 2]), y_prob, MOTIFS)
    assert wrong["path"].tolist() == ["b", "a"] and wrong["probability"].tolist() == [0.9, 0.6]
    assert wrong["predicted"].tolist() == ["batik-betawi"] * 2


def test_shuffling_predictions_against_labels_brings_a_good_model_near_chance():
    order = np.random.default_rng(0).permutation(30)
    right, paths = np.arange(30) % 5 > 0, np.array(PATHS)
    found = mistakes.mispaired_fit(make_fit("m", right[order], LABELS[order], paths[order]), len(MOTIFS), shuffles=4000)
    assert found.right == 0.8, "whatever order the images came in"
    # The spread of a mean of 4000 shuffles is far under one point.
    assert found.accuracies.mean() == pytest.approx(1 / 3, abs=0.01) and found.expected == pytest.approx(1 / 3)
    assert found.low < 0.27 < 0.5 <= found.high + 0.04
    # The expected value follows what is predicted, not what is right.
    labels = np.repeat([0, 1], [20, 10])
    found = mistakes.mispaired_fit(make_fit("m", labels == 0, labels, PATHS, classes=2), 2, shuffles=50)
    assert found.expected == pytest.approx(2 / 3) and found.accuracies == pytest.approx(np.full(50, 2 / 3))


def test_a_group_with_two_labels_is_disputed_and_costs_all_but_its_commonest_label():
    found = mistakes.disputed(np.array([0, 0, 1, 1, 0, 1]), np.array([7, 7, 7, 8, 9, 9]))
    assert found.rows.tolist() == [True, True, True, False, True, True]
    assert found.ceiling == pytest.approx(4 / 6)
    found = mistakes.disputed(np.array([0, 0, 1]), np.array([3, 3, 4]))
    assert (found.rows.any(), found.ceiling) == (False, 1.0), "copies within one motif cost nothing"


def test_the_table_of_scores_has_every_protocol_and_what_only_some_folds_share():
    models = {"a": 0.9, "b": 0.6}
    fits = make_results(models, repeats={"a": 2, "b": 1}, seeds=2, published={"a": (24, 20), "b": (15, 15)})
    blurred = [replace(r, corruptions={"blur": np.roll(r.y_prob, 1, axis=1)}) for r in fits.select("a", "grouped")]
    fits = [r for r in fits if (r.fit.model, r.fit.protocol) != ("a", "grouped")] + blurred
    shared = Results(tuple(r for r in fits if r.fit.protocol != "grouped" or r.fit.repeat == 0))
    oof = scores.out_of_fold(shared, "a")
    table = score_table(Results(tuple(fits)), shared, MOTIFS, {"a": scores.per_motif(oof, MOTIFS)})
    found = table.set_index(["model", "protocol", "metric"])
    assert not found.index.has_duplicates
    near, every = found.loc["a", "grouped", "accuracy"], found.loc["a", "grouped-all", "accuracy"]
    band = scores.grouped_interval(shared, "a")
    assert near[["value", "low", "high", "interval"]].tolist() == [band.value, band.low, band.high, "nadeau-bengio"]
    assert (near["n"], near["fits"], every["fits"]) == (150, 10, 20) and "grouped-all" not in found.loc["b"].index
    right = np.mean([(r.corruptions["blur"].argmax(axis=1) == r.y_true).mean() for r in shared.select("a", "grouped")])
    assert found.loc["a", "grouped-blur", "accuracy"]["value"] == pytest.approx(right) and right < 0.1
    assert found.loc["a", "published", "accuracy"][["value", "interval", "fits"]].tolist() == [20 / 30, "wilson", 2]
    assert found.loc["a", "published-seed-0", "accuracy"]["value"] == 24 / 30
    bali = found.loc["a", "grouped", "f1/batik-bali"]
    assert bali["interval"] == "bootstrap" and bali["n"] == 50 and bali["low"] < bali["value"] < bali["high"]
    assert score_table(Results(()), Results(()), MOTIFS, {}).empty


@pytest.mark.parametrize(("apart", "says"), [(0.71, "large"), (0.73, "alike"), (0.9, "none")])
def test_large_sources_say_whether_accuracy_falls_on_them(apart, says):
    """Six pictures of one shop, three of another, and a group of five copies; all others fall by 16 points."""
    units = np.arange(150)
    units[:6], units[10:13], units[60:65] = 0, 10, 60
    data = replace(make_dataset(), sources=units)
    known = (
        PictureSource(name="shop", why="one mark", pictures=data.paths[:6]),
        PictureSource(name="few", why="another", pictures=data.paths[10:13]),
    )

    def oof(large, others):
        right = np.where(np.isin(units, (0, 60)), large, others)
        return scores.OutOfFold(data.paths, data.labels, *[np.zeros((150, 3))] * 2, np.zeros((3, 3)), right)

    rows = mistakes.large_sources(known, data, oof(0.9, 0.8), oof(apart, 0.64))
    found = [(r.name, r.why, r.pictures) for r in rows]
    assert found[:2] == [("shop", "one mark", 6), ("batik-betawi/11.jpg", "copies of one picture", 5)]
    assert found[2:] == [("", "all of these", 11), ("", "all others", 139)]
    assert rows[0].motifs == {"batik-bali": 6} and rows[2].motifs == {"batik-bali": 6, "batik-betawi": 5}
    assert (rows[2].grouped, rows[2].sources) == pytest.approx((0.9, apart))
    assert (rows[3].grouped, rows[3].sources) == pytest.approx((0.8, 0.64)) and mistakes.fall_on_large(rows) == says
    assert mistakes.large_sources((), make_dataset(), oof(1, 1), oof(1, 1)) == []


def test_a_clear_difference_is_declared_in_either_direction():
    results = make_results({"a": 0.9, "b": 0.6}, repeats=3, seeds=2)
    forth, back = (compare(results, *pair) for pair in ("ab", "ba"))
    assert forth.declared and back.declared and back.difference.high < 0 < forth.difference.low
    assert forth.p_value == pytest.approx(back.p_value) and (forth.folds, forth.repeats) == (5, 3)


def test_the_corrected_test_by_hand():
    x, y = np.array([0.8, 0.7, 0.9, 0.8, 0.75]), np.array([0.7, 0.7, 0.75, 0.7, 0.7])
    gaps = x - y
    t = gaps.mean() / np.sqrt(gaps.var(ddof=1) * (1 / 5 + 1 / 4))
    assert corrected_test(x, y, ratio=1 / 4, images=100)[1] == pytest.approx(2 * stats.t.sf(t, 4))
    for x, y in np.random.default_rng(0).normal(0.8, 0.05, (50, 2, 10)):
        interval, p = corrected_test(x, y, ratio=1 / 4, images=100)
        assert (p < 0.05) == (not interval.low <= 0 <= interval.high), "declared where the interval excludes nought"


def test_folds_that_all_differ_alike_are_no_certainty():
    perfect = np.ones(5)
    same, p = corrected_test(perfect, perfect, ratio=1 / 4, images=30)
    assert (same.value, p) == (0, 1) and same.low == pytest.approx(-0.114, abs=1e-3) and same.high == -same.low
    apart, p = corrected_test(perfect, perfect - 0.5, ratio=1 / 4, images=30)
    assert p == pytest.approx(stats.fisher_exact([[30, 0], [15, 15]]).pvalue) and 0 < apart.low < 0.5 < apart.high
    wide, _ = corrected_test(np.array([1.0, 0.2]), np.array([0.0, 0.1]), ratio=1, images=10)
    assert (wide.low, wide.high) == (-1, 1), "no difference is larger than 100 points"
    few, p = corrected_test(perfect, perfect - 0.5, ratio=1 / 4, images=4)
    assert p > 0.05 and few.low <= 0 <= few.high, "two images of four are no difference that can be declared"


def test_two_models_are_the_same_where_the_whole_interval_lies_within_two_points():
    results = make_results({"a": 0.8}, repeats=2, seeds=1)
    twins = [replace(r, fit=replace(r.fit, model="b")) for r in results]
    found = compare(Results((*results.items, *twins)), "a", "b")
    assert found.p_value == 1 and found.word == "open", "150 images cannot show that a model is the same as itself"

    def word(low, high, p=0.5):
        return replace(found, difference=Interval((low + high) / 2, low, high, 10), p_value=p).word

    assert [word(-0.02, 0.02), word(-0.021, 0.02), word(-0.02, 0.021)] == ["same", "open", "open"]
    assert word(0.001, 0.019, p=0.01) == "same" and word(0.001, 0.021, p=0.01) == "better"
    assert word(-0.021, -0.001, p=0.01) == "worse" and word(0.001, 0.021, p=0.051) == "open"


def test_unequal_repeats_and_seeds_meet_on_the_folds_they_share():
    results = make_results({"a": 0.8, "b": 0.6}, repeats={"a": 4, "b": 1}, seeds={"a": 3, "b": 1})
    found = compare(results, "a", "b")
    assert (found.folds, found.repeats) == (5, 1)
    assert compare(Results(tuple(r for r in results if r.fit.repeat == 0)), "a", "b") == found
    shared = shared_folds(results, "a", "b")
    assert {(r.fit.model, r.fit.repeat) for r in shared} == {("a", 0), ("b", 0)} and len(shared) == 20
    assert fold_scores(shared, "a")["value"].mean() == pytest.approx(found.mean_a), "what stands side by side adds up"
    assert len(shared_folds(results, "a", "none")) == len(results)
    gap = fold_gap(fold_scores(results, "a"), fold_scores(results, "b"))
    assert gap == found.difference and fold_gap(fold_scores(results, "a"), fold_scores(results, "none")) is None


def test_a_repeat_that_lacks_a_fold_is_left_out_and_folds_of_different_images_are_not_paired():
    results = make_results({"a": 0.8, "b": 0.6}, repeats=2, seeds=1)

    def without(*gone):
        return Results(tuple(r for r in results if (r.fit.model, r.fit.repeat, r.fit.fold) not in gone))

    assert compare(without(("a", 1, 2)), "a", "b").repeats == 1
    assert compare(without(("a", 1, 2), ("b", 0, 4)), "a", "b") is None
    assert compare(results, "a", "nothing") is None
    left = without(("b", 0, 4))
    assert whole_repeats(*(fold_scores(left, m) for m in "ab")).index.tolist() == [(1, f) for f in range(5)]
    *items, last = results.items
    with pytest.raises(BatikError, match="different images"):
        compare(Results((*items, replace(last, paths=tuple(f"x{p}" for p in last.paths)))), "a", "b")


def test_holm_multiplies_the_smallest_p_of_a_family_which_what_was_planned_beforehand_does_not_belong_to():
    results = make_results({"a": 0.9, "b": 0.84, "c": 0.83, "d": 0.82}, repeats=2, seeds=2)
    pairs = [("a", "b"), ("c", "d"), ("a", "c"), ("a", "d")]
    found = compare_family(results, [*pairs, pairs[0], ("a", "none")])
    assert [(c.a, c.b) for c in found] == pairs and all(c.p_adjusted >= c.p_value for c in found)
    assert min(c.p for c in found) == pytest.approx(min(1, 4 * min(c.p_value for c in found)))
    assert compare_family(results, [("a", "b")])[0].p_adjusted is None
    found = compare_family(results, pairs, primary=pairs[:2])
    assert [c.primary for c in found] == [True, True, False, False]
    assert [c.p for c in found[:2]] == [compare(results, *pair).p_value for pair in pairs[:2]]
    assert min(c.p for c in found[2:]) == pytest.approx(2 * min(c.p_value for c in found[2:]))
    assert replace(found[0], p_value=0.03).declared
    taken_back = replace(found[2], p_value=0.03, p_adjusted=0.06)
    assert not taken_back.declared and replace(taken_back, p_adjusted=None).declared


def test_the_correction_takes_the_folds_as_large_as_they_are():
    results = make_results({"a": 0.8, "b": 0.7}, per_class=4, folds=5, repeats=1)  # 12 pictures: 3, 3, 2, 2, 2
    assert whole_repeats(fold_scores(results, "a"))["ratio"].mean() == pytest.approx((2 * 3 / 9 + 3 * 2 / 10) / 5)
    curve = make_results({"a": 0.8}, per_class=50, folds=5, repeats=1, protocol="curve-10")
    table = whole_repeats(fold_scores(curve, "a", "curve-10"))
    assert table["ratio"].mean() == pytest.approx(30 / 30), "ten of each of three motifs train, a fifth of 150 tests"


def test_a_difference_that_the_design_can_tell_is_found_four_times_in_five():
    # As the test has it: fold scores that correlate as their training sets overlap, rho / (1 - rho) = 1 / 4.
    rng, rho, count = np.random.default_rng(0), 1 / 5, 10
    found = compare(make_results({"a": 0.8, "b": 0.7}, repeats=2, seeds=1), "a", "b")
    reach = 0.02 * np.sqrt((1 - rho) / count + rho) * stats.t.ppf(0.975, count - 1)
    gap, declared = replace(found, difference=Interval(0.1, 0.1 - reach, 0.1 + reach, count)).detectable, 0
    for _ in range(2000):
        x = gap + 0.02 * (np.sqrt(rho) * rng.normal() + np.sqrt(1 - rho) * rng.normal(size=count))
        declared += corrected_test(x, np.zeros(count), ratio=1 / 4, images=150)[1] < 0.05
    assert declared / 2000 == pytest.approx(0.8, abs=0.03)
    wide = replace(found, difference=Interval(0.0, -1.0, 1.0, count))
    assert wide.detectable == 1, "nothing that could be is large enough"


def test_truly_trained_copies_with_other_seeds_are_not_declared_different():
    # Not simulated scores but nearest-centre classifiers on overlapping training sets; seeds draw their rows.
    rng, y, reached, declared = np.random.default_rng(5), np.repeat(np.arange(3), 30), [], 0

    def accuracy(x, train, test):
        rows = rng.choice(train, len(train))
        centres = np.array([x[rows[y[rows] == k]].mean(axis=0) for k in range(3)])
        return (((x[test, None] - centres) ** 2).sum(axis=2).argmin(axis=1) == y[test]).mean()

    for _ in range(200):
        x = rng.normal(0, 1, (90, 6)) + np.eye(3, 6)[y] * 1.5
        tests = [test for _ in range(3) for test in np.array_split(rng.permutation(90), 5)]
        reached = [[accuracy(x, np.setdiff1d(np.arange(90), test), test) for _ in "ab"] for test in tests]
        declared += corrected_test(*np.array(reached).T, ratio=1 / 4, images=90)[1] < 0.05
    assert 0.6 < np.mean(reached) < 0.95, "the copies must have learnt something for this to mean anything"
    assert declared <= stats.binom.ppf(0.99, 200, 0.05)


def test_wilson_of_the_published_counts_is_as_wide_as_30_images_allow():
    found, known = wilson(24, 30), stats.binomtest(24, 30).proportion_ci(method="wilson")
    assert (found.value, found.n, found.low, found.high) == pytest.approx((0.8, 30, known.low, known.high), abs=1e-9)
    assert wilson(30, 30).low < 0.9, "a perfect score still has an interval"
    for correct, of in ((0, 0), (31, 30), (-1, 30)):
        with pytest.raises(BatikError, match="no interval"):
            wilson(correct, of)


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
