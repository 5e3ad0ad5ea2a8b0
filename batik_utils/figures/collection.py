"""Figures of the data: sizes of the files, colours of the motifs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from batik_utils.figures.style import colours, motif_name, new, slant_labels
from batik_utils.values import Dataset


def file_sizes(facts: pd.DataFrame) -> Figure:
    """Width against height of every file, pixels; facts: columns motif, width, height."""
    fig, ax = new(height=3.2, width=4.8)
    motifs = list(dict.fromkeys(facts["motif"]))
    for motif, colour in colours(motifs).items():
        rows = facts[facts["motif"] == motif]
        ax.plot(
            rows["width"],
            rows["height"],
            "o",
            color=colour,
            markersize=3.5,
            alpha=0.7,
            markeredgewidth=0,
            label=motif_name(motif),
        )
    ax.set(xscale="log", yscale="log", xlabel="Width (pixels)", ylabel="Height (pixels)")
    ticks = [
        t for t in (100, 200, 500, 1000, 2000, 5000) if t <= 1.2 * max(facts["width"].max(), facts["height"].max())
    ]
    ax.set_xticks(ticks, [str(t) for t in ticks])
    ax.set_yticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    ax.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return fig


def motif_colours(dataset: Dataset) -> Figure:
    """Distribution of hue-free lightness and of saturation per motif, each image one value."""
    fig, (left, right) = new(1, 2, height=2.7)
    pixels = dataset.images.reshape(len(dataset), -1, 3)[:, ::7].astype(np.float64) / 255
    light = pixels.mean(axis=(1, 2))
    saturation = (pixels.max(axis=2) - pixels.min(axis=2)).mean(axis=1)
    names = [motif_name(m) for m in dataset.motifs]
    for ax, values, what in ((left, light, "Mean lightness"), (right, saturation, "Mean colourfulness")):
        groups = [values[dataset.labels == i] for i in range(len(names))]
        parts = ax.violinplot(groups, showmedians=True, widths=0.8)
        for body, colour in zip(parts["bodies"], colours(names).values(), strict=True):
            body.set(facecolor=colour, alpha=0.5)
        for key in ("cbars", "cmins", "cmaxes", "cmedians"):
            parts[key].set(color="#444444", linewidth=0.9)
        ax.set_xticks(range(1, len(names) + 1), names, fontsize=7)
        slant_labels(ax, len(names))
        ax.set_ylabel(what)
    return fig
