"""Figures of the grouped protocol: fold scores, posterior, confusion, calibration, curves, corruptions, feature map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from batik_utils.figures.style import GREY, INK, PALETTE, colours, motif_name, new, percent_axis, slant_labels
from batik_utils.wording import number, percent


def fold_dots(
    scores: Mapping[str, NDArray[np.float64]], intervals: Mapping[str, tuple[float, float]], chance: float
) -> Figure:
    """Accuracy of every test fold, {label: [folds × repeats]}, with the corrected interval of the mean."""
    fig, ax = new(height=0.42 * len(scores) + 1.0)
    rng = np.random.default_rng(0)
    for y, (label, values) in enumerate(scores.items()):
        jitter = rng.uniform(-0.16, 0.16, len(values))
        ax.plot(values, y + jitter, "o", color=PALETTE[0], markersize=2.6, alpha=0.45, markeredgewidth=0)
        low, high = intervals[label]
        ax.plot([low, high], [y, y], color=INK, linewidth=2)
        ax.plot(np.mean(values), y, "D", color=INK, markersize=5)
    ax.axvline(chance, color=GREY, linestyle=":", linewidth=1)
    ax.set_yticks(range(len(scores)), list(scores))
    ax.set_ylim(len(scores) - 0.5, -0.5)
    percent_axis(ax.xaxis, 0, 1)
    ax.set_xlabel("Accuracy on a held-out fold")
    return fig


def posterior_figure(
    mean: float,
    scale: float,
    df: float,
    rope: float,
    labels: tuple[str, str],
    probabilities: tuple[float, float, float],
) -> Figure:
    """Posterior of the accuracy difference A − B (Student t), the region of practical equivalence shaded.

    probabilities: P(A better), P(same), P(B better).
    """
    fig, ax = new(height=2.5)
    spread = max(4.5 * scale, 3 * rope)
    x = np.linspace(min(mean - spread, -2 * rope), max(mean + spread, 2 * rope), 600)
    density = stats.t.pdf(x, df, loc=mean, scale=max(scale, 1e-9))
    ax.plot(x, density, color=INK, linewidth=1.2)
    parts = ((x > rope, PALETTE[0]), (np.abs(x) <= rope, GREY), (x < -rope, PALETTE[1]))
    names = (f"{labels[0]} better", f"practically the same (±{100 * rope:g} points)", f"{labels[1]} better")
    for (where, colour), name, p in zip(parts, names, probabilities, strict=True):
        ax.fill_between(x, density, where=where, color=colour, alpha=0.45, linewidth=0, label=f"{name}: {percent(p)}")
    ax.axvline(0, color=GREY, linewidth=0.8, linestyle=":")
    ax.set(xlabel=f"Difference in accuracy, {labels[0]} − {labels[1]} (points)", yticks=[], ylim=(0, None))
    ax.xaxis.set_major_formatter(lambda value, _: number(100 * value, 0, sign=True))
    ax.spines["left"].set_visible(False)
    fig.legend(loc="outside lower center", ncols=3, fontsize=7, frameon=False)
    return fig


def confusion_matrices(matrices: Mapping[str, NDArray[np.float64]], motifs: Sequence[str]) -> Figure:
    """Rows are true motifs, columns predicted ones, {label: [c, c] counts or mean counts}; shade is the row share."""
    names = [motif_name(m) for m in motifs]
    columns = min(3, len(matrices))
    rows = -(-len(matrices) // columns)
    side = 6.3 / columns
    fig, axes = new(rows, columns, height=rows * min(side, 3.2) + 0.2, squeeze=False)
    for ax in axes.flat[len(matrices) :]:
        ax.axis("off")
    for ax, (label, matrix) in zip(axes.flat, matrices.items(), strict=False):
        share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-12)
        whole = np.allclose(matrix, np.round(matrix))
        text = np.vectorize(lambda v, whole=whole: f"{v:.0f}" if whole else f"{v:.1f}")(matrix)
        sns.heatmap(
            share, ax=ax, annot=text, fmt="", cmap="Blues", vmin=0, vmax=1, cbar=False, square=True,
            xticklabels=names, yticklabels=names, annot_kws={"fontsize": 8}, linewidths=0.5,
        )  # fmt: skip
        ax.set_title(label, fontsize=8.5)
        ax.tick_params(labelsize=7, length=0)
        slant_labels(ax, len(names))
        ax.tick_params(axis="y", rotation=0)
        ax.set_xlabel("Predicted", fontsize=8)
        ax.set_ylabel("True" if ax in axes[:, 0] else "", fontsize=8)
    return fig


def per_motif_figure(table: pd.DataFrame) -> Figure:
    """F1 per motif and model with intervals; table: columns label, motif, f1, low, high."""
    labels = list(dict.fromkeys(table["label"]))
    motifs = list(dict.fromkeys(table["motif"]))
    colour = colours(labels)
    fig, ax = new(height=0.3 * len(motifs) * len(labels) ** 0.5 + 1.3)
    for i, label in enumerate(labels):
        rows = table[table["label"] == label].set_index("motif").loc[motifs]
        y = np.arange(len(motifs)) + (i - (len(labels) - 1) / 2) * (0.7 / len(labels))
        ax.hlines(y, rows["low"], rows["high"], color=colour[label], linewidth=2, alpha=0.5)
        ax.plot(rows["f1"], y, "o", color=colour[label], markersize=4.5, label=label)
    ax.set_yticks(range(len(motifs)), [motif_name(m) for m in motifs])
    ax.invert_yaxis()
    percent_axis(ax.xaxis, 0, 1)
    ax.set_xlabel("F1, out of fold")
    fig.legend(loc="outside lower center", ncols=min(3, len(labels)), fontsize=7, frameon=False)
    return fig


def reliability_figure(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Confidence against accuracy, {label: columns confidence, accuracy, count, when ("before" | "after")}."""
    fig, axes = new(1, len(curves), height=2.9, squeeze=False, sharey=True)
    for ax, (label, table) in zip(axes.flat, curves.items(), strict=True):
        ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
        for when, colour, dash in (("before", PALETTE[1], "--"), ("after", PALETTE[0], "-")):
            rows = table[(table["when"] == when) & (table["count"] > 0)]
            sizes = 6 + 60 * rows["count"] / max(rows["count"].sum(), 1)
            ax.plot(rows["confidence"], rows["accuracy"], dash, color=colour, linewidth=1.2, label=f"{when} scaling")
            ax.scatter(rows["confidence"], rows["accuracy"], s=sizes, color=colour, alpha=0.7, linewidths=0)
        percent_axis(ax.xaxis, 0, 1.02)
        percent_axis(ax.yaxis, 0, 1.02)
        ax.set(xlabel="Confidence", title=label, aspect="equal")
        ax.title.set_fontsize(8.5)
    axes[0, 0].set_ylabel("Accuracy")
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    return fig


