"""The figure of every trio: what the choice of three motifs does to accuracy, and what others report of some."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from batik_utils.figures.style import GREY, PALETTE, THIN, Drawing, legend_inside, new, percent_axis, place_names
from batik_utils.wording import count, percent

ARMS = {"pretrained": PALETTE[0], "scratch": PALETTE[1]}


def trio_figure(accuracies: Mapping[str, pd.Series], stated: pd.DataFrame) -> Drawing:
    """Above, how all trios' accuracies are distributed, {title: one value per trio}; below, ours against the stated.

    stated: columns trio, arm, ours (by the first title's model), stated; a trio's name stands at its highest mark.
    """
    fig, (above, below) = new(2, height=4.4, sharex=True, height_ratios=[1, 1.9])
    low = np.floor(min(map(min, accuracies.values())) / 0.025) * 0.025
    first, *_ = accuracies
    filled, outlined = {"color": GREY, "alpha": 0.5}, {"color": PALETTE[2], "histtype": "step", "linewidth": 1.4}
    for title, values in accuracies.items():
        above.hist(values, np.arange(low, 1.0251, 0.025), label=title, **(filled if title == first else outlined))
    above.set_ylabel("Trios")
    below.plot([low, 1], [low, 1], **THIN)
    for arm, colour in ARMS.items():
        rows = stated[stated["arm"] == arm]
        below.plot(rows["ours"], rows["stated"], "o" if arm == "pretrained" else "s", color=colour, ms=5, label=arm)
    tops = stated.loc[stated.groupby("trio")["stated"].idxmax()].sort_values("ours")
    marks = list(zip(tops["ours"].tolist(), tops["stated"].tolist(), tops["trio"].tolist(), strict=True))
    for ours, _, _ in marks:
        for ax in (above, below):
            ax.axvline(ours, color=GREY, linewidth=0.6, zorder=0)
    percent_axis(below.yaxis, 0.0, 1.06, label="As others state it")
    percent_axis(below.xaxis, low, 1.0, label=f"Here, on the same three motifs ({first})")
    legend_inside(above, "upper left")
    legend_inside(below, "lower right")
    place_names(below, marks, list(zip(stated["ours"], stated["stated"], strict=True)))
    ends = ((title, v.mean(), v.min(), v.max()) for title, v in accuracies.items())
    means = "; ".join(f"{t}: mean {percent(m)}, from {percent(least)} to {percent(most)}" for t, m, least, most in ends)
    data = stated[["trio", "arm", "ours", "stated"]]
    pairs = "; ".join(
        f"{t} ({arm}) {percent(a)} here, {percent(b)} stated" for t, arm, a, b in data.to_numpy().tolist()
    )
    alt = f"{count(len(accuracies[first]), 'trio')}. {means}. Stated by others: {pairs}."
    return fig.describe(alt, data, "frozen features of all pictures, grouped folds")
