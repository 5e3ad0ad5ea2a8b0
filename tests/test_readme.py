"""What the README says was measured is what the committed reports say, and what it points to is there."""

import re
import tomllib

import pytest
import yaml

from batik_utils.errors import BatikError
from batik_utils.report.metrics import read_metrics, scores_of
from batik_utils.report.pages import MARKS, update_readme
from batik_utils.study import ROOT
from batik_utils.study_file import load_study
from batik_utils.wording import NBSP, percent

README = (ROOT / "README.md").read_text(encoding="utf-8")
STUDIES = MARKS.search(README)[2].split()


def test_the_table_of_results_is_that_of_the_committed_reports(tmp_path):
    path = tmp_path / "README.md"
    stale = re.sub(r"\d+\.\d %", "99.9 %", README)
    assert stale != README
    path.write_text(stale, encoding="utf-8")
    update_readme(path)
    assert MARKS.search(path.read_text(encoding="utf-8"))[0] == MARKS.search(README)[0]


def test_a_table_that_cannot_be_made_is_said_in_one_line(tmp_path):
    (tmp_path / "README.md").write_text("<!-- results: nowhere -->\n<!-- end of results -->\n")
    with pytest.raises(BatikError, match="make report STUDY=nowhere"):
        update_readme(tmp_path / "README.md", tmp_path)
    (tmp_path / "README.md").write_text("no marks")
    with pytest.raises(BatikError, match="has no table of results"):
        update_readme(tmp_path / "README.md")


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_of_the_table_is_committed_whole(name):
    for file in ("report.html", "report.pdf", "metrics.json", "verdict.svg", "model-card.md"):
        assert (ROOT / "reports" / name / file).stat().st_size > 1000
    assert f"{name}/report.html" in (ROOT / "reports/index.html").read_text(encoding="utf-8")
    assert f"make report STUDY={name}" in load_study(name).command


@pytest.mark.parametrize("name", STUDIES)
def test_the_verdicts_accuracies_are_told_alike_wherever_they_are_committed(name):
    metrics = read_metrics(ROOT / "reports" / name / "metrics.json")
    pages = (README, *((ROOT / "reports" / page).read_text("utf-8") for page in ("index.html", f"{name}/report.html")))
    for model in (metrics["verdict"]["a"], metrics["verdict"]["b"]):
        shown = percent(scores_of(metrics)[model, "grouped"]["value"]).replace(NBSP, " ")
        assert all(shown in page.replace(NBSP, " ") for page in pages), model


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_place_and_target_that_a_page_names_is_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = {link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link}
    names = links | set(re.findall(r"`([\w-][\w./-]*(?:/|\.(?:yaml|md|py|toml|txt)))`", text))
    names = {name for name in names if not re.match(r"data/$|reports/photographs|.*STUDY|model-card", name)}
    rooms = [ROOT, ROOT / "batik_utils", ROOT / "batik_utils/report", ROOT / "batik_utils/models"]
    assert len(names) > 5
    assert not {name for name in names if not any((room / name).exists() for room in rooms)}
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z]+)", text, re.MULTILINE)) <= targets


def test_version_and_changes_are_told_alike():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation) and citation["version"] == version
    released = f"## [{version}] - {citation['date-released']}"
    assert released in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
