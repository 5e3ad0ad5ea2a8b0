"""The data card is valid Croissant; the model card says what a reader must know; both are true for every source."""

import json
from dataclasses import replace

import mlcroissant as mlc
import pytest
from cards_factory import COMBINATIONS, forbidden, make_pictures, sort_of_study
from results_factory import make_dataset, make_results, make_study

from batik_utils.errors import BatikError
from batik_utils.report.cards import SOURCES, croissant, model_card
from batik_utils.report.deploy import best_info
from batik_utils.report.metrics_json import build_metrics
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
