"""Index, README, abstract, tables and model card say the same numbers; the index is a front door."""

import json
import re

import pytest
import yaml
from paper import make_analysis, said
from results_factory import make_dataset, make_study

from batik_utils import wording as say
from batik_utils.report.build import about
from batik_utils.report.metrics import build_metrics, headline, read_metrics, scores_of
from batik_utils.report.pages import model_card, readme_table, write_index
from batik_utils.study import ROOT

NAME = "bali-betawi-celup"
DRAWN = "Procedural sample, not batik photographs"
OFTEN = {"folds": 3, "pretrained": {"repeats": 2, "seeds": 2}, "scratch": {"repeats": 2, "seeds": 2}}


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


@pytest.mark.parametrize("names", [["Kawung", "kawung"], ["batik_kawung", "batik kawung", "bali"], ["a-b", "a_b"]])
def test_motifs_whose_names_would_look_alike_are_shown_as_they_are_on_the_disk(names):
    assert say.motif_names(names) == names
    assert say.motif_names(["batik-bali", "batik-celup"]) == ["Bali", "Celup"]


def plain(text):
    return re.sub(r"<[^>]+>", "", text).replace(say.NBSP, " ").replace("&nbsp;", " ")


def test_all_that_tells_an_accuracy_tells_the_same(house):
    analysis, folder = house
    words = {place: plain(text) for place, text in said(analysis).items()}
    index, metrics = plain((folder.parent / "index.html").read_text()), read_metrics(folder / "metrics.json")
    readme = readme_table(folder.parent, [NAME])
    for model in analysis.study.compare:
        grouped = scores_of(metrics)[model, "grouped"]
        shown, band = (
            plain(say.percent(grouped["value"])),
            plain(say.percent_range(say.Band(grouped["low"], grouped["high"]))),
        )
        card = plain(model_card(analysis.study, model, {}, metrics, analysis.facts))
        assert all(shown in text for text in (words["tbl-grouped"], index, readme, card)), model
        assert all(band in text for text in (words["tbl-grouped"], readme, card)), model
    for value in (analysis.head.mean_a, analysis.head.mean_b):
        shown = plain(say.percent(value))
        assert all(shown in text for text in (words["00-abstract"], words["02-grouped"], index))
        assert shown.replace(".", ",") in words["00-abstrak"]
    gap = plain(say.signed_points(headline(metrics)["difference"]))
    assert all(gap in text for text in (words["00-abstract"], words["02-grouped"], readme, index))


def test_the_index_has_answer_figure_size_minutes_files_and_how_to_cite(house):
    page = (house[1].parent / "index.html").read_text()
    text, citation = plain(page), yaml.safe_load((ROOT / "CITATION.cff").read_text())
    answer = (
        f"{plain(say.percent(house[0].head.mean_a))} against {plain(say.percent(house[0].head.mean_b))} on the same"
    )
    assert answer in text and "minutes on two cores" in text
    assert f'src="{NAME}/verdict.svg"' in page and f'href="{NAME}/metrics.json"' in page
    assert citation["title"] in text and f"Version {citation['version']}" in text and "@software{" in text
    assert "style=" not in page and page.count("<h1") == 1
    assert not re.findall(r"<img(?![^>]*alt=\"[^\"]{20})", page)


def test_the_paper_comes_first_where_there_is_one(house):
    folder = house[1].parent
    assert "paper/report.html" not in (folder / "index.html").read_text()
    (folder / "paper").mkdir()
    (folder / "paper" / "report.html").write_text("")
    write_index(folder)
    page = (folder / "index.html").read_text()
    assert 0 < page.index("paper/report.html") < page.index(f"{NAME}/report.html")


def test_the_readme_has_a_row_for_each_model_of_the_verdict(house):
    table = readme_table(house[1].parent, [NAME])
    assert table.count(" | A Lite |") == table.count(" | B Small CNN |") == 1 and f"/{NAME}/report.html" in table
    assert read_metrics(house[1] / "metrics.json")["study"] == NAME


def test_the_index_links_what_is_there_puts_what_is_drawn_last_and_leaves_out_what_it_cannot_read(tmp_path):
    for name, source in (("a", "drawn"), ("b", "published"), ("own", "folder")):
        (tmp_path / name).mkdir()
        metrics = build_metrics(make_analysis(source)) | {"title": f"Study <{name}>"}
        (tmp_path / name / "metrics.json").write_text(json.dumps(metrics))
    assert write_index(tmp_path) == []
    page = (tmp_path / "index.html").read_text()
    said = plain(page)
    assert said.index("Study &lt;b&gt;") < said.index(DRAWN) < said.index("Study &lt;a&gt;") < said.index("To cite")
    assert 'href="b/metrics.json"' in page and "report.pdf" not in page
    own = (tmp_path / "photographs" / "index.html").read_text()
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
    page = about(make_study(seed_study=seed), make_dataset())
    assert page["credit"] == ["Takes up “Studi”", "by A, B and C", "BINUS, 2024"]
    assert page["header"] == "" and about(make_study(), make_dataset())["credit"] == []
    alone = make_study(seed_study=seed | {"authors": ["A"], "year": None})
    assert about(alone, make_dataset())["credit"][1:] == ["by A", "BINUS"]
