"""Figures of the grouped protocol: fold scores, posterior, confusion, calibration, learning curve, features."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from batik_utils.figures.style import GREY, INK, PALETTE, THIN, colours, legend_below, new, percent_axis, slant_labels
from batik_utils.wording import number, probability

CROWDED = 8
"""Motifs above which a cell of a confusion matrix has no room for a decimal."""


def fold_dots(
    scores: Mapping[str, NDArray[np.float64]], intervals: Mapping[str, tuple[float, float]], chance: float
) -> Figure:
    """Accuracy of every test fold, {model: [folds × repeats]}, with the corrected interval of the mean."""
    fig, ax = new(height=0.42 * len(scores) + 1.0)
    rng = np.random.default_rng(0)
    for y, (title, values) in enumerate(scores.items()):
        jitter = rng.uniform(-0.16, 0.16, len(values))
        ax.plot(values, y + jitter, "o", color=PALETTE[0], markersize=2.6, alpha=0.45, markeredgewidth=0)
        ax.plot(intervals[title], [y, y], color=INK, linewidth=2)
        ax.plot(np.mean(values), y, "D", color=INK, markersize=5)
    ax.axvline(chance, linewidth=1, **THIN)
    ax.set_yticks(range(len(scores)), list(scores))
    ax.set_ylim(len(scores) - 0.5, -0.5)
    percent_axis(ax.xaxis, label="Accuracy on a held-out fold")
    return fig


def pareto(points: Mapping[str, tuple[int, float, float, float]], chance: float) -> Figure:
    """Accuracy against size, {model: (parameters, accuracy, low, high)}; the line joins those that no smaller beats."""
    fig, ax = new(height=3.4)
    best = 0.0
    front = []
    for title, (size, value, low, high) in sorted(points.items(), key=lambda point: (point[1][0], -point[1][1])):
        better = value > best
        colour = PALETTE[0] if better else GREY
        ax.plot([size, size], [low, high], color=colour, linewidth=1.4, solid_capstyle="butt")
        ax.plot(size, value, "o", color=colour, markersize=5)
        ax.annotate(title, (size, value), (5, 4), textcoords="offset points", fontsize=7, color=INK)
        if better:
            best = value
            front.append((size, value))
    ax.plot(*zip(*front, strict=True), color=PALETTE[0], linewidth=0.9, drawstyle="steps-post", zorder=0)
    ax.axhline(chance, linewidth=1, **THIN)
    ax.set(xscale="log", xlabel="Parameters, backbone included (logarithmic axis)")
    ax.set_xlim(right=ax.get_xlim()[1] * 12)  # room for the names
    percent_axis(ax.yaxis, label="Grouped accuracy")
    return fig


def posterior_figure(
    mean: float, scale: float, df: float, rope: float, titles: Sequence[str], probabilities: Sequence[float]
) -> Figure:
    """Posterior of the accuracy difference A − B (Student t), the region of practical equivalence shaded.

    titles: A, B; probabilities: P(A better), P(same), P(B better).
    """
    fig, ax = new(height=2.5)
    spread = max(4.5 * scale, 3 * rope)
    x = np.linspace(min(mean - spread, -2 * rope), max(mean + spread, 2 * rope), 600)
    density = stats.t.pdf(x, df, loc=mean, scale=max(scale, 1e-9))
    ax.plot(x, density, color=INK, linewidth=1.2)
    parts = ((x > rope, PALETTE[0]), (np.abs(x) <= rope, GREY), (x < -rope, PALETTE[1]))
    names = (f"{titles[0]} better", f"practically the same (±{100 * rope:g} points)", f"{titles[1]} better")
    for (where, colour), name, p in zip(parts, names, probabilities, strict=True):
        ax.fill_between(
            x, density, where=where, color=colour, alpha=0.45, linewidth=0, label=f"{name}: {probability(p)}"
        )
    ax.axvline(0, linewidth=0.8, **THIN)
    ax.set(xlabel=f"Difference in accuracy, {titles[0]} − {titles[1]} (points)", yticks=[], ylim=(0, None))
    ax.xaxis.set_major_formatter(lambda value, _: number(100 * value, 0, sign=True))
    ax.spines["left"].set_visible(False)
    return legend_below(fig, ax, 3)


def confusion_matrices(matrices: Mapping[str, NDArray[np.float64]], motifs: Sequence[str]) -> Figure:
    """Rows are true motifs, columns predicted ones, {model: [c, c] counts or mean counts}; shade is the row share.

    Of many motifs counts are rounded, and noughts left out.
    """
    columns = min(3, len(matrices))
    rows = -(-len(matrices) // columns)
    fig, axes = new(rows, columns, height=rows * min(6.3 / columns, 3.2) + 0.2, squeeze=False)
    for ax in axes.flat[len(matrices) :]:
        ax.axis("off")
    for ax, (title, matrix) in zip(axes.flat, matrices.items(), strict=False):
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-12)
        whole = np.round(matrix).astype(int)
        cells: NDArray[Any] = matrix
        form, letters = ".0f" if np.allclose(matrix, whole) else ".1f", 8.0
        if len(motifs) > CROWDED:
            cells, form, letters = np.where(whole > 0, whole.astype(str), ""), "", max(3.0, 80 / len(motifs))
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
    return fig


def reliability_figure(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Confidence against accuracy, {model: columns confidence, accuracy, count, when ("before" | "after")}."""
    fig, axes = new(1, len(curves), height=2.9, squeeze=False, sharey=True)
    for ax, (title, table) in zip(axes.flat, curves.items(), strict=True):
        ax.plot([0, 1], [0, 1], linewidth=0.8, **THIN)
        for when, colour, dash in (("before", PALETTE[1], "--"), ("after", PALETTE[0], "-")):
            rows = table[table["when"] == when]
            sizes = 6 + 60 * rows["count"] / max(rows["count"].sum(), 1)
            ax.plot(rows["confidence"], rows["accuracy"], dash, color=colour, linewidth=1.2, label=f"{when} scaling")
            ax.scatter(rows["confidence"], rows["accuracy"], s=sizes, color=colour, alpha=0.7, linewidths=0)
        percent_axis(ax.xaxis, 0, 1.02, "Confidence")
        percent_axis(ax.yaxis, 0, 1.02)
        ax.set_aspect("equal")
        ax.set_title(title, fontsize=8.5)
    axes[0, 0].set_ylabel("Accuracy")
    return legend_below(fig, axes[0, 0], 2)


