"""What is committed says the same everywhere, in plain scientific English, and points to what is there.

A report made anew says what the committed one says; another processor may round differently.
"""

import json
import re
import subprocess
import tomllib

import pytest
import yaml
from browsing import workflow_faults
from paper import make_analysis, said

from batik_utils.cli import app
from batik_utils.errors import BatikError
from batik_utils.report.metrics import VERSION, read_metrics, scores_of
from batik_utils.report.pages import MARKS, update_readme
from batik_utils.study import ROOT
from batik_utils.study_file import load_study
from batik_utils.wording import NBSP, percent

TOLERANCE = 0.05
"""Of an accuracy: a rounding may turn a picture or two of a small test set."""


def text_of(path):
    return (ROOT / path).read_text("utf-8")


README = text_of("README.md")
STUDIES = MARKS.search(README)[2].split()
METRICS = {name: read_metrics(ROOT / "reports" / name / "metrics.json") for name in STUDIES}
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/*.md"))]


@pytest.mark.parametrize("path", sorted(ROOT.glob("reports/*/metrics.json")), ids=lambda path: path.parent.name)
def test_a_report_holds_what_is_committed(path):
    done = subprocess.run(["git", "show", f"HEAD:{path.relative_to(ROOT).as_posix()}"], cwd=ROOT, capture_output=True)
    if done.returncode:
        pytest.skip("a study that is not committed, or no repository")
    before, after = json.loads(done.stdout), json.loads(path.read_text("utf-8"))
    assert after["version"] == VERSION and after["data"] == before["data"]
    assert after["verdict"]["word"] == before["verdict"]["word"] and set(after["models"]) == set(before["models"])
    then, now = scores_of(before), scores_of(after)
    assert set(then) == set(now)
    for key in ((m, p) for m, p in then if p in ("published", "grouped")):
        assert now[key]["value"] == pytest.approx(then[key]["value"], abs=TOLERANCE), key
        assert now[key]["n"] == then[key]["n"]


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_of_the_table_is_committed_whole_and_its_verdicts_accuracies_are_told_alike(name):
    for file in ("report.html", "report.pdf", "metrics.json", "verdict.svg", "model-card.md"):
        assert (ROOT / "reports" / name / file).stat().st_size > 1000
    pages = [README, text_of("reports/index.html"), text_of(f"reports/{name}/report.html")]
    assert f"{name}/report.html" in pages[1] and f"make report STUDY={name}" in load_study(name).command
    for model in (METRICS[name]["verdict"]["a"], METRICS[name]["verdict"]["b"]):
        shown = percent(scores_of(METRICS[name])[model, "grouped"]["value"]).replace(NBSP, " ")
        assert all(shown in page.replace(NBSP, " ") for page in pages), model


def test_the_table_of_results_is_that_of_the_committed_reports(tmp_path):
    path, stale_page = tmp_path / "README.md", re.sub(r"\d+\.\d %", "99.9 %", README)
    assert stale_page != README
    path.write_text(stale_page, encoding="utf-8")
    update_readme(path)
    assert MARKS.search(path.read_text(encoding="utf-8"))[0] == MARKS.search(README)[0]


def test_a_table_that_cannot_be_made_is_said_in_one_line(tmp_path):
    for text, problem in (
        ("<!-- results: nowhere -->\n<!-- end of results -->\n", "make report STUDY=nowhere"),
        ("no marks", "has no table of results"),
    ):
        (tmp_path / "README.md").write_text(text)
        with pytest.raises(BatikError, match=problem):
            update_readme(tmp_path / "README.md", tmp_path)


TOLD = ("published", "grouped", "sources")
THINGS = {"photograph": "picture", "image": "picture", "configuration": "run"}
TYPED = re.compile(
    r"(?<![\w.,])(\d[\d,]*(?:\.\d+)?) ?(?:(%)|"
    r"(?:\w+ )?(photograph|picture|image|motif|trio|run|configuration|point|MB)s?\b)|\b0(\.\d\d+)\b"
)
"""A number beside what it counts or measures; or an accuracy as a decimal of two digits or more."""


