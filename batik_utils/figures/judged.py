"""Figures of what predictions are worth: confusion, calibration, and what the choice of three motifs does."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from numpy.typing import NDArray

from batik_utils.figures.style import (
    GREY,
    LETTER,
    MOST,
    PALETTE,
    SMALL,
    THIN,
    WIDTH,
    Drawing,
    fit_names,
    legend_inside,
    legend_line,
    motif_ticks,
    new,
    percent_axis,
    place_names,
)
from batik_utils.wording import Band, count, percent, percent_range

CROWDED, FULL = 8, 24
"""Motifs above which a cell of a confusion matrix has no room for a decimal, and none for a number at all."""


def confusion_matrices(matrices: Mapping[str, NDArray[np.float64]], motifs: Sequence[str]) -> Drawing:
    """Rows are true motifs, columns predicted ones, {model: [c, c] counts or mean counts}; shade is the row share.

    Of many motifs counts are rounded, and noughts left out; of very many there is only the shade.
    """
    columns, step = min(3, len(matrices)), -(-len(motifs) // MOST)
    rows, most = -(-len(matrices) // columns), 2.3 if len(motifs) <= CROWDED else 4.3 if len(motifs) <= FULL else 5.4
    names, places = fit_names(motifs, 1.2), [place + 0.5 for place in range(len(motifs))]
    side = min((WIDTH - 0.4 - LETTER * max(map(len, names))) / columns, most)
    fig, axes = new(rows, columns, squeeze=False)
    for ax in axes.flat[len(matrices) :]:
        ax.remove()
    under = 0.0
    alt, said = [], []
    for ax, (title, matrix) in zip(axes.flat, matrices.items(), strict=False):
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-12)
        whole = np.round(matrix).astype(int)
        form = ".0f" if np.allclose(matrix, whole) else ".1f"
        options: dict[str, Any] = {"annot": matrix, "fmt": form, "annot_kws": {"fontsize": 8}}
        if len(motifs) > CROWDED:
            cells = np.where((whole > 0) & (len(motifs) <= FULL), whole.astype(str), "")
            options = {"annot": cells, "fmt": "", "annot_kws": {"fontsize": SMALL}}
        options |= {"xticklabels": False, "yticklabels": False, "cmap": "Blues", "linewidths": 0.5}
        sns.heatmap(share, ax=ax, vmin=0, vmax=1, cbar=False, square=True, **options)
        ax.set_title(fit_names([title], 0.75 * side, 3)[0], fontsize=8, loc="center")
        under = motif_ticks(ax, motifs, places, side)
        if first := ax in axes[:, 0]:
            ax.set_yticks(places[::step], names[::step], fontsize=SMALL)
        ax.tick_params(length=0)
        ax.set_xlabel("Predicted", fontsize=8)
        ax.set_ylabel("True" if first else "", fontsize=8)
        alt.append(f"{title}: {_told(matrix, share, motifs)}")
        counted = [(motifs[i], motifs[j], matrix[i, j]) for i, j in np.ndindex(*matrix.shape)]
        fig.name(ax.collections[0], *(f"{title}: true {i}, predicted {j}, {n:{form}}" for i, j, n in counted))
        said += [(title, *cell) for cell in counted]
    fig.set_figheight(rows * (side + under + 0.6))
    data = pd.DataFrame(said, columns=["model", "true", "predicted", "images"])
    return fig.describe(" ".join(alt), data, "predictions on images that the fit had not seen")


def _told(matrix: NDArray[np.float64], share: NDArray[np.float64], motifs: Sequence[str]) -> str:
    """What a matrix shows: how much is on its diagonal, and the largest cell beside it."""
    right = f"{percent(np.trace(matrix) / max(matrix.sum(), 1e-12), 0)} lie on the diagonal"
    wrong = share * (1 - np.eye(len(motifs)))
    i, j = divmod(int(wrong.argmax()), len(motifs))
    if not wrong[i, j]:
        return f"{right}, none beside it."
    return f"{right}; most often taken for another is {motifs[i]}, {percent(wrong[i, j], 0)} of it for {motifs[j]}."


def reliability_figure(curves: Mapping[str, pd.DataFrame]) -> Drawing:
    """Confidence against accuracy, {model: columns confidence, accuracy, count, when ("before" | "after")}."""
    fig, axes = new(1, len(curves), height=2.8, squeeze=False, sharey=True)
    alt = []
    for ax, (title, table) in zip(axes.flat, curves.items(), strict=True):
        ax.plot([0, 1], [0, 1], linewidth=0.8, **THIN)
        said = []
        for when, colour, dash in (("before", PALETTE[1], "--"), ("after", PALETTE[0], "-")):
            rows = table[table["when"] == when]
            sizes = 6 + 60 * rows["count"] / max(rows["count"].sum(), 1)
            ax.plot(rows["confidence"], rows["accuracy"], dash, color=colour, linewidth=1.2, label=f"{when} scaling")
            ax.scatter(rows["confidence"], rows["accuracy"], s=sizes, color=colour, alpha=0.7, linewidths=0)
            sure, right = (np.average(rows[column], weights=rows["count"]) for column in ("confidence", "accuracy"))
            said.append(f"{when} scaling a mean confidence of {percent(sure, 0)} against {percent(right, 0)} right")
        percent_axis(ax.xaxis, 0, 1.02, "Confidence")
        percent_axis(ax.yaxis, 0, 1.02)
        ax.set_aspect("equal")
        ax.set_title(fit_names([title], 0.6 * WIDTH / len(curves), 2)[0], fontsize=8.5)
        alt.append(f"{title}: {', '.join(said)}")
    axes[0, 0].set_ylabel("Accuracy")
    legend_line(fig, axes[0, 0])
    data = pd.concat(curves, names=["model"]).reset_index("model")
    return fig.describe(f"{'; '.join(alt)}.", data, "out-of-fold predictions of grouped cross-validation")


def trio_figure(accuracies: Mapping[str, pd.Series], stated: pd.DataFrame) -> Drawing:
    """Above, how all trios' accuracies are distributed, {title: one value per trio}; below, ours against the stated.

    stated: columns trio, arm, ours (by the first title's model), stated; a trio's name stands at its highest mark.
    """
    fig, (above, below) = new(2, height=4.4, sharex=True, height_ratios=[1, 1.9])
    low = np.floor(min(map(min, accuracies.values())) / 0.025) * 0.025
    first, *_ = accuracies
    filled, outlined = {"color": GREY, "alpha": 0.5}, {"color": PALETTE[2], "histtype": "step", "linewidth": 1.4}
    bins = np.arange(low, 1.0251, 0.025)
    for title, values in accuracies.items():
        above.hist(values, bins, label=title, **(filled if title == first else outlined))
    for bar, n, *span in zip(above.patches, np.histogram(accuracies[first], bins)[0], bins, bins[1:], strict=False):
        fig.name(bar, f"{first}: {count(n, 'trio')} at {percent_range(Band(*span))}")
    above.set_ylabel("Trios")
    below.plot([low, 1], [low, 1], **THIN)
    for arm, mark, colour in (("pretrained", "o", PALETTE[0]), ("scratch", "s", PALETTE[1])):
        rows = stated[stated["arm"] == arm]
        (marks,) = below.plot(rows["ours"], rows["stated"], mark, color=colour, markersize=5, label=arm)
        seen = zip(rows["trio"], rows["ours"], rows["stated"], strict=True)
        fig.name(marks, *(f"{trio} ({arm}): {percent(a)} here, {percent(b)} stated" for trio, a, b in seen))
    tops = stated.loc[stated.groupby("trio")["stated"].idxmax()].sort_values("ours")
    highest = list(zip(tops["ours"].tolist(), tops["stated"].tolist(), tops["trio"].tolist(), strict=True))
    for ours, _, _ in highest:
        for ax in (above, below):
            ax.axvline(ours, color=GREY, linewidth=0.6, zorder=0)
    percent_axis(below.yaxis, 0.0, 1.06, label="As others state it")
    percent_axis(below.xaxis, low, 1.0, label=f"Here, on the same three motifs ({first})")
    legend_inside(above, "upper left")
    legend_inside(below, "lower right")
    place_names(below, highest, list(zip(stated["ours"], stated["stated"], strict=True)))
    ends = ((title, v.mean(), v.min(), v.max()) for title, v in accuracies.items())
    means = "; ".join(f"{t}: mean {percent(m)}, from {percent(least)} to {percent(most)}" for t, m, least, most in ends)
    data = stated[["trio", "arm", "ours", "stated"]]
    pairs = "; ".join(
        f"{t} ({arm}) {percent(a)} here, {percent(b)} stated" for t, arm, a, b in data.to_numpy().tolist()
    )
    alt = f"{count(len(accuracies[first]), 'trio')}. {means}. Stated by others: {pairs}."
    return fig.describe(alt, data, "frozen features of all pictures, grouped folds")
