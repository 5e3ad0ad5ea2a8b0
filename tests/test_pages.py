"""Index, README, abstract, tables, model card and checklist: whole, of one mind, and true of every sort of study."""

import json
import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import yaml
from paper import NOTEBOOKS, make_analysis, said
from results_factory import make_dataset, make_results, make_study

from batik_utils import wording as say
from batik_utils.deploy.make import recommended
from batik_utils.errors import BatikError
from batik_utils.report.build import about
from batik_utils.report.metrics import build_metrics, headline, read_metrics, scores_of
from batik_utils.report.pages import COLLECTION, checklist, model_card, readme_table, write_index
from batik_utils.study import ROOT
from batik_utils.values import Results

NAME = "bali-betawi-celup"
DRAWN = "Procedural sample, not batik photographs"
OFTEN = {"folds": 3, "pretrained": {"repeats": 2, "seeds": 2}, "scratch": {"repeats": 2, "seeds": 2}}
FORBIDDEN = {
    "published": "procedural; draws itself; not recorded; data=",
    "folder": "indonesian batik motifs; kaggle; photograph; procedural; publisher's; one publisher; cloth",
    "drawn": "indonesian batik motifs; kaggle; publisher's; one publisher; not recorded; decoded; watermark",
    "noseed": "original study; an earlier study; takes up; numbers are tried; that it published; published split",
}
"""{fact: words that nothing said of such a study may contain}"""
LICENCES = {
    "published": f"{COLLECTION['url']}; licence is unverified; 19 are identical, 1 altered, 1 missing; "
    "20 images (Alder 10 and Beech 10), 20 of them distinct; 0 files could not be used",
    "folder": "a folder that was given; licence of the training pictures is not recorded",
    "drawn": "no photograph of batik is among them",
}
"""What the card says of each source of pictures."""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A made study in its own reports folder: (analysis, folder)."""
    analysis = make_analysis("published", True, claims=True, grouped=OFTEN, name=NAME)
    folder = tmp_path_factory.mktemp("reports") / NAME
    folder.mkdir()
    (folder / "metrics.json").write_text(json.dumps(build_metrics(analysis)))
    (folder / "verdict.svg").write_text("<svg/>")
    assert write_index(folder.parent) == []
    return analysis, folder


def plain(text):
    return re.sub(r"<[^>]+>", "", text).replace(say.NBSP, " ").replace("&nbsp;", " ")


def test_motifs_whose_names_would_look_alike_are_shown_as_they_are_on_the_disk():
    for names in (["Kawung", "kawung"], ["batik_kawung", "batik kawung", "bali"], ["a-b", "a_b"]):
        assert say.motif_names(names) == names
    assert say.motif_names(["batik-bali", "batik-celup"]) == ["Bali", "Celup"]


def test_all_that_tells_an_accuracy_tells_the_same(house):
    analysis, folder = house
    words = {place: plain(text) for place, text in said(analysis).items()}
    index, metrics = plain((folder.parent / "index.html").read_text()), read_metrics(folder / "metrics.json")
    readme = readme_table(folder.parent, [NAME])
    for model, letter in zip(analysis.study.compare, "AB", strict=True):
        grouped, title = scores_of(metrics)[model, "grouped"], analysis.study.models[model].title
        shown = plain(say.percent(grouped["value"]))
        band = plain(say.percent_range(say.Band(grouped["low"], grouped["high"])))
        card = plain(model_card(analysis.study, model, {}, metrics, analysis.facts))
        assert all(shown in text for text in (words["tbl-grouped"], index, readme, card)), model
        assert all(band in text for text in (words["tbl-grouped"], readme, card)), model
        assert readme.count(f" | {letter} {title} |") == 1 and f"/{NAME}/report.html" in readme
    for value in (analysis.head.mean_a, analysis.head.mean_b):
        shown = plain(say.percent(value))
        assert all(shown in text for text in (words["00-abstract"], words["02-grouped"], index))
        assert shown.replace(".", ",") in words["00-abstrak"]
    gap = plain(say.signed_points(headline(metrics)["difference"]))
    assert all(gap in text for text in (words["00-abstract"], words["02-grouped"], readme, index))


def test_the_index_has_answer_figure_minutes_files_how_to_cite_and_the_paper_first_where_there_is_one(house):
    analysis, folder = house
    page = (folder.parent / "index.html").read_text()
    text, citation = plain(page), yaml.safe_load((ROOT / "CITATION.cff").read_text())
    reached = [plain(say.percent(value)) for value in (analysis.head.mean_a, analysis.head.mean_b)]
    assert f"{reached[0]} against {reached[1]} on the same" in text and "minutes on two cores" in text
    assert f'src="{NAME}/verdict.svg"' in page and f'href="{NAME}/metrics.json"' in page
    assert citation["title"] in text and f"Version {citation['version']}" in text and "@software{" in text
    assert "style=" not in page and page.count("<h1") == 1
    assert not re.findall(r"<img(?![^>]*alt=\"[^\"]{20})", page) and "paper/report.html" not in page
    (folder.parent / "paper").mkdir()
    (folder.parent / "paper" / "report.html").write_text("")
    write_index(folder.parent)
    page = (folder.parent / "index.html").read_text()
    assert 0 < page.index("paper/report.html") < page.index(f"{NAME}/report.html")


def test_the_index_links_what_is_there_puts_what_is_drawn_last_and_leaves_out_what_it_cannot_read(tmp_path):
    for name, source in (("a", "drawn"), ("b", "published"), ("own", "folder")):
        (tmp_path / name).mkdir()
        metrics = build_metrics(make_analysis(source)) | {"title": f"Study <{name}>"}
        (tmp_path / name / "metrics.json").write_text(json.dumps(metrics))
    assert write_index(tmp_path) == []
    page, own = ((tmp_path / place).read_text() for place in ("index.html", "photographs/index.html"))
    text = plain(page)
    assert text.index("Study &lt;b&gt;") < text.index(DRAWN) < text.index("Study &lt;a&gt;") < text.index("To cite")
    assert 'href="b/metrics.json"' in page and "report.pdf" not in page
    assert "&lt;own&gt;" not in page and 'href="../own/metrics.json"' in own and "&lt;b&gt;" not in own
    assert not re.findall(r"<(?:script|img|link)\b|url\(", page)
    for content, problem in (("{", "not JSON"), (json.dumps(metrics | {"version": 1}), "of another version")):
        (tmp_path / "b/metrics.json").write_text(content)
        assert write_index(tmp_path) == [f"Not in index.html: b/metrics.json is {problem}; build that report again."]
        left = (tmp_path / "index.html").read_text()
        assert "&lt;b&gt;" not in left and "&lt;a&gt;" in left


def test_the_title_page_credits_the_seed_study():
    seed = {"title": "Studi", "authors": ["A", "B", "C"], "institution": "BINUS", "year": 2024}
    seed |= {"language": "Indonesian", "framework": "TensorFlow", "summary": "It compared."}
    page, bare = (about(make_study(**more), make_dataset()) for more in ({"seed_study": seed}, {}))
    assert page["credit"] == ["Takes up “Studi”", "by A, B and C", "BINUS, 2024"]
    assert page["header"] == "" and bare["credit"] == []
    alone = make_study(seed_study=seed | {"authors": ["A"], "year": None})
    assert about(alone, make_dataset())["credit"][1:] == ["by A", "BINUS"]


def cards(source, seed=False, runs=False, model="small"):
    """A made study, its checklist, and the model card of one network."""
    made = make_analysis(source, seed, runs, seed)
    card = model_card(made.study, model, {}, build_metrics(made), made.facts)
    return made, checklist(made.study, made.dataset, made.facts), card


@pytest.mark.parametrize(("source", "seed"), [*product(("published", "folder", "drawn"), (True, False))])
def test_no_card_says_what_is_not_true_of_the_study_and_each_names_its_licence(source, seed):
    made, *texts = cards(source, seed)
    assert all(part in texts[1] for part in LICENCES[source].split("; "))
    assert ("identical" in texts[1]) == (source == "published")
    texts.append(cards(source, seed, model="lite")[2])
    words = re.sub("`[^`]*`", "", "\n".join(texts)).lower()  # but for commands and paths
    assert not [w for fact in made.facts & {*FORBIDDEN} for w in FORBIDDEN[fact].split("; ") if w in words]


@pytest.mark.parametrize("sort", [("published", True, True), ("folder",), ("drawn", True)])
def test_the_checklist_answers_every_item_and_points_to_sections_of_the_notebooks(sort):
    _, text, _ = cards(*sort)
    items = [f"{i}{'abcdefg'[j]}" for i, size in enumerate([3, 5, 7, 3, 6, 3, 3, 2], 1) for j in range(size)]
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
    assert "20 images, of which 20 are distinct" in published and "and the corruptions" in published
    copies = replace(made.dataset, groups=np.array([0, 0, *range(18)]))
    other = checklist(made.study, copies, made.facts - {"corruptions"} | {"sources"})
    assert "20 images, of which 18 are distinct" in other and "the corruptions" not in other
    assert "keeps pictures of one known source together" in other
    folder = cards("folder")[1]
    assert "folder that was given for this study" in folder and "DATA=…" in folder
    assert "nothing is claimed about batik" in cards("drawn")[1]


def test_the_model_card_fills_figures_and_says_which_are_missing():
    made = make_analysis("published", True)
    metrics = build_metrics(made)
    scores_of(metrics)["lite", "grouped"].update(value=0.8, low=0.7, high=0.9, n=150)
    scores_of(metrics, "macro_f1")["lite", "grouped"]["value"] = 0.79
    text = model_card(made.study, "lite", {}, metrics, made.facts)
    assert "| grouped | 80.0\u00a0% | 70.0–90.0\u00a0% | 0.790 | 150 |" in text
    assert "| published | 100.0\u00a0% |" in text and "| sources | not measured |" in text
    assert "always names one of its motifs" in text and "## The file" not in text
    assert "ImageNet weights that it starts from" in text
    assert "ImageNet" not in model_card(made.study, "small", {}, metrics, made.facts)


def test_the_model_card_tells_of_the_file_what_was_measured_and_no_more():
    made = make_analysis("published", True)
    poorer = made.deployed | {"gate": None, "sets": None, "calibration": None}
    metrics = build_metrics(made)
    text, less = (model_card(made.study, "lite", numbers, metrics, made.facts) for numbers in (made.deployed, poorer))
    rows = dict(line.strip("| ").split(" | ") for line in text.partition("## The file")[2].splitlines() if "|" in line)
    assert rows["format"] == "LiteRT, float16, 4.6 MB" and rows["calibration error"] == "5.0\u00a0% (20 pictures)"
    assert rows["ordinary pictures turned away"] == "85.0\u00a0% of 100" and "other motifs turned away" in rows
    assert rows["sets hold Alder"] == rows["sets hold the true motif"]
    assert "| evidence |" in less and not re.search("turned away|sets hold|calibration", less)


def test_of_models_that_are_as_good_the_most_accurate_is_recommended_and_of_equals_the_smallest():
    fits = make_results({"scratch": 0.9}, repeats=5, published={"scratch": (27,)}).items

    def best(size, worse):
        """Beside another model, right as often but for some pictures, with its own size."""
        rng, twins = np.random.default_rng(0), []
        for r in fits:
            swap = np.where(rng.random(len(r.y_true)) < worse, (r.y_true + 1) % 3, r.y_prob.argmax(axis=1))
            fit = replace(r.fit, model="efficientnet_lite2")
            twins.append(replace(r, fit=fit, y_prob=np.eye(3)[swap], parameters=size))
        return recommended(make_study(), Results((*fits, *twins)))

    assert (best(10, 0.0), best(9_000, 0.0)) == ("efficientnet_lite2", "scratch"), "equals: the smaller one"
    assert best(10, 0.01) == "scratch", "practically the same, and less accurate"


def test_the_recommended_model_has_the_highest_lower_bound_and_no_known_mistake_and_was_fitted():
    right = {"scratch": [15, 18], "efficientnet_lite2": [25, 26]}
    results = make_results({"scratch": 0.6, "efficientnet_lite2": 0.9}, published=right)

    def best(*broken, study=None, more=()):
        gone = [r for r in results if r.fit.model in broken and r.fit.protocol == "published"]
        items = [replace(r, missing="it diverged") if r in gone else r for r in results]
        return recommended(study or make_study(), Results((*items, *more)))

    assert best() == "efficientnet_lite2" and best("efficientnet_lite2") == "scratch"
    models = {name: model.model_dump(mode="json") for name, model in make_study().models.items()}
    models["efficientnet_lite2"] |= {"variant_of": "scratch", "mistake": "feeding it upside down"}
    assert best(study=make_study(models=models)) == "scratch"
    by_source = make_results({"efficientnet_lite2": 0.34}, protocol="sources").items
    assert best(more=by_source) == "scratch", "it must beat chance there, too"
    guessing = make_results(dict.fromkeys(right, 1 / 3), repeats=5, published=dict.fromkeys(right, (10,)))
    with pytest.raises(BatikError, match="no model of bali-betawi-celup that can be given out is shown to beat chance"):
        recommended(make_study(), guessing)
    with pytest.raises(BatikError, match="no published fit succeeded in bali-betawi-celup"):
        best(*right)
