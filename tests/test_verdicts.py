"""Each rule is fed numbers on both sides of its line."""

from dataclasses import replace

import pytest
from results_factory import make_dataset

from batik_utils import wording
from batik_utils.report import verdicts
from batik_utils.stats.claims import ClaimRow
from batik_utils.stats.compare import Comparison, McNemar, PublishedComparison
from batik_utils.stats.intervals import Interval
from batik_utils.values import Pair


def _band(value, reach=0.05):
    return Interval(value, value - reach, value + reach, 50)


def _comparison(gap=0.1, p=0.001, same=0.01, **more):
    better = 1 - same - 0.001 if gap > 0 else 0.001
    given = {"a": "a", "b": "b", "metric": "accuracy", "primary": True, "error": 0.02, "folds": 5, "repeats": 10}
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


def _test(p, adjusted=None):
    median = McNemar("a", "b", 0, 0, 16, 8, 1, 5, p, adjusted)
    return PublishedComparison(median, (median,))


def _claim(verdict, what="it", metric="accuracy"):
    claim = {"id": "c", "what": what, "where": "3", "model": "m", "metric": metric, "value": 0.5, "n": None}
    return ClaimRow(**claim, verdict=verdict, reason="")


def _learnt(accuracy, **over):
    return verdicts.learnt("A", accuracy, 1 / 3, over)


def _limit(scratch, pretrained):
    return verdicts.parameter_limit(("Scratch", scratch), ("Mobile", pretrained), 10_000_000)


def _cost(comparison):
    return verdicts.mistake_cost(comparison, "A", "B", "feeding it upside down")


def _permutation(accuracy):
    return verdicts.permutation("A", accuracy, 1 / 3)


OPEN, LOST = _comparison(gap=0.03, p=0.2), _comparison(gap=-0.1)
TAKEN_BACK = _comparison(p=0.03, p_adjusted=0.06)
SPLIT = "of the 30 test images of the one fixed split (@sec-protocols)"
TWINS = {"A": (_band(0.75), 0.8), "B": (None, 1.0)}
ROWS = [_claim("reproduced"), _claim("not reproduced", "the loss"), _claim("not comparable")]
SHUFFLED = [_claim("not comparable"), _claim("not comparable", metric="paired_wrong_f1")]
BARE, PAIRS = make_dataset(3), (Pair("a", "b", "exact", True, ""), Pair("c", "d", "mirrored", False, ""))
TEST = "On these 30 images, with p < 0.05, the test "


