"""What all figures share: widths, colours and small habits."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

WIDTH = 6.3
"""Inches: the text width of an A4 page with the report's margins."""
# Okabe & Ito's palette, safe for the colour-blind, without its yellow (too light on white paper).
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#5B5B5B")
GREY = "#8A8A8A"
INK = "#222222"
THIN: dict[str, Any] = {"color": GREY, "linestyle": ":"}
"""The line of chance, or of what would be perfect."""


def colours(names: Sequence[str]) -> dict[str, str]:
    """One colour for each name, in the order given (repeating after seven)."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}


def new(
    rows: int = 1, columns: int = 1, height: float = 3.0, width: float = WIDTH, **options: Any
) -> tuple[Figure, Any]:
    """A figure with constrained layout: (figure, axes) as plt.subplots gives them; inches."""
    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained", **options)


def legend_below(fig: Figure, ax: Axes, columns: int) -> Figure:
    """The figure with a plot's legend under it, in so many columns at most, and no more than its width holds."""
    handles, names = ax.get_legend_handles_labels()
    room = int(fig.get_figwidth() / (0.5 + 0.055 * len("".join(names)) / len(names)))
    columns = max(1, min(columns, room, len(names)))
    fig.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=7, frameon=False)
    return fig


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