def held(metrics, named):
    """{thing: what a study's metrics.json holds of it}; of accuracies, the named models' and the claimed ones."""
    data, claims, compared = metrics["data"], metrics["claims"], metrics["comparisons"]
    sizes = {*data["per_motif"].values()}
    tests = {score["n"] for score in metrics["scores"] if score["protocol"] == "published"}
    scores = [s for (model, protocol), s in scores_of(metrics).items() if model in named and protocol in TOLD]
    rows = [c for c in compared if {c["a"], c["b"]} & named and c["protocol"] in TOLD]
    found = {
        "picture": {data["images"], min(sizes), max(sizes), *tests, *(data["images"] - n for n in tests)},
        "motif": {len(data["motifs"])},
        "trio": {metrics["trios"]["count"]} if metrics["trios"] else set(),
        "run": {sum(claim["metric"] == "accuracy" for claim in claims)},
        "MB": {metrics["classifier"]["bytes"] / 1e6},
        "%": {100 * score[end] for score in scores for end in ("value", "low", "high") if score[end] is not None},
        "point": {abs(100 * row[end]) for row in rows for end in ("difference", "low", "high") if row[end] is not None},
    }
    found["%"] |= {100 * claim["value"] for claim in claims}
    return found


def stale(text, studies):
    """The typed numbers that no metrics.json of these studies holds.

    Accuracies and differences are looked up where a model is named in the same sentence or row, or the text is a
    study's own; what was measured elsewhere names none.
    """
    wrong = []
    text = re.sub(r"(\d[\d.]*)(–| to [+−]?)(\d[\d.]*) (%|\w+)", r"\1 \4\2\3 \4", text)  # 45 to 50 pictures
    for passage in re.split(r"(?<=[.;:])\s|\n\n|\n(?=[|-])", text):
        passage = re.sub(r"\\(?=\W)", "", " ".join(passage.split()))  # a title may be escaped: CNN \\(tuned\\)
        named = [{name for name, m in metrics["models"].items() if m["title"] in passage} for metrics in studies]
        known = [held(metrics, models) for metrics, models in zip(studies, named, strict=True)]
        for number, sign, thing, decimal in TYPED.findall(passage):
            thing = "%" if sign or decimal else THINGS.get(thing, thing)
            if number + sign == "95%" or (thing in ("%", "point") and not any(named) and len(studies) > 1):
                continue
            value = 100 * float(decimal) if decimal else float(number.replace(",", ""))
            digits = len(number.partition(".")[2]) or max(0, len(decimal) - 3)
            if round(value, digits) not in {round(x, digits) for study in known for x in study[thing]}:
                wrong.append(f"{number or decimal} {thing}: {passage}")
    return wrong


def told(value):
    """A study's texts, but for those of trials on other pictures, which have a command that measures them."""
    if isinstance(value, dict):
        value = [inner for key, inner in value.items() if key not in ("tried", "chosen", "tuned")]
    return [value] if isinstance(value, str) else [t for v in value for t in told(v)] if isinstance(value, list) else []


@pytest.mark.parametrize("page", [*PAGES, "CHANGELOG.md"])
def test_what_a_page_says_was_measured_is_what_the_reports_hold(page):
    text = text_of(page)
    assert not stale(text.split("\n## ")[1] if page == "CHANGELOG.md" else text, METRICS.values())


def test_so_does_the_table_of_what_more_motifs_cost():
    rows = dict(re.findall(r"^\| (\d+) \| (\d+) \|", text_of("docs/SCALING.md"), re.MULTILINE))
    for data in (METRICS[name]["data"] for name in ("bali-betawi-celup", "twenty-motifs")):
        assert rows[str(len(data["motifs"]))] == str(data["images"])


@pytest.mark.parametrize("name", METRICS)
def test_so_does_a_study_in_its_texts_and_comments(name):
    raw, metrics, study = text_of(f"studies/{name}.yaml"), METRICS[name], load_study(name)
    comments = " ".join(re.findall(r"(?:^|\s)# ?(.*)", raw))
    assert not [fault for text in (comments, *told(yaml.safe_load(raw))) for fault in stale(text, [metrics])]
    for expected in re.findall(r"Expected: (.+) in grouped", comments):
        assert expected == f"{metrics['models'][metrics['verdict']['a']]['title']} {metrics['verdict']['word']}"
    assert {*re.findall(r"\b(\d+) minutes", comments)} <= {study.minutes}
    assert study.milliseconds == {m: row["milliseconds"] for m, row in metrics["models"].items() if row["milliseconds"]}


