"""Model card and checklist: whole, and true of every sort of study."""

import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from paper import NOTEBOOKS, make_analysis
from results_factory import make_results, make_study

from batik_utils.deploy.make import recommended
from batik_utils.errors import BatikError
from batik_utils.report.metrics import build_metrics, scores_of
from batik_utils.report.pages import COLLECTION, checklist, model_card
from batik_utils.values import Results

FORBIDDEN = {
    "published": "procedural; draws itself; not recorded; data=",
    "folder": "indonesian batik motifs; kaggle; photograph; procedural; publisher's; one publisher; cloth",
    "drawn": "indonesian batik motifs; kaggle; publisher's; one publisher; not recorded; decoded; watermark",
    "noseed": "original study; an earlier study; takes up; numbers are tried; that it published; published split",
}
"""{fact: words that nothing said of such a study may contain}"""


def cards(source, seed=False, runs=False):
    """A made study, its checklist, and the model card of its scratch network."""
    made = make_analysis(source, seed, runs, seed)
    card = model_card(made.study, "small", {}, build_metrics(made), made.facts)
    return made, checklist(made.study, made.dataset, made.facts), card


@pytest.mark.parametrize(("source", "seed"), [*product(("published", "folder", "drawn"), (True, False))])
def test_no_card_says_what_is_not_true_of_the_study(source, seed):
    made, *texts = cards(source, seed)
    texts.append(model_card(made.study, "lite", {}, build_metrics(made), made.facts))
    said = re.sub("`[^`]*`", "", "\n".join(texts)).lower()  # but for commands and paths
    assert not [w for fact in made.facts & {*FORBIDDEN} for w in FORBIDDEN[fact].split("; ") if w in said]


@pytest.mark.parametrize("sort", [("published", True, True), ("folder",), ("drawn", True)])
def test_the_checklist_answers_every_item_and_points_to_sections_of_the_notebooks(sort):
    _, text, _ = cards(*sort)
    items = [f"{module}{'abcdefg'[i]}" for module, size in enumerate([3, 5, 7, 3, 6, 3, 3, 2], 1) for i in range(size)]
    assert not [item for item in items if not re.search(rf"\b{item}\b", text)]
    assert not re.search(r"[{}]|\bNone\b|\b(True|False)\b|  | [.,;]", text)
    there = "".join(path.read_text("utf-8") for path in NOTEBOOKS)
    named = {*re.findall(r"\*([A-Z][A-Za-z ]+)\*", text.partition("\n\n**Study goals")[2])}
    assert "Provenance" in named and "@" not in text
    headings = {heading.removeprefix("Appendix: ").capitalize() for heading in re.findall(r"#+ ([^{#]+) \{#", there)}
    assert named <= headings


def test_the_checklist_follows_source_seed_and_sources():
    made, published, _ = cards("published", True)
    assert "licence is unverified" in published and COLLECTION["url"] in published
    assert "“An Earlier Study”, whose published numbers it tries again" in published
    assert "20 images, of which 20 are distinct" in published
    copies = replace(made.dataset, groups=np.array([0, 0, *range(18)]))
    assert "20 images, of which 18 are distinct" in checklist(made.study, copies, made.facts)
    assert "keeps pictures of one known source together" in checklist(made.study, copies, made.facts | {"sources"})
    assert "and the corruptions" in published
    assert "the corruptions" not in checklist(made.study, copies, made.facts - {"corruptions"})
    _, folder, _ = cards("folder")
    assert "folder that was given for this study" in folder and "DATA=…" in folder
    assert "nothing is claimed about batik" in cards("drawn")[1]


def test_each_source_is_named_with_its_licence():
    _, _, text = cards("published")
    assert COLLECTION["url"] in text and "licence is unverified" in text
    assert "20 images (Alder 10 and Beech 10), 20 of them distinct; 0 files could not be used" in text
    assert "19 are identical, 1 altered, 1 missing" in text
    _, _, text = cards("folder")
    assert "a folder that was given" in text and "licence of the training pictures is not recorded" in text
    assert "identical" not in text
    assert "no photograph of batik is among them" in cards("drawn")[2]


