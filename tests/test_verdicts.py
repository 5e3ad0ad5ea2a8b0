"""Each rule is fed numbers on both sides of its line."""

from dataclasses import replace

import pandas as pd
import pytest
from results_factory import make_dataset

from batik_utils import wording
from batik_utils.report import verdicts
from batik_utils.stats.calibration import Calibration, Quality
from batik_utils.stats.claims import ClaimRow
from batik_utils.stats.compare import Comparison, McNemar, PublishedComparison
from batik_utils.stats.intervals import Interval, VarianceSplit
from batik_utils.stats.power import Power
from batik_utils.stats.search import Choice
from batik_utils.values import Hyper, Pair


def _band(value, reach=0.05):
    return Interval(value, value - reach, value + reach, 50)


def _comparison(gap=0.1, p=0.001, same=0.01, **more):
    better = 1 - same - 0.001 if gap > 0 else 0.001
    given = {"a": "a", "b": "b", "metric": "accuracy", "folds": 5, "repeats": 10}
    given |= {"seeds_a": 5, "seeds_b": 5, "mean_a": 0.7 + gap, "mean_b": 0.7, "p_value": p, "rope": 0.02}
    given |= {"difference": _band(gap, 0.04 if p < 0.05 else abs(gap) + 0.04)}
    given |= {"p_a_better": better, "p_same": same, "p_b_better": 1 - same - better}
    return Comparison(**(given | more))