def test_a_stale_number_is_found():
    one, two = METRICS["bali-betawi-celup"], METRICS["sidoluhur-tambal-betawi"]
    reached = 100 * scores_of(one)["mobilenet_v2", "grouped"]["value"]
    assert not stale(f"MobileNetV2 reaches {reached:.1f} %.", [one, two])
    assert stale("MobileNetV2 reaches 99.9 %.", [one, two]) and not stale("An abacus reaches 99.9 %.", [one, two])
    assert stale("| MobileNetV2 | 76.5 % (12.3–83.0 %) |", [one]) and stale("MobileNetV2 is +99.9 points better", [one])
    assert stale("51 photographs of each motif", [one]) and not stale("50 photographs of each motif", [one])
    assert stale("from 45 to 51 pictures", METRICS.values()) and stale("the best of 27 runs", [two])
    assert stale("an accuracy of 0.58 on 30 validation images", [one]) and stale("0.57 on 31 validation images", [one])


TARGETS = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
COMMANDS = {command.name or command.callback.__name__ for command in app.registered_commands}


@pytest.mark.parametrize("page", PAGES)
def test_every_place_and_target_that_a_page_names_is_there(page):
    text = text_of(page)
    links = {link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link}
    names = links | set(re.findall(r"`([\w-][\w./-]*(?:/|\.(?:yaml|yml|md|py|toml|txt|ipynb)))`", text))
    made = r"(\.\./shared/)?(data|weights|train|valid|test)/$|features/$|reports/photographs|.*STUDY|model-card"
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
    jobs = yaml.safe_load(text_of(WORKFLOW))["jobs"]
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
    text = text_of(WORKFLOW)
    for right, wrong in ("needs: report", "needs: nothing"), ("matrix.study", "matrix.studies"), ("$BASE", "${{ x }}"):
        text = text.replace(right, wrong)
    (tmp_path / "report.yml").write_text(text, encoding="utf-8")
    faults = "\n".join(workflow_faults(tmp_path / "report.yml"))
    assert '"nothing" which does not exist' in faults and '"studies" is not defined' in faults and '"x"' in faults


def test_version_and_changes_are_told_alike():
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation) and citation["version"] == version
    assert f"## [{version}] - {citation['date-released']}" in text_of("CHANGELOG.md")


NEVER = r"""
guessing alone; shown to know; file facts; by heart; seed stud; what small costs; what it refuses; what is easy
told apart in; it knows; they know\b; leans? on; \b(is|are) sure\b; how sure; doubts; says nothing of itself
not a person; tebakan saja; dikumpulkan; terulang; wajik; dikelirukan; himpunan data
"""
NEVER = re.split("; |\n", NEVER.strip())
"""Phrases of an earlier dialect, as regular expressions: none may stand in what readers see."""
# A report that waits to be made anew is not held to the words of the present code.
MADE = sorted(p.parent for p in (ROOT / "reports").glob("*/metrics.json") if '"confusion"' in p.read_text("utf-8"))
SEEN = [*(folder / "report.html" for folder in MADE), ROOT / "reports/paper/report.html", ROOT / "reports/index.html"]
SEEN += [ROOT / "README.md", ROOT / "docs/USING.md", ROOT / "batik_utils/app/page/words.json"]


def dialect(text: str) -> list[str]:
    plain = re.sub(r"<(style|script|svg).*?</\1>|<[^>]+>", " ", text, flags=re.S).replace(NBSP, " ").lower()
    return [match[0] for phrase in NEVER for match in re.finditer(phrase, plain)]


@pytest.mark.parametrize("page", SEEN, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_models_are_not_persons_in_a_committed_page(page):
    assert not dialect(page.read_text("utf-8"))


@pytest.mark.parametrize("sort", [("published", True, True, True, True, True), ("folder",), ("drawn",)])
def test_nor_in_a_made_report_and_a_phrase_is_found_whatever_marks_stand_about_it(sort):
    assert not dialect("\n".join(said(make_analysis(*sort)).values()))
    assert dialect("<p>Guessing\xa0alone is right</p>") == ["guessing alone"] and not dialect("<svg>it knows</svg>")
