"""The figure of the classifier in use."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from batik_utils.figures.style import GREY, PALETTE, new, percent_axis


def deletion_curves(shares: Sequence[float], marked: Sequence[float], random: Sequence[float]) -> Figure:
    """Mean probability of the named motif against the share of the picture that is deleted, marked fields or random."""
    fig, ax = new(height=2.6, width=4.2)
    ax.plot(shares, marked, "-o", color=PALETTE[1], label="marked fields first")
    ax.plot(shares, random, "--s", color=GREY, label="random fields")
    percent_axis(ax.xaxis, 0, 1, "Deleted share of the picture")
    percent_axis(ax.yaxis, 0, 1, "Probability")
    ax.legend(fontsize=7, frameon=False)
    return fig
