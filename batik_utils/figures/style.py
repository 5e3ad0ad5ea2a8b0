"""What all figures share: widths, colours, small habits, and the words and numbers that a figure carries with it."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Self

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter

from batik_utils.wording import RIGHT_TO_LEFT, drawable, percent

WIDTH, HEIGHT = 6.25, 8.0  # inches that a figure may take: with its rim, the text of an A4 page
SMALL = 7.0  # points of the smallest type: less is not read in print
LETTER, LINE = 0.06, 0.12  # inches of the smallest type: of a letter (rather too many), and of a line
MOST = 48  # names that stand one under the other at most; of more, every second one or every third, and so on
# Okabe & Ito's palette, safe for the colour-blind, without its yellow (too light on white paper).
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#5B5B5B")
GREY = "#767676"
INK = "#222222"
THIN: dict[str, Any] = {"color": GREY, "linestyle": ":"}  # the line of chance, or of what would be perfect


class Drawing(Figure):
    """A figure that knows what it shows: in a sentence, in numbers, and out of which results."""

    alt: str = ""
    data: pd.DataFrame | None = None
    results: str = ""
    names: tuple[tuple[str, ...], ...] = ()  # what marks say on hover, by the number in their ids

    def describe(self, alt: str, data: pd.DataFrame, results: str) -> Self:
        """The figure with what it shows in words, its numbers, and the name of the results that they come from."""
        self.alt, self.data, self.results = alt, data, results
        return self

    def name(self, mark: Artist, *names: str) -> None:
        """Have a mark say on hover what it is: one name for all of it, or one for each part as they are drawn."""
        mark.set_gid(f"named-{len(self.names)}")
        self.names += (names,)


def colours(names: Sequence[str]) -> dict[str, str]:
    """One colour for each name, in the order given (repeating after seven)."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}


