"""Each rule is fed numbers on both sides of its line."""

from dataclasses import replace

import pandas as pd
import pytest
from results_factory import make_dataset, make_results

from batik_utils import wording
from batik_utils.report import verdicts
from batik_utils.stats.calibration import Calibration, Quality
from batik_utils.stats.claims import ClaimRow
from batik_utils.stats.compare import Comparison, McNemar, PublishedComparison
from batik_utils.stats.intervals import Interval, VarianceSplit
from batik_utils.stats.power import Power
from batik_utils.stats.search import Choice
from batik_utils.values import Hyper, Pair, Results


def _band(value, reach=0.05):
    return Interval(value, value - reach, value + reach, 50)


def _comparison(gap=0.1, p=0.001, same=0.01, **more):
    better = 1 - same - 0.001 if gap > 0 else 0.001
    given = {"a": "a", "b": "b", "protocol": "grouped", "metric": "accuracy", "folds": 5, "repeats": 10}
    given |= {"seeds_a": 5, "seeds_b": 5, "mean_a": 0.7 + gap, "mean_b": 0.7, "p_value": p, "rope": 0.02}
    given |= {"difference": _band(gap, 0.04 if p < 0.05 else abs(gap) + 0.04)}
    given |= {"p_a_better": better, "p_same": same, "p_b_better": 1 - same - better}
    return Comparison(**(given | more))


@pytest.mark.parametrize(
    ("comparison", "got", "word", "opening"),
    [
        (_comparison(), 100, "better", "A is better than B: 80.0\u00a0% against 70.0\u00a0%"),
        (_comparison(gap=-0.1), 100, "worse", "A is worse than B: 60.0\u00a0% against 70.0\u00a0%"),
        (_comparison(gap=0.04, p=0.2), 100, "open", "No difference can be shown between A and B"),
        (_comparison(gap=0.004, p=0.6, same=0.97), 100, "same", "A and B are practically the same"),
        (_comparison(gap=0.01, p=0.01, same=0.99), 100, "same", "A and B are practically the same"),
        (_comparison(p_adjusted=0.2), 100, "open", "No difference can be shown"),
        (_comparison(), 89, "too few fits", "There are not enough fits for a verdict between A and B: 89 of 100"),
        (_comparison(), 90, "better", "A is better"),
        (None, 100, "too few fits", "There are not enough fits"),
    ],
)
def test_the_verdict(comparison, got, word, opening):
    found = verdicts.verdict(comparison, "A", "B", got, 100)
    assert found.word == word
    assert found.sentence.startswith(opening) and found.sentence.endswith(".")
    assert found.short.lower().startswith(opening.split(":")[0].split(" between")[0].lower())


def test_the_verdict_shows_its_evidence():
    sentence = verdicts.verdict(_comparison(), "A", "B", 100, 100).sentence
    assert "difference +10.0\u00a0points" in sentence and "+6.0 to +14.0\u00a0points" in sentence
    assert "5 folds × 10 repeats, 5 training seeds" in sentence
    unequal = verdicts.verdict(_comparison(seeds_b=1, p_adjusted=0.002), "A", "B", 100, 100).sentence
    assert "5 and 1 training seeds" in unequal and "after Holm’s correction" in unequal


def test_the_verdict_of_counted_fits():
    first, *rest = make_results({"a": 0.9, "b": 0.6}, repeats=1, seeds=1)
    lacking = Results((replace(first, missing="killed"), *rest))
    assert verdicts.fit_counts(lacking, ["a", "b"]) == (9, 10)
    assert verdicts.fit_counts(lacking, ["b"]) == (5, 5)


def test_mcnemar_in_words():
    def found(p):
        m = McNemar("a", "b", 0, 0, 16, 8, 1, 5, p)
        return PublishedComparison(m, (m,))

    opening = "On these 30 images, with p < 0.05, the test "
    assert verdicts.mcnemar({"A and B": found(0.049)}) == f"{opening}tells apart A and B."
    assert verdicts.mcnemar({"A and B": found(0.05)}) == f"{opening}does not tell apart A and B."
    both = verdicts.mcnemar({"A and B": found(0.2), "A and C": found(0.01), "A and D": found(0.3)})
    assert both == f"{opening}tells apart A and C, and does not tell apart A and B; A and D."
    assert "No two models" in verdicts.mcnemar({})


@pytest.mark.parametrize(
    ("comparison", "opening"),
    [
        (_comparison(), "Feeding it upside down costs 10.0\u00a0points: A reaches 80.0"),
        (_comparison(gap=0.02, p=0.3), "Feeding it upside down is a mistake, but no cost can be shown"),
        (_comparison(gap=-0.1), "Unexpectedly, feeding it upside down does better by 10.0\u00a0points"),
        (None, "What feeding it upside down costs cannot be said"),
    ],
)
def test_the_cost_of_a_mistake(comparison, opening):
    assert verdicts.mistake_cost(comparison, "A", "B", "feeding it upside down").startswith(opening)


