"""What all figures share: widths, colours, small habits, and the words and numbers that a figure carries with it."""

import textwrap
from collections.abc import Sequence
from typing import Any, Self

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from batik_utils.wording import RIGHT_TO_LEFT, drawable

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


def fit_names(names: Sequence[str], inches: float, lines: int = 1) -> list[str]:
    """Names wrapped to so many inches and lines of the smallest type, else cut in the middle, and numbered if alike."""
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


def new(rows: int = 1, columns: int = 1, height: float = 3.0, **options: Any) -> tuple[Drawing, Any]:
    """A figure with constrained layout: (figure, axes) as plt.subplots gives them; inches."""
    options |= {"figsize": (WIDTH, height), "layout": "constrained", "FigureClass": Drawing}
    fig, axes = plt.subplots(rows, columns, **options)
    assert isinstance(fig, Drawing)
    return fig, axes


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


def percent_axis(axis: XAxis | YAxis, low: float = 0.0, high: float = 1.0, label: str = "") -> None:
    """Show fractions on a matplotlib axis (ax.xaxis or ax.yaxis) as percentages, from low to high."""
    axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol="\u00a0%"))
    limits = axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim
    limits(low, high)
    axis.set_label_text(label)
