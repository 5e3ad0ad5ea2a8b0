"""Each rule is fed numbers that flip its sentence."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from results_factory import MOTIFS, make_results

from batik_utils import wording
from batik_utils.report import remarks
from batik_utils.report import verdicts as findings
from batik_utils.stats.calibration import Calibration, Quality
from batik_utils.stats.claims import ClaimRow
from batik_utils.stats.compare import Comparison, McNemar, PublishedComparison
from batik_utils.stats.intervals import Interval, VarianceSplit
from batik_utils.stats.metrics import published_summary
from batik_utils.stats.mispairing import mispaired_accuracy
from batik_utils.stats.power import Power
from batik_utils.stats.search import Choice
from batik_utils.values import Hyper


def _band(value, reach=0.05):
    return Interval(value, value - reach, value + reach, 50, "nadeau-bengio")


def _comparison(gap=0.1, p=0.001, same=0.01, **more):
    a_better = 1 - same - 0.001 if gap > 0 else 0.001
    given = {
        "a": "a",
        "b": "b",
        "protocol": "grouped",
        "metric": "accuracy",
        "folds": 5,
        "repeats": 10,
        "seeds_a": 5,
        "seeds_b": 5,
        "mean_a": 0.7 + gap,
        "mean_b": 0.7,
        "difference": _band(gap, 0.04 if p < 0.05 else abs(gap) + 0.04),
        "p_value": p,
        "p_a_better": a_better,
        "p_same": same,
        "p_b_better": 1 - same - a_better,
        "rope": 0.02,
    }
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
    found = findings.verdict(comparison, "A", "B", got, 100)
    assert found.word == word
    assert found.sentence.startswith(opening) and found.sentence.endswith(".")
    short = findings.short_verdict(comparison, "A", "B", got, 100)
    assert short.lower().startswith(opening.split(":")[0].split(" between")[0].lower())


def test_the_verdict_shows_its_evidence():
    sentence = findings.verdict(_comparison(), "A", "B", 100, 100).sentence
    assert "difference +10.0\u00a0points" in sentence and "+6.0 to +14.0\u00a0points" in sentence
    assert "5 folds × 10 repeats, 5 training seeds" in sentence
    unequal = findings.verdict(_comparison(seeds_b=1, p_adjusted=0.002), "A", "B", 100, 100).sentence
    assert "5 and 1 training seeds" in unequal and "after Holm’s correction" in unequal


def test_the_verdict_of_counted_fits():
    results = make_results({"a": 0.9, "b": 0.6}, repeats=1, seeds=1)
    failed = replace(results.items[0], missing="killed")
    assert findings.fit_counts(results, ["a", "b"]) == (10, 10)
    lacking = type(results)((failed, *results.items[1:]))
    assert findings.fit_counts(lacking, ["a", "b"]) == (9, 10)
    assert findings.fit_counts(lacking, ["b"]) == (5, 5)


def test_mcnemar_in_words():
    def found(p, seeds=(0.2, 0.01)):
        m = McNemar("a", "b", 0, 0, 16, 8, 1, 5, p)
        return PublishedComparison("a", "b", tuple(replace(m, p_value=s) for s in seeds), m)

    assert "which sets them apart (exact" in findings.published_comparison(found(0.039), "A", "B")
    apart = findings.published_comparison(found(0.2), "A", "B")
    assert "disagree on 9 (8 only A gets right, 1 only B), which does not" in apart
    assert "1 of 2 tests fall under 0.05" in apart
    assert "cannot be compared" in findings.published_comparison(None, "A", "B")


def test_the_cost_of_the_wrong_preprocessing():
    def sentence(c):
        return findings.preprocessing_cost(c, "own", "seed's")

    assert "costs 10.0\u00a0points" in sentence(_comparison())
    assert "no cost can be shown" in sentence(_comparison(gap=0.02, p=0.3))
    assert "Unexpectedly" in sentence(_comparison(gap=-0.1))
    assert "cannot be said" in sentence(None)


def test_which_model_keeps_the_limit():
    def sentence(scratch, pretrained):
        return findings.parameter_limit("Scratch CNN", scratch, "MobileNetV2", pretrained)

    seeds_case = sentence(11_169_347, 2_422_339)
    assert "11,169,347" in seeds_case and "the pretrained one, and the scratch model is over" in seeds_case
    assert "both are under" in sentence(9_999_999, 2_422_339)
    assert "Scratch CNN and MobileNetV2 are over" in sentence(11_169_347, 10_000_000)


def test_against_chance():
    assert "does better than chance" in findings.against_chance("A", _band(0.6), 1 / 3)
    assert "cannot be told from chance" in findings.against_chance("A", _band(0.36), 1 / 3)
    assert "does worse than chance" in findings.against_chance("A", _band(0.2), 1 / 3)
    assert "too few fits" in findings.against_chance("A", None, 1 / 3)


def test_what_a_model_learnt_beyond_its_baselines():
    def sentence(colour):
        return findings.learnt("A", _band(0.8), 1 / 3, {"file metadata": _band(0.3), "colour": colour})

    assert "On the same folds, it beats file metadata (by 30.0\u00a0points) and colour" in sentence(_band(0.1))
    assert "learnt more than these baselines can" in sentence(_band(0.1))
    undecided = sentence(_band(-0.02))
    assert "cannot be shown to beat colour (−2.0\u00a0points)" in undecided and "learnt more" not in undecided
    assert "it is beaten by colour" in sentence(_band(-0.2))
    assert findings.learnt("A", _band(0.8), 1 / 3, {"colour": None}).endswith("%.")


def test_what_moves_the_score():
    def sentence(data, seed):
        return findings.variance("A", VarianceSplit(data**2, seed**2, 50, 5))

    assert "far more than the training seed" in sentence(0.06, 0.01)
    assert "both matter" in sentence(0.06, 0.04)
    assert "seed matters more" in sentence(0.01, 0.05)
    assert "5.0\u00a0points between training seeds" in sentence(0.01, 0.05)
    assert "the same in every fold" in sentence(0, 0)
    assert "cannot be said" in findings.variance("A", None)


def test_the_range_over_seeds():
    def sentence(*counts):
        return findings.seed_range("A", published_summary(make_results({}, published={"m": counts}), "m"))

    assert "(median over 3 training seeds, range 66.7–80.0\u00a0%)" in sentence(24, 20, 22)
    assert "interval of 22 of 30 is" in sentence(24, 20, 22)
    assert "with each of 2 training seeds" in sentence(24, 24)
    assert "no fit" in findings.seed_range("A", None)


def _calibration(confidence, ece, after_loss=0.5):
    before = Quality(ece, 0.3, 0.6, confidence, 0.8, pd.DataFrame())
    return Calibration("m", before, replace(before, ece=0.02, brier=0.28, log_loss=after_loss), (1.5,), 150, 5)


def test_calibration_in_words():
    assert "too sure of itself" in remarks.calibration("A", _calibration(0.95, 0.15))
    assert "too unsure of itself" in remarks.calibration("A", _calibration(0.6, 0.2))
    assert "well calibrated" in remarks.calibration("A", _calibration(0.81, 0.03))
    assert "a temperature of 1.50, fitted on other folds, lowers the loss" in remarks.calibration(
        "A", _calibration(0.95, 0.15)
    )
    assert "hardly changes the loss" in remarks.calibration("A", _calibration(0.81, 0.03, after_loss=0.6))
    assert "cannot be measured" in remarks.calibration("A", None)


def test_shortcuts():
    def sentence(**found):
        return remarks.corruptions("A", 0.85, found, 1 / 3, 150)

    assert "loses most when images are stripped of colour (30.0\u00a0points)" in sentence(greyscale=0.55, blur=0.8)
    assert "next to nothing" in sentence(greyscale=0.84, blur=0.83)
    assert "margin" in sentence(border=0.6) and "margin" not in sentence(border=0.35)
    # Near chance on whole pictures there is nothing for a border to explain.
    assert "margin" not in remarks.corruptions("A", 0.4, {"border": 0.6}, 1 / 3, 150)
    assert "not tested" in sentence()


def test_shuffled_labels():
    assert "falls to chance" in remarks.permutation("A", _band(0.34), 1 / 3)
    assert "a leak is suspected" in remarks.permutation("A", _band(0.5), 1 / 3)
    assert "below chance" in remarks.permutation("A", _band(0.2), 1 / 3)
    assert "too few" in remarks.permutation("A", None, 1 / 3)


def test_the_learning_curve():
    def sentence(*values):
        return remarks.learning_curve("A", {k: _band(v) for k, v in zip((5, 10, 20, 40), values, strict=False)})

    assert "still rising" in sentence(0.5, 0.6, 0.7, 0.8)
    assert "levelled off" in sentence(0.5, 0.7, 0.8, 0.81)
    assert "too noisy" in sentence(0.5, 0.7, 0.85, 0.8)
    assert "too few points" in sentence(0.5)
    assert "from 50.0\u00a0% with 5 training images per motif to 80.0\u00a0% with 40" in sentence(0.5, 0.6, 0.7, 0.8)


def test_the_search():
    choice = Choice("m", Hyper(20, 0.001, 0.3), 27, 5, 0.9, 0.8, Hyper(40, 0.003, 0.0), 0.88, 0.93)
    found = remarks.search("A", choice)
    assert "Of 27 settings of A, validation chose 20 epochs, a learning rate of 0.001 and a dropout of 0.3" in found
    assert "would have shown 88.0\u00a0%, 8.0\u00a0points too much" in found and "93.3" not in found
    same = replace(choice, test_chosen=choice.hyper, test_chosen_accuracy=0.8)
    assert "the same here" in remarks.search("A", same)
    assert "not tuned" in remarks.search("A", None)


def test_the_shuffled_report_in_words():
    labels = np.repeat([0, 1, 2], 10)
    found = mispaired_accuracy(labels, labels, MOTIFS, shuffles=500)
    sentence = remarks.mispairing("A", found, 0.27)
    assert sentence.startswith("A gets 100.0\u00a0% right") and "show 33.3\u00a0% on average" in sentence


def _row(verdict, what="it"):
    empty = dict.fromkeys(("n", "value_interval", "median", "low", "high", "interval", "grouped"))
    return ClaimRow("c", what, "3", "m", "M", "accuracy", 0.5, seeds=3, verdict=verdict, reason="", **empty)


def test_claims_in_one_sentence():
    rows = [_row("reproduced"), _row("not reproduced", "the loss"), _row("not comparable")]
    assert findings.claims_summary(rows) == (
        "Of 3 published numbers, 1 is reproduced, 1 is not reproduced and 1 is not comparable. "
        "Not reproduced: the loss."
    )
    assert "Not reproduced:" not in findings.claims_summary(rows[:1])
    assert "no published number" in findings.claims_summary([])


def test_power_in_words():
    given = Power("a", "b", 150, 5, 10, 0.5, 0.3, 0.1, 0.35, 0.18, 0.2, 0.1, 400, 30, 0.08)
    found = remarks.power(given, "A", "B")
    assert "found 35.0\u00a0% of the time; only one of 18.0\u00a0points" in found
    assert "takes 400 images" in found and "the published split has 30" in found
    assert "which is enough" in remarks.power(replace(given, found=0.9), "A", "B")
    assert "no number of images" in remarks.power(replace(given, images_needed=None), "A", "B")
    assert "published split" not in remarks.power(replace(given, published_n=None), "A", "B")
    assert "share no folds" in remarks.power(None, "A", "B")


def test_missing_fits_are_counted():
    assert findings.missing_fits(10, 10) == "All 10 planned fits have a result."
    lacking = findings.missing_fits(9, 10, ["out of memory"])
    assert "9 of 10 planned fits" in lacking and "1 is missing: out of memory" in lacking
    assert "2 are missing" in findings.missing_fits(8, 10)


def test_the_abstract_has_the_numbers_and_says_what_the_pictures_are():
    given = {
        "data": "a folder of photographs",
        "n_images": 150,
        "motifs": MOTIFS,
        "sample": False,
        "accuracies": {"A": _band(0.8), "B": None},
        "chance": 1 / 3,
        "verdict_sentence": "A is better.",
        "claims": [_row("reproduced")],
        "power_sentence": "Thirty images say little.",
    }
    paragraphs = findings.abstract(**given)
    assert len(paragraphs) == 3
    assert "150 photographs" in paragraphs[0] and "procedural" not in paragraphs[0]
    assert "A 80.0\u00a0% (75.0–85.0\u00a0%); chance is 33.3\u00a0%. A is better." in paragraphs[1]
    assert "1 is reproduced" in paragraphs[2] and "Thirty images" in paragraphs[2]
    sample = findings.abstract(**(given | {"sample": True, "accuracies": {}, "claims": (), "power_sentence": ""}))
    assert "not batik photographs" in sample[0] and sample[1:] == ["A is better."]


def test_the_conclusion_leaves_out_what_there_is_not():
    assert findings.conclusion(verdict_sentence="V.", supports=["S.", ""], limits=[]) == ["V.", "- S."]
    assert findings.conclusion(verdict_sentence="V.", supports=["S.", "T."], limits=["L."]) == [
        "V.",
        "- S.\n- T.",
        "L.",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (wording.percent(0.86667), "86.7\u00a0%"),
        (wording.signed_points(-0.031), "−3.1\u00a0points"),
        (wording.signed_points(0.0001), "0.0\u00a0points"),
        (wording.signed_points(-0.0001), "0.0\u00a0points"),
        (wording.percent_range(_band(0.8)), "75.0–85.0\u00a0%"),
        (wording.percent_range(_band(0.02)), "−3.0 to 7.0\u00a0%"),
        (wording.points_range(_band(0.01)), "−4.0 to +6.0\u00a0points"),
        (wording.p_value(0.0004), "p\u00a0<\u00a00.001"),
        (wording.p_value(0.0404), "p\u00a0=\u00a00.040"),
        (wording.probability(0.999), ">\u00a00.99"),
        (wording.probability(0.5), "0.50"),
        (wording.probability(0.0), "<\u00a00.01"),
        (wording.count(1, "seed"), "1 seed"),
        (wording.count(1200, "image"), "1,200 images"),
        (wording.listed(["A", "B", "C"]), "A, B and C"),
        (wording.listed([]), ""),
    ],
)
def test_numbers_are_written_one_way(text, shown):
    assert text == shown
