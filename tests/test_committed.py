"""A report made anew says what the committed one says, and so does what people typed of it.

Another processor may round differently.
"""

import json
import re
import subprocess

import pytest
import yaml

from batik_utils.report.metrics import VERSION, read_metrics, scores_of
from batik_utils.report.pages import MARKS
from batik_utils.study import ROOT
from batik_utils.study_file import load_study

TOLERANCE = 0.05
"""Of an accuracy: a rounding may turn a picture or two of a small test set."""


def committed(path):
    done = subprocess.run(["git", "show", f"HEAD:{path}"], cwd=ROOT, capture_output=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


@pytest.mark.parametrize("path", sorted(ROOT.glob("reports/*/metrics.json")), ids=lambda path: path.parent.name)
def test_a_report_holds_what_is_committed(path):
    before = committed(path.relative_to(ROOT).as_posix())
    if before is None:
        pytest.skip("a study that is not committed, or no repository")
    after = json.loads(path.read_text(encoding="utf-8"))
    assert after["version"] == VERSION
    assert after["data"] == before["data"]
    assert after["verdict"]["word"] == before["verdict"]["word"]
    assert set(after["models"]) == set(before["models"])
    then, now = scores_of(before), scores_of(after)
    assert set(then) == set(now)
    for key in ((m, p) for m, p in then if p in ("published", "grouped")):
        assert now[key]["value"] == pytest.approx(then[key]["value"], abs=TOLERANCE), key
        assert now[key]["n"] == then[key]["n"]


STUDIES = MARKS.search((ROOT / "README.md").read_text(encoding="utf-8"))[2].split()
METRICS = {name: read_metrics(ROOT / "reports" / name / "metrics.json") for name in STUDIES}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
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
        for number, percent, thing, decimal in TYPED.findall(passage):
            thing = "%" if percent or decimal else THINGS.get(thing, thing)
            if number + percent == "95%" or (thing in ("%", "point") and not any(named) and len(studies) > 1):
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


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_what_a_page_says_was_measured_is_what_the_reports_hold(page):
    assert not stale(page.read_text(encoding="utf-8"), METRICS.values())


def test_so_does_the_last_entry_of_the_changelog_and_the_table_of_what_more_motifs_cost():
    last = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]
    assert not stale(last, METRICS.values())
    rows = dict(re.findall(r"^\| (\d+) \| (\d+) \|", (ROOT / "docs/SCALING.md").read_text("utf-8"), re.MULTILINE))
    for name in ("bali-betawi-celup", "twenty-motifs"):
        assert rows[str(len(METRICS[name]["data"]["motifs"]))] == str(METRICS[name]["data"]["images"])


@pytest.mark.parametrize("name", METRICS)
def test_so_does_a_study_in_its_texts_and_comments(name):
    raw, metrics, study = (ROOT / f"studies/{name}.yaml").read_text("utf-8"), METRICS[name], load_study(name)
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
