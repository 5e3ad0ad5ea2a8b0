"""Figures of a study's pictures, or of their palettes in their place, of their files and colours, and of its method."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from batik_utils.data import palette
from batik_utils.figures.style import (
    GREY,
    HEIGHT,
    INK,
    LETTER,
    LINE,
    MOST,
    PALETTE,
    SMALL,
    WIDTH,
    Drawing,
    fit_names,
    legend_inside,
    motif_styles,
    motif_ticks,
    new,
)
from batik_utils.wording import count

KINDS_OF_SIZE = 8  # sizes of files of which each is a bar; of more, each file is a point


@dataclass
class Picture:
    """A picture with what is said about it."""

    image: NDArray[Any]  # uint8 [h, w, 3]
    name: str  # the file's path, which stands under its palette
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

    row_names stand left of the rows; lines is the least height of the titles. A palette is at most five stripes as high
    as their colours' shares, and nothing else of the picture.
    """
    rows, tile = math.ceil(len(pictures) / columns), WIDTH / columns
    titles = [
        "\n".join(fit_names([line], tile - 0.1, 2)[0] for line in picture.title.split("\n")) for picture in pictures
    ]
    lines = max([lines, *(title.count("\n") + 1 for title in titles)])
    height = rows * (tile * (1 if photos else 0.66) + 0.14 * (lines + (not photos)))
    fig, axes = new(rows, columns, height=min(height, HEIGHT), squeeze=False)
    fig.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.03)
    for ax in axes.flat[len(pictures) :]:
        ax.remove()
    for ax, picture, title in zip(axes.flat, pictures, titles, strict=False):
        _draw(ax, picture, photos, tile)
        ax.set_title(title, fontsize=SMALL, fontweight="normal", loc="center", color=INK, pad=3)
    for ax, name in zip(axes[:, 0], fit_names(row_names, tile * (0.9 if photos else 0.6), 2), strict=False):
        ax.set_ylabel(name, fontsize=SMALL, color=INK)
    rated = [picture.good for picture in pictures if picture.good is not None]
    alt = [f"{count(len(pictures), 'picture')}{'' if photos else ', each as a tile of its own five colours'}"]
    alt += [f"one row each for {', '.join(row_names)}"] if row_names else []
    alt += [f"{sum(rated)} framed as right and {len(rated) - sum(rated)} as wrong"] if rated else []
    said = [[p.name, " ".join(p.title.split("\n")), " ".join(f"{c} {s:.3f}" for c, s in p.palette)] for p in pictures]
    data = pd.DataFrame(said, columns=["file", "said", "palette"])
    return fig.describe("; ".join(alt) + ".", data, "the pictures themselves")


def _draw(ax: Axes, picture: Picture, photos: bool, inches: float) -> None:
    """One tile, so many inches wide."""
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
            ax.set_xlabel(fit_names([picture.name], inches)[0], fontsize=SMALL, color=INK, labelpad=2)
    colour = {None: "#CCCCCC", True: PALETTE[0], False: PALETTE[1]}[picture.good]
    for spine in ax.spines.values():
        spine.set(visible=True, color=colour, linewidth=0.6 if picture.good is None else 2.0)


def file_sizes(facts: pd.DataFrame) -> Drawing:
    """Width against height of the files, pixels: a point each, or a bar for each of a few sizes.

    facts: columns motif, width, height.
    """
    motifs = facts["motif"].unique().tolist()
    looks = dict(zip(motifs, motif_styles(motifs), strict=True))
    counts = facts.value_counts(["width", "height", "motif"]).unstack(fill_value=0)[motifs].sort_index()
    if len(counts) <= KINDS_OF_SIZE:
        fig, ax = new(
            height=max(0.3 * len(counts) + 0.9, 0.13 * min(len(motifs), MOST) / (1 + (len(motifs) > 24)) + 0.4)
        )
        counts.plot.barh(stacked=True, ax=ax, color=[looks[m]["color"] for m in motifs], legend=False, width=0.7)
        ax.set_yticks(range(len(counts)), [f"{width:,} × {height:,}" for width, height in counts.index])
        ax.set(xlabel="Files", ylabel="Pixels")
        ax.xaxis.get_major_locator().set_params(integer=True)
    else:
        fig, ax = new(height=3.6)
        for motif, style in looks.items():
            rows = facts[facts["motif"] == motif]
            ax.plot(rows["width"], rows["height"], ls="", label=motif, markersize=3.5, alpha=0.7, mew=0, **style)
        scale = {side: "log" if facts[side].max() > 5 * facts[side].min() else "linear" for side in ("width", "height")}
        ax.set(xlabel="Width (pixels)", ylabel="Height (pixels)", xscale=scale["width"], yscale=scale["height"])
        for axis in (ax.xaxis, ax.yaxis):
            if axis.get_scale() == "log":
                axis.set_major_locator(LogLocator(subs=(1, 3)))
                axis.set_minor_locator(NullLocator())
            axis.set_major_formatter("{x:,.0f}")
    legend_inside(ax, "beside" if len(counts) <= KINDS_OF_SIZE else "best")
    middle = facts.groupby("motif", sort=False)[["width", "height"]].median().prod(axis=1) ** 0.5
    low, high = facts[["width", "height"]].min(), facts[["width", "height"]].max()
    ends = (f"{what}s from {low[what]:,} to {high[what]:,}" for what in ("width", "height"))
    alt = (
        f"In pixels: {', '.join(ends)}. A middling file is largest in {middle.idxmax()} (side about "
        f"{middle.max():,.0f}) and smallest in {middle.idxmin()} ({middle.min():,.0f})."
    )
    return fig.describe(alt, facts[["motif", "width", "height"]], "the files of the study's motifs")


