"""Tests between two models."""

from dataclasses import replace

import numpy as np
import pytest
from results_factory import make_fit, make_results, paths_and_labels
from scipy import stats

from batik_utils.errors import BatikError
from batik_utils.stats.compare import (
    compare,
    compare_family,
    compare_published,
    fold_gap,
    fold_pairs,
    mcnemar_fits,
    published_family,
    shared_folds,
)
from batik_utils.stats.intervals import corrected_error, corrected_test
from batik_utils.stats.scores import fold_scores
from batik_utils.values import Results


def test_a_clear_difference_is_declared_in_either_direction():
    results = make_results({"a": 0.9, "b": 0.6}, repeats=3, seeds=2)
    forth, back = compare(results, "a", "b"), compare(results, "b", "a")
    assert forth.declared and forth.difference.low > 0 and forth.p_a_better > 0.95
    assert back.declared and back.difference.high < 0 and back.p_b_better > 0.95
    assert forth.p_value == pytest.approx(back.p_value)
    assert (forth.folds, forth.repeats) == (5, 3)


def test_the_corrected_test_by_hand():
    x, y = np.array([0.8, 0.7, 0.9, 0.8, 0.75]), np.array([0.7, 0.7, 0.75, 0.7, 0.7])
    gaps = x - y
    t = gaps.mean() / np.sqrt(gaps.var(ddof=1) * (1 / 5 + 1 / 4))
    assert corrected_test(x, y, 5, 100)[1] == pytest.approx(2 * stats.t.sf(t, 4))
    for x, y in np.random.default_rng(0).normal(0.8, 0.05, (50, 2, 10)):
        interval, p = corrected_test(x, y, folds=5, images=100)
        assert (p < 0.05) == (0 not in interval), "declared where the interval excludes nought"


def test_folds_that_all_differ_alike_are_no_certainty():
    perfect = np.ones(5)
    same, p = corrected_test(perfect, perfect, 5, 30)
    assert (same.value, p) == (0, 1) and same.low == pytest.approx(-0.114, abs=1e-3) and same.high == -same.low
    apart, p = corrected_test(perfect, perfect - 0.5, 5, 30)
    assert p == pytest.approx(stats.fisher_exact([[30, 0], [15, 15]]).pvalue) and 0 < apart.low < 0.5 < apart.high
    few, p = corrected_test(perfect, perfect - 0.5, 5, 4)
    assert p > 0.05 and 0 in few, "two images of four are no difference that can be declared"


def test_the_posterior_is_a_student_t_with_the_corrected_error():
    results = make_results({"a": 0.8, "b": 0.7}, repeats=3, seeds=2)
    found, scores = compare(results, "a", "b"), fold_pairs(results, "a", "b").scores
    gaps = scores["a"] - scores["b"]
    believed = stats.t(14, gaps.mean(), corrected_error(gaps, 5))
    assert found.p_a_better == pytest.approx(believed.sf(0.02), rel=1e-6)
    assert found.p_b_better == pytest.approx(believed.cdf(-0.02), rel=1e-6)
    assert found.p_a_better + found.p_same + found.p_b_better == pytest.approx(1)


def test_a_model_is_the_same_as_itself():
    results = make_results({"a": 0.8}, repeats=2, seeds=1)
    twins = [replace(r, fit=replace(r.fit, model="b")) for r in results]
    found = compare(Results((*results.items, *twins)), "a", "b")
    assert found.p_a_better == pytest.approx(found.p_b_better) and 0.1 < found.p_same < 0.9
    assert found.p_value == 1 and not found.declared
    assert found.difference.low < 0 < found.difference.high, "150 images cannot show that two are the same"


def test_unequal_repeats_and_seeds_meet_on_the_folds_they_share():
    results = make_results({"a": 0.8, "b": 0.6}, repeats={"a": 4, "b": 1}, seeds={"a": 3, "b": 1})
    found = compare(results, "a", "b")
    assert (found.repeats, found.seeds_a, found.seeds_b) == (1, 3, 1)
    assert compare(Results(tuple(r for r in results if r.fit.repeat == 0)), "a", "b") == found
    shared = shared_folds(results, "a", "b")
    assert {(r.fit.model, r.fit.repeat) for r in shared} == {("a", 0), ("b", 0)} and len(shared) == 20
    assert fold_scores(shared, "a")["value"].mean() == pytest.approx(found.mean_a), "what stands side by side adds up"
    assert shared_folds(results, "a", "none") is results
    gap = fold_gap(fold_scores(results, "a"), fold_scores(results, "b"))
    assert gap == found.difference and fold_gap(fold_scores(results, "a"), fold_scores(results, "none")) is None


