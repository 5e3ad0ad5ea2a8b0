"""Figures of single predictions' sums: confusion and calibration."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from numpy.typing import NDArray

from batik_utils.figures.style import PALETTE, THIN, Drawing, legend_line, new, percent_axis, slant_labels
from batik_utils.wording import percent

CROWDED = 8
"""Motifs above which a cell of a confusion matrix has no room for a decimal."""


def confusion_matrices(matrices: Mapping[str, NDArray[np.float64]], motifs: Sequence[str]) -> Drawing:
    """Rows are true motifs, columns predicted ones, {model: [c, c] counts or mean counts}; shade is the row share.

    Of many motifs counts are rounded, and noughts left out.
    """
    columns = min(3, len(matrices))
    rows = -(-len(matrices) // columns)
    fig, axes = new(
        rows, columns, height=rows * min(6.3 / columns, 2.6 if len(motifs) <= CROWDED else 4.6) + 0.2, squeeze=False
    )
    for ax in axes.flat[len(matrices) :]:
        ax.remove()
    alt, said = [], []
    for ax, (title, matrix) in zip(axes.flat, matrices.items(), strict=False):
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-12)
        whole = np.round(matrix).astype(int)
        cells: NDArray[Any] = matrix
        form, letters = ".0f" if np.allclose(matrix, whole) else ".1f", 8.0
        if len(motifs) > CROWDED:
            cells, form, letters = np.where(whole > 0, whole.astype(str), ""), "", max(4.5, 90 / len(motifs))
        sns.heatmap(
            share, ax=ax, annot=cells, fmt=form, cmap="Blues", vmin=0, vmax=1, cbar=False, square=True,
            xticklabels=motifs, yticklabels=motifs, annot_kws={"fontsize": letters}, linewidths=0.5,
        )  # fmt: skip
        ax.set_title(textwrap.fill(title, 22), fontsize=8, loc="center")
        ax.tick_params(labelsize=7, length=0)
        slant_labels(ax)
        ax.tick_params(axis="y", rotation=0)
        ax.set_xlabel("Predicted", fontsize=8)
        ax.set_ylabel("True" if ax in axes[:, 0] else "", fontsize=8)
        alt.append(f"{title}: {_told(matrix, share, motifs)}")
        said += [(title, motifs[i], motifs[j], matrix[i, j]) for i, j in np.ndindex(*matrix.shape)]
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
        ax.set_title(title, fontsize=8.5)
        alt.append(f"{title}: {', '.join(said)}")
    axes[0, 0].set_ylabel("Accuracy")
    legend_line(fig, axes[0, 0])
    data = pd.concat(curves, names=["model"]).reset_index("model")
    return fig.describe(f"{'; '.join(alt)}.", data, "out-of-fold predictions of grouped cross-validation")