@pytest.mark.parametrize(
    ("scratch", "pretrained", "says"),
    [
        (11_169_347, 2_422_339, "the pretrained one; the scratch model is over the 10 million"),
        (9_999_999, 2_422_339, "9,999,999 parameters and MobileNetV2 2,422,339: both are under"),
        (11_169_347, 10_000_000, "Scratch CNN and MobileNetV2 are over"),
        (9_999_999, 10_000_000, ": MobileNetV2 is over"),
    ],
)
def test_which_model_keeps_the_limit(scratch, pretrained, says):
    found = verdicts.parameter_limit(("Scratch CNN", scratch), ("MobileNetV2", pretrained), 10_000_000)
    assert says in found


def test_against_chance():
    def sentence(accuracy):
        return verdicts.learnt("A", accuracy, 1 / 3, {})

    assert "does better than chance" in sentence(_band(0.6)) and sentence(_band(0.6)).endswith("%.")
    assert "cannot be told from chance" in sentence(_band(0.36))
    assert "does worse than chance" in sentence(_band(0.2))
    assert "too few fits" in sentence(None)


def test_what_a_model_learnt_beyond_its_baselines():
    def sentence(colour):
        return verdicts.learnt("A", _band(0.8), 1 / 3, {"file metadata": _band(0.3), "colour": colour})

    assert "On the same folds, it beats file metadata (by 30.0\u00a0points) and colour" in sentence(_band(0.1))
    assert "learnt more than these baselines can" in sentence(_band(0.1))
    undecided = sentence(_band(-0.02))
    assert "cannot be shown to beat colour (−2.0\u00a0points)" in undecided and "learnt more" not in undecided
    assert "it is beaten by colour" in sentence(_band(-0.2))


@pytest.mark.parametrize(
    ("data", "seed", "says"),
    [
        (0.06, 0.01, "far more than the training seed"),
        (0.06, 0.04, "both matter"),
        (
            0.01,
            0.05,
            "seed matters more than which images are drawn: standard deviation 1.0\u00a0points between folds, 5.0",
        ),
        (0, 0, "the same in every fold"),
    ],
)
def test_what_moves_the_score(data, seed, says):
    assert says in verdicts.variance("A", VarianceSplit(data**2, seed**2, 50, 5))


def _calibration(confidence, ece, after_loss=0.5):
    before = Quality(ece, 0.3, 0.6, confidence, 0.8, pd.DataFrame())
    return Calibration("m", before, replace(before, ece=0.02, brier=0.28, log_loss=after_loss), (1.5,))


def test_calibration_in_words():
    sure, unsure, good = _calibration(0.95, 0.15), _calibration(0.6, 0.2), _calibration(0.81, 0.03, after_loss=0.6)
    every = verdicts.calibration({"A": sure, "B": unsure, "C": good, "D": sure})
    assert every.startswith("Too sure of themselves: A and D; too unsure of themselves: B; well calibrated: C.")
    assert every.endswith("lowers the loss of A, B and D and hardly changes that of C.")
    alone = verdicts.calibration({"C": good})
    assert alone == "Well calibrated: C. A temperature, fitted on other folds, hardly changes the loss of C."
    assert "cannot be measured" in verdicts.calibration({})


def test_shortcuts():
    def sentence(plain=0.85, **found):
        return verdicts.corruptions("A", {"none": plain} | found, 1 / 3, 150)

    assert "loses most when images are stripped of colour (30.0\u00a0points)" in sentence(greyscale=0.55, blur=0.8)
    assert "next to nothing" in sentence(greyscale=0.84, blur=0.83)
    assert "margin" in sentence(border=0.6) and "margin" not in sentence(border=0.35)
    # Near chance on whole pictures there is nothing for a border to explain.
    assert "margin" not in sentence(plain=0.4, border=0.6)


@pytest.mark.parametrize(
    ("accuracy", "says"),
    [
        (_band(0.34), "falls to chance"),
        (_band(0.5), "a leak is suspected"),
        (_band(0.2), "below chance"),
        (None, "too few"),
    ],
)
def test_shuffled_labels(accuracy, says):
    assert says in verdicts.permutation("A", accuracy, 1 / 3)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            (0.5, 0.6, 0.7, 0.8),
            "still rising, from 50.0\u00a0% with 5 training images per motif to 80.0\u00a0% with 40",
        ),
        ((0.5, 0.7, 0.8, 0.81), "levelled off"),
        ((0.5, 0.7, 0.85, 0.8), "too noisy"),
        ((0.5,), "too few points"),
    ],
)
def test_the_learning_curve(values, says):
    assert says in verdicts.learning_curve("A", dict(zip((5, 10, 20, 40), values, strict=False)))


