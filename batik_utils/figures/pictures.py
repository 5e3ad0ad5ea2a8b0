"""Figures of pictures, or of placeholders in their place."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from batik_utils.figures.style import GREY, INK, PALETTE, WIDTH, new


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