@pytest.mark.parametrize(
    ("sentence", "says", "never"),
    [
        (verdicts.mcnemar({"A from B": _test(0.049)}), TEST + "tells A from B.", "Holm"),
        (
            verdicts.mcnemar({"A from B": _test(0.03, 0.06), "A from C": _test(0.01, 0.02)}),
            "p < 0.05 after Holm’s correction, … tells A from C, and does not tell A from B.",
            "",
        ),
        (verdicts.mcnemar({"A from B": _test(0.05)}), TEST + "does not tell A from B.", ""),
        (
            verdicts.mcnemar({"A from B": _test(0.2), "A from C": _test(0.01), "A from D": _test(0.3)}),
            "the test tells A from C, and does not tell A from B; A from D.",
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
        (_learnt(_band(0.8), facts=_comparison(), colour=_comparison(gap=0.2)), "colour (+20.0 points), … learnt", ""),
        (_learnt(_band(0.8), colour=OPEN), "cannot be shown to beat colour (+3.0 points)", "learnt more"),
        (_learnt(_band(0.8), colour=TAKEN_BACK), "cannot be shown to beat colour (+10.0 points)", "learnt more"),
        (_learnt(_band(0.8), colour=LOST), "it is beaten by colour (−10.0 points)", "learnt more"),
        (verdicts.all_folds({}) or "nothing", "nothing", "folds"),
        (verdicts.all_folds({"A": _band(0.76)}), "A 76.0 %, 95 % interval 71.0–81.0 % (50 folds).", ""),
        (
            _permutation(_band(0.34)),
            "cannot be told from chance (34.0 %, 95 % interval 29.0–39.0 %, 50 folds",
            "no leak",
        ),
        (_permutation(_band(0.34)), "worth more than 5.7 points is excluded, a smaller one is not.", "suspected"),
        (_permutation(_band(0.384)), "a leak is suspected", "excluded"),
        (_permutation(_band(0.383)), "excluded", "suspected"),
        (_permutation(_band(0.2)), "below chance", "excluded"),
        (_permutation(None), "too few", ""),
        (
            verdicts.claims_summary(ROWS),
            "Of 3 published numbers, 1 is reproduced, 1 is not reproduced and 1 is not comparable. "
            "Not reproduced: the loss.",
            "",
        ),
        (verdicts.claims_summary([_claim("cannot be told")]), "1 cannot be told either way.", "Not reproduced:"),
        (verdicts.claims_summary(ROWS), "not comparable.", "shuffled"),
        (
            verdicts.claims_summary([_claim("reproduced", metric="images")]),
            "1 is reproduced (1 no more than a count of images).",
            "",
        ),
        (verdicts.claims_summary(SHUFFLED), "2 are not comparable (1 from reports whose labels were shuffled).", ""),
        (verdicts.missing_fits(10, 10), "All 10 planned fits have a result.", ""),
        (verdicts.missing_fits(9, 10, ["no memory"]), "9 of 10 planned fits … 1 is missing: no memory", ""),
        (verdicts.missing_fits(8, 10), "2 are missing.", ""),
        (verdicts.sources("A", None, None), "cannot be said", "less than"),
        (
            verdicts.sources("A", _band(0.8, 0.1), _band(0.71, 0.1)),
            "near the 80.0 % … whether it leans on who took a picture cannot be told",
            "less than",
        ),
        (
            verdicts.sources("A", _band(0.8, 0.1), _band(0.69, 0.1)),
            "11.0 points less than with near-duplicates together.",
            "leans",
        ),
        (verdicts.others("A", 0.60, 0.02, "B", 0.5, 0.02), "10.0 points more than the best … 50.0 % of B", "no clear"),
        (verdicts.others("A", 0.45, 0.01, "B", 0.5, 0.02), "5.0 points less than the best", "no clear"),
        (
            verdicts.others("A", 0.54, 0.02, "B", 0.5, 0.02),
            "no clear difference from the best … drawn at 5.7 points",
            "points more",
        ),
        (verdicts.audit(BARE), "no two that show the same", ""),
        (
            verdicts.audit(replace(BARE, pairs=PAIRS)),
            "2 pairs of pictures for copies … 9 files count as 8 distinct",
            "",
        ),
        (verdicts.audit(replace(BARE, pairs=PAIRS)), "**1 pair is under two different labels**", "No pair"),
        (verdicts.audit(replace(BARE, pairs=PAIRS[1:])), "No pair has two labels", "**"),
        (verdicts.twins(30, 0, TWINS), f"None {SPLIT} has a near-duplicate among its training images.", "Without"),
        (
            verdicts.twins(30, 1, TWINS),
            f"1 {SPLIT} has … Without it, … A 75.0 %, 95 % interval 70.0–80.0 % (80.0 % with it)",
            "",
        ),
        (verdicts.twins(30, 4, TWINS), f"4 {SPLIT} have … Without them, … B nothing (100.0 % with them)", ""),
        (verdicts.twins(30, 4, TWINS, 3), "training images, 3 of them under another label, where it misleads. … B", ""),
        (verdicts.twins(30, 4, TWINS), "training images. Without", "misleads"),
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
        # A number read from metrics.json, which has six decimals, is written like the one that it was.
        (wording.percent(0.6964996) + wording.percent(0.6965), "69.7\u00a0%69.7\u00a0%"),
        (wording.percent(0.6964994) + wording.percent(0.696499), "69.6\u00a0%69.6\u00a0%"),
        (wording.number(0.0125, 3) + wording.number(1.005, 2), "0.0131.01"),
        (wording.of_images(12 / 15, 15) + ", " + wording.of_images(0.82, 15), "12 of 15, 12.3 of 15"),
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