def test_the_search():
    choice = Choice("m", Hyper(20, 0.001, 0.3), 27, 5, 0.9, 0.8, Hyper(40, 0.003, 0.0), 0.88, 0.93)
    found = verdicts.search("A", choice)
    assert "Of 27 settings of A, validation chose 20 epochs, a learning rate of 0.001 and a dropout of 0.3" in found
    assert "Choosing on the test images would have shown 88.0\u00a0%, 8.0\u00a0points too much" in found
    assert "the test images, as the seed study did, would" in verdicts.search("A", choice, seed_chose_by_test=True)
    same = replace(choice, test_chosen=choice.hyper, test_chosen_accuracy=0.8)
    assert "would have shown the same here" in verdicts.search("A", same)


def _row(verdict, what="it"):
    claim = {"id": "c", "what": what, "where": "3", "model": "m", "metric": "accuracy", "value": 0.5, "n": None}
    return ClaimRow(**claim, title="M", verdict=verdict, reason="")


def test_claims_in_one_sentence():
    rows = [_row("reproduced"), _row("not reproduced", "the loss"), _row("not comparable")]
    assert verdicts.claims_summary(rows) == (
        "Of 3 published numbers, 1 is reproduced, 1 is not reproduced and 1 is not comparable. "
        "Not reproduced: the loss."
    )
    assert "Not reproduced:" not in verdicts.claims_summary(rows[:1])


def test_power_in_words():
    given = Power(150, 5, 10, 0.5, 0.3, 0.1, 0.35, 0.18, 0.2, 0.1, 400, 30, 0.08)
    found = verdicts.power(given, "A", "B")
    assert "found 35.0\u00a0% of the time; only one of 18.0\u00a0points" in found
    assert "takes 400 images" in found and "the one fixed split has 30" in found
    assert "which is enough" in verdicts.power(replace(given, found=0.9), "A", "B")
    assert "no number of images" in verdicts.power(replace(given, images_needed=None), "A", "B")
    assert "fixed split" not in verdicts.power(replace(given, published_n=None), "A", "B")
    assert "share no folds" in verdicts.power(None, "A", "B")


def test_missing_fits_are_counted():
    assert verdicts.missing_fits(10, 10) == "All 10 planned fits have a result."
    lacking = verdicts.missing_fits(9, 10, ["out of memory"])
    assert "9 of 10 planned fits" in lacking and "1 is missing: out of memory" in lacking
    assert "2 are missing" in verdicts.missing_fits(8, 10)


def test_the_audit_tells_pairs_under_two_labels():
    bare = make_dataset(3)
    assert "no two that show the same" in verdicts.audit(bare)
    pairs = [Pair("a", "b", "exact", True, ""), Pair("c", "d", "mirrored", False, "")]
    two = verdicts.audit(replace(bare, pairs=tuple(pairs)))
    assert "2 pairs of pictures that are copies" in two and "9 files show 8 distinct" in two
    assert "**1 pair is under two different labels**" in two
    assert "None has two labels" in verdicts.audit(replace(bare, pairs=(pairs[1],)))


def test_twins_across_the_split():
    scores = {"A": (0.75, 0.8), "B": (float("nan"), 1.0)}
    split = "of the 30 test images of the one fixed split (@sec-protocols)"
    none = verdicts.twins(30, 0, scores)
    assert none == f"None {split} has a near-duplicate among its training images."
    found = verdicts.twins(30, 1, scores)
    assert f"1 {split} has" in found and "Without it, the median seed reaches: A 75.0\u00a0% instead" in found
    assert f"4 {split} have" in verdicts.twins(30, 4, scores) and "B nothing instead of" in found


def test_the_sizes_of_the_files():
    assert "Every picture is 64 × 64 pixels" in verdicts.sizes([64, 64], [64, 64])
    uneven = verdicts.sizes([64, 1200], [64, 64])
    assert "between 64 and 1,200 pixels wide and between 64 and 64 pixels high" in uneven


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (wording.percent(0.86667), "86.7\u00a0%"),
        (wording.signed_points(-0.031), "−3.1\u00a0points"),
        (wording.signed_points(-0.0001), "0.0\u00a0points"),
        (wording.percent_range(_band(0.8)), "75.0–85.0\u00a0%"),
        (wording.percent_range(_band(0.02)), "−3.0 to 7.0\u00a0%"),
        (wording.points_range(_band(0.01)), "−4.0 to +6.0\u00a0points"),
        (wording.p_value(0.0004), "p\u00a0<\u00a00.001"),
        (wording.p_value(0.0404), "p\u00a0=\u00a00.040"),
        (" ".join(map(wording.probability, (0.999, 0.5, 0.0))), ">\u00a00.99 0.50 <\u00a00.01"),
        (wording.count(1, "seed") + wording.count(1200, "image"), "1 seed1,200 images"),
        (wording.listed(["A", "B", "C"]) + wording.listed([]), "A, B and C"),
    ],
)
def test_numbers_are_written_one_way(text, shown):
    assert text == shown
