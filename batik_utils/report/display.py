"""What notebooks call to show figures, pictures, tables and text; and `%%say`, prose whose numbers Jinja fills in.

Every display carries, beside what Jupyter shows, one JSON part (MIME) with its anchor and caption, for report.export.
A name in prose is one of the notebook's own; text from a disk or a study is escaped, `| safe` marks what is Markdown.
"""

import base64
import html
import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import IPython.display
import jinja2
import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.image import AxesImage, BboxImage, FigureImage

from batik_utils import wording
from batik_utils.errors import BatikError
from batik_utils.figures.style import Drawing
from batik_utils.report import MIME, RASTER_DPI, TEMPLATES
from batik_utils.stats.compare import Comparison
from batik_utils.stats.intervals import Interval
from batik_utils.wording import FEW, harmless, markdown, one_line

# Colour as fine as lightness, for the sake of the lettering; a quarter of the same picture's bytes in PNG.
JPEG = {"quality": 85, "subsampling": 0, "optimize": True}
# Coordinates of an SVG that are longer than anybody sees; but a scale multiplies, and a style has small numbers.
_LONG = re.compile(rb"scale\([^)]*\)|[a-z-]+: ?[\d.]+|-?\d+\.\d{2,}")
_STEP = re.compile(rb" ?\n([A-Zz]) ?")  # a path has one step on each line, and a letter needs no blanks about it
_INDENT = re.compile(rb"\n +")
_MARK = re.compile(r"<defs>.*?</defs>|<(use|path)\b[^>]*/>", re.S)  # of a mark: what is drawn, not only defined
# What counts as a number in a table cell: signs, digits, percent, intervals, ranges, dashes for "none".
_NUMBER = re.compile(r"(?:[\s\d.,;%×()\[\]+−±–/<>≤≥=~*-]|\b(?:of|to|s|min|ms|nan|n/a)\b)*")
ROWS = 45  # what a page holds of a table: of a longer one the first ten rows are shown, and all of it is in its CSV
_RULES = {"l": ":--", "r": "--:", "c": ":-:"}


def use_report_style() -> None:
    """Set matplotlib's defaults for figures up to 16 cm wide (a reader's own plots show), and give Jupyter `%%say`."""
    mpl.rcdefaults()
    plt.style.use(TEMPLATES / "report.mplstyle")
    if shell := IPython.get_ipython():
        shell.register_magic_function(lambda line, cell: text(filled(cell, shell.user_ns)), "cell", "say")


def text(paragraphs: str | Sequence[str]) -> None:
    """Show Markdown that was computed from numbers: one paragraph, or several; nothing where there is none."""
    if joined := paragraphs if isinstance(paragraphs, str) else "\n\n".join(paragraphs):
        _show({"text/markdown": joined}, kind="text")


def table(
    frame: pd.DataFrame,
    anchor: str = "",
    caption: str = "",
    align: str | None = None,
    most: int = ROWS,
    marked: Collection[str] = (),
    hidden: Collection[str] = (),
) -> None:
    """Show a data frame with its caption; the index is not shown (reset it where it says something).

    anchor "tbl-..." is what @tbl-... refers to. Cells are text, in the columns `marked` Markdown. align has one of "l",
    "r", "c" per column; by default numbers are right-aligned. Of more rows than `most` ten are shown, and the CSV has
    all; the columns `hidden` are in the CSV alone. Raises BatikError for a bad anchor, no caption, or a bad align.
    """
    _check("table", "tbl", anchor, caption)
    text = frame.map(format_cell).set_axis(frame.columns.map(str), axis=1)
    part = {"anchor": anchor, "csv": _csv(text)}
    text = text.drop(columns=[*hidden])
    if align is None:
        columns = [text[name].tolist() for name in text]
        numbers = (any(map(str.isdigit, "".join(c))) and all(map(_NUMBER.fullmatch, c)) for c in columns)
        align = "".join("r" if right else "l" for right in numbers)
    if len(align) != len(text.columns) or set(align) - set("lrc"):
        raise BatikError(f"The table {anchor!r} has {len(text.columns)} columns; align {align!r} does not fit them.")
    if len(text) > most:
        caption += f" The first {FEW} of {len(text):,}; the CSV beside the table in the HTML edition has all."
        text = text.head(FEW)
    cells = [map(one_line if name in marked else markdown, text[name]) for name in text]
    lines = [map(markdown, text.columns), (_RULES[a] for a in align), *zip(*cells, strict=True)]
    part |= {"caption": caption, "text": (body := "\n".join(f"| {' | '.join(line)} |" for line in lines))}
    _show({"text/markdown": f"{caption}\n\n{body}"}, kind="table", **part)


