"""Each rule of summary and conclusion is fed numbers on both sides of its line, in both languages."""

from dataclasses import dataclass

import numpy as np
import pytest
from paper import make_analysis, said

from batik_utils import wording
from batik_utils.motif_notes import load_plates
from batik_utils.report import abstrak, lessons
from batik_utils.report.verdicts import OPENINGS, Verdict
from batik_utils.stats.claims import NOT_COMPARABLE, NOT_REPRODUCED, REPRODUCED
from batik_utils.stats.compare import Comparison
from batik_utils.stats.intervals import Interval

PLATES = load_plates()


def band(value, reach=0.05):
    return Interval(value, value - reach, value + reach, 50)


def plain(text):
    return text.replace(wording.NBSP, " ")


def test_every_verdict_teaches_something_and_has_its_indonesian_words():
    assert set(lessons.TAUGHT) == set(OPENINGS) == set(abstrak.OPENINGS)
    said = {lessons.taught(word, "A", "B") for word in OPENINGS}
    assert len(said) == len(OPENINGS) and all("A" in s and "B" in s and s.endswith(".") for s in said)


def comparison(gap, p=0.01):
    more = {"seeds_a": 1, "seeds_b": 1, "p_value": p, "p_a_better": 0.9, "p_same": 0.05, "p_b_better": 0.05}
    return Comparison(
        "a",
        "b",
        "accuracy",
        False,
        5,
        10,
        error=0.01,
        mean_a=0.7 + gap,
        mean_b=0.7,
        difference=band(gap),
        rope=0.02,
        **more,
    )


FILE = "file facts (picture unopened)"
WORTH = [
    (None, {}, "cannot be said", "tidak dapat dikatakan"),
    (
        band(0.54),
        {FILE: comparison(0.2)},
        "has not been shown to have learnt anything",
        "Belum terbukti bahwa A mempelajari",
    ),
    (band(0.56), {}, "A has learnt something.", "A mempelajari sesuatu."),
    (
        band(0.8),
        {FILE: comparison(0.06, 0.049)},
        "A knows more than file facts alone",
        "A tahu lebih banyak daripada fakta berkas",
    ),
    (
        band(0.8),
        {FILE: comparison(0.06, 0.051)},
        "A has not been shown to know more than file facts alone",
        "A belum terbukti tahu lebih",
    ),
    (band(0.8), {FILE: comparison(-0.06)}, "A knows less than file facts alone", "A tahu lebih sedikit daripada fakta"),
    (
        band(0.8),
        {FILE: comparison(0.06, 0.049), "colour histogram": comparison(0.0, 0.9)},
        "; it has not been shown to know more than colours alone.",
        "; ia belum terbukti tahu lebih banyak daripada warna saja.",
    ),
]


@pytest.mark.parametrize(("accuracy", "over", "english", "indonesian"), WORTH)
def test_what_a_model_is_worth(accuracy, over, english, indonesian):
    assert english in lessons.worth("A", accuracy, 0.5, over)
    assert indonesian in abstrak.worth("A", accuracy, 0.5, over)


APART = [
    (band(0.8), {FILE: comparison(0.06, 0.049)}, "", ""),
    (band(0.8), {}, "", ""),
    (
        band(0.8),
        {FILE: comparison(0.06, 0.051), "colour histogram": comparison(0.06)},
        "A has not been shown to know more than file facts alone.",
        "belum terbukti bahwa A tahu lebih banyak daripada fakta berkas saja.",
    ),
    (band(0.8), {"colour histogram": comparison(-0.06)}, "more than colours alone.", "daripada warna saja."),
    (
        band(0.54),
        {FILE: comparison(0.06, 0.051)},
        "With pictures of one source kept together, A has not been shown to have learnt anything.",
        "Bila gambar dari satu sumber dikumpulkan, belum terbukti bahwa A mempelajari sesuatu.",
    ),
]


@pytest.mark.parametrize(("accuracy", "over", "english", "indonesian"), APART)
def test_what_is_not_shown_with_sources_together_is_said_and_nothing_else(accuracy, over, english, indonesian):
    for room, end in ((lessons, english), (abstrak, indonesian)):
        said = room.worth_elsewhere("A", accuracy, 0.5, over)
        assert said.endswith(end) and bool(said) is bool(end)


def test_one_split_misleads_where_folds_scatter():
    scattered = plain(lessons.one_split("A", np.array([0.7, 0.8])))
    assert scattered == "A single split shows little: the folds of A lie anywhere from 70 % to 80 %."
    assert plain(lessons.one_split("A", np.array([0.7, 0.79]))) == "The folds of A lie from 70 % to 79 %."


def test_what_is_known_of_pictures_from_other_sources():
    both = plain(lessons.elsewhere([("A", band(0.8), band(0.7)), ("B", band(0.8), band(0.75))]))
    assert both.endswith("A reaches 70.0 % rather than 80.0 %; B reaches 75.0 %, no clear fall from 80.0 %.")
    assert plain(lessons.elsewhere([("A", band(0.8), band(0.8))])).endswith("A reaches 80.0 %, no less than 80.0 %.")
    for unknown in (("A", band(0.8), None), ("A", None, band(0.8))):
        assert lessons.elsewhere([unknown]) == "What A would reach on pictures from other sources was not measured."


