"""Data card, model card and checklist: valid, whole, and true of every sort of study."""

import json
import re
from collections import Counter
from dataclasses import replace
from itertools import product

import mlcroissant as mlc
import numpy as np
import pytest
from paper import NOTEBOOKS, make_analysis
from results_factory import make_dataset, make_results, make_study

from batik_utils.deploy.make import recommended
from batik_utils.errors import BatikError
from batik_utils.report.analysis import Analysis
from batik_utils.report.cards import SOURCES, croissant, model_card, reforms_table
from batik_utils.study_file import load_study
from batik_utils.values import Results

# mlcroissant parses JSON-LD through a part of rdflib that rdflib itself has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
FORBIDDEN = {
    "published": "procedural; draws itself; not recorded; data=",
    "folder": "indonesian batik motifs; kaggle; photograph; procedural; publisher's; one publisher; cloth",
    "drawn": "indonesian batik motifs; kaggle; publisher's; one publisher; not recorded; decoded; watermark",
    "noseed": "seed study; an earlier study; takes up; numbers are tried; that it published; published split",
    "nosearch": "grid; several settings compete; look at the test set; sec-search",
    "search": "none was tuned",
}
"""{fact: words that nothing said of such a study may contain}"""


def card(source, seed=False, search=False):
    """The data card of a made study, and the model card of its scratch network."""
    made = make_analysis(source, seed, search, seed)
    data = croissant(made.study, made.dataset, made.facts)
    return made, data, model_card(made.study, "small", {}, {}, made.facts)


@pytest.mark.parametrize(
    ("source", "seed", "search"), [*product(("published", "folder", "drawn"), *[(True, False)] * 2)]
)
def test_no_card_says_what_is_not_true_of_the_study(source, seed, search):
    made, data, _ = card(source, seed, search)
    rows = reforms_table(made.study, made.dataset, {}, made.facts)
    texts = [json.dumps(data, ensure_ascii=False), *(f"{answer} {section}" for *_, answer, section in rows)]
    texts += [model_card(made.study, model, {}, {}, made.facts) for model in made.study.models]
    said = re.sub("`[^`]*`", "", "\n".join(texts)).lower()  # but for commands and paths
    assert not [w for fact in made.facts & {*FORBIDDEN} for w in FORBIDDEN[fact].split("; ") if w in said]


@pytest.mark.parametrize("source", ["published", "drawn"])
def test_the_data_card_is_valid_croissant_and_holds_every_image(source):
    made, data, _ = card(source)
    loaded = mlc.Dataset(jsonld=data)
    assert not loaded.metadata.ctx.issues.errors
    records = list(loaded.records("images"))
    assert [r["images/path"] for r in records] == list(made.dataset.paths)
    assert [r["images/group"] for r in records] == made.dataset.groups.tolist()
    hashes = [] if source == "drawn" else list(made.dataset.sha256)
    assert [f["sha256"] for f in data.get("distribution", [])] == hashes
    del data["recordSet"][0]["field"][0]["dataType"]
    with pytest.raises(mlc.ValidationError):
        mlc.Dataset(jsonld=data)


def test_each_source_is_named_with_its_licence():
    url = SOURCES["published"]["url"]
    made, data, text = card("published")
    assert data["url"] == url and "unverified" in data["license"] and url in text and "licence is unverified" in text
    made, data, text = card("folder")
    assert "url" not in data and data["license"] == "not recorded" and "alder 10" in data["description"].lower()
    assert "a folder that was given" in text and "licence of the training pictures is not recorded" in text
    mixed = replace(made.dataset, source=replace(made.dataset.source, identical=2))
    said = "2 of the files are identical to published ones of “Indonesian Batik Motifs”"
    assert said in croissant(made.study, mixed, made.facts)["description"]
    assert said.replace("the", "its") in answers(made, dataset=mixed)["2a"]
    _, data, text = card("drawn")
    assert data["license"] == "MIT" and "not batik photographs" in data["description"]
    assert "no photograph of batik is among them" in text


def test_the_model_card_fills_figures_and_says_which_are_missing():
    made = make_analysis("published", True)
    grouped = {"accuracy": 0.8, "interval": [0.7, 0.9], "macro_f1": 0.79, "n_test": 150}
    metrics = {"data": {"images": 150}, "models": {"lite": {"parameters": 2422339, "grouped": grouped}}}
    text = model_card(made.study, "lite", {"resize": "near|est"}, metrics, made.facts)
    assert "| grouped | 80.0\u00a0% | 70.0–90.0\u00a0% | 0.790 | 150 |" in text
    assert "| published | not measured |" in text
    assert "| sources | not measured |" in text and "what to expect on others" in text
    assert "ImageNet weights that it starts from" in text
    assert "| resize | near\\|est |" in text and "always names one of its motifs" in text
    assert "ImageNet" not in model_card(made.study, "small", {}, metrics, made.facts)


