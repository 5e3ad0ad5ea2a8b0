"""What all figures share: widths, colours, small habits, and the words and numbers that a figure carries with it."""

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

from batik_utils.wording import percent

WIDTH, HEIGHT = 6.25, 8.0
"""Inches that a figure may take: with its rim, the text of an A4 page, so that no print is scaled down."""
SMALL = 7.0
"""Points of the smallest type: less is not read in print."""
# Okabe & Ito's palette, safe for the colour-blind, without its yellow (too light on white paper).
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#5B5B5B")
MARKS = ("o", "s", "^")
GREY = "#767676"
INK = "#222222"
THIN: dict[str, Any] = {"color": GREY, "linestyle": ":"}
"""The line of chance, or of what would be perfect."""


class Drawing(Figure):
    """A figure that knows what it shows: in a sentence, in numbers, and out of which results."""

    alt: str = ""
    data: pd.DataFrame | None = None
    results: str = ""
    names: tuple[tuple[str, ...], ...] = ()
    """What marks say on hover, by the number in their ids."""

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
    return [{"color": hues[i], "marker": MARKS[i % 3]} for i in range(len(motifs))]


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
    """A figure with a row for each name, the first on top, over an axis of accuracies with the line of chance.

    A row is `each` inches high, all around them `more`; the axis ends at `high`.
    """
    fig, ax = new(height=each * len(names) + more)
    ax.axvline(chance, linewidth=1, **THIN)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    percent_axis(ax.xaxis, 0.0, high, label)
    return fig, ax


def legend_line(fig: Drawing, ax: Axes) -> None:
    """A plot's legend above it, in as few lines as surely fit the figure's width."""
    handles, names = ax.get_legend_handles_labels()
    room = max(1, int(fig.get_figwidth() / (0.45 + 0.056 * max(map(len, names)))))
    style: dict[str, Any] = {"fontsize": SMALL, "handlelength": 1.6, "columnspacing": 1.2, "borderaxespad": 0.1}
    fig.legend(handles, names, loc="outside upper left", ncols=min(room, len(names)), **style)


def legend_inside(ax: Axes, where: str = "best") -> None:
    """A plot's legend within it, where it hides least; of so many names that it would hide much, beside it."""
    style: dict[str, Any] = {"fontsize": SMALL, "handlelength": 1.6, "borderpad": 0.3}
    handles, names = ax.get_legend_handles_labels()
    if len(names) > 8:
        fig = ax.figure.get_figure(root=True)
        fig.legend(handles, names, loc="outside right upper", ncols=-(-len(names) // 24), **style)
    else:
        style |= {"loc": where, "frameon": True, "facecolor": "white", "edgecolor": "none", "framealpha": 0.8}
        ax.legend(**style)


def place_names(
    ax: Axes, names: Sequence[tuple[float, float, str]], others: Sequence[tuple[float, float]] = ()
) -> None:
    """Write each name (x, y, name) beside its point, where it covers no other name or point, named or not."""
    ax.figure.get_figure(root=True).draw_without_rendering()
    spots = [ax.transData.transform(point) for point in (*((x, y) for x, y, _ in names), *others)]
    taken: list[Any] = []
    # A line that passes behind a name is kept from its letters.
    halo = [withStroke(linewidth=2.2, foreground="white")]
    style: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL, "color": INK, "path_effects": halo}
    for x, y, name in names:
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


def slant_labels(ax: Axes) -> None:
    """Slant the labels under a plot where there are more than three, ending at its own tick; many stand upright."""
    if len(labels := ax.get_xticklabels()) > 3:
        slant = {"rotation": 35} if len(labels) <= 10 else {"rotation": 90, "va": "center"}
        plt.setp(labels, ha="right", rotation_mode="anchor", **slant)
