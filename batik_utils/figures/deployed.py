"""The figure of the classifier in use."""

from collections.abc import Sequence

import pandas as pd

from batik_utils.figures.style import GREY, PALETTE, Drawing, new, percent_axis
from batik_utils.wording import percent


def deletion_curves(shares: Sequence[float], marked: Sequence[float], random: Sequence[float]) -> Drawing:
    """Mean probability of the named motif against the share of the picture that is deleted, marked fields or random."""
    fig, ax = new(height=2.6, width=4.2)
    ax.plot(shares, marked, "-o", color=PALETTE[1], label="marked fields first")
    ax.plot(shares, random, "--s", color=GREY, label="random fields")
    percent_axis(ax.xaxis, 0, 1, "Deleted share of the picture")
    percent_axis(ax.yaxis, 0, 1, "Probability")
    ax.legend(fontsize=7, frameon=False)
    ends = f"{percent(marked[-1], 0)} with the marked fields first, {percent(random[-1], 0)} with random ones"
    alt = f"From {percent(marked[0], 0)} with nothing deleted the probability falls to {ends}."
    data = pd.DataFrame({"deleted": shares, "marked": marked, "random": random})
    return fig.tell(alt, data, "held-out pictures", bends=True)
