"""Each rule of probes.py is fed numbers on both sides of its line."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from batik_utils import wording
from batik_utils.report import probes
from batik_utils.stats.calibration import Calibration, Quality
from batik_utils.stats.compare import Comparison
from batik_utils.stats.intervals import Interval, VarianceSplit
from batik_utils.stats.search import Choice
from batik_utils.values import Hyper


def _band(value, reach=0.05):
    return Interval(value, value - reach, value + reach, 50)


def _calibration(confidence, ece, after_loss=0.5):
    before = Quality(ece, 0.3, 0.6, confidence, 0.8, pd.DataFrame())
    return Calibration("m", before, replace(before, ece=0.02, brier=0.28, log_loss=after_loss), (1.5,))


def _variance(data, seed, low=1.0, high=1.0):
    return probes.variance("A", VarianceSplit(data, seed, 50, 5, Interval(data / (seed or 1), low, high, 50)))


def _corruptions(plain=0.85, border=None, **drops):
    scores = {"none": _band(plain)} | ({} if border is None else {"border": _band(border)})
    return probes.corruptions("A", scores, {name: _band(by) for name, by in drops.items()}, 1 / 3)


def _curve(step, *values):
    return probes.learning_curve("A", dict(zip((5, 10, 20, 40), values, strict=False)), step)


def _overfitting(trained, turned=2):
    return probes.overfitting("A", trained, _band(0.7, 0.1), turned, 5)


RISEN = (0.5, 0.6, 0.7, 0.8)
SURE, UNSURE, GOOD = _calibration(0.95, 0.15), _calibration(0.6, 0.2), _calibration(0.81, 0.03, after_loss=0.6)
WORSE, UNEVEN = _calibration(0.81, 0.03, after_loss=0.7), _calibration(0.81, 0.1)
CHOICE = Choice("m", Hyper(20, 0.001, 0.3), 27, 5, 0.9, 0.8, Hyper(40, 0.003, 0.0), 1.0, 14 / 15, 10, 15)
SAME = replace(CHOICE, test_chosen=CHOICE.hyper, test_chosen_accuracy=0.8)
PAIR = ("a", "b", "accuracy", True, 5, 10, 1, 1, 0.8, 0.7)
POWER = Comparison(*PAIR, _band(0.1), 0.063, 0.01, 0.9, 0.05, 0.05, 0.02)


@pytest.mark.parametrize(
    ("sentence", "says", "never"),
    [
        (_variance(0.06, 0.01, 2.1, 9), "matters far more than the training seed … interval: 2.1–9.0; 5 seeds", "told"),
        (_variance(0.06, 0.04, 1.1, 2), "which images are drawn matters more than the training seed", "far"),
        (_variance(0.014, 0.013, 0.8, 1.4), "whether the draw … cannot be told: … 0.8–1.4", "matters more than"),
        (_variance(0.013, 0.014, 0.5, 1.01), "cannot be told", "matters more than"),
        (_variance(0.01, 0.05, 0.1, 0.9), "seed matters more than which … 5.0 points between training seeds", "told"),
        (_variance(0.05, 0.0001, 40, float("inf")), "far more … interval: over 40.0;", "inf"),
        (_variance(0, 0), "the same in every fold", "ratio"),
        (
            probes.power(POWER, "A", "B"),
            "a true difference of 18.0 points between A and B would be found 80 % of the time",
            "no true",
        ),
        (probes.power(replace(POWER, error=0.9), "A", "B"), "no true difference between A and B, however", "of 100"),
        (probes.power(None, "A", "B"), "share no folds", ""),
        (_corruptions(greyscale=0.3, blur=0.1), "most when images are stripped of colour (30.0 points, 95 % int", "No"),
        (_corruptions(greyscale=0.051), "loses most", "No loss"),
        (_corruptions(greyscale=0.049), "No loss on tampered images can be shown for A.", "loses most"),
        (
            _corruptions(border=0.39, blur=0.2),
            "enough for 39.0 % … repeats to the edge … cannot tell which",
            "not shown",
        ),
        (
            _corruptions(border=0.38, blur=0.2),
            "at 38.0 %, 95 % interval 33.0–43.0 %, is not shown to be enough",
            "edge",
        ),
        (_corruptions(blur=0.2), "loses most", "border"),
        (_corruptions(plain=0.38, border=0.6, blur=0.2), "cannot be told from chance on whole images", "border"),
        (_corruptions(plain=0.39, border=0.6, blur=0.2), "border alone", "nothing to lose"),
        (
            _curve(_band(0.051), *RISEN),
            "from 50.0 % with 5 training images per motif to 80.0 % with 40; … rising",
            "told",
        ),
        (_curve(_band(0.049), *RISEN), "from 20, is worth 4.9 points, 95 % interval −0.1 to +9.9", "rising"),
        (_curve(_band(0.049), *RISEN), "whether more images would help cannot be told", "levelled"),
        (_curve(_band(-0.031), *RISEN), "levelled off", "told"),
        (_curve(_band(-0.029), *RISEN), "cannot be told", "levelled"),
        (_curve(None, 0.5), "too few points", ""),
        (
            _overfitting(0.81),
            "knows the images that it learnt from better … 81.0 % in training … 70.0 % on test",
            "no gap",
        ),
        (_overfitting(0.79), "no gap … (95 % interval 60.0–80.0 %)", "better"),
        (_overfitting(0.59), "less often in training", "no gap"),
        (_overfitting(0.7, turned=3), "with 3 of 5 training seeds … was trained for too long", "not trained"),
        (_overfitting(0.7, turned=2), "by this it was not trained for too long", ""),
        (probes.file_facts(_band(0.39), 1 / 3), "alone reach 39.0 % … traces of its compression", "no sign"),
        (probes.file_facts(_band(0.38), 1 / 3), "cannot be told from chance … no sign", "traces"),
        (probes.file_facts(None, 1 / 3), "was not asked", "reach"),
        (probes.budget({"A": 1, "B": 1}), "In cross-validation neither A nor B was tuned", "search"),
        (probes.budget({"A": 35, "B": 35}), "tuned alike, among 35 settings each", "lead"),
        (probes.budget({"A": 1, "B": 35}), "B chose among 35 settings, A among 1 … lead of B may be the search’s", ""),
        (probes.search("A", CHOICE), "Of 27 settings of A, validation chose 20 epochs, a learning rate of 0.001", ""),
        (probes.search("A", CHOICE), "9 of 10 validation images right and 12 of 15 test images (mean of 5", "points"),
        (probes.search("A", CHOICE), "have shown 15 of 15, 3 too many; the best single fit, 14 of 15.", "seed study"),
        (probes.search("A", CHOICE, True), "on the test images, as the seed study did, would", ""),
        (probes.search("A", SAME), "would have shown the same here", "too many"),
        (
            probes.calibration({"A": SURE, "B": UNSURE, "C": GOOD, "D": SURE}),
            "More sure than right: A and D; less sure than right: B; well calibrated: C. … "
            "lowers the loss of A, B and D and hardly changes that of C.",
            "",
        ),
        (probes.calibration({"F": UNEVEN}), "Right on the whole, but not at each level of confidence: F.", "sure"),
        (probes.calibration({"A": SURE, "E": WORSE}), "lowers the loss of A and raises that of E.", "hardly"),
        (probes.calibration({"C": GOOD}), "Well calibrated: C. … hardly changes the loss of C.", "lowers"),
        (probes.calibration({}), "cannot be measured", ""),
    ],
)
def test_each_side_of_each_line(sentence, says, never):
    sentence = sentence.replace(wording.NBSP, " ")
    assert all(part in sentence for part in says.split(" … "))
    assert not never or never not in sentence


@pytest.mark.parametrize(
    ("brier", "chosen", "words"),
    [
        ([0.4, 0.3, 0.4], [2, 2, 0], "In 2 of 4 fits A chose the weakest or .* so the choice was wide enough."),
        ([0.4, 0.3, 0.2981], [0, 1, 3], "In 3 of 4 fits A .* score by −0.0019 on average: a wider choice would hardly"),
        ([0.4, 0.3, 0.298], [0, 1, 3], "In 3 of 4 fits A .* by −0.0020 on average: a wider choice might do better."),
        ([0.3], [4], "In 0 of 4 fits"),
    ],
)
def test_a_choice_at_the_edge_of_what_was_tried_is_told(brier, chosen, words):
    strengths = [0.1, 1, 10][: len(brier)]
    table = pd.DataFrame({"candidate": "P", "head": "ridge", "strength": strengths, "brier": brier, "chosen": chosen})
    assert re.match(words, probes.edges("A", table).replace(wording.NBSP, " "))


def test_names_of_places_are_called_harder_only_where_a_test_says_so():
    low, high = [0.2, 0.25, 0.3, 0.35], [0.7, 0.75, 0.8, 0.85]
    plain = probes.named_for("A", {"place": low, "pattern": high}).replace(wording.NBSP, " ")
    assert plain.startswith("A recognises 28 % of the pictures of a motif named for a place, on average, and 78 % of")
    assert "those of a place (a place says where cloth is from, and not what is on it); this one test has" in plain
    assert "those of a pattern (why, is not known);" in probes.named_for("A", {"place": high, "pattern": low})
    assert "do not show" in probes.named_for("A", {"place": [0.2, 0.8, 0.5, 0.3], "pattern": [0.3, 0.7, 0.6, 0.4]})
