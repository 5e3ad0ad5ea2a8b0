"""What notebooks call to show things: figures, tables, computed text, notes; right in Jupyter and in the report.

Every display carries, beside what Jupyter shows, one JSON part (MIME) with its label and caption. The exporters
read that part; numbering and cross-references are theirs, so that HTML and PDF agree.
"""

from __future__ import annotations

import base64
import html
import io
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from batik_utils.errors import BatikError
from batik_utils.figures.style import PALETTE, WIDTH
from batik_utils.report.markdown import MIME

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

RASTER_DPI = 160
JPEG = {"quality": 85, "subsampling": 0, "optimize": True}
"""Colour as fine as lightness, for the sake of the labels; a quarter of the same picture's bytes in PNG."""

_LABEL = re.compile(r"(fig|tbl)-[a-z0-9][a-z0-9-]*")
# What counts as a number in a table cell: signs, digits, percent, intervals, ranges, dashes for "none".
_NUMBER = re.compile(r"(?:[\s\d.,;%×()\[\]+−±–/<>≤≥=~-]|\b(?:of|to|s|min|ms|nan|n/a)\b)*")


def use_report_style() -> None:
    """Set matplotlib's defaults for a figure up to 16 cm wide: small clear type, colour-blind-safe colours."""
    import matplotlib as mpl
    from cycler import cycler

    mpl.rcdefaults()
    # A notebook's figures are shown by figure() alone, never a second time by the inline backend.
    mpl.use("agg")
    mpl.rcParams.update(
        {
            "axes.axisbelow": True,
            "axes.edgecolor": "#555555",
            "axes.grid": True,
            "axes.labelcolor": "#222222",
            "axes.labelsize": 8.5,
            "axes.linewidth": 0.6,
            "axes.prop_cycle": cycler(color=PALETTE),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlelocation": "left",
            "axes.titlesize": 9,
            "axes.titleweight": "bold",
            "figure.constrained_layout.use": True,
            "figure.dpi": 100,
            "figure.figsize": (WIDTH, 3.2),
            "figure.titlesize": 10,
            "font.family": ["DejaVu Sans"],
            "font.size": 8.5,
            "grid.color": "#dddddd",
            "grid.linewidth": 0.6,
            "image.cmap": "cividis",
            "legend.fontsize": 8,
            "legend.frameon": False,
            "lines.linewidth": 1.5,
            "lines.markersize": 4,
            "mathtext.fontset": "dejavusans",
            "patch.linewidth": 0.6,
            "savefig.facecolor": "white",
            "svg.fonttype": "path",
            "svg.hashsalt": "batik",
            "xtick.color": "#444444",
            "xtick.labelsize": 8,
            "xtick.major.width": 0.6,
            "ytick.color": "#444444",
            "ytick.labelsize": 8,
            "ytick.major.width": 0.6,
        }
    )


def figure(fig: Figure, label: str = "", caption: str = "", alt: str | None = None, photos: bool = False) -> None:
    """Show a matplotlib figure with its caption, and close it.

    label "fig-..." is what @fig-... in the text refers to; caption is Markdown; alt (plain text, for screen
    readers) is the caption where not given. The picture is SVG with text as paths, or JPEG at 160 dots per inch
    where it shows pictures. Equal figures give equal bytes. Raises BatikError for a label or caption that
    is missing or malformed.
    """
    from IPython.display import display

    _check("figure", "fig", label, caption)
    raw = render(fig, label, "jpeg" if photos else "svg")
    part: dict[str, Any] = {"kind": "figure", "label": label, "caption": caption, "alt": alt or ""}
    data: dict[str, Any] = {"text/plain": f"Figure {label}: {caption}"}
    if photos:
        part["inches"] = [round(side / RASTER_DPI, 3) for side in Image.open(io.BytesIO(raw)).size]
        data["image/jpeg"] = base64.b64encode(raw).decode()
    else:
        svg = raw.decode()
        points = dict(re.findall(r'\b(width|height)="([\d.]+)pt"', svg[: svg.index("<defs")]))
        part["inches"] = [round(float(points[side]) / 72, 3) for side in ("width", "height")]
        data["image/svg+xml"] = svg
    data[MIME] = part
    display(data, raw=True)
    _show("caption", f"*{caption}*" if "*" not in caption else caption)


