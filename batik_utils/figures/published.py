"""Figures of the published protocol: learning curves, dots per training seed, the mispairing, the search."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from batik_utils.figures.style import GREY, INK, PALETTE, THIN, colours, legend_below, new, percent_axis
from batik_utils.values import FitResult


def training_curves(fits: Mapping[str, Sequence[FitResult]]) -> Figure:
    """Accuracy and loss per epoch, training (dashed) and validation (solid), {model: fits of several seeds}.

    Each seed is a thin line, the median over seeds a thick one.
    """
    fig, (left, right) = new(1, 2, height=3.1)
    for title, colour in colours(list(fits)).items():
        for ax, what in ((left, "accuracy"), (right, "loss")):
            for prefix, dash, name in (("", "--", "training"), ("val_", "-", "validation")):
                runs = np.array([r.history[prefix + what] for r in fits[title]])
                epochs, middle = np.arange(1, runs.shape[1] + 1), np.median(runs, axis=0)
                ax.plot(epochs, runs.T, dash, color=colour, linewidth=0.4, alpha=0.35)
                ax.plot(epochs, middle, dash, color=colour, linewidth=1.6, label=f"{title}, {name}")
            ax.set_xlabel("Epoch")
    percent_axis(left.yaxis, 0, 1.02, "Accuracy")
    top = max(np.percentile(r.history["val_loss"], 90) for group in fits.values() for r in group)
    right.set(ylabel="Loss (cross-entropy)", ylim=(0, 1.25 * max(top, 1.0)))
    return legend_below(fig, left, 2)


def seed_dots(
    accuracies: Mapping[str, NDArray[np.float64]],
    intervals: Mapping[str, tuple[float, float]],
    published: Mapping[str, float],
    chance: float,
) -> Figure:
    """Accuracy of each training seed as a dot, {model: [seeds]}, with Wilson interval and the seed study's claim."""
    fig, ax = new(height=0.55 * len(accuracies) + 1.1)
    band = {"color": GREY, "linewidth": 6, "alpha": 0.35}
    middle = {"color": INK, "markeredgewidth": 1.6}
    claim = {"color": PALETTE[1], "markerfacecolor": "none"}
    for y, (title, values) in enumerate(accuracies.items()):
        ax.plot(intervals[title], [y, y], solid_capstyle="butt", **band)
        # Equal accuracies would hide one another: spread them up and down.
        for value, times in zip(*np.unique(values, return_counts=True), strict=True):
            heights = y - 0.11 * np.arange(times)
            ax.plot(np.full(times, value), heights, "o", color=PALETTE[0], markersize=4.5, alpha=0.9)
        # As in the tables: of two in the middle, the lower.
        ax.plot(np.sort(values)[(len(values) - 1) // 2], y, "|", markersize=16, **middle)
        if title in published:
            ax.plot(published[title], y, "D", markersize=6, **claim)
    ax.axvline(chance, linewidth=1, **THIN)
    ax.set_yticks(range(len(accuracies)), list(accuracies))
    ax.set_ylim(len(accuracies) - 0.4, -0.75)
    percent_axis(ax.xaxis, label="Accuracy on the test images")
    if published:
        ax.plot([], [], "D", label="published", **claim)
    ax.plot([], [], "o", color=PALETTE[0], markersize=4.5, label="one training seed")
    ax.plot([], [], "|", markersize=9, label="median", **middle)
    ax.plot([], [], label="Wilson 95 % interval", **band)
    ax.plot([], [], label="chance", **THIN)
    return legend_below(fig, ax, 5)


def mispairing_figure(
    shuffles: Mapping[str, NDArray[np.float64]], right: Mapping[str, float], published: Mapping[str, float]
) -> Figure:
    """Accuracies got from shuffled labels, {model: [shuffles]}, against the right one and the published one."""
    fig, axes = new(1, len(shuffles), height=2.6, squeeze=False, sharey=True)
    for ax, (title, values) in zip(axes.flat, shuffles.items(), strict=True):
        levels, counts = np.unique(np.round(values, 6), return_counts=True)
        ax.bar(levels, counts / counts.sum(), width=0.028, color=GREY, alpha=0.7, label="shuffled")
        ax.axvline(right[title], color=PALETTE[0], linewidth=1.8, label="labels kept with predictions")
        if title in published:
            ax.axvline(published[title], color=PALETTE[1], linewidth=1.8, linestyle="--", label="published report")
        ax.set_title(title, fontsize=9)
        percent_axis(ax.xaxis, label="“Accuracy”")
    axes[0, 0].set_ylabel("Share of shuffles")
    return legend_below(fig, axes[0, 0], 3)


def search_figure(table: pd.DataFrame) -> Figure:
    """Each setting tried: validation accuracy across, test accuracy up.

    table: one row per setting, columns label (the model's name), val_accuracy, test_accuracy, chosen (bool).
    """
    fig, ax = new(height=4.2, width=4.6)
    for title, colour in colours(table["label"].unique().tolist()).items():
        rows = table[table["label"] == title]
        ax.plot(rows.val_accuracy, rows.test_accuracy, "o", color=colour, markersize=4, alpha=0.55, label=title)
        chosen = rows[rows.chosen]
        ax.plot(chosen.val_accuracy, chosen.test_accuracy, "o", color=colour, markersize=10, fillstyle="none")
    ax.plot([0, 1], [0, 1], linewidth=0.8, **THIN)
    low = max(0.0, table[["val_accuracy", "test_accuracy"]].min().min() - 0.05)
    percent_axis(ax.xaxis, low, 1.02, "Validation accuracy (chooses; ringed)")
    percent_axis(ax.yaxis, low, 1.02, "Test accuracy (must not choose)")
    ax.set_aspect("equal")
    return legend_below(fig, ax, 2)
