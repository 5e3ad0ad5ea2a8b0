"""What is told of all studies at once, from their metrics.json: reports/index.html, and the README's results.

These are made anew by `python -m batik_utils.report.pages`.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from batik_utils.cache import write_text
from batik_utils.deploy import PRIVATE
from batik_utils.errors import BatikError
from batik_utils.report.metrics import headline, read_metrics, scores_of
from batik_utils.report.say import JINJA
from batik_utils.study import ROOT
from batik_utils.study_file import load_study, read_yaml, study_names
from batik_utils.wording import NBSP

FILES = {
    "report.html": "Read the report",
    "report.pdf": "PDF",
    "metrics.json": "Numbers",
    "model-card.md": "Model card",
    "reforms.md": "Checklist",
    "verdict.svg": "Figure",
}
"""What the index links to, where it is there; not the classifier, whose runtime is not ours to commit."""
MARKS = re.compile(r"(<!-- results: (.+?) -->\n).*?(<!-- end of results -->)", re.DOTALL)


def write_index(reports: Path) -> list[str]:
    """Write reports/index.html, photographs first; returns a line for each study that is left out, with the reason.

    Studies of one's own pictures have an index of their own, which is not committed: reports/photographs/index.html.
    """
    studies, left_out = [], []
    for path in sorted(reports.glob("*/metrics.json")):
        try:
            metrics = read_metrics(path)
        except BatikError as error:
            left_out.append(f"Not in index.html: {error}")
            continue
        studies.append(_rows(path.parent, metrics))
    studies.sort(key=lambda study: study["data"]["drawn"])
    citation = read_yaml((ROOT / "CITATION.cff").read_bytes(), "CITATION.cff")
    paper, template = (reports / "paper" / "report.html").is_file(), JINJA.overlay(autoescape=True, finalize=None)
    for path, up in (reports / "index.html", ""), (reports / PRIVATE / "index.html", "../"):
        shown = [study for study in studies if (study["data"]["kind"] == "folder") == bool(up)]
        page = template.get_template("index.html").render(studies=shown, citation=citation, paper=paper, up=up) + "\n"
        if (shown or not up) and not (path.is_file() and path.read_bytes() == page.encode()):
            write_text(path, page)
    return left_out


def _rows(folder: Path, metrics: dict[str, Any]) -> dict[str, Any]:
    """What index and README tell of a study: its metrics, files, minutes, and models, best first."""
    scores, verdict = scores_of(metrics), metrics["verdict"]
    models = {
        name: model | {protocol: scores.get((name, protocol)) for protocol in ("published", "grouped", "sources")}
        for name, model in metrics["models"].items()
        if model["kind"] != "baseline"
    }
    # Best in cross-validation first, those without results last.
    ranked = sorted(models.values(), key=lambda m: (-(m["grouped"] or {"value": 0})["value"], m["title"]))
    rows: dict[str, Any] = {"compared": [models[verdict["a"]], models[verdict["b"]]], "ranked": ranked}
    rows |= {"head": headline(metrics), "name": folder.name}
    rows |= {"files": {name: title for name, title in FILES.items() if (folder / name).is_file()}}
    return metrics | rows | {"minutes": load_study(folder.name).minutes if folder.name in study_names() else ""}


def update_readme(path: Path = ROOT / "README.md", reports: Path = ROOT / "reports") -> None:
    """Make the tables between README's marks anew; the first of them names the studies. Raises BatikError without."""
    text = path.read_text(encoding="utf-8")
    if not MARKS.search(text):
        raise BatikError(f"{path.name} has no table of results: it stands between <!-- results: … --> and an end mark.")
    write_text(path, MARKS.sub(lambda found: found[1] + readme_table(reports, found[2].split()) + found[3], text))


def readme_table(reports: Path, studies: Sequence[str]) -> str:
    """A Markdown table, a row for each model of a study's verdict: accuracy with copies together, by source, files."""
    rows = [_rows(reports / name, read_metrics(reports / name / "metrics.json")) for name in studies]
    return JINJA.get_template("readme.md.j2").render(reports=reports.name, studies=rows).replace(NBSP, " ")


if __name__ == "__main__":
    update_readme()
