"""What the README says was measured is what the committed reports say."""

import json
import re

import pytest

from batik_utils.study import ROOT, load_study, study_names
from batik_utils.wording import percent, percent_range, points_range, signed_points

README = (ROOT / "README.md").read_text(encoding="utf-8")


class Band:
    """Two ends, as wording wants them."""

    def __init__(self, ends):
        self.low, self.high = ends


def answer_row(name):
    """The README's line for one study, from its committed metrics."""
    metrics = json.loads((ROOT / "reports" / name / "metrics.json").read_text(encoding="utf-8"))
    cells = [f"[{name}](reports/{name}/report.pdf)"]
    for model in load_study(name).compare:
        grouped = metrics["models"][model]["grouped"]
        label = metrics["models"][model]["title"]
        cells.append(f"{label}: {percent(grouped['accuracy'])} ({percent_range(Band(grouped['interval']))})")
    found = metrics["comparison"]["grouped"]
    cells.append(f"{signed_points(found['difference'])} ({points_range(Band(found['interval']))})")
    cells.append(metrics["comparison"]["verdict"])
    return "| " + " | ".join(cells).replace("\u00a0", " ") + " |"


@pytest.mark.parametrize("name", study_names())
def test_the_answer_is_that_of_the_committed_report(name):
    assert answer_row(name) in README


@pytest.mark.parametrize("name", study_names())
def test_every_study_is_committed_whole(name):
    for file in ("report.html", "report.pdf", "metrics.json", "verdict.svg"):
        assert (ROOT / "reports" / name / file).stat().st_size > 1000
    assert f"{name}/report.html" in (ROOT / "reports" / "index.html").read_text(encoding="utf-8")


def test_no_photograph_is_in_a_committed_report_of_photographs():
    for name in study_names():
        if load_study(name).data == "photographs":
            page = (ROOT / "reports" / name / "report.html").read_text(encoding="utf-8")
            text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
            assert "In this rendering no photograph is shown" in text
