"""Figures of the published protocol: learning curves, dots per training seed, the mispairing, a seed study's runs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batik_utils.figures.style import (
    GREY,
    INK,
    PALETTE,
    THIN,
    Drawing,
    colours,
    legend_inside,
    legend_line,
    new,
    percent_axis,
    ranked,
)
from batik_utils.values import FitResult
from batik_utils.wording import percent

FITS = "the fits of the one fixed split"


def training_curves(fits: Mapping[str, Sequence[FitResult]]) -> Drawing:
    """Accuracy and loss per epoch, training (dashed) and validation (solid), {model: fits of several seeds}.

    Each seed is a thin line, the median over seeds a thick one.
    """
    fig, (left, right) = new(1, 2, height=2.6)
    alt, said = [], []
    for title, colour in colours(list(fits)).items():
        ends = []
        for ax, what in ((left, "accuracy"), (right, "loss")):
            for prefix, dash, name in (("", "--", "training"), ("val_", "-", "validation")):
                runs = np.array([r.history[prefix + what] for r in fits[title]])
                epochs, middle = np.arange(1, runs.shape[1] + 1), np.median(runs, axis=0)
                ax.plot(epochs, runs.T, dash, color=colour, linewidth=0.4, alpha=0.35)
                ax.plot(epochs, middle, dash, color=colour, linewidth=1.6, label=f"{title}, {name}")
                said += [(title, name, what, epoch, *column) for epoch, column in zip(epochs, runs.T, strict=True)]
                ends += [f"{name} {percent(float(middle[-1]), 0)}"] if what == "accuracy" else []
            ax.set_xlabel("Epoch")
        alt.append(f"{title} ends with {' and '.join(ends)} right after {len(epochs)} epochs")
    percent_axis(left.yaxis, 0, 1.02, "Accuracy")
    top = max(np.percentile(r.history["val_loss"], 90) for group in fits.values() for r in group)
    right.set(ylabel="Loss (cross-entropy)", ylim=(0, 1.25 * max(top, 1.0)))
    legend_line(fig, left)
    seeds = max(len(row) for row in said) - 4
    names = ["model", "images", "what", "epoch", *(f"seed_{i}" for i in range(1, seeds + 1))]
    return fig.describe(f"{'; '.join(alt)} (median over seeds).", pd.DataFrame(said, columns=names), FITS)


def seed_dots(
    accuracies: Mapping[str, NDArray[np.float64]],
    intervals: Mapping[str, tuple[float, float]],
    published: Mapping[str, float],
    chance: float,
) -> Drawing:
    """Accuracy of each training seed as a dot, {model: [seeds]}, with Wilson interval and the seed study's claim."""
    published = {title: value for title, value in published.items() if title in accuracies}
    fig, ax = new(height=0.46 * len(accuracies) + 0.75)
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
    legend_line(fig, ax)
    middles = {title: float(np.sort(v)[(len(v) - 1) // 2]) for title, v in accuracies.items()}
    claims = f" Published were: {ranked(published)}." if published else ""
    alt = f"Median accuracy over training seeds, highest first: {ranked(middles)}; chance is {percent(chance)}.{claims}"
    rows = [(t, i, v, *intervals[t], published.get(t)) for t, seen in accuracies.items() for i, v in enumerate(seen, 1)]
    data = pd.DataFrame(rows, columns=["model", "seed", "accuracy", "interval_low", "interval_high", "published"])
    return fig.describe(alt, data, FITS)


def mispairing_figure(
    shuffles: Mapping[str, NDArray[np.float64]], right: Mapping[str, float], published: Mapping[str, float]
) -> Drawing:
    """Accuracies got from shuffled labels, {model: [shuffles]}, against the right one and the published one."""
    fig, axes = new(1, len(shuffles), height=2.3, squeeze=False, sharey=True)
    for ax, (title, values) in zip(axes.flat, shuffles.items(), strict=True):
        levels, counts = np.unique(np.round(values, 6), return_counts=True)
        ax.bar(levels, counts / counts.sum(), width=0.028, color=GREY, alpha=0.7, label="shuffled")
        ax.axvline(right[title], color=PALETTE[0], linewidth=1.8, label="labels kept with predictions")
        if title in published:
            ax.axvline(published[title], color=PALETTE[1], linewidth=1.8, linestyle="--", label="published report")
        ax.set_title(title, fontsize=9)
        percent_axis(ax.xaxis, label="“Accuracy”")
    axes[0, 0].set_ylabel("Share of shuffles")
    legend_line(fig, axes[0, 0])
    said = []
    for title, values in shuffles.items():
        shuffled = f"{title}: shuffled, from {percent(values.min(), 0)} to {percent(values.max(), 0)}"
        claim = f"; published, {percent(published[title], 0)}" if title in published else ""
        said.append(f"{shuffled}; kept together, {percent(right[title], 0)}{claim}")
    data = pd.DataFrame(
        [(t, i, x) for t, v in shuffles.items() for i, x in enumerate(v, 1)], columns=["model", "shuffle", "accuracy"]
    )
    return fig.describe(f"{'. '.join(said)}.", data, FITS)


def runs_figure(runs: pd.DataFrame, curves: Mapping[str, NDArray[np.float64]], chance: float) -> Drawing:
    """Every run that a seed study reported beside ours, and the best of so many by luck.

    runs: one row per run, columns run, arm, reported (0-1), ours (a tuple, one accuracy per training seed); curves:
    {arm: [k] the best accuracy to expect of 1 … k runs}. The best of an arm, which is what was published, is filled.
    """
    fig, (left, right) = new(1, 2, height=0.17 * len(runs) + 1.1, width_ratios=(3, 2))
    hues = colours(runs["arm"].unique().tolist())
    runs = runs.sort_values(["arm", "reported"], ascending=[False, False], kind="stable").reset_index(drop=True)
    best = {arm: int(np.argmax(runs["reported"].where(runs["arm"] == arm, -1))) for arm in curves}
    for y, run in enumerate(runs.to_dict("records")):
        ours = run["ours"]
        left.plot(ours, np.full(len(ours), y), "o", color=GREY, markersize=3, alpha=0.8)
        face = hues[run["arm"]] if y in best.values() else "white"
        left.plot(run["reported"], y, "D", color=hues[run["arm"]], markersize=4.5, markerfacecolor=face)
    left.set_yticks(range(len(runs)), runs["run"].tolist(), fontsize=6)
    left.set_ylim(len(runs) - 0.4, -0.6)
    percent_axis(left.xaxis, 0, 1.02, "Accuracy on the test images")
    told = []
    for arm, curve in curves.items():
        reported, k = float(runs.loc[[best[arm]], "reported"].iloc[0]), np.arange(1, len(curve) + 1)
        many = int((runs["arm"] == arm).sum())
        right.plot(k, curve, color=hues[arm], linewidth=1.6)
        right.plot(many, reported, "D", color=hues[arm], markersize=6)
        told.append(f"{arm}: best of {many} reported {percent(reported)}, by luck {percent(curve[many - 1])}")
    for arm, colour in hues.items():
        left.plot([], [], "D", color=colour, markersize=4.5, label=f"reported, {arm} (filled: the best)")
    left.plot([], [], "o", color=GREY, markersize=3, label="ours, a training seed")
    right.plot([], [], color=INK, label="by luck")
    for line in (left.axvline, right.axhline):
        line(chance, linewidth=1, **THIN)
    right.set_xlabel("Number of runs")
    percent_axis(right.yaxis, 0, 1.02, "Accuracy of the best")
    legend_line(fig, left)
    legend_inside(right, "lower right")
    data = runs.assign(ours=[" ".join(f"{value:.4f}" for value in ours) for ours in runs["ours"]])
    return fig.describe(f"{'; '.join(told)}.", data, "the runs of the original study and ours")