@pytest.mark.parametrize(
    ("comparison", "got", "word", "opening"),
    [
        (_comparison(), 100, "better", "A is better than B: 80.0 % against 70.0 %"),
        (_comparison(gap=-0.1), 100, "worse", "A is worse than B: 60.0 % against 70.0 %"),
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
    assert found.sentence.replace(wording.NBSP, " ").startswith(opening) and found.sentence.endswith(".")
    assert found.short.startswith(opening.split(":")[0]) and len(found.short) < len(found.sentence)


def test_the_verdict_shows_its_evidence():
    sentence = verdicts.verdict(_comparison(), "A", "B", 100, 100).sentence
    assert "difference +10.0\u00a0points" in sentence and "+6.0 to +14.0\u00a0points" in sentence
    assert "5 folds × 10 repeats, 5 training seeds" in sentence
    unequal = verdicts.verdict(_comparison(seeds_b=1, p_adjusted=0.002), "A", "B", 100, 100).sentence
    assert "5 and 1 training seeds" in unequal and "after Holm’s correction" in unequal


def _test(p):
    median = McNemar("a", "b", 0, 0, 16, 8, 1, 5, p)
    return PublishedComparison(median, (median,))


def _calibration(confidence, ece, after_loss=0.5):
    before = Quality(ece, 0.3, 0.6, confidence, 0.8, pd.DataFrame())
    return Calibration("m", before, replace(before, ece=0.02, brier=0.28, log_loss=after_loss), (1.5,))


def _claim(verdict, what="it"):
    claim = {"id": "c", "what": what, "where": "3", "model": "m", "metric": "accuracy", "value": 0.5, "n": None}
    return ClaimRow(**claim, verdict=verdict, reason="")


def _variance(data, seed):
    return verdicts.variance("A", VarianceSplit(data, seed, 50, 5))


def _learnt(accuracy, **over):
    return verdicts.learnt("A", accuracy, 1 / 3, over)


def _limit(scratch, pretrained):
    return verdicts.parameter_limit(("Scratch", scratch), ("Mobile", pretrained), 10_000_000)


def _cost(comparison):
    return verdicts.mistake_cost(comparison, "A", "B", "feeding it upside down")


def _permutation(accuracy):
    return verdicts.permutation("A", accuracy, 1 / 3)


def _corruptions(plain=0.85, **found):
    return verdicts.corruptions("A", {"none": plain} | found, 1 / 3, 150)


def _curve(*values):
    return verdicts.learning_curve("A", dict(zip((5, 10, 20, 40), values, strict=False)))


SPLIT = "of the 30 test images of the one fixed split (@sec-protocols)"
TWINS = {"A": (0.75, 0.8), "B": (float("nan"), 1.0)}
SURE, UNSURE, GOOD = _calibration(0.95, 0.15), _calibration(0.6, 0.2), _calibration(0.81, 0.03, after_loss=0.6)
WORSE, UNEVEN = _calibration(0.81, 0.03, after_loss=0.7), _calibration(0.81, 0.1)
CHOICE = Choice("m", Hyper(20, 0.001, 0.3), 27, 5, 0.9, 0.8, Hyper(40, 0.003, 0.0), 0.88, 0.93)
SAME = replace(CHOICE, test_chosen=CHOICE.hyper, test_chosen_accuracy=0.8)
POWER = Power(150, 5, 10, 0.5, 0.3, 0.1, 0.35, 0.18, 0.2, 0.1, 400, 30, 0.08)
ROWS = [_claim("reproduced"), _claim("not reproduced", "the loss"), _claim("not comparable")]
BARE, PAIRS = make_dataset(3), (Pair("a", "b", "exact", True, ""), Pair("c", "d", "mirrored", False, ""))
TEST = "On these 30 images, with p < 0.05, the test "


@pytest.mark.parametrize(
    ("sentence", "says", "never"),
    [
        (verdicts.mcnemar({"A and B": _test(0.049)}), TEST + "tells apart A and B.", "not"),
        (verdicts.mcnemar({"A and B": _test(0.05)}), TEST + "does not tell apart A and B.", ""),
        (
            verdicts.mcnemar({"A and B": _test(0.2), "A and C": _test(0.01), "A and D": _test(0.3)}),
            TEST + "tells apart A and C, and does not tell apart A and B; A and D.",
            "",
        ),
        (verdicts.mcnemar({}), "No two models", ""),
        (_cost(_comparison()), "Feeding it upside down costs 10.0 points: A reaches 80.0", ""),
        (_cost(_comparison(gap=0.02, p=0.3)), "Feeding it upside down is a mistake, but no cost can be shown", ""),
        (_cost(_comparison(gap=-0.1)), "Unexpectedly, feeding it upside down does better by 10.0 points", ""),
        (_cost(None), "What feeding it upside down costs cannot be said", ""),
        (_limit(11_169_347, 2_422_339), "11,169,347 … pretrained one; the scratch model is over the 10 million", ""),
        (_limit(9_999_999, 2_422_339), "2,422,339: both are under", ""),
        (_limit(11_169_347, 10_000_000), "Scratch and Mobile are over", ""),
        (_limit(9_999_999, 10_000_000), ": Mobile is over", ""),
        (_learnt(_band(0.6)), "does better than chance (33.3 %): 60.0 %, 95 % interval 55.0–65.0 %.", "same folds"),
        (_learnt(_band(0.36)), "cannot be told from chance", ""),
        (_learnt(_band(0.2)), "does worse than chance", ""),
        (_learnt(None), "too few fits", ""),
        (_learnt(_band(0.8), facts=_band(0.3), colour=_band(0.1)), "(by 30.0 points) and colour … learnt more", ""),
        (_learnt(_band(0.8), colour=_band(-0.02)), "cannot be shown to beat colour (−2.0 points)", "learnt more"),
        (_learnt(_band(0.8), colour=_band(-0.2)), "it is beaten by colour (by 20.0 points)", "learnt more"),
        (_variance(0.06, 0.01), "far more than the training seed", ""),
        (_variance(0.06, 0.04), "both matter", "far more"),
        (_variance(0.01, 0.05), "seed matters more … 5.0 points between training seeds", ""),
        (_variance(0, 0), "the same in every fold", ""),
        (
            verdicts.calibration({"A": SURE, "B": UNSURE, "C": GOOD, "D": SURE}),
            "Too sure of themselves: A and D; too unsure of themselves: B; well calibrated: C. … "
            "lowers the loss of A, B and D and hardly changes that of C.",
            "",
        ),
        (verdicts.calibration({"F": UNEVEN}), "Right on the whole, but not at each level of confidence: F.", "sure"),
        (verdicts.calibration({"A": SURE, "E": WORSE}), "lowers the loss of A and raises that of E.", "hardly"),
        (verdicts.calibration({"C": GOOD}), "Well calibrated: C. … hardly changes the loss of C.", "lowers"),
        (verdicts.calibration({}), "cannot be measured", ""),
        (_corruptions(greyscale=0.55, blur=0.8), "loses most when images are stripped of colour (30.0 points)", ""),
        (_corruptions(greyscale=0.84, blur=0.83), "next to nothing", ""),
        (_corruptions(border=0.6), "margin", ""),
        (_corruptions(border=0.35), "border", "margin"),
        # Near chance on whole pictures there is nothing for a border to explain.
        (_corruptions(plain=0.45, border=0.6), "A loses", "margin"),
        (_corruptions(plain=0.4, border=0.6), "too near chance", "loses"),
        (_permutation(_band(0.34)), "falls to chance", ""),
        (_permutation(_band(0.5)), "a leak is suspected", ""),
        (_permutation(_band(0.2)), "below chance", ""),
        (_permutation(None), "too few", ""),
        (_curve(0.5, 0.6, 0.7, 0.8), "rising, from 50.0 % with 5 training images per motif to 80.0 % with 40", ""),
        (_curve(0.5, 0.7, 0.8, 0.81), "levelled off", ""),
        (_curve(0.5, 0.7, 0.85, 0.8), "too noisy", ""),
        (_curve(0.5), "too few points", ""),
        (verdicts.search("A", CHOICE), "Of 27 settings of A, validation chose 20 epochs, a learning rate of 0.001", ""),
        (verdicts.search("A", CHOICE), "the test images would have shown 88.0 %, 8.0 points too much", "seed study"),
        (verdicts.search("A", CHOICE, True), "on the test images, as the seed study did, would", ""),
        (verdicts.search("A", SAME), "would have shown the same here", "too much"),
        (
            verdicts.claims_summary(ROWS),
            "Of 3 published numbers, 1 is reproduced, 1 is not reproduced and 1 is not comparable. "
            "Not reproduced: the loss.",
            "",
        ),
        (verdicts.claims_summary([_claim("within interval")]), "1 is inside the interval that", "Not reproduced:"),
        (verdicts.power(POWER, "A", "B"), "found 35.0 % of the time; only one of 18.0 points", "enough"),
        (verdicts.power(POWER, "A", "B"), "takes 400 images; the one fixed split has 30", ""),
        (
            verdicts.power(replace(POWER, detectable=1.0), "A", "B"),
            "none, however large, would be found 80 %",
            "only one",
        ),
        (verdicts.power(replace(POWER, found=0.9), "A", "B"), "which is enough", "only one of"),
        (verdicts.power(replace(POWER, images_needed=None), "A", "B"), "no number of images", "takes"),
        (verdicts.power(replace(POWER, published_n=None), "A", "B"), "takes 400 images.", "fixed split"),
        (verdicts.power(None, "A", "B"), "share no folds", ""),
        (verdicts.missing_fits(10, 10), "All 10 planned fits have a result.", ""),
        (verdicts.missing_fits(9, 10, ["no memory"]), "9 of 10 planned fits … 1 is missing: no memory", ""),
        (verdicts.missing_fits(8, 10), "2 are missing.", ""),
        (verdicts.sources("A", None, None), "cannot be said", "less than"),
        (verdicts.sources("A", _band(0.8, 0.1), _band(0.71, 0.1)), "near the 80.0 % … leans little", "less than"),
        (verdicts.sources("A", _band(0.8, 0.1), _band(0.69, 0.1)), "11.0 points less than … elsewhere", "leans"),
        (verdicts.others("A", 0.60, 0.02, "B", 0.5, 0.02), "10.0 points more than the best … 50.0 % of B", "no clear"),
        (verdicts.others("A", 0.45, 0.01, "B", 0.5, 0.02), "5.0 points less than the best", "no clear"),
        (verdicts.others("A", 0.54, 0.02, "B", 0.5, 0.02), "no clear difference from the best", "points more"),
        (verdicts.audit(BARE), "no two that show the same", ""),
        (
            verdicts.audit(replace(BARE, pairs=PAIRS)),
            "2 pairs of pictures for copies … 9 files count as 8 distinct",
            "",
        ),
        (verdicts.audit(replace(BARE, pairs=PAIRS)), "**1 pair is under two different labels**", "No pair"),
        (verdicts.audit(replace(BARE, pairs=PAIRS[1:])), "No pair has two labels", "**"),
        (verdicts.twins(30, 0, TWINS), f"None {SPLIT} has a near-duplicate among its training images.", "Without"),
        (verdicts.twins(30, 1, TWINS), f"1 {SPLIT} has … Without it, … A 75.0 % (80.0 % with it)", ""),
        (verdicts.twins(30, 4, TWINS), f"4 {SPLIT} have … Without them, … B nothing (100.0 % with them)", ""),
        (verdicts.sizes([64, 64], [64, 64]), "Every picture is 64 × 64 pixels", ""),
        (verdicts.sizes([64, 1200], [64, 64]), "64 and 1,200 pixels wide and between 64 and 64 pixels high", ""),
    ],
)
def test_each_side_of_each_line(sentence, says, never):
    sentence = sentence.replace(wording.NBSP, " ")
    assert all(part in sentence for part in says.split(" … "))
    assert not never or never not in sentence


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
        (f"{wording.count(1, 'seed')}, {wording.count(1200, 'image')}", "1 seed, 1,200 images"),
        (wording.listed(["A", "B", "C"]) + wording.listed([]), "A, B and C"),
    ],
)
def test_numbers_are_written_one_way(text, shown):
    assert text == shown
