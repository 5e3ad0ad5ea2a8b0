"""Figures of pictures, or of their palettes in their place, and drawn cloth as filled outlines of its dyes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.path import Path
from numpy.typing import NDArray

from batik_utils.figures.style import INK, PALETTE, WIDTH, Drawing, new
from batik_utils.palette import palette
from batik_utils.wording import count

LETTERS = 19
"""Of a name that fit under a tile."""
SIDE, DYES, LEAST, SLACK = 192, 5, 5, 0.8
"""Pixels that outlines are traced on, colours, the smallest area in pixels, and how far an outline may stray."""


@dataclass
class Picture:
    """A picture with what is said about it."""

    image: NDArray[Any]
    """uint8 [h, w, 3]"""
    name: str
    """The file's path, which stands under its palette."""
    title: str = ""
    good: bool | None = None
    """Whether the frame is that of a right (blue) or wrong (orange) prediction; None for no frame."""

    @cached_property
    def palette(self) -> list[tuple[str, float]]:
        """Its colours and their shares."""
        return palette(self.image)


def picture_grid(
    pictures: Sequence[Picture], columns: int, row_names: Sequence[str] = (), lines: int = 1, *, photos: bool
) -> Drawing:
    """Pictures, or where photos is False their palettes with their names, in rows of `columns`.

    row_names stand left of the rows; lines is the height of the titles. A palette is at most five stripes as high as
    their colours' shares, and nothing else of the picture.
    """
    rows = math.ceil(len(pictures) / columns)
    tile = WIDTH / columns
    fig, axes = new(
        rows, columns, height=rows * (tile * (1 if photos else 0.66) + 0.13 * (lines + (not photos))), squeeze=False
    )
    fig.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.03)
    for ax in axes.flat[len(pictures) :]:
        ax.remove()
    for ax, picture in zip(axes.flat, pictures, strict=False):
        _draw(ax, picture, photos, room=17 * tile)
    for ax, name in zip(axes[:, 0], row_names, strict=False):
        ax.set_ylabel(name, fontsize=8, color=INK)
    rated = [picture.good for picture in pictures if picture.good is not None]
    alt = [f"{count(len(pictures), 'picture')}{'' if photos else ', each as a tile of its own five colours'}"]
    alt += [f"one row each for {', '.join(row_names)}"] if row_names else []
    alt += [f"{sum(rated)} framed as right and {len(rated) - sum(rated)} as wrong"] if rated else []
    said = [[p.name, " ".join(p.title.split("\n")), " ".join(f"{c} {s:.3f}" for c, s in p.palette)] for p in pictures]
    data = pd.DataFrame(said, columns=["file", "said", "palette"])
    return fig.describe("; ".join(alt) + ".", data, "the pictures themselves")


def pair_grid(pairs: Sequence[tuple[Picture, Picture]], pairs_per_row: int = 3, *, photos: bool) -> Drawing:
    """Pairs of pictures side by side, pairs_per_row to a row, as an audit shows its duplicates."""
    return picture_grid([picture for pair in pairs for picture in pair], 2 * pairs_per_row, lines=2, photos=photos)


def _draw(ax: Axes, picture: Picture, photos: bool, room: float) -> None:
    """One tile, over which `room` letters of the common size fit in a line."""
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    if photos:
        ax.imshow(picture.image, interpolation="antialiased")
    else:
        ax.set(xlim=(0, 1), ylim=(1, 0))
        top = 0.0
        for colour, share in picture.palette:
            ax.bar(0.5, share, 1, top, color=colour, linewidth=0)
            top += share
        if picture.name not in picture.title:
            name = picture.name if len(picture.name) <= LETTERS else "…" + picture.name[1 - LETTERS :]
            ax.set_xlabel(name, fontsize=6, color=INK, labelpad=2)
    if picture.title:
        # A long line is set smaller, down to what can just be read, so that it does not touch the next tile's.
        size = max(5.0, 6.5 * min(1.0, room / max(map(len, picture.title.split("\n")))))
        ax.set_title(picture.title, fontsize=size, fontweight="normal", loc="center", color=INK, pad=3)
    colour = {None: "#CCCCCC", True: PALETTE[0], False: PALETTE[1]}[picture.good]
    for spine in ax.spines.values():
        spine.set(visible=True, color=colour, linewidth=0.6 if picture.good is None else 2.0)


def _outlines(mask: NDArray[np.bool_]) -> Path | None:
    """The outlines of what is True, holes included, as one path in pixels."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    kept = [cv2.approxPolyDP(c, SLACK, closed=True)[:, 0] + 0.5 for c in found if cv2.contourArea(c) >= LEAST]
    rings = [Path(np.vstack([c, c[:1]]), closed=True) for c in kept if len(c) > 2]
    return Path.make_compound_path(*rings) if rings else None
