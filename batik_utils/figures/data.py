"""Figures of the data: sizes of files, colours."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from batik_utils.figures.style import PALETTE, legend_below, new, slant_labels


def file_sizes(facts: pd.DataFrame) -> Figure:
    """Width against height of every file, pixels; facts: columns motif, width, height."""
    fig, ax = new(height=3.5, width=4.8)
    for motif, colour in zip(facts["motif"].unique(), cycle(PALETTE), strict=False):
        rows = facts[facts["motif"] == motif]
        ax.plot(rows["width"], rows["height"], "o", label=motif, color=colour, markersize=3.5, alpha=0.7, mew=0)
    ax.set(xscale="log", yscale="log", xlabel="Width (pixels)", ylabel="Height (pixels)")
    ticks = [t for t in (100, 200, 500, 1000, 2000, 5000) if t <= 1.2 * facts[["width", "height"]].to_numpy().max()]
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    return legend_below(fig, ax, 4)


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
