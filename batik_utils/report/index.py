"""reports/index.html: the studies that have been rendered, with their headline figures."""

from __future__ import annotations

import html
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from batik_utils.errors import BatikError
from batik_utils.report.document import TEMPLATES


def write_index(reports: Path) -> Path:
    """Write reports/index.html from each study's metrics.json, whole or not at all; returns its path."""
    target = reports / "index.html"
    handle, name = tempfile.mkstemp(dir=reports, prefix=".index.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(index_page(reports))
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def index_page(reports: Path) -> str:
    """The index as HTML; photographs first, then the sample, each by name."""
    studies = []
    for path in sorted(reports.glob("*/metrics.json")):
        try:
            metrics = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise BatikError(f"{path.parent.name}/metrics.json is not JSON; build that report again.") from None
        studies.append((metrics["data"]["sample"], path.parent.name, metrics))
    cards = "\n".join(_card(reports / name, metrics) for _, name, metrics in sorted(studies, key=lambda s: s[:2]))
    page = (TEMPLATES / "index.html").read_text(encoding="utf-8")
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    return page.replace("/* report.css */", style).replace("<!-- studies -->", cards or "<p>No report yet.</p>")


def _card(folder: Path, metrics: dict[str, Any]) -> str:
    data = metrics["data"]
    kind = '<p class="kind">Procedural sample, not batik photographs</p>\n' if data["sample"] else ""
    files = [("report.html", "Read the report"), ("report.pdf", "PDF"), ("metrics.json", "metrics.json")]
    links = " · ".join(f'<a href="{folder.name}/{f}">{label}</a>' for f, label in files if (folder / f).is_file())
    motifs = ", ".join(m.removeprefix("batik-").removeprefix("sample-") for m in metrics["motifs"])
    sentence = (metrics.get("comparison") or {}).get("sentence") or ""
    rows = "\n".join(_row(model) for model in sorted(metrics["models"].values(), key=_rank))
    return f"""<section class="study">
{kind}<h2><a href="{folder.name}/report.html">{html.escape(metrics["title"])}</a></h2>
<p class="facts">{data["images"]} images; {html.escape(motifs)}</p>
<p>{html.escape(sentence)}</p>
<div class="table-wrap"><table>
<thead><tr><th>Model</th><th class="n">Parameters</th><th class="n">Accuracy, published split</th>\
<th class="n">Accuracy, cross-validation</th></tr></thead>
<tbody>
{rows}
</tbody></table></div>
<p class="links">{links}</p>
</section>"""


def _row(model: dict[str, Any]) -> str:
    count = model.get("parameters")
    cells = [f"{count:,}" if count else "–", _score(model.get("published")), _score(model.get("grouped"))]
    numbers = "".join(f'<td class="n">{cell}</td>' for cell in cells)
    return f"<tr><td>{html.escape(model['title'])}</td>{numbers}</tr>"


def _rank(model: dict[str, Any]) -> tuple[float, str]:
    """Best in cross-validation first, those without results last."""
    return -((model.get("grouped") or {}).get("accuracy") or 0.0), model["title"]


def _score(protocol: dict[str, Any] | None) -> str:
    if not protocol or protocol.get("accuracy") is None:
        return "–"
    accuracy = f"{100 * protocol['accuracy']:.1f} %"
    if not protocol.get("interval"):
        return accuracy
    low, high = (100 * end for end in protocol["interval"])
    return f"{accuracy} <small>({low:.0f}–{high:.0f})</small>"
