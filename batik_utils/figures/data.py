"""Figures of the data: pictures (or placeholders in their place), sizes of files, colours, the map of features."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from batik_utils.figures.style import GREY, INK, PALETTE, WIDTH, legend_below, new, slant_labels


@dataclass(frozen=True)
class Picture:
    """A picture with what is said under it."""

    image: NDArray[Any]
    """[h, w, 3]"""
    name: str
    """What a placeholder says in its place: the file's path."""
    title: str = ""
    good: bool | None = None
    """Whether the frame is that of a right (blue) or wrong (orange) prediction; None for no frame."""


def picture_grid(
    pictures: Sequence[Picture], columns: int, row_names: Sequence[str] = (), lines: int = 1, *, photos: bool
) -> Figure:
    """Pictures, or where photos is False hatched placeholders with their file names, in rows of `columns`.

    row_names stand left of the rows; lines is the height of the titles.
    """
    rows = math.ceil(len(pictures) / columns)
    fig, axes = new(rows, columns, height=rows * (WIDTH / columns + 0.13 * lines), squeeze=False)
    fig.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    for ax in axes.flat[len(pictures) :]:
        ax.axis("off")
    for ax, picture in zip(axes.flat, pictures, strict=False):
        _draw(ax, picture, photos)
    for ax, name in zip(axes[:, 0], row_names, strict=False):
        ax.set_ylabel(name, fontsize=8, color=INK)
    return fig


def pair_grid(pairs: Sequence[tuple[Picture, Picture]], pairs_per_row: int = 3, *, photos: bool) -> Figure:
    """Pairs of pictures side by side, pairs_per_row to a row, as an audit shows its duplicates."""
    return picture_grid([picture for pair in pairs for picture in pair], 2 * pairs_per_row, lines=2, photos=photos)


def _draw(ax: Axes, picture: Picture, photos: bool) -> None:
    ax.set(xticks=[], yticks=[])
    if photos:
        ax.imshow(picture.image, interpolation="antialiased")
    else:
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", facecolor="#EFEFEF")
        ax.fill_between([0, 1], 0, 1, hatch="///", facecolor="none", edgecolor="#DDDDDD", linewidth=0)
        ax.text(0.5, 0.5, "/\n".join(picture.name.rsplit("/", 1)), ha="center", va="center", fontsize=6, color=GREY)
    if picture.title:
        ax.set_title(picture.title, fontsize=6.5, fontweight="normal", loc="center", color=INK, pad=3)
    colour = {None: "#CCCCCC", True: PALETTE[0], False: PALETTE[1]}[picture.good]
    for spine in ax.spines.values():
        spine.set(visible=True, color=colour, linewidth=0.6 if picture.good is None else 2.0)


def file_sizes(facts: pd.DataFrame) -> Figure:
    """Width against height of every file, pixels; facts: columns motif, width, height."""
    sides = facts[["width", "height"]]
    fig, ax = _scatter([(m, sides[facts["motif"] == m].to_numpy()) for m in facts["motif"].unique()], 3.5, 3.5, 0.7)
    ax.set(xscale="log", yscale="log", xlabel="Width (pixels)", ylabel="Height (pixels)")
    ticks = [t for t in (100, 200, 500, 1000, 2000, 5000) if t <= 1.2 * sides.to_numpy().max()]
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    return legend_below(fig, ax, 4)


def feature_map(points: NDArray[np.float64], labels: NDArray[np.int64], motifs: Sequence[str]) -> Figure:
    """Images as points in two dimensions, [n, 2], coloured by motif."""
    fig, ax = _scatter([(motif, points[labels == i]) for i, motif in enumerate(motifs)], 3.9, 4, 0.75)
    ax.set(xticks=[], yticks=[])
    return legend_below(fig, ax, 4)


def _scatter(
    groups: Sequence[tuple[str, NDArray[Any]]], height: float, size: float, alpha: float
) -> tuple[Figure, Axes]:
    fig, ax = new(height=height, width=4.8)
    for (name, rows), colour in zip(groups, cycle(PALETTE), strict=False):
        ax.plot(*rows.T, "o", label=name, color=colour, markersize=size, alpha=alpha, markeredgewidth=0)
    return fig, ax


def motif_colours(images: NDArray[np.uint8], labels: NDArray[np.int64], motifs: Sequence[str]) -> Figure:
    """Distribution of hue-free lightness and of saturation per motif, each image one value; images is [n, h, w, 3]."""
    fig, axes = new(1, 2, height=2.7)
    pixels = images.reshape(len(images), -1, 3)[:, ::7].astype(np.float64) / 255
    values = {
        "Mean lightness": pixels.mean(axis=(1, 2)),
        "Mean colourfulness": (pixels.max(axis=2) - pixels.min(axis=2)).mean(axis=1),
    }
    for ax, (what, each) in zip(axes, values.items(), strict=True):
        parts = ax.violinplot([each[labels == i] for i in range(len(motifs))], showmedians=True, widths=0.8)
        for body, colour in zip(parts["bodies"], cycle(PALETTE), strict=False):
            body.set(facecolor=colour, alpha=0.5)
        for key in ("cbars", "cmins", "cmaxes", "cmedians"):
            parts[key].set(color="#444444", linewidth=0.9)
        ax.set_xticks(range(1, len(motifs) + 1), motifs, fontsize=7)
        ax.set_ylabel(what)
        slant_labels(ax)
    return fig