def test_the_recommended_model_has_the_highest_lower_bound_and_no_known_mistake_and_was_fitted():
    results = make_results(
        {"scratch": 0.6, "efficientnet_lite2": 0.9}, published={"scratch": [15, 18], "efficientnet_lite2": [25, 26]}
    )

    def best(*broken, study=make_study()):  # noqa: B008  (frozen)
        gone = [r for r in results if r.fit.model in broken and r.fit.protocol == "published"]
        items = (replace(r, missing="it diverged") if r in gone else r for r in results)
        return recommended(study, Analysis(study, make_dataset(), Results(tuple(items))).metrics)

    assert best() == "efficientnet_lite2" and best("efficientnet_lite2") == "scratch"
    models = {name: model.model_dump(mode="json") for name, model in make_study().models.items()}
    models["efficientnet_lite2"] |= {"variant_of": "scratch", "mistake": "feeding it upside down"}
    assert best(study=make_study(models=models)) == "scratch"
    with pytest.raises(BatikError, match="no published fit succeeded in bali-betawi-celup"):
        best("efficientnet_lite2", "scratch")


SIZES = [3, 5, 7, 3, 6, 3, 3, 2]
NUMBERS = [f"{module}{'abcdefg'[i]}" for module, size in enumerate(SIZES, 1) for i in range(size)]


def answers(made, metrics=None, dataset=None):
    rows = reforms_table(made.study, dataset or made.dataset, metrics or {}, made.facts)
    return {row[0]: row[3] for row in rows}


@pytest.mark.parametrize("sort", [("published", True, True), ("folder", False, False), ("drawn", True, False)])
def test_every_item_is_answered_in_order_and_points_to_a_section_of_the_notebooks(sort):
    made = make_analysis(*sort)
    rows = reforms_table(made.study, made.dataset, {}, made.facts)
    assert [row[0] for row in rows] == NUMBERS and list(Counter(row[1] for row in rows).values()) == SIZES
    for number, _, item, answer, _ in rows:
        assert item and answer[0].isprintable() and answer.endswith((".", "?")), number
        assert not re.search(r"[{}]|%s|\bNone\b(?!\. No)|\b(True|False)\b|  | [.,;]", answer), answer
    text = "".join(path.read_text("utf-8") for path in NOTEBOOKS)
    assert {row[4] for row in rows} <= set(re.findall(r"\{#(sec-[a-z]+)", text))


def test_answers_follow_source_data_and_run():
    made = make_analysis("published", True)
    plain, dataset = answers(made), made.dataset
    assert "licence is unverified" in plain["2a"] and "kaggle.com" in plain["3a"] and "balanced" in plain["7a"]
    assert "none among these 20 images" in plain["6b"] and "none was tuned" in plain["5e"]
    assert "shuffled" not in plain["6a"]
    own = answers(make_analysis("folder"))
    assert "folder that was given for this study" in own["1a"] and "DATA=…" in own["2e"]
    assert "nothing is claimed about batik" in answers(make_analysis("drawn"))["1a"]
    groups, labels = np.array([0, 0, *range(18)]), np.repeat([0, 1], [19, 1])
    other = replace(dataset, groups=groups, labels=labels, skipped=(("alder/x.jpg", "a web page"),))
    model = {"grouped": {"interval": [0.7, 0.9]}, "permuted": {"accuracy": 0.34}}
    metrics = {"baselines": {"colour": {"accuracy": 0.5}}, "models": {"lite": model}}
    told = answers(made, metrics, other)
    assert "20 images show 18 distinct pictures" in told["6b"] and "`alder/x.jpg`" in told["3f"]
    assert "balanced" not in told["7a"]
    assert "colour 50.0\u00a0%" in told["5f"] and "Lite 70.0–90.0\u00a0%" in told["7b"]
    assert "shuffled labels goes through the same pipeline (Lite 34.0\u00a0%)" in told["6a"]
    rows = {row[0]: row for row in reforms_table(made.study, made.dataset, {}, made.facts)}
    assert rows["5e"][4] != "sec-search"
    searched = make_analysis("published", search=True)
    rows = {row[0]: row for row in reforms_table(searched.study, searched.dataset, {}, searched.facts)}
    assert rows["5e"][4] == "sec-search" and "on validation images only, for Small CNN;" in rows["5e"][3]


def test_a_model_that_was_not_fitted_is_not_listed():
    study, made = load_study("sidoluhur-tambal-betawi"), make_analysis("published", True, True)
    models = {name: {"grouped": {}} for name in study.models} | {"efficientnet_b2": {"title": "EfficientNet-B2"}}
    told = {row[0]: row[3] for row in reforms_table(study, made.dataset, {"models": models}, made.facts)}
    assert "EfficientNet-Lite2" in told["5a"] and "EfficientNet-Lite2" in told["5e"]
    assert "EfficientNet-B2" not in told["5a"] + told["5e"]


def test_the_checklist_tells_of_each_model_how_its_settings_were_chosen_and_how_often_it_was_fitted():
    made, recipes = make_analysis("published"), load_study("bali-betawi-celup-best")
    facts = made.facts - {"corruptions"} | {"sources"}
    told = {row[0]: row[3] for row in reforms_table(recipes, made.dataset, {}, facts)}
    assert "(5 repeats × 1 training seed of Pretrained recipe and Texture descriptors; 1 repeat" in told["5c"]
    assert "inner folds of each fit's own training images: Pretrained recipe among 50 and Texture" in told["5e"]
    assert "pictures of other motifs: Small scratch CNN. What else" in told["5e"] and "none was tuned" not in told["5e"]
    assert "ridge heads, squared error" in told["5a"] and "frozen features" not in told["5f"]
    assert "keeps those of one known source together" in told["6b"] and "corruptions" not in told["6c"]
    plain = answers(made)
    assert "ridge" not in plain["5a"] and "frozen features" in plain["5f"] and "one known source" not in plain["6b"]
    assert "and the corruptions" in plain["6c"]