def test_the_model_card_fills_figures_and_says_which_are_missing():
    made = make_analysis("published", True)
    metrics = build_metrics(made)
    record, f1 = scores_of(metrics)["lite", "grouped"], scores_of(metrics, "macro_f1")["lite", "grouped"]
    record |= {"value": 0.8, "low": 0.7, "high": 0.9, "n": 150}
    f1["value"] = 0.79
    text = model_card(made.study, "lite", {}, metrics, made.facts)
    assert "| grouped | 80.0\u00a0% | 70.0–90.0\u00a0% | 0.790 | 150 |" in text
    assert "| published | 100.0\u00a0% |" in text
    assert "| sources | not measured |" in text and "what to expect on others" in text
    assert "ImageNet weights that it starts from" in text
    assert "always names one of its motifs" in text and "## The file" not in text
    assert "ImageNet" not in model_card(made.study, "small", {}, metrics, made.facts)


def test_the_model_card_tells_of_the_file_what_was_measured_and_no_more():
    made = make_analysis("published", True)
    text = model_card(made.study, "lite", made.deployed, build_metrics(made), made.facts)
    rows = dict(line.strip("| ").split(" | ") for line in text.partition("## The file")[2].splitlines() if "|" in line)
    assert rows["format"] == "LiteRT, float16, 4.6 MB" and rows["calibration error"] == "5.0\u00a0% (20 pictures)"
    assert rows["ordinary pictures turned away"] == "85.0\u00a0% of 100" and "other motifs turned away" in rows
    assert (
        rows["sets hold Alder"] == rows["sets hold the true motif"]
        and "Other motifs are given one of its names" in text
    )
    poorer = made.deployed | {"gate": None, "sets": None, "calibration": None}
    text = model_card(made.study, "lite", poorer, build_metrics(made), made.facts)
    assert "| evidence |" in text and not re.search("turned away|sets hold|calibration", text)


def guessing():
    models = ("scratch", "efficientnet_lite2")
    return make_results(dict.fromkeys(models, 1 / 3), repeats=5, published=dict.fromkeys(models, (10,)))


def test_of_models_that_are_as_good_the_most_accurate_is_recommended_and_of_equals_the_smallest():
    fits = make_results({"scratch": 0.9}, repeats=5, published={"scratch": (27,)}).items

    def twin(size, worse):
        """The other model, right as often but for some pictures, with its own size."""
        rng = np.random.default_rng(0)
        for r in fits:
            swap = np.where(rng.random(len(r.y_true)) < worse, (r.y_true + 1) % 3, r.y_prob.argmax(axis=1))
            fit, y_prob = replace(r.fit, model="efficientnet_lite2"), np.eye(3)[swap]
            yield replace(r, fit=fit, y_prob=y_prob, parameters=size)

    def best(size, worse):
        return recommended(make_study(), Results((*fits, *twin(size, worse))))

    assert (best(10, 0.0), best(9_000, 0.0)) == ("efficientnet_lite2", "scratch"), "equals: the smaller one"
    assert best(10, 0.01) == "scratch", "practically the same, and less accurate"


def test_the_recommended_model_has_the_highest_lower_bound_and_no_known_mistake_and_was_fitted():
    results = make_results(
        {"scratch": 0.6, "efficientnet_lite2": 0.9}, published={"scratch": [15, 18], "efficientnet_lite2": [25, 26]}
    )

    def best(*broken, study=make_study()):  # noqa: B008  (frozen)
        gone = [r for r in results if r.fit.model in broken and r.fit.protocol == "published"]
        items = (replace(r, missing="it diverged") if r in gone else r for r in results)
        return recommended(study, Results(tuple(items)))

    assert best() == "efficientnet_lite2" and best("efficientnet_lite2") == "scratch"
    models = {name: model.model_dump(mode="json") for name, model in make_study().models.items()}
    models["efficientnet_lite2"] |= {"variant_of": "scratch", "mistake": "feeding it upside down"}
    assert best(study=make_study(models=models)) == "scratch"
    with pytest.raises(BatikError, match="no model of bali-betawi-celup that can be given out is shown to beat chance"):
        recommended(make_study(), guessing())
    by_source = make_results({"efficientnet_lite2": 0.34}, protocol="sources").items
    assert recommended(make_study(), Results((*results, *by_source))) == "scratch", "it must beat chance there, too"
    with pytest.raises(BatikError, match="no published fit succeeded in bali-betawi-celup"):
        best("efficientnet_lite2", "scratch")
