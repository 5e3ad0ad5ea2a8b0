"""The data card is valid Croissant; the model card says what a reader must know."""

import json

import mlcroissant as mlc
import numpy as np
import pytest

from batik_utils.report.cards import KAGGLE, croissant, model_card
from batik_utils.study import load_study
from batik_utils.values import Dataset, Source

# mlcroissant parses JSON-LD through a part of rdflib that rdflib itself has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")


def data(name: str) -> Dataset:
    study = load_study(name)
    n = 2 * len(study.motifs)
    kind = "drawn" if study.data == "sample" else "folder"
    return Dataset(
        study.motifs,
        np.zeros((n, 8, 8, 3), np.uint8),
        np.repeat(np.arange(len(study.motifs)), 2),
        tuple(f"{motif}/{i}.jpg" for motif in study.motifs for i in (1, 2)),
        tuple(f"{i:064x}" for i in range(n)),
        np.arange(n) // 2,
        Source(kind, "a test"),
        facts=({"format": "JPEG", "bytes": 5},) * n,
    )


@pytest.mark.parametrize("name", ["bali-betawi-celup", "sidoluhur-tambal-betawi", "sample"])
def test_the_data_card_is_valid_croissant_and_holds_every_image(name):
    study, dataset = load_study(name), data(name)
    card = croissant(study, dataset)
    assert json.dumps(card) == json.dumps(croissant(study, dataset))
    loaded = mlc.Dataset(jsonld=card)
    assert not loaded.metadata.ctx.issues.errors
    records = list(loaded.records("images"))
    assert [r["images/path"] for r in records] == [p.encode() for p in dataset.paths] or [
        r["images/path"] for r in records
    ] == list(dataset.paths)
    assert [r["images/group"] for r in records] == dataset.groups.tolist()


def test_a_broken_data_card_is_not_valid():
    card = croissant(load_study("sample"), data("sample"))
    del card["recordSet"][0]["field"][0]["dataType"]
    with pytest.raises(mlc.ValidationError):
        mlc.Dataset(jsonld=card)


def test_photographs_are_described_by_hash_and_their_licence_is_not_claimed():
    dataset = data("bali-betawi-celup")
    card = croissant(load_study("bali-betawi-celup"), dataset)
    assert card["url"] == KAGGLE and "unverified" in card["license"]
    assert [f["sha256"] for f in card["distribution"]] == list(dataset.sha256)
    assert {f["contentUrl"] for f in card["distribution"]} == set(dataset.paths)


def test_the_samples_card_says_that_it_is_no_batik():
    card = croissant(load_study("sample"), data("sample"))
    assert "not batik photographs" in card["description"] and KAGGLE not in json.dumps(card)
    assert "never seen batik" in model_card(load_study("sample"), "scratch", {}, {})


def test_the_model_card_fills_figures_and_says_which_are_missing():
    metrics = {
        "data": {"images": 150},
        "models": {
            "mobilenet_v2": {
                "parameters": 2422339,
                "grouped": {"accuracy": 0.8, "interval": [0.7, 0.9], "macro_f1": 0.79, "n_test": 150},
            }
        },
    }
    card = model_card(load_study("bali-betawi-celup"), "mobilenet_v2", {"resize": "nearest"}, metrics)
    assert "| grouped | 80.0\u00a0% | 70.0–90.0\u00a0% | 0.790 | 150 |" in card
    assert "| published | not measured |" in card
    assert "2,422,339 parameters" in card and "licence is unverified" in card and "| resize | nearest |" in card