def test_a_repeat_that_lacks_a_fold_is_left_out_and_folds_of_different_images_are_not_paired():
    results = make_results({"a": 0.8, "b": 0.6}, repeats=2, seeds=1)

    def without(*gone):
        return Results(tuple(r for r in results if (r.fit.model, r.fit.repeat, r.fit.fold) not in gone))

    assert compare(without(("a", 1, 2)), "a", "b").repeats == 1
    assert compare(without(("a", 1, 2), ("b", 0, 4)), "a", "b") is None
    assert compare(results, "a", "nothing") is None
    assert fold_pairs(without(("b", 0, 4)), "a", "b").scores.index.tolist() == [(1, f) for f in range(5)]
    results = make_results({"a": 0.8, "b": 0.6}, repeats=1, seeds=1)
    *items, last = results.items
    with pytest.raises(BatikError, match="different images"):
        compare(Results((*items, replace(last, paths=tuple(f"x{p}" for p in last.paths)))), "a", "b")


def test_mcnemar_counts_images_by_path_and_is_exact():
    paths, labels = paths_and_labels(10)
    right_a, right_b = np.arange(30) < 24, (np.arange(30) >= 8) & (np.arange(30) < 24)
    a = make_fit("a", right_a, labels, paths)
    order = np.random.default_rng(0).permutation(30)
    found = mcnemar_fits(a, make_fit("b", right_b[order], labels[order], [paths[i] for i in order]))
    assert (found.both, found.only_a, found.only_b, found.neither, found.n) == (16, 8, 0, 6, 30)
    assert found.p_value == pytest.approx(2 * 0.5**8)
    assert mcnemar_fits(a, a).p_value == 1
    with pytest.raises(BatikError, match="different images"):
        mcnemar_fits(a, make_fit("b", [True], [0], ["y.jpg"]))


def test_the_published_split_is_compared_seed_by_seed_and_by_the_median_fits():
    results = make_results({}, published={"a": (27, 28, 29), "b": (12, 15, 10, 11)})
    found = compare_published(results, "a", "b")
    assert [(t.seed_a, t.seed_b) for t in found.seeds] == [(0, 0), (1, 1), (2, 2)]
    assert (found.median.seed_a, found.median.seed_b) == (1, 3)
    assert all(t.p_value < 0.05 for t in found.seeds)
    assert compare_published(results, "a", "c") is None


def test_holm_multiplies_the_smallest_p_of_a_family_by_the_number_of_its_tests():
    results = make_results({"a": 0.9, "b": 0.8, "c": 0.78}, repeats=2, seeds=2)
    found = compare_family(results, [("a", "b"), ("a", "c"), ("b", "c"), ("a", "b"), ("a", "none")])
    assert [(c.a, c.b) for c in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert min(c.p for c in found) == pytest.approx(min(1, 3 * min(c.p_value for c in found)))
    assert all(c.p_adjusted >= c.p_value for c in found)
    assert compare_family(results, [("a", "b")])[0].p_adjusted is None
    one = replace(found[0], p_value=0.03, p_adjusted=None)
    assert one.declared and not replace(one, p_adjusted=0.06).declared, "what Holm takes back is not declared"


def test_mcnemars_tests_are_a_family_too_and_so_are_those_of_each_seed():
    results = make_results({}, published={"a": (27, 28, 29), "b": (12, 15, 10), "c": (20, 21, 22)})
    found = published_family(results, "a", ["b", "c", "none"])
    assert [c.median.b for c in found] == ["b", "c"]
    for tests in ([c.median for c in found], *zip(*(c.seeds for c in found), strict=True)):
        assert min(t.p for t in tests) == pytest.approx(2 * min(t.p_value for t in tests))
        assert max(t.p for t in tests) == pytest.approx(max(max(t.p_value, 2 * tests[0].p_value) for t in tests))
    assert published_family(results, "a", ["b"])[0].median.p_adjusted is None


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
        declared += corrected_test(*np.array(scores).T, 5, 90)[1] < 0.05
    assert 0.6 < np.mean(scores) < 0.95, "the copies must have learnt something for this to mean anything"
    assert declared <= stats.binom.ppf(0.99, 200, 0.05)