def render(fig: Figure, salt: str, kind: str) -> bytes:
    """A matplotlib figure as "svg" (text as paths) or "jpeg", the same bytes each time; the figure is closed."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    inches: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.02}
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": salt}):
        if kind == "jpeg":
            fig.savefig(buffer, format="jpeg", dpi=RASTER_DPI, pil_kwargs=JPEG, **inches)
        else:
            fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, **inches)
    plt.close(fig)
    return buffer.getvalue()


def table(
    frame: pd.DataFrame,
    label: str = "",
    caption: str = "",
    align: str | None = None,
    formats: dict[str, str] | None = None,
) -> None:
    """Show a data frame with its caption; the index is not shown (reset it where it says something).

    label "tbl-..." is what @tbl-... refers to. Cells may hold **bold**, *italic*, `code`, $math$ and @references.
    align has one of "l", "r", "c" per column; by default columns of numbers are right-aligned. formats maps a
    column to a format spec (".1%"); by default a float has three decimals and an integer thousands separators.
    Raises BatikError for a missing label or caption, or where align does not fit the columns.
    """
    from IPython.display import display

    _check("table", "tbl", label, caption)
    formats = formats or {}
    for name in formats:
        if name not in frame.columns:
            raise BatikError(f"The table {label!r} has no column {name!r} to format.")
    columns = [str(c) for c in frame.columns]
    cells = [[format_cell(value, formats.get(name, "")) for value in frame[name].tolist()] for name in frame.columns]
    if align is None:
        align = "".join("r" if _numeric(column) else "l" for column in cells)
    if len(align) != len(columns) or set(align) - set("lrc"):
        raise BatikError(f"The table {label!r} has {len(columns)} columns; align {align!r} does not fit them.")
    rows = [list(row) for row in zip(*cells, strict=True)]
    part = {"kind": "table", "label": label, "caption": caption, "align": align, "columns": columns, "rows": rows}
    plain = "\n".join("  ".join(row) for row in [columns, *rows])
    display({"text/plain": plain, "text/html": _html_table(part), MIME: part}, raw=True)


def text(paragraphs: str | Sequence[str]) -> None:
    """Show Markdown that was computed from numbers: one paragraph, or several."""
    _show("text", paragraphs if isinstance(paragraphs, str) else "\n\n".join(paragraphs))


def note(title: str, text: str | Sequence[str]) -> None:
    """Show a clearly marked box: a title and Markdown paragraphs."""
    body = text if isinstance(text, str) else "\n\n".join(text)
    quoted = "\n".join(f"> {line}" for line in f"**{title}**\n\n{body}".splitlines())
    _show("note", quoted, title=title, text=body)


def format_cell(value: Any, spec: str = "") -> str:
    """A table cell as text: "–" for nothing, yes and no, 12,345, 0.123, a true minus sign."""
    if value is None or (isinstance(value, float) and math.isnan(value)) or str(value) in {"<NA>", "NaT"}:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        # Four digits are read at a glance, and may be a year.
        default = ".3f" if isinstance(value, float) else ("," if abs(value) >= 10_000 else "d")
        return format(value, spec or default).replace("-", "−")
    return format(str(value), spec)


def _numeric(column: Sequence[str]) -> bool:
    return any(any(c.isdigit() for c in cell) for cell in column) and all(
        _NUMBER.fullmatch(cell.replace("**", "")) for cell in column
    )


def _check(what: str, prefix: str, label: str, caption: str) -> None:
    if not (_LABEL.fullmatch(label) and label.startswith(prefix)):
        raise BatikError(
            f"A {what} needs a label such as {prefix + '-results'!r} (small letters, digits, hyphens), not {label!r}."
        )
    if not caption.strip():
        raise BatikError(f"The {what} {label!r} needs a caption.")


def _show(kind: str, markdown: str, **part: str) -> None:
    from IPython.display import display

    part = {"kind": kind, **part}
    if kind == "text":
        part["text"] = markdown
    display({"text/plain": markdown, "text/markdown": markdown, MIME: part}, raw=True)


_SIDES = {"l": "left", "r": "right", "c": "center"}


def _html_table(part: dict[str, Any]) -> str:
    """Jupyter's view of a table; the report makes its own from the same part."""

    def row(tag: str, cells: Sequence[str]) -> str:
        aligned = zip(part["align"], cells, strict=True)
        return "".join(f'<{tag} style="text-align:{_SIDES[a]}">{_simple_html(c)}</{tag}>' for a, c in aligned)

    body = "\n".join(f"<tr>{row('td', cells)}</tr>" for cells in part["rows"])
    return (
        f'<table>\n<caption style="text-align:left">{_simple_html(part["caption"])}</caption>\n'
        f"<thead><tr>{row('th', part['columns'])}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    )


def _simple_html(text: str) -> str:
    out = html.escape(text, quote=False)
    out = re.sub(r"`([^`]+)`", r"<code>\1</code>", out)
    out = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", out)
    return re.sub(r"(?<![*\w])\*([^*\s][^*]*)\*(?!\w)", r"<i>\1</i>", out)