def learning_curve(table: pd.DataFrame, chance: float) -> Figure:
    """Accuracy against training images per motif; table: columns label, images, mean, low, high."""
    fig, ax = new(height=2.9, width=4.8)
    colour = colours(list(dict.fromkeys(table["label"])))
    for label, rows in table.groupby("label", sort=False):
        ax.fill_between(rows["images"], rows["low"], rows["high"], color=colour[label], alpha=0.15, linewidth=0)
        ax.plot(rows["images"], rows["mean"], "o-", color=colour[label], markersize=4, label=label)
    ax.axhline(chance, color=GREY, linestyle=":", linewidth=1)
    ax.set_xscale("log")
    ticks = sorted(set(table["images"]))
    ax.set_xticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    percent_axis(ax.yaxis, 0, 1)
    ax.set(xlabel="Training images per motif", ylabel="Accuracy")
    ax.legend(fontsize=7, frameon=False, loc="lower right")
    return fig


def corruption_figure(table: pd.DataFrame, chance: float) -> Figure:
    """Accuracy on tampered test images; table: columns label, corruption, accuracy ("none" is the untouched image)."""
    labels = list(dict.fromkeys(table["label"]))
    corruptions = list(dict.fromkeys(table["corruption"]))
    fig, ax = new(height=2.6)
    colour = colours(labels)
    width = 0.8 / len(labels)
    for i, label in enumerate(labels):
        rows = table[table["label"] == label].set_index("corruption").loc[corruptions]
        x = np.arange(len(corruptions)) + (i - (len(labels) - 1) / 2) * width
        ax.bar(x, rows["accuracy"], width=0.92 * width, color=colour[label], label=label)
    ax.axhline(chance, color=GREY, linestyle=":", linewidth=1)
    ax.set_xticks(range(len(corruptions)), ["untouched" if p == "none" else p for p in corruptions])
    percent_axis(ax.yaxis, 0, 1)
    ax.set_ylabel("Accuracy")
    fig.legend(loc="outside lower center", ncols=min(4, len(labels)), fontsize=7, frameon=False)
    return fig


def feature_map(points: NDArray[np.float64], labels: NDArray[np.int64], motifs: Sequence[str]) -> Figure:
    """Images as points in two dimensions, [n, 2], coloured by motif."""
    fig, ax = new(height=3.6, width=4.8)
    for i, (motif, colour) in enumerate(colours(list(motifs)).items()):
        rows = points[labels == i]
        ax.plot(
            rows[:, 0],
            rows[:, 1],
            "o",
            color=colour,
            markersize=4,
            alpha=0.75,
            markeredgewidth=0,
            label=motif_name(motif),
        )
    ax.set(xticks=[], yticks=[])
    ax.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return fig