def test_names_of_one_kind_are_told_from_names_of_several():
    kawung, parang, bali = (PLATES[f"batik-{name}"] for name in ("kawung", "parang", "bali"))
    assert lessons.kinds([kawung, parang]) == "Each of these names is that of a pattern."
    assert lessons.kinds([bali]) == "The name is that of a place."
    both = "These names are not of one kind: Kawung and Parang name a pattern; Bali names a place."
    assert lessons.kinds([kawung, bali, parang]) == both


def test_caveats_are_three_and_the_gravest_comes_first():
    mixed, one = [PLATES["batik-bali"], PLATES["batik-celup"]], [PLATES["batik-bali"]]
    for facts, plates, first in (
        ({"drawn"}, [], "The pictures are drawn"),
        ({"published"}, mixed, "These names are not of one kind"),
        ({"published"}, one, "Labels are the names of folders"),
        ({"folder"}, [], "Labels are the names of folders"),
    ):
        told = lessons.caveats(facts, plates, [("A", band(0.8), None), ("B", band(0.7), None)])
        assert len(told) == 3 and told[0].startswith(first)
    few, more = (plain(lessons.caveats(set(), [], [("A", band(0.8, half), None)])[1]) for half in (0.05, 0.049))
    assert "images are few: for the accuracy of A they leave an interval 10.0 points wide" in few
    assert "For pictures such as these the accuracy of A is known to an interval 9.8 points wide" in more
    assert "too few fits" in lessons.caveats(set(), [], [("A", None, None)])[1]
    fares = [("A", band(0.8), band(0.7)), ("B", band(0.7), band(0.5))]
    assert (
        "A reaches 70.0 % rather" in (last := plain(lessons.caveats(set(), [], fares)[2])) and "B reaches 50.0" in last
    )


def test_advice_names_both_ways_to_ask_and_trusts_as_far_as_the_accuracy_goes():
    for facts in ({"drawn"}, {"published"}):
        told = lessons.advice(facts, 0.5)
        assert "`classifier.html`" in told and "`batik predict PATH…`" in told
    assert "no real cloth" in lessons.advice({"drawn"}, 0.99)
    assert "94 % of the time on pictures such as these, so its answer is a suggestion" in plain(
        lessons.advice({"folder"}, 0.94)
    )
    assert lessons.advice({"folder"}, 0.9).endswith("always named, whatever is shown.")
    away = "trained on are turned away."
    for unseen, end in ((None, away), (0.9, away), (0.89, "turned away; other motifs mostly get one of these names.")):
        assert lessons.advice({"folder", "gate"}, 0.9, unseen=unseen).endswith(end)
    apart = plain(lessons.advice({"folder"}, 0.94, 0.7))
    assert "on pictures such as these, and 70 % on those of other sources, so its answer is a suggestion" in apart
    assert "suggestion" not in lessons.advice({"folder"}, 0.95) and "best" not in lessons.advice({"folder"}, None)


def test_the_abstrak_writes_numbers_as_indonesians_do():
    found = plain(abstrak.verdict(Verdict("better", "", ""), comparison(0.1), "A", "B"))
    assert found == (
        "A lebih baik daripada B: 80,0 % berbanding 70,0 % pada lipatan yang sama, selisih +10,0 poin (interval 95 % "
        "+5,0 sampai +15,0 poin)."
    )
    assert abstrak.verdict(Verdict("too few fits", "", ""), None, "A", "B").endswith("belum cukup.")
    told = plain(abstrak.pictures(1200, "published", ["Bali", "Betawi", "Celup"], 1 / 3))
    assert told.startswith("Digunakan 1.200 foto") and "Bali, Betawi, dan Celup" in told and "33,3 %" in told
    assert "bukan foto batik" in abstrak.pictures(10, "drawn", ["A", "B"], 0.5)


@dataclass
class Row:
    verdict: str


def test_published_numbers_are_counted_in_indonesian_too():
    rows = [Row(REPRODUCED), Row(REPRODUCED), Row(NOT_REPRODUCED)]
    assert abstrak.claims(rows) == "Dari 3 angka yang pernah diterbitkan, 2 terulang dan 1 tidak."
    assert abstrak.claims([*rows, Row(NOT_COMPARABLE)]).endswith("; sisanya tidak dapat dipastikan atau dibandingkan.")


def test_both_abstracts_the_table_and_the_conclusion_say_the_same():
    often = {"folds": 3, "pretrained": {"repeats": 2, "seeds": 2}, "scratch": {"repeats": 2, "seeds": 2}}
    analysis = make_analysis("published", True, claims=True, grouped=often)
    words = said(analysis)
    head = analysis.head
    for value in (head.mean_a, head.mean_b):
        english = wording.percent(value)
        assert english in words["00-08"] and english.replace(".", ",") in words["00-10"]
    assert wording.hundredths(head.difference.value, sign=True) in words["tbl-answer"]
    assert analysis.title(analysis.pretrained) in words["03-35"] and words["00-16"].count("\n") >= 4
