"""Figures of the data: sizes of files, colours."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batik_utils.figures.style import Drawing, legend_inside, motif_styles, new, slant_labels


def file_sizes(facts: pd.DataFrame) -> Drawing:
    """Width against height of every file, pixels; facts: columns motif, width, height."""
    fig, ax = new(height=3.6)
    motifs = facts["motif"].unique().tolist()
    for motif, style in zip(motifs, motif_styles(motifs), strict=True):
        rows = facts[facts["motif"] == motif]
        ax.plot(rows["width"], rows["height"], ls="", label=motif, markersize=3.5, alpha=0.7, mew=0, **style)
    ax.set(xscale="log", yscale="log", xlabel="Width (pixels)", ylabel="Height (pixels)")
    ticks = [t for t in (100, 200, 500, 1000, 2000, 5000) if t <= 1.2 * facts[["width", "height"]].to_numpy().max()]
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    ax.set_aspect("equal", adjustable="datalim")  # the page's width gives the legend its room
    legend_inside(ax)
    middle = facts.groupby("motif", sort=False)[["width", "height"]].median().prod(axis=1) ** 0.5
    low, high = facts[["width", "height"]].min(), facts[["width", "height"]].max()
    alt = (
        f"Widths from {low['width']:,} to {high['width']:,} pixels, heights from {low['height']:,} to "
        f"{high['height']:,}. A middling file is largest in {middle.idxmax()} (side about {middle.max():,.0f} pixels) "
        f"and smallest in {middle.idxmin()} ({middle.min():,.0f})."
    )
    return fig.describe(alt, facts[["motif", "width", "height"]], "the files of the study's motifs")


def motif_colours(images: NDArray[np.uint8], labels: NDArray[np.int64], motifs: Sequence[str]) -> Drawing:
    """Distribution of hue-free lightness and of saturation per motif, each image one value; images is [n, h, w, 3]."""
    fig, axes = new(1, 2, height=2.5)
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
        ax.set_xticks(range(1, len(motifs) + 1), motifs, fontsize=7)
        ax.set_ylabel(what)
        slant_labels(ax)
        middle = [float(np.median(each[labels == i])) for i in range(len(motifs))]
        low, high = int(np.argmin(middle)), int(np.argmax(middle))
        least, most = (f"{motifs[i]} ({middle[i]:.2f})" for i in (low, high))
        alt.append(f"{what}: the median is lowest in {least}, highest in {most}.")
    data = pd.DataFrame({"motif": [motifs[i] for i in labels], **{k.lower(): v.round(3) for k, v in values.items()}})
    return fig.describe(" ".join(alt), data, "all pictures that are used")
