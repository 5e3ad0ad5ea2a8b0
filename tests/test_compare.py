"""Intervals, and tests between two models."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from results_factory import make_results
from scipy import stats

from batik_utils.errors import BatikError
from batik_utils.stats.compare import compare, compare_family, fold_gap, shared_folds
from batik_utils.stats.intervals import Interval, corrected_test, nadeau_bengio, wilson
from batik_utils.stats.scores import fold_scores, whole_repeats
from batik_utils.values import Results


def test_a_clear_difference_is_declared_in_either_direction():
    results = make_results({"a": 0.9, "b": 0.6}, repeats=3, seeds=2)
    forth, back = compare(results, "a", "b"), compare(results, "b", "a")
    assert forth.declared and forth.difference.low > 0
    assert back.declared and back.difference.high < 0
    assert forth.p_value == pytest.approx(back.p_value)
    assert (forth.folds, forth.repeats) == (5, 3)


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
    results = make_results({"a": 0.8, "b": 0.6}, repeats=1, seeds=1)
    *items, last = results.items
    with pytest.raises(BatikError, match="different images"):
        compare(Results((*items, replace(last, paths=tuple(f"x{p}" for p in last.paths)))), "a", "b")


def test_holm_multiplies_the_smallest_p_of_a_family_by_the_number_of_its_tests():
    results = make_results({"a": 0.9, "b": 0.8, "c": 0.78}, repeats=2, seeds=2)
    found = compare_family(results, [("a", "b"), ("a", "c"), ("b", "c"), ("a", "b"), ("a", "none")])
    assert [(c.a, c.b) for c in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert min(c.p for c in found) == pytest.approx(min(1, 3 * min(c.p_value for c in found)))
    assert all(c.p_adjusted >= c.p_value for c in found)
    assert compare_family(results, [("a", "b")])[0].p_adjusted is None
    one = replace(found[0], p_value=0.03, p_adjusted=None)
    assert one.declared and not replace(one, p_adjusted=0.06).declared, "what Holm takes back is not declared"


def test_what_was_planned_beforehand_stands_by_itself_and_the_rest_is_a_family():
    results = make_results({"a": 0.9, "b": 0.84, "c": 0.83, "d": 0.82}, repeats=2, seeds=2)
    pairs = [("a", "b"), ("c", "d"), ("a", "c"), ("a", "d")]
    found = compare_family(results, pairs, primary=pairs[:2])
    assert [c.primary for c in found] == [True, True, False, False]
    assert [c.p for c in found[:2]] == [compare(results, *pair).p_value for pair in pairs[:2]]
    assert min(c.p for c in found[2:]) == pytest.approx(2 * min(c.p_value for c in found[2:]))
    assert replace(found[0], p_value=0.03).declared and not replace(found[2], p_value=0.03, p_adjusted=0.06).declared


def test_the_correction_takes_the_folds_as_large_as_they_are():
    results = make_results({"a": 0.8, "b": 0.7}, per_class=4, folds=5, repeats=1)  # 12 pictures: 3, 3, 2, 2, 2
    assert whole_repeats(fold_scores(results, "a"))["ratio"].mean() == pytest.approx((2 * 3 / 9 + 3 * 2 / 10) / 5)
    curve = make_results({"a": 0.8}, per_class=50, folds=5, repeats=1, protocol="curve-10")
    table = whole_repeats(fold_scores(curve, "a", "curve-10"))
    assert table["ratio"].mean() == pytest.approx(30 / 30), "ten of each of three motifs train, a fifth of 150 tests"


def test_a_difference_that_the_design_can_tell_is_found_four_times_in_five():
    # As the test has it: fold scores that correlate as their training sets overlap, rho / (1 - rho) = 1 / 4.
    rng, rho, scores = np.random.default_rng(0), 1 / 5, 10
    found = compare(make_results({"a": 0.8, "b": 0.7}, repeats=2, seeds=1), "a", "b")
    true_error = np.sqrt((1 - rho) / scores + rho)
    reach = 0.02 * true_error * stats.t.ppf(0.975, scores - 1)
    gap, declared = replace(found, difference=Interval(0.1, 0.1 - reach, 0.1 + reach, scores)).detectable, 0
    for _ in range(2000):
        x = gap + 0.02 * (np.sqrt(rho) * rng.normal() + np.sqrt(1 - rho) * rng.normal(size=scores))
        declared += corrected_test(x, np.zeros(scores), ratio=1 / 4, images=150)[1] < 0.05
    assert declared / 2000 == pytest.approx(0.8, abs=0.03)
    wide = replace(found, difference=Interval(0.0, -1.0, 1.0, scores))
    assert wide.detectable == 1, "nothing that could be is large enough"


def test_truly_trained_copies_with_other_seeds_are_not_declared_different():
    # Not simulated scores but nearest-centre classifiers on overlapping training sets; seeds draw their rows.
    rng, y, scores, declared = np.random.default_rng(5), np.repeat(np.arange(3), 30), [], 0

    def accuracy(x, train, test):
        rows = rng.choice(train, len(train))
        centres = np.array([x[rows[y[rows] == k]].mean(axis=0) for k in range(3)])
        return (((x[test, None] - centres) ** 2).sum(axis=2).argmin(axis=1) == y[test]).mean()

    for _ in range(200):
        x = rng.normal(0, 1, (90, 6)) + np.eye(3, 6)[y] * 1.5
        tests = [test for _ in range(3) for test in np.array_split(rng.permutation(90), 5)]
        scores = [[accuracy(x, np.setdiff1d(np.arange(90), test), test) for _ in "ab"] for test in tests]
        declared += corrected_test(*np.array(scores).T, ratio=1 / 4, images=90)[1] < 0.05
    assert 0.6 < np.mean(scores) < 0.95, "the copies must have learnt something for this to mean anything"
    assert declared <= stats.binom.ppf(0.99, 200, 0.05)


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