def figure(fig: Figure, anchor: str = "", caption: str = "") -> None:
    """Show a matplotlib figure as SVG with its caption, and close it; equal figures give equal bytes.

    anchor "fig-..." is what @fig-... refers to; caption is Markdown. A Drawing's words and numbers (CSV) go with it.
    Raises BatikError for a bad anchor, no caption, and a figure with a picture: pictures() is for those.
    """
    _check("figure", "fig", anchor, caption)
    part = {"anchor": anchor, "caption": caption, **_told(fig)}
    _show({"image/svg+xml": _drawing(fig, anchor)}, kind="figure", **part)
    _show({"text/markdown": caption}, kind="caption")


def pictures(make: Callable[..., Figure], anchor: str = "", caption: str = "") -> None:
    """Show photographs, make(photos=True), in the public edition make(photos=False); raises BatikError as figure."""
    _check("figure", "fig", anchor, caption)
    hidden, shown = make(photos=False), make(photos=True)
    part = {"anchor": anchor, "caption": caption, **_told(shown), "hidden": _told(hidden)["alt"]}
    part["placeholder"] = _drawing(hidden, anchor)
    jpeg = base64.b64encode(render(shown, anchor, "jpeg")).decode()
    _show({"image/jpeg": jpeg}, kind="figure", **part)
    _show({"text/markdown": caption}, kind="caption")


def render(fig: Figure, salt: str, kind: str) -> bytes:
    """A matplotlib figure, then closed, as "svg" (text as paths, tenths of points) or "jpeg", always the same bytes."""
    svg: dict[str, Any] = {"metadata": {"Date": None, "Creator": None}}
    more = {"dpi": RASTER_DPI, "pil_kwargs": JPEG} if kind == "jpeg" else svg
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": salt}):
        fig.savefig(buffer, format=kind, bbox_inches="tight", pad_inches=0.02, **more)
    plt.close(fig)
    if kind == "jpeg":
        return buffer.getvalue()
    small = _INDENT.sub(b"\n", _STEP.sub(rb"\1", _LONG.sub(_rounded, buffer.getvalue())))
    # Marks say on hover what they are, by the ids that Drawing.name gave them.
    whole, *marks = re.split(r' id="named-(\d+)">', small.decode())
    for number, rest in zip(marks[::2], marks[1::2], strict=True):
        titles = [f"<title>{html.escape(name)}</title>" for name in getattr(fig, "names", ())[int(number)]]
        whole += ">" + (titles[0] + rest if len(titles) == 1 else _MARK.sub(partial(_part, iter(titles)), rest))
    return whole.encode()


def _part(titles: Iterator[str], found: re.Match[str]) -> str:
    title = next(titles, "") if found[1] else ""
    return f"{found[0][:-2]}>{title}</{found[1]}>" if title else found[0]


def _rounded(found: re.Match[bytes]) -> bytes:
    if found[0][:1].isalpha():
        return found[0]
    return f"{float(found[0]):.1f}".removesuffix(".0").encode()


def format_cell(value: Any) -> str:
    """A table cell as text: "–" for nothing, yes and no, 12,345, 0.123, a true minus sign."""
    if value is None or str(value) in {"nan", "<NA>", "NaT"}:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        # Four digits are read at a glance, and may be a year.
        form = ".3f" if isinstance(value, float) else "," if abs(value) >= 10_000 else "d"
        return format(value, form).replace("-", "−")
    return str(value)


def _told(fig: Figure) -> dict[str, str]:
    if not isinstance(fig, Drawing) or fig.data is None:
        return {"alt": ""}
    return {"alt": fig.alt, "results": fig.results, "csv": _csv(fig.data)}


def _csv(frame: pd.DataFrame) -> str:
    plain = [harmless(str(name)) for name in frame.columns]
    return frame.map(harmless).to_csv(index=False, header=plain, float_format="%.6g", lineterminator="\n")


def _drawing(fig: Figure, anchor: str) -> str:
    """A figure as SVG; refused where it holds a picture, because an SVG would carry the pixels within it."""
    if any(fig.findobj(kind) for kind in (AxesImage, BboxImage, FigureImage)):
        raise BatikError(f"The figure {anchor!r} holds a picture: show it with display.pictures.")
    return render(fig, anchor, "svg").decode()


