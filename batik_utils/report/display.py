"""What notebooks call to show things: figures, pictures, tables, computed text, notes; in Jupyter and in the report.

Every display carries, beside what Jupyter shows, one JSON part (MIME) with its anchor and caption. report.export
reads that part; numbers and cross-references are its own, so that HTML and PDF agree.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batik_utils.errors import BatikError
from batik_utils.figures.style import PALETTE, WIDTH

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MIME = "application/vnd.batik+json"
"""The part of an output that says what the output is; viewers that do not know it ignore it."""
RASTER_DPI = 160
JPEG = {"quality": 85, "subsampling": 0, "optimize": True}
"""Colour as fine as lightness, for the sake of the lettering; a quarter of the same picture's bytes in PNG."""
MOST_PIXELS = 10_000
"""A matrix of a hundred classes is no picture; whatever has more pixels, or colours of its own, is one."""

_STYLE = Path(__file__).parent / "templates" / "report.mplstyle"
_ANCHOR = re.compile(r"(fig|tbl)-[a-z0-9][a-z0-9-]*")
# What counts as a number in a table cell: signs, digits, percent, intervals, ranges, dashes for "none".
_NUMBER = re.compile(r"(?:[\s\d.,;%×()\[\]+−±–/<>≤≥=~-]|\b(?:of|to|s|min|ms|nan|n/a)\b)*")
# What a cell may hold beside words stays as it is; everything else that Markdown might take for a sign is escaped.
_MARKUP = re.compile(r"(`[^`]+`|\$[^$\s][^$]*\$)|([\\|<>\[\]{}~^#_&]|-(?=-))")
_RULES = {"l": ":--", "r": "--:", "c": ":-:"}


def use_report_style() -> None:
    """Set matplotlib's defaults for a figure up to 16 cm wide: small clear type, colour-blind-safe colours.

    The backend stays what it is, so that a reader's own plots show.
    """
    import matplotlib as mpl
    import matplotlib.style
    from cycler import cycler

    mpl.rcdefaults()
    mpl.style.use(_STYLE)
    mpl.rcParams.update({"axes.prop_cycle": cycler(color=PALETTE), "figure.figsize": (WIDTH, 3.2)})


def text(paragraphs: str | Sequence[str]) -> None:
    """Show Markdown that was computed from numbers: one paragraph, or several; nothing where there is none."""
    if joined := _joined(paragraphs):
        _show({"text/markdown": joined}, kind="text")


def note(title: str, paragraphs: str | Sequence[str]) -> None:
    """Show a clearly marked box: a title and Markdown paragraphs."""
    body = _joined(paragraphs)
    quoted = "\n".join(f"> {line}" for line in f"**{title}**\n\n{body}".splitlines())
    _show({"text/markdown": quoted}, kind="note", title=title, text=body)


def table(
    frame: pd.DataFrame,
    anchor: str = "",
    caption: str = "",
    align: str | None = None,
    formats: dict[str, str] | None = None,
) -> None:
    """Show a data frame with its caption; the index is not shown (reset it where it says something).

    anchor "tbl-..." is what @tbl-... refers to. Cells may hold **bold**, *italic*, `code`, $math$ and @references.
    align has one of "l", "r", "c" per column; by default columns of numbers are right-aligned. formats maps a
    column to a format spec (".1%"); by default a float has three decimals and an integer thousands separators.
    Raises BatikError for a missing anchor or caption, or where align or formats do not fit the columns.
    """
    _check("table", "tbl", anchor, caption)
    formats = formats or {}
    for name in formats:
        if name not in frame.columns:
            raise BatikError(f"The table {anchor!r} has no column {name!r} to format.")
    columns = [[format_cell(value, formats.get(str(name), "")) for value in frame[name]] for name in frame.columns]
    if align is None:
        align = "".join("r" if _numeric(column) else "l" for column in columns)
    if len(align) != len(columns) or set(align) - set("lrc"):
        raise BatikError(f"The table {anchor!r} has {len(columns)} columns; align {align!r} does not fit them.")
    head, *rows = [[_cell(c) for c in row] for row in (map(str, frame.columns), *zip(*columns, strict=True))]
    body = "\n".join(f"| {' | '.join(row)} |" for row in [head, [_RULES[a] for a in align], *rows])
    _show({"text/markdown": f"{caption}\n\n{body}"}, kind="table", anchor=anchor, caption=caption, text=body)


def figure(fig: Figure, anchor: str = "", caption: str = "", alt: str | None = None) -> None:
    """Show a matplotlib figure as SVG with its caption, and close it; equal figures give equal bytes.

    anchor "fig-..." is what @fig-... in the text refers to; caption is Markdown; alt (plain text, for screen
    readers) is the caption where not given. Raises BatikError for an anchor or caption that is missing or
    malformed, and for a figure that holds a picture: pictures() is for those.
    """
    _check("figure", "fig", anchor, caption)
    _show({"image/svg+xml": _drawing(fig, anchor)}, kind="figure", anchor=anchor, caption=caption, alt=alt or "")
    _show({"text/markdown": caption}, kind="caption")


def pictures(make: Callable[..., Figure], anchor: str = "", caption: str = "", alt: str | None = None) -> None:
    """Show a figure made of photographs: make(photos=True) as JPEG, and make(photos=False) as what stands for it.

    Jupyter shows the photographs. The public edition of a report takes the drawing that stands for them, from
    another part of the output. Raises BatikError as figure does, and where that drawing holds a picture.
    """
    _check("figure", "fig", anchor, caption)
    part = {"anchor": anchor, "caption": caption, "alt": alt or "", "placeholder": _drawing(make(photos=False), anchor)}
    jpeg = base64.b64encode(render(make(photos=True), anchor, "jpeg")).decode()
    _show({"image/jpeg": jpeg}, kind="figure", **part)
    _show({"text/markdown": caption}, kind="caption")


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


def _drawing(fig: Figure, anchor: str) -> str:
    """A figure as SVG; refused where it holds a picture, because an SVG would carry the pixels within it."""
    from matplotlib.image import AxesImage, BboxImage, FigureImage

    for kind in (AxesImage, BboxImage, FigureImage):
        for image in fig.findobj(kind):
            pixels = image.get_array()
            if pixels is not None and (pixels.ndim > 2 or pixels.size > MOST_PIXELS):
                raise BatikError(f"The figure {anchor!r} holds a picture: show it with display.pictures.")
    return render(fig, anchor, "svg").decode()


def _numeric(column: Sequence[str]) -> bool:
    return any(any(c.isdigit() for c in cell) for cell in column) and all(
        _NUMBER.fullmatch(cell.replace("**", "")) for cell in column
    )


def _cell(value: str) -> str:
    return _MARKUP.sub(lambda m: m[1] or "\\" + m[2], re.sub(r"[ \n]+", " ", value))


def _joined(paragraphs: str | Sequence[str]) -> str:
    return paragraphs if isinstance(paragraphs, str) else "\n\n".join(paragraphs)


def _check(what: str, prefix: str, anchor: str, caption: str) -> None:
    if not (_ANCHOR.fullmatch(anchor) and anchor.startswith(prefix)):
        example = f"{prefix}-results"
        raise BatikError(
            f"A {what} needs an anchor such as {example!r} (small letters, digits, hyphens), not {anchor!r}."
        )
    if not caption.strip():
        raise BatikError(f"The {what} {anchor!r} needs a caption.")


def _show(data: dict[str, str], **part: Any) -> None:
    from IPython.display import display

    plain = data.get("text/markdown") or f"Figure {part['anchor']}: {part['caption']}"
    display({"text/plain": plain, **data, MIME: part}, raw=True)
