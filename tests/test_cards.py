"""Data card, model card and checklist: valid, whole, and true of every sort of study."""

import json
import re
from collections import Counter
from dataclasses import replace

import mlcroissant as mlc
import numpy as np
import pytest
from cards_factory import COMBINATIONS, forbidden, make_pictures, sort_of_study
from results_factory import make_dataset, make_results, make_study

from batik_utils.errors import BatikError
from batik_utils.report.cards import SOURCES, croissant, model_card, reforms_table
from batik_utils.report.deploy import best_info
from batik_utils.report.metrics_json import build_metrics
from batik_utils.study import ROOT, load_study
from batik_utils.values import Results, Source

# mlcroissant parses JSON-LD through a part of rdflib that rdflib itself has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
URL = SOURCES["published"]["url"]


@pytest.mark.parametrize("source", ["published", "folder", "drawn"])
def test_the_data_card_is_valid_croissant_and_holds_every_image(source):
    study, dataset, facts = sort_of_study(source, False, False)
    card = croissant(study, dataset, facts)
    assert json.dumps(card) == json.dumps(croissant(study, dataset, facts))
    loaded = mlc.Dataset(jsonld=card)
    assert not loaded.metadata.ctx.issues.errors
    records = list(loaded.records("images"))
    assert [r["images/path"] for r in records] == list(dataset.paths)
    assert [r["images/group"] for r in records] == dataset.groups.tolist()
    files = card.get("distribution", [])
    assert [f["sha256"] for f in files] == ([] if source == "drawn" else list(dataset.sha256))


def test_a_broken_data_card_is_not_valid():
    card = croissant(*sort_of_study("drawn", False, False))
    del card["recordSet"][0]["field"][0]["dataType"]
    with pytest.raises(mlc.ValidationError):
        mlc.Dataset(jsonld=card)


@pytest.mark.parametrize(("source", "seed", "search"), COMBINATIONS)
def test_no_card_says_what_is_not_true_of_the_study(source, seed, search):
    study, dataset, facts = sort_of_study(source, seed, search)
    data_card = json.dumps(croissant(study, dataset, facts), ensure_ascii=False)
    assert forbidden(data_card, source, seed, search) == []
    for model in study.models:
        assert forbidden(model_card(study, model, {}, {}, facts), source, seed, search) == []


def test_each_source_is_named_with_its_licence():
    def said(source):
        study, dataset, facts = sort_of_study(source, False, False)
        return croissant(study, dataset, facts), model_card(study, "scratch", {}, {}, facts)

    card, text = said("published")
    assert card["url"] == URL and "unverified" in card["license"] and URL in text and "licence is unverified" in text
    card, text = said("folder")
    assert "url" not in card and card["license"] == "not recorded" and "brick 3" in card["description"].lower()
    assert "a folder that was given" in text and "licence of the training pictures is not recorded" in text
    card, text = said("drawn")
    assert card["license"] == "MIT" and "not batik photographs" in card["description"]
    assert "no photograph of batik is among them" in text


def test_published_files_in_a_folder_of_ones_own_are_said():
    study, _, facts = sort_of_study("folder", False, False)
    card = croissant(study, make_pictures("folder", source=Source("folder", "x", identical=2)), facts)
    assert "2 of the files are identical to published ones of “Indonesian Batik Motifs”" in card["description"]


def test_the_model_card_fills_figures_and_says_which_are_missing():
    study, _, facts = sort_of_study("published", True, False)
    grouped = {"accuracy": 0.8, "interval": [0.7, 0.9], "macro_f1": 0.79, "n_test": 150}
    metrics = {"data": {"images": 150}, "models": {"efficientnet_lite2": {"parameters": 2422339, "grouped": grouped}}}
    card = model_card(study, "efficientnet_lite2", {"resize": "near|est"}, metrics, facts)
    assert "| grouped | 80.0\u00a0% | 70.0–90.0\u00a0% | 0.790 | 150 |" in card
    assert "| published | not measured |" in card
    assert "2,422,339 parameters" in card and "ImageNet weights that it starts from" in card
    assert "| resize | near\\|est |" in card
    assert "ImageNet" not in model_card(study, "scratch", {}, metrics, facts)


def test_the_best_model_is_one_whose_first_published_fit_succeeded_told_with_the_numbers_of_metrics_json():
    results = make_results(
        {"scratch": 0.6, "efficientnet_lite2": 0.9}, published={"scratch": [15, 18], "efficientnet_lite2": [25, 26]}
    )

    def best(*broken):
        items = (
            replace(r, missing="it diverged")
            if r.fit.model in broken and r.fit.protocol == "published" and r.fit.seed == 0
            else r
            for r in results
        )
        metrics = build_metrics(make_study(), make_dataset(), Results(tuple(items)))
        return *best_info(make_study(), metrics), metrics["models"]

    name, info, models = best()
    grouped = models[name]["grouped"]
    assert name == info["model"] == "efficientnet_lite2"
    assert info["grouped_accuracy"] == [grouped["accuracy"], *grouped["interval"]]
    assert info["test_accuracy"] == models[name]["published"]["seeds"][0]["accuracy"]
    assert best("efficientnet_lite2")[0] == "scratch"
    with pytest.raises(BatikError, match="no published fit with seed 0 succeeded in bali-betawi-celup"):
        best("efficientnet_lite2", "scratch")


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