def learning_curve(table: pd.DataFrame, chance: float) -> Figure:
    """Accuracy against training images per motif; table: columns label (the model's name), images, mean, low, high."""
    fig, ax = new(height=2.9, width=4.8)
    for title, colour in colours(table["label"].unique().tolist()).items():
        rows = table[table["label"] == title]
        ax.fill_between(rows["images"], rows["low"], rows["high"], color=colour, alpha=0.15, linewidth=0)
        ax.plot(rows["images"], rows["mean"], "o-", color=colour, markersize=4, label=title)
    ax.axhline(chance, linewidth=1, **THIN)
    ticks = sorted(set(table["images"]))
    ax.set(xscale="log", xlabel="Training images per motif")
    ax.set_xticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    percent_axis(ax.yaxis, label="Accuracy")
    ax.legend(fontsize=7, frameon=False, loc="lower right")
    return fig


def corruption_figure(table: pd.DataFrame, chance: float) -> Figure:
    """Accuracy on tampered test images; table: columns label (the model's name), corruption ("none"), accuracy."""
    fig, ax = new(height=2.6)
    wide = table.pivot(index="corruption", columns="label", values="accuracy")
    wide = wide.loc[table["corruption"].unique(), table["label"].unique()].rename(index={"none": "untouched"})
    style: dict[str, Any] = {"width": 0.8, "edgecolor": "white", "legend": False, "rot": 0, "xlabel": ""}
    wide.plot.bar(ax=ax, color=list(colours(list(wide.columns)).values()), **style)
    ax.axhline(chance, linewidth=1, **THIN)
    percent_axis(ax.yaxis, label="Accuracy")
    return legend_below(fig, ax, 4)


def feature_map(points: NDArray[np.float64], labels: NDArray[np.int64], motifs: Sequence[str]) -> Figure:
    """Images as points in two dimensions, [n, 2], coloured by motif."""
    fig, ax = new(height=3.9, width=4.8)
    for label, (motif, colour) in enumerate(zip(motifs, cycle(PALETTE), strict=False)):
        ax.plot(*points[labels == label].T, "o", label=motif, color=colour, markersize=4, alpha=0.75, mew=0)
    ax.set(xticks=[], yticks=[])
    return legend_below(fig, ax, 4)
