"""What the README says was measured is what the committed reports say, and what it points to is there."""

import re
import tomllib

import pytest
import yaml
from browsing import workflow_faults

from batik_utils.cli import app
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


PAGES = ["README.md", "CONTRIBUTING.md", *(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/*.md"))]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
COMMANDS = {command.name or command.callback.__name__ for command in app.registered_commands}


@pytest.mark.parametrize("page", PAGES)
def test_every_place_and_target_that_a_page_names_is_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = {link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link}
    names = links | set(re.findall(r"`([\w-][\w./-]*(?:/|\.(?:yaml|yml|md|py|toml|txt|ipynb)))`", text))
    made = r"(\.\./shared/)?(data|weights)/$|(features|train|valid|test)/$|reports/photographs|.*STUDY|model-card"
    names = {name for name in names if not re.match(made, name)}
    rooms = [(ROOT / page).parent, ROOT, *(ROOT / "batik_utils" / part for part in ("", "report", "models"))]
    assert not {name for name in names if not any((room / name).exists() for room in rooms)}
    assert set(re.findall(r"(?:`|^)make ([a-z]+)", text, re.MULTILINE)) <= TARGETS
    assert set(re.findall(r"bin/batik ([a-z]+)", text)) <= COMMANDS
    for name, value in re.findall(r'^(STUDY|NOTEBOOK) = "(.+?)"', text, re.MULTILINE):
        assert (ROOT / {"STUDY": f"studies/{value}.yaml", "NOTEBOOK": f"notebooks/{value}.ipynb"}[name]).is_file()
    # No address of a registry, which everybody sets for themselves, and no folder of somebody's machine.
    assert not re.search(r"https?://(?!keepachangelog|semver)|/(work|root|home|Users)/", text)


WORKFLOW = ROOT / ".github/workflows/report.yml"


def test_the_workflow_has_no_fault_and_what_it_names_is_there():
    assert workflow_faults(WORKFLOW) == []
    jobs = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    for action in {step["uses"] for step in steps if "uses" in step}:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action), action
    said = "\n".join(step.get("run", "") for step in steps)
    assert set(re.findall(r"\bmake ([a-z]+) STUDY=", said)) == {"report", "app"} <= TARGETS
    assert set(re.findall(r"bin/batik ([a-z]+)", said)) == {"diff"} <= COMMANDS
    assert jobs["classifier"]["strategy"]["matrix"]["study"] == STUDIES
    for place in re.findall(r"(?:^|[ \"])((?:\.ci|reports|studies)/[\w/*.-]+)", said, re.MULTILINE):
        assert list(ROOT.glob(place)), place


def test_faults_of_a_workflow_are_found(tmp_path):
    text = WORKFLOW.read_text(encoding="utf-8")
    for right, wrong in ("needs: report", "needs: nothing"), ("matrix.study", "matrix.studies"), ("$BASE", "${{ x }}"):
        text = text.replace(right, wrong)
    (tmp_path / "report.yml").write_text(text, encoding="utf-8")
    faults = "\n".join(workflow_faults(tmp_path / "report.yml"))
    assert '"nothing" which does not exist' in faults and '"studies" is not defined' in faults and '"x"' in faults


def test_version_and_changes_are_told_alike():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation) and citation["version"] == version
    released = f"## [{version}] - {citation['date-released']}"
    assert released in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
