"""The method of a study as a flow diagram."""

import textwrap
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.patches import FancyBboxPatch

from batik_utils.figures.style import GREY, INK, PALETTE, WIDTH, Drawing, new

GAP, GUTTER, LINE, LETTER, COLUMNS = 0.2, 0.1, 0.115, 0.056, 3
"""Inches between two bands, between two boxes, of a line, of a letter (rather too many); boxes side by side at most."""


def method_flow(bands: Sequence[Mapping[str, str]], results: str = "the study's file") -> Drawing:
    """Bands of boxes, {heading: text}, an arrow from each band to the next; wide as a page; results: their origin."""
    boxes, arrows, y = [], [], 0.0
    for band in bands:
        cells = list(band.items())
        for row in (cells[i : i + COLUMNS] for i in range(0, len(cells), COLUMNS)):
            width = (WIDTH - GUTTER * (len(row) - 1)) / len(row)
            heads, texts = (
                [textwrap.fill(part, int(width / LETTER) - bold) for part in parts]
                for parts, bold in zip(zip(*row, strict=True), (2, 0), strict=True)
            )
            more = LINE * max(head.count("\n") for head in heads)
            height = more + LINE * (3 + max(text.count("\n") for text in texts))
            for i, (head, text) in enumerate(zip(heads, texts, strict=True)):
                boxes.append((i * (width + GUTTER), y, width, height, head, text, more, band is bands[-1]))
            y += height + GUTTER
        arrows.append(y := y - GUTTER)
        y += GAP
    fig, ax = new(height=y - GAP + 0.04)
    fig.set_layout_engine("none")
    ax.set(xlim=(-0.02, WIDTH + 0.02), ylim=(y - GAP + 0.02, -0.02), position=(0, 0, 1, 1))
    ax.axis("off")
    for x, top, width, height, heading, text, more, last in boxes:
        colour, corners = PALETTE[0] if last else GREY, "round,pad=0,rounding_size=0.05"
        ax.add_patch(FancyBboxPatch((x, top), width, height, corners, fc=colour + "24", ec=colour, lw=0.7))
        style = {"color": INK, "ha": "center", "va": "top", "linespacing": 1.15}
        ax.text(x + width / 2, top + 0.5 * LINE, heading, size=7, weight="bold", **style)
        ax.text(x + width / 2, top + 1.6 * LINE + more, text, size=6.5, **style)
    for start in arrows[:-1]:
        style = {"arrowstyle": "-|>", "mutation_scale": 7, "shrinkA": 0, "shrinkB": 0, "color": INK, "linewidth": 0.8}
        ax.annotate("", (WIDTH / 2, start + GAP), (WIDTH / 2, start), arrowprops=style)
    steps = [
        " and ".join(band) if len(band) <= 3 else f"{len(band)} boxes from {next(iter(band))} on" for band in bands
    ]
    said = [(step, *box) for step, band in enumerate(bands, 1) for box in band.items()]
    data = pd.DataFrame(said, columns=["band", "heading", "text"])
    return fig.describe(f"From top to bottom, an arrow from each to the next: {'; '.join(steps)}.", data, results)
