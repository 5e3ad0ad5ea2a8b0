"""What the notebooks say for one analysis: their kept Markdown, and their cells run here, without a kernel."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import matplotlib.pyplot as plt
import nbformat

from batik_utils.report import analysis as room
from batik_utils.report import display
from batik_utils.study import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def kept(notebook: Path, facts: set[str]) -> list[nbformat.NotebookNode]:
    """The cells that the report's build would keep."""
    cells = nbformat.read(notebook, as_version=4).cells
    only = [{t.removeprefix("only-") for t in c.metadata.get("tags", []) if t.startswith("only-")} for c in cells]
    return [cell for cell, wanted in zip(cells, only, strict=True) if wanted <= facts]


def said(analysis: room.Analysis, notebooks=NOTEBOOKS) -> str:
    """All text that the report of this analysis shows: prose, computed text, captions, tables, figures' own words."""
    words: list[str] = []

    def take(*parts):
        for part in parts:
            words.append(part if isinstance(part, str) else "\n\n".join(part))

    def take_figure(fig, anchor, caption, alt=None):
        take(caption, alt or "", *_texts(fig))

    def take_pictures(make, anchor, caption, alt=None):
        for photos in (True, False):
            take_figure(make(photos=photos), anchor, caption, alt)

    def take_table(frame, anchor, caption, align=None, formats=None):
        take(caption, " | ".join(map(str, frame.columns)))
        words.extend(" | ".join(map(str, row)) for row in frame.itertuples(index=False))

    with ExitStack() as patches:
        for name, instead in {
            "text": take,
            "note": take,
            "figure": take_figure,
            "pictures": take_pictures,
            "table": take_table,
            "use_report_style": lambda: None,
        }.items():
            patches.enter_context(mock.patch.object(display, name, instead))
        patches.enter_context(mock.patch.object(room, "open_analysis", lambda *parameters: analysis))
        for notebook in notebooks:
            names: dict[str, object] = {}
            for cell in kept(notebook, analysis.facts):
                if cell.cell_type == "markdown":
                    words.append(cell.source)
                else:
                    exec(compile(cell.source, f"{notebook.name}, {cell.id}", "exec"), names)
    return "\n".join(words)


def _texts(fig) -> list[str]:
    found = [t.get_text() for t in getattr(fig, "findobj", lambda _: [])(plt.Text)]
    plt.close("all")
    return [t for t in found if t]