def motif_styles(motifs: Sequence[str]) -> list[dict[str, Any]]:
    """Each motif's colour and marker in their order; who sees no hues still sees three shapes and three lightnesses."""
    several = [sns.husl_palette(-(-len(motifs) // 3), l=light) for light in (0.45, 0.6, 0.75)]
    hues = PALETTE if len(motifs) <= len(PALETTE) else [several[i % 3][i // 3] for i in range(len(motifs))]
    return [{"color": hues[i], "marker": "os^"[i % 3]} for i in range(len(motifs))]


def fit_names(names: Sequence[str], inches: float, lines: int = 1) -> list[str]:
    """Names as a figure writes them: wrapped to so many inches and lines of the smallest type, else cut in the middle.

    Letters that the font lacks are code points; what would look alike once it is cut is numbered.
    """
    letters, out = max(8, int(inches / LETTER)), []
    for name in map(drawable, names):
        wrapped, room = textwrap.wrap(name, letters), letters * lines
        while len(wrapped) > lines:
            room -= 1
            wrapped = textwrap.wrap(f"{name[: room - room // 2]}…{name[len(name) - room // 2 :]}", letters)
        # Marks (U+200E) keep signs and numbers in their places beside what is written from right to left.
        out.append(RIGHT_TO_LEFT.sub("\u200e\\g<0>\u200e", "\n".join(wrapped)).replace("$", r"\$"))
    alike = len({*out}) < len({*names})
    return [f"{i} {name}" for i, name in enumerate(out, 1)] if alike else out


def ranked(values: Mapping[str, float]) -> str:
    """Names with their shares, the highest first: "A 91.3 %, B 50.0 %"; of more than eight, the first and last four."""
    said = [f"{name} {percent(value)}" for name, value in sorted(values.items(), key=lambda v: -v[1])]
    return ", ".join(said if len(said) <= 8 else [*said[:4], f"{len(said) - 8} more", *said[-4:]])


def new(
    rows: int = 1, columns: int = 1, height: float = 3.0, width: float = WIDTH, **options: Any
) -> tuple[Drawing, Any]:
    """A figure with constrained layout: (figure, axes) as plt.subplots gives them; inches."""
    options |= {"figsize": (width, height), "layout": "constrained", "FigureClass": Drawing}
    fig, axes = plt.subplots(rows, columns, **options)
    assert isinstance(fig, Drawing)
    return fig, axes


def score_rows(
    names: Sequence[str], each: float, more: float, chance: float, label: str, high: float = 1.0
) -> tuple[Drawing, Axes]:
    """A figure with a row of `each` inches for a name, and `more` around, over accuracies up to `high`, and chance."""
    fig, ax = new(height=each * len(names) + more)
    ax.axvline(chance, linewidth=1, **THIN)
    ax.set_yticks(range(len(names)), fit_names(names, 1.8, 2))
    ax.set_ylim(len(names) - 0.5, -0.5)
    percent_axis(ax.xaxis, 0.0, high, label)
    return fig, ax


def legend_line(fig: Drawing, ax: Axes) -> None:
    """A plot's legend above it, in as few lines as surely fit the figure's width."""
    handles, names = ax.get_legend_handles_labels()
    names = fit_names(names, 2.6)
    room = max(1, int(fig.get_figwidth() / (0.45 + 0.056 * max(map(len, names)))))
    style: dict[str, Any] = {"fontsize": SMALL, "handlelength": 1.6, "columnspacing": 1.2, "borderaxespad": 0.1}
    fig.legend(handles, names, loc="outside upper left", ncols=min(room, len(names)), **style)


def legend_inside(ax: Axes, where: str = "best") -> None:
    """A plot's legend within it, where it hides least; where it would hide much, or it is asked for, "beside" it."""
    style: dict[str, Any] = {"fontsize": SMALL, "handlelength": 1.6, "borderpad": 0.3}
    handles, names = ax.get_legend_handles_labels()
    handles, names = handles[:MOST], names[:MOST]
    ncols = -(-len(names) // (MOST // 2))
    names = fit_names(names, 2 / ncols)
    if where == "beside" or len(names) > 8 or LETTER * sum(map(len, names)) > 4:
        fig = ax.figure.get_figure(root=True)
        fig.legend(handles, names, loc="outside right upper", ncols=ncols, columnspacing=1, **style)
    else:
        style |= {"loc": where, "frameon": True, "facecolor": "white", "edgecolor": "none", "framealpha": 0.8}
        ax.legend(handles, names, **style)


def place_names(ax: Axes, names: Sequence[Sequence[Any]], points: Sequence[Sequence[float]]) -> None:
    """Write each name (x, y, name) beside its point, where it covers no other name and none of all points."""
    ax.figure.get_figure(root=True).draw_without_rendering()
    spots, shown = [ax.transData.transform(point) for point in points], fit_names([name for *_, name in names], 2)
    taken: list[Any] = []
    # A line that passes behind a name is kept from its letters.
    halo = [withStroke(linewidth=2.2, foreground="white")]
    style: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL, "color": INK, "path_effects": halo}
    for (x, y, _), name in zip(names, shown, strict=True):
        for up, side in product((3, -9, 12, -18), ("left", "right")):
            text = ax.annotate(name, (x, y), (5 if side == "left" else -5, up), ha=side, **style)
            box = text.get_window_extent()
            inside = all(map(ax.bbox.containsx, (box.x0, box.x1))) and ax.bbox.containsy(box.y0)
            covers = any(map(box.overlaps, taken)) or any(box.padded(4).contains(*spot) for spot in spots)
            if inside and not covers:
                break
            text.remove()
        else:
            text = ax.annotate(name, (x, y), (5, 3), **style)
        taken.append(text.get_window_extent())


def percent_axis(axis: XAxis | YAxis, low: float = 0.0, high: float = 1.0, label: str = "") -> None:
    """Show fractions on a matplotlib axis (ax.xaxis or ax.yaxis) as percentages, from low to high."""
    axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol="\u00a0%"))
    limits = axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim
    limits(low, high)
    axis.set_label_text(label)


def motif_ticks(ax: Axes, motifs: Sequence[str], places: Sequence[float], inches: float) -> float:
    """Name the places under a plot that is so many inches wide; returns the height that the names take, in inches.

    Where they would touch they are slanted; long or many ones stand upright, of very many some.
    """
    some = slice(None, None, -(-len(places) // MOST))
    names = fit_names(motifs, 1.2)[some]
    ax.set_xticks(places[some], names, fontsize=SMALL)
    width = LETTER * max(map(len, names))
    if width < inches / len(places):
        return LINE
    slanted = len(names) <= 10 and width < 0.8
    slant = {"rotation": 35} if slanted else {"rotation": 90, "va": "center"}
    plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor", **slant)
    return width * (0.6 if slanted else 1) + LINE