def _check(what: str, prefix: str, anchor: str, caption: str) -> None:
    if not re.fullmatch(prefix + "-[a-z0-9][a-z0-9-]*", anchor):
        need = f"needs an anchor such as '{prefix}-results' (small letters, digits, hyphens)"
        raise BatikError(f"A {what} {need}, not {anchor!r}.")
    if not caption.strip():
        raise BatikError(f"The {what} {anchor!r} needs a caption.")


def _show(data: dict[str, str], **part: Any) -> None:
    plain = data.get("text/markdown") or f"Figure {part['anchor']}: {part['caption']}"
    IPython.display.display({"text/plain": plain, **data, MIME: part}, raw=True)


def of_numbers(words: Callable[..., str]) -> Callable[..., Markup]:
    """A filter whose words are of numbers, and so are Markdown already."""
    return lambda *given, **options: Markup(words(*given, **options))


def percent_range(band: Any) -> str:
    """As wording.percent_range, of what has a low and a high end as attributes or, as in metrics.json, as keys."""
    return wording.percent_range(wording.Band(band["low"], band["high"]) if isinstance(band, Mapping) else band)


def reached(interval: Interval) -> str:
    """A share with its interval, as "77.4 % (71.0–83.8 %)"."""
    return f"{wording.percent(interval.value)} ({wording.percent_range(interval)})"


def gap(c: Comparison) -> str:
    """A difference with its interval and p, as "+12.3 points (+1.2 to +23.4 points; p = 0.03)"."""
    holm = "" if c.p_adjusted is None else ", Holm"
    difference = wording.signed_points(c.difference.value)
    return f"{difference} ({wording.points_range(c.difference)}; {wording.p_value(c.p)}{holm})"


def points_interval(interval: Interval) -> str:
    """A difference with its interval, as "+12.3 points (+1.2 to +23.4 points)"."""
    return f"{wording.signed_points(interval.value)} ({wording.points_range(interval)})"


def width(interval: Interval) -> str:
    """How far an interval reaches to either side, as "±6.4 points"."""
    return f"±{wording.points((interval.high - interval.low) / 2)}"


def indonesian(markdown: str) -> Markup:
    """Numbers with a comma for the decimals and a point for the thousands, and *poin* for points."""
    swapped = re.sub(r"(?<![\w.])\d[\d.,]*\d", lambda found: found[0].translate({44: ".", 46: ","}), markdown)
    return Markup(re.sub(r"(?<=\d) to (?=[+−\d])", " sampai ", re.sub(r"(?<=\d\u00a0)points", "poin", swapped)))


def terdaftar(names: list[str]) -> str:
    """ "A", "A dan B", "A, B, dan C"."""
    head = ", ".join(names[:-1]) + ("," if len(names) > 2 else "")
    return f"{head} dan {names[-1]}" if len(names) > 1 else "".join(names)


JINJA = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=wording.markdown,
    comment_start_string="{%-#",  # as {#sec-x} is a heading's anchor
    comment_end_string="#-%}",
)
NUMBERS: dict[str, Callable[..., str]] = {
    **{"percent": wording.percent, "percent_range": percent_range, "points": wording.points, "width": width},
    **{"points_range": wording.points_range, "number": wording.count},
    **{"decimal": wording.number, "of_images": wording.of_images, "probability": wording.probability},
    **{"reached": reached, "gap": gap, "points_interval": points_interval, "signed_points": wording.signed_points},
    "band": lambda ends: wording.percent_range(wording.Band(*ends)),
    "points_band": lambda ends: wording.points_range(wording.Band(*ends)),
}
JINJA.filters |= {name: of_numbers(words) for name, words in NUMBERS.items()}
JINJA.filters |= {
    **{"listed": wording.listed, "few": wording.few, "upper_first": wording.upper_first, "safe": Markup},
    **{"indonesian": indonesian, "terdaftar": terdaftar, "motif_names": wording.motif_names},
}


def filled(markdown: str, names: Mapping[str, Any]) -> str:
    """Prose with its numbers, without blank lines at its ends; raises BatikError naming the line that cannot be."""
    try:
        return JINJA.from_string(markdown).render(names).strip()
    except jinja2.TemplateError as error:
        place = f" (line {error.lineno})" if isinstance(error, jinja2.TemplateSyntaxError) else ""
        raise BatikError(f"%%say: {error}{place}") from None
