"""reports/index.html: the studies that have been rendered, with their headline figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2

from batik_utils.errors import BatikError
from batik_utils.files import write_text
from batik_utils.report.export import TEMPLATES
from batik_utils.wording import motif_names, percent

VERSION = 2
"""Of metrics.json; an older one is not read."""
FILES = {"report.html": "Read the report", "report.pdf": "PDF", "metrics.json": "metrics.json"}


def write_index(reports: Path) -> Path:
    """Write reports/index.html, photographs first; raises BatikError for metrics.json of another version or none."""
    studies = []
    for path in sorted(reports.glob("*/metrics.json")):
        try:
            metrics = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise BatikError(f"{path.parent.name}/metrics.json is not JSON; build that report again.") from None
        if metrics.get("version") != VERSION:
            raise BatikError(f"{path.parent.name}/metrics.json is of another version; build that report again.")
        files = {name: title for name, title in FILES.items() if (path.parent / name).is_file()}
        models = sorted(metrics["models"].values(), key=_rank)
        studies.append({**metrics, "name": path.parent.name, "files": files, "models": models})
    pages = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True)
    pages.filters |= {"percent": percent, "motif_names": motif_names}
    page = pages.get_template("index.html").render(studies=sorted(studies, key=lambda s: s["data"]["drawn"]))
    write_text(reports / "index.html", page + "\n")
    return reports / "index.html"


def _rank(model: dict[str, Any]) -> tuple[float, str]:
    """Best in cross-validation first, those without results last."""
    return -((model.get("grouped") or {}).get("accuracy") or 0.0), model["title"]
