"""What all figures share: widths, colours, small habits, and the words and numbers that a figure carries with it."""

import zlib
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Self

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import PercentFormatter

from batik_utils.wording import percent

WIDTH = 6.3
"""Inches: the text width of an A4 page with the report's margins."""
MOST_INSIDE = 8
"""Names in a plot's legend, from which on it would hide what it explains."""
# Okabe & Ito's palette, safe for the colour-blind, without its yellow (too light on white paper).
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#5B5B5B")
# Eight hues in each of three lightnesses (CIE L* of 32, 50 and 66, as colourful as a screen can): who sees no hues
# still sees these, and each lightness has a mark of its own.
MOTIF_COLOURS = (
    *("#98092F", "#743D00", "#465000", "#005731", "#005557", "#00526E", "#0946A2", "#861B73"),
    *("#CD4B3D", "#9C6F00", "#50850F", "#00876A", "#008493", "#007EBB", "#8265CE", "#CC418B"),
    *("#F1824F", "#B5A12B", "#59B458", "#00B4A6", "#00AFD4", "#52A3FF", "#D083E6", "#FF6E9A"),
)
MARKS = ("o", "s", "^")
SALT = 13623771
"""Of the salts tried, one by which motifs that are often drawn together fall far apart."""
GREY = "#767676"
INK = "#222222"
THIN: dict[str, Any] = {"color": GREY, "linestyle": ":"}
"""The line of chance, or of what would be perfect."""


class Drawing(Figure):
    """A figure that knows what it shows: in a sentence, in numbers, and out of which results."""

    alt: str = ""
    data: pd.DataFrame | None = None
    results: str = ""

    def describe(self, alt: str, data: pd.DataFrame, results: str) -> Self:
        """The figure with what it shows in words, its numbers, and the name of the results that they come from."""
        self.alt, self.data, self.results = alt, data, results
        return self


def colours(names: Sequence[str]) -> dict[str, str]:
    """One colour for each name, in the order given (repeating after seven)."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}


def motif_styles(motifs: Sequence[str]) -> list[dict[str, str]]:
    """Each motif's colour and marker, by its name alone, so that it has the same ones in every report.

    Only where two motifs of one study would share a colour does the later, in the alphabet, take the next that is free.
    """
    taken: dict[int, int] = {}
    for i in sorted(range(len(motifs)), key=lambda i: (motifs[i].casefold(), i)):
        first = zlib.crc32(motifs[i].casefold().encode(), SALT)
        tries = ((first + 7 * step) % len(MOTIF_COLOURS) for step in range(len(MOTIF_COLOURS)))
        taken[i] = next((c for c in tries if c not in taken.values()), first % len(MOTIF_COLOURS))
    return [{"color": MOTIF_COLOURS[taken[i]], "marker": MARKS[taken[i] // 8]} for i in range(len(motifs))]


def ranked(values: Mapping[str, float]) -> str:
    """Names with their shares, the highest first: "A 91.3 %, B 50.0 %"; of more than eight, the first and last four."""
    said = [f"{name} {percent(value)}" for name, value in sorted(values.items(), key=lambda v: -v[1])]
    return ", ".join(said if len(said) <= 8 else [*said[:4], f"{len(said) - 8} more", *said[-4:]])


def new(
    rows: int = 1, columns: int = 1, height: float = 3.0, width: float = WIDTH, **options: Any
) -> tuple[Drawing, Any]:
    """A figure with constrained layout: (figure, axes) as plt.subplots gives them; inches."""
    fig, axes = plt.subplots(
        rows, columns, figsize=(width, height), layout="constrained", FigureClass=Drawing, **options
    )
    assert isinstance(fig, Drawing)
    return fig, axes


def legend_line(fig: Drawing, ax: Axes) -> None:
    """A plot's legend in a line above it; in more than one only where it is longer than the figure is wide."""
    handles, names = ax.get_legend_handles_labels()
    inches = [0.45 + 0.056 * len(name) for name in names]
    room = len(names) if sum(inches) < fig.get_figwidth() else max(1, int(fig.get_figwidth() / max(inches)))
    lines = -(-len(names) // room)
    style: dict[str, Any] = {"fontsize": 7, "handlelength": 1.6, "columnspacing": 1.2, "borderaxespad": 0.1}
    fig.legend(handles, names, loc="outside upper left", ncols=-(-len(names) // lines), **style)


def legend_inside(ax: Axes, where: str = "best") -> None:
    """A plot's legend within it, where it hides least; of more than MOST_INSIDE names beside it."""
    style: dict[str, Any] = {"fontsize": 7, "handlelength": 1.6, "borderpad": 0.3}
    handles, names = ax.get_legend_handles_labels()
    if len(names) > MOST_INSIDE:
        fig = ax.figure.get_figure(root=True)
        fig.legend(handles, names, loc="outside right upper", ncols=-(-len(names) // 24), **style)
        return
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
    style: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7, "color": INK, "path_effects": halo}
    for x, y, name in names:
        for up, side in product((3, -9, 12, -18), ("left", "right")):
            text = ax.annotate(name, (x, y), (5 if side == "left" else -5, up), ha=side, **style)
            box = text.get_window_extent()
            inside = all(map(ax.bbox.containsx, (box.x0, box.x1))) and ax.bbox.containsy(box.y0)
            if (
                inside
                and not any(map(box.overlaps, taken))
                and not any(box.padded(4).contains(*spot) for spot in spots)
            ):
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