def motif_colours(images: NDArray[np.uint8], labels: NDArray[np.int64], motifs: Sequence[str]) -> Drawing:
    """Distribution of hue-free lightness and of saturation per motif, each image one value; images is [n, h, w, 3]."""
    shape, wide = ((1, 2), WIDTH / 2) if len(motifs) <= 12 else ((2, 1), WIDTH)
    fig, axes = new(*shape)
    pixels = images.reshape(len(images), -1, 3)[:, ::7].astype(np.float64) / 255
    values = {
        "Mean lightness": pixels.mean(axis=(1, 2)),
        "Mean colourfulness": (pixels.max(axis=2) - pixels.min(axis=2)).mean(axis=1),
    }
    alt = []
    for ax, (what, each) in zip(axes, values.items(), strict=True):
        parts = ax.violinplot([each[labels == i] for i in range(len(motifs))], showmedians=True, widths=0.8)
        for body, style in zip(parts["bodies"], motif_styles(motifs), strict=True):
            body.set(facecolor=style["color"], alpha=0.5)
        for key in ("cbars", "cmins", "cmaxes", "cmedians"):
            parts[key].set(color="#444444", linewidth=0.9)
        under = motif_ticks(ax, motifs, range(1, len(motifs) + 1), wide - 0.6)
        ax.set_ylabel(what)
        fig.set_figheight(shape[0] * (1.9 + under))
        middle = [float(np.median(each[labels == i])) for i in range(len(motifs))]
        low, high = int(np.argmin(middle)), int(np.argmax(middle))
        least, most = (f"{motifs[i]} ({middle[i]:.2f})" for i in (low, high))
        alt.append(f"{what}: the median is lowest in {least}, highest in {most}.")
    data = pd.DataFrame({"motif": [motifs[i] for i in labels], **{k.lower(): v.round(3) for k, v in values.items()}})
    return fig.describe(" ".join(alt), data, "all pictures that are used")


def method_flow(bands: Sequence[Mapping[str, str]], results: str = "the study's file") -> Drawing:
    """Bands of headings with texts, {heading: text}, each in a box, an arrow to the next; results: their origin."""
    left, gap = 1.9, 0.2
    style: dict[str, Any] = {"color": INK, "size": SMALL, "va": "top", "linespacing": 1.15}
    heads, texts = left - 0.1 - 2 * LETTER, WIDTH - left - 0.1  # bold letters are wider
    whole = partial(fit_names, lines=99)
    boxes = [[(whole([name], heads)[0], whole([text], texts)[0]) for name, text in band.items()] for band in bands]
    lines = [[1 + max(text.count("\n") for text in row) for row in box] for box in boxes]
    ends = np.cumsum([LINE * (sum(counts) + 1) + gap for counts in lines])
    fig, ax = new(height=ends[-1] - gap + 0.04)
    fig.set_layout_engine("none")
    ax.set(xlim=(-0.01, WIDTH + 0.01), ylim=(ends[-1] - gap + 0.02, -0.02), position=(0, 0, 1, 1))
    ax.axis("off")
    for box, counts, end in zip(boxes, lines, ends, strict=True):
        height, colour = LINE * (sum(counts) + 1), PALETTE[0] if end == ends[-1] else GREY
        y = end - gap - height
        corners = "round,pad=0,rounding_size=0.05"
        ax.add_patch(FancyBboxPatch((0, y), WIDTH, height, corners, fc=colour + "24", ec=colour, lw=0.7))
        for (heading, text), high in zip(box, counts, strict=True):
            ax.text(0.1, y + LINE / 2, heading, weight="bold", **style)
            ax.text(left, y + LINE / 2, text, **style)
            y += LINE * high
        if end < ends[-1]:
            ax.annotate("", (WIDTH / 2, end), (WIDTH / 2, end - gap), arrowprops={"arrowstyle": "-|>", "color": INK})
    steps = [" and ".join(b) if len(b) <= 3 else f"{len(b)} rows from {next(iter(b))} on" for b in bands]
    said = [(step, *row) for step, band in enumerate(bands, 1) for row in band.items()]
    data = pd.DataFrame(said, columns=["band", "heading", "text"])
    return fig.describe(f"From top to bottom, an arrow from each to the next: {'; '.join(steps)}.", data, results)
