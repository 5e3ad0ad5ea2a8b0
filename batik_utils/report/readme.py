"""The README's table of results, made from the committed reports: `python -m batik_utils.report.readme`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from batik_utils.errors import BatikError
from batik_utils.files import write_text
from batik_utils.study import ROOT, load_study
from batik_utils.wording import NBSP, Band, percent, percent_range, points_range, signed_points

MARKS = re.compile(r"(<!-- results: (.+?) -->\n).*?(<!-- end of results -->)", re.DOTALL)
HEAD = ("study", "pictures", "minutes", "chance", "pretrained (A)", "scratch (B)", "A − B", "A is")


def update_readme(path: Path = ROOT / "README.md", reports: Path = ROOT / "reports") -> None:
    """Make the table between README's marks anew; the first of them names the studies. Raises BatikError without."""
    text = path.read_text(encoding="utf-8")
    if not MARKS.search(text):
        raise BatikError(f"{path.name} has no table of results: it stands between <!-- results: … --> and an end mark.")
    write_text(path, MARKS.sub(lambda found: found[1] + readme_table(reports, found[2].split()) + found[3], text))


def readme_table(reports: Path, studies: Sequence[str]) -> str:
    """A Markdown table, one row per study, of accuracies in grouped cross-validation with corrected intervals."""
    rows = [HEAD, ["---"] * len(HEAD), *(_row(name, reports / name / "metrics.json") for name in studies)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows).replace(NBSP, " ")


def _row(name: str, path: Path) -> list[str]:
    if not path.is_file():
        raise BatikError(f"There is no {name}/{path.name} yet; run `make report STUDY={name}` first.")
    metrics = json.loads(path.read_text(encoding="utf-8"))
    per_motif, comparison = metrics["data"]["per_motif"].values(), metrics["comparison"]
    cells = [f"[{name}]({path.parent.parent.name}/{name}/report.pdf)", str(sum(per_motif)), load_study(name).minutes]
    cells.append(percent(max(per_motif) / sum(per_motif)))
    for model in (metrics["models"][comparison[side]] for side in "ab"):
        grouped = model["grouped"]
        cells.append(f"{model['title']}: {percent(grouped['accuracy'])} ({percent_range(Band(*grouped['interval']))})")
    band = points_range(Band(*comparison["grouped"]["interval"]))
    return [*cells, f"{signed_points(comparison['grouped']['difference'])} ({band})", comparison["verdict"]]


if __name__ == "__main__":
    update_readme()
