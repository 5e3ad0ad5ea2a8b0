"""All 32 REFORMS items have a true answer for every sort of study."""

import json
import re
from collections import Counter

import numpy as np
import pytest
from cards_factory import COMBINATIONS, forbidden, make_pictures, sort_of_study

from batik_utils.report.cards import reforms_table
from batik_utils.study import ROOT, load_study
from batik_utils.values import Source

SIZES = [3, 5, 7, 3, 6, 3, 3, 2]
NUMBERS = [f"{module}{'abcdefg'[i]}" for module, size in enumerate(SIZES, 1) for i in range(size)]


def answers(kind="published", seed=True, search=False, metrics=None, **changes) -> dict[str, str]:
    study, _, facts = sort_of_study(kind, seed, search)
    return {row[0]: row[3] for row in reforms_table(study, make_pictures(kind, **changes), metrics or {}, facts)}


@pytest.mark.parametrize(("source", "seed", "search"), COMBINATIONS)
def test_every_item_is_answered_in_order_and_says_nothing_that_is_not_true_of_the_study(source, seed, search):
    study, dataset, facts = sort_of_study(source, seed, search)
    rows = reforms_table(study, dataset, {}, facts)
    assert [row[0] for row in rows] == NUMBERS
    assert list(Counter(row[1] for row in rows).values()) == SIZES
    for number, _, item, answer, section in rows:
        assert item and answer[0].isprintable() and answer.endswith((".", "?")), number
        assert not re.search(r"[{}]|%s|\bNone\b(?!\. No)|\b(True|False)\b|  | [.,;]", answer), answer
        assert forbidden(f"{answer} {section}", source, seed, search) == [], number


def test_every_answer_points_to_a_section_of_the_notebooks():
    cells = [c for p in (ROOT / "notebooks").glob("0*.ipynb") for c in json.loads(p.read_text("utf-8"))["cells"]]
    sections = set(re.findall(r"\{#(sec-[a-z]+)", "\n".join("".join(c["source"]) for c in cells)))
    for combination in COMBINATIONS:
        study, dataset, facts = sort_of_study(*combination)
        assert {row[4] for row in reforms_table(study, dataset, {}, facts)} <= sections


def test_answers_name_the_source():
    assert "licence is unverified" in answers()["2a"] and "kaggle.com" in answers()["3a"]
    own = answers("folder", seed=False)
    assert "folder that was given for this study" in own["1a"] and "DATA=…" in own["2e"]
    mixed = answers("folder", source=Source("folder", "x", identical=2))["2a"]
    assert "2 of its files are identical to published ones of “Indonesian Batik Motifs”" in mixed
    assert "nothing is claimed about batik" in answers("drawn")["1a"]


def test_answers_follow_the_data():
    told = answers(groups=np.array([0, 0, 1, 2, 3, 4]), skipped=(("batik-bali/x.jpg", "a web page"),))
    assert "6 images show 5 distinct pictures" in told["6b"] and "`batik-bali/x.jpg`" in told["3f"]
    assert "none among these 6 images" in answers()["6b"]
    assert "balanced" in answers()["7a"] and "balanced" not in answers(labels=np.array([0, 0, 0, 0, 0, 1]))["7a"]


def test_answers_follow_the_run():
    model = {"grouped": {"interval": [0.7, 0.9]}, "permuted": {"accuracy": 0.34}}
    told = answers(metrics={"baselines": {"colour": {"accuracy": 0.5}}, "models": {"efficientnet_lite2": model}})
    assert "colour 50.0\u00a0%" in told["5f"] and "EfficientNet-Lite2 70.0–90.0\u00a0%" in told["7b"]
    assert "shuffled labels goes through the same pipeline (EfficientNet-Lite2 34.0\u00a0%)" in told["6a"]
    assert "shuffled" not in answers()["6a"]


def test_a_model_that_was_not_fitted_is_not_listed():
    study, (_, dataset, facts) = load_study("sidoluhur-tambal-betawi"), sort_of_study("published", True, True)
    models = {name: {"grouped": {}} for name in study.models} | {"efficientnet_b2": {"title": "EfficientNet-B2"}}
    told = {row[0]: row[3] for row in reforms_table(study, dataset, {"models": models}, facts)}
    assert "EfficientNet-Lite2" in told["5a"] and "EfficientNet-Lite2" in told["5e"]
    assert "EfficientNet-B2" not in told["5a"] + told["5e"]


def test_a_search_is_told_where_there_is_one():
    rows = {
        row[0]: row for row in reforms_table(*sort_of_study("published", True, True)[:2], {}, {"search", "published"})
    }
    assert rows["5e"][4] == "sec-search" and "on validation images only, for Scratch CNN;" in rows["5e"][3]
    assert "none was tuned" in answers()["5e"]
