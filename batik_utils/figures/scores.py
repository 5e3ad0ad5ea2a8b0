"""Figures of accuracies: of fits on one split, of grouped cross-validation, and of a seed study's runs."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from batik_utils.figures.style import (
    GREY,
    INK,
    PALETTE,
    SMALL,
    THIN,
    WIDTH,
    Drawing,
    fit_names,
    legend_inside,
    legend_line,
    new,
    percent_axis,
)
from batik_utils.values import FitResult
from batik_utils.wording import Band, count, percent, percent_range

Scores = Mapping[str, NDArray[np.float64]]
Ends = Mapping[str, tuple[float, float]]
SPLIT, FOLDS = "the fits of the one fixed split", "the fits of grouped cross-validation"


def colours(names: Sequence[str]) -> dict[str, str]:
    """One colour for each name, in the order given (repeating after seven)."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}


def ranked(values: Mapping[str, float]) -> str:
    """Names with their shares, the highest first: "A 91.3 %, B 50.0 %"; of more than eight, the first and last four."""
    said = [f"{name} {percent(value)}" for name, value in sorted(values.items(), key=lambda v: -v[1])]
    return ", ".join(said if len(said) <= 8 else [*said[:4], f"{len(said) - 8} more", *said[-4:]])


def score_rows(
    names: Sequence[str], each: float, more: float, chance: float, label: str, high: float = 1.0
) -> tuple[Drawing, Axes]:
    """A figure with a row of `each` inches for a name, and `more` around, over accuracies up to `high`, and chance."""
    fig, ax = new(height=each * len(names) + more)
    ax.axvline(chance, linewidth=1, **THIN)
    ax.set_yticks(range(len(names)), fit_names(names, 1.8, 2))
    ax.set_ylim(len(names) - 0.5, -0.5)
    percent_axis(ax.xaxis, 0.0, high, label)
    return fig, ax


def training_curves(fits: Mapping[str, Sequence[FitResult]]) -> Drawing:
    """Accuracy and loss per epoch, training (dashed) and validation (solid), {model: fits of several seeds (thin)}."""
    fig, (left, right) = new(1, 2, height=2.6)
    sides, lines = ((left, "accuracy"), (right, "loss")), (("", "--", "training"), ("val_", "-", "validation"))
    alt, said = [], []
    for title, colour in colours([*fits]).items():
        ends = {}
        for (ax, what), (prefix, dash, name) in product(sides, lines):
            runs = np.array([fit.history[prefix + what] for fit in fits[title]])
            epochs, middle = np.arange(1, runs.shape[1] + 1), np.median(runs, axis=0)
            ax.plot(epochs, runs.T, dash, color=colour, linewidth=0.4, alpha=0.35)
            ax.plot(epochs, middle, dash, color=colour, linewidth=1.6, label=f"{title}, {name}")
            said += [(title, name, what, epoch, *column) for epoch, column in zip(epochs, runs.T, strict=True)]
            ends[what, name] = percent(float(middle[-1]), 0)
        told = " and ".join(f"{name} {ends['accuracy', name]}" for name in ("training", "validation"))
        alt.append(f"{title} ends with {told} right after {len(epochs)} epochs")
    percent_axis(left.yaxis, 0, 1.02, "Accuracy")
    top = max(np.percentile(fit.history["val_loss"], 90) for group in fits.values() for fit in group)
    right.set(ylabel="Loss (cross-entropy)", ylim=(0, 1.25 * max(top, 1.0)))
    for ax in (left, right):
        ax.xaxis.get_major_locator().set_params(integer=True)
    fig.supxlabel("Epoch", fontsize=8.5)
    legend_line(fig, left)
    seeds = max(map(len, said)) - 4
    names = ["model", "images", "what", "epoch", *(f"seed_{i}" for i in range(1, seeds + 1))]
    return fig.describe(f"{'; '.join(alt)} (median over seeds).", pd.DataFrame(said, columns=names), SPLIT)


def _dots(
    scores: Scores, intervals: Ends, middles: Mapping[str, float], chance: float, label: str, what: str
) -> tuple[Drawing, Axes]:
    """A row of dots (a `what` each) for each model, equal ones piled, over their middle and its interval (a bar)."""
    fig, ax = score_rows([*scores], 0.4, 0.6, chance, label)
    for y, (title, values) in enumerate(scores.items()):
        for value, times in zip(*np.unique(np.round(values, 6), return_counts=True), strict=True):
            pile = y - 0.12 + min(0.07, 0.5 / times) * (np.arange(times) - (times - 1) / 2)
            (dots,) = ax.plot(np.full(times, value), pile, "o", color=PALETTE[0], markersize=2.6, alpha=0.6, mew=0)
            fig.name(dots, f"{title}: {percent(value)}, {count(times, what)} of {len(values)}")
        middle = f"{title}: {percent(middles[title])} ({percent_range(Band(*intervals[title]))})"
        fig.name(ax.plot(intervals[title], [y + 0.27, y + 0.27], color=INK, linewidth=1.8)[0], middle)
        fig.name(ax.plot(middles[title], y + 0.27, "D", color=INK, markersize=4.5)[0], middle)
    return fig, ax


def fold_dots(scores: Scores, intervals: Ends, chance: float) -> Drawing:
    """Accuracy of every test fold, {model: [folds × repeats]}, with the corrected interval of the mean under it."""
    means = {title: float(np.mean(values)) for title, values in scores.items()}
    fig, _ = _dots(scores, intervals, means, chance, "Accuracy on a held-out fold", "fold")
    rows = [(t, i, v, *intervals[t]) for t, values in scores.items() for i, v in enumerate(values, 1)]
    data = pd.DataFrame(rows, columns=["model", "fold", "accuracy", "interval_low", "interval_high"])
    alt = f"Mean accuracy over held-out folds, highest first: {ranked(means)}; chance is {percent(chance)}."
    return fig.describe(alt, data, FOLDS)


def seed_dots(accuracies: Scores, intervals: Ends, published: Mapping[str, float], chance: float) -> Drawing:
    """Accuracy of each training seed, {model: [seeds]}, Wilson's interval of the (lower) median, and the published."""
    published = {title: value for title, value in published.items() if title in accuracies}
    middles = {title: float(np.sort(v)[(len(v) - 1) // 2]) for title, v in accuracies.items()}
    fig, ax = _dots(accuracies, intervals, middles, chance, "Accuracy on the test images", "seed")
    fig.set_figheight(fig.get_figheight() + 0.3)  # for the legend
    claim: dict[str, Any] = {"color": PALETTE[1], "markerfacecolor": "none", "markersize": 6, "linestyle": ""}
    for title, value in published.items():
        ax.plot(value, [*accuracies].index(title) - 0.12, marker="s", **claim)
    if published:
        ax.plot([], [], marker="s", label="published", **claim)
    ax.plot([], [], "o", color=PALETTE[0], markersize=2.6, label="one training seed")
    ax.plot([], [], "D-", color=INK, markersize=4.5, label="median, Wilson 95 % interval")
    ax.plot([], [], label="chance", **THIN)
    legend_line(fig, ax)
    claims = f" Published were: {ranked(published)}." if published else ""
    alt = f"Median accuracy over training seeds, highest first: {ranked(middles)}; chance is {percent(chance)}.{claims}"
    rows = [(t, i, v, *intervals[t], published.get(t)) for t, seen in accuracies.items() for i, v in enumerate(seen, 1)]
    data = pd.DataFrame(rows, columns=["model", "seed", "accuracy", "interval_low", "interval_high", "published"])
    return fig.describe(alt, data, SPLIT)


def mispairing_figure(shuffles: Scores, right: Mapping[str, float], published: Mapping[str, float]) -> Drawing:
    """Accuracies got from shuffled labels, {model: [shuffles]}, against the right one and the published one."""
    fig, axes = new(1, len(shuffles), height=2.3, squeeze=False, sharey=True)
    said = []
    for ax, (title, values) in zip(axes.flat, shuffles.items(), strict=True):
        levels, counts = np.unique(np.round(values, 6), return_counts=True)
        ax.bar(levels, counts / counts.sum(), width=0.028, color=GREY, alpha=0.7, label="shuffled")
        ax.axvline(right[title], color=PALETTE[0], linewidth=1.8, label="labels kept with predictions")
        if title in published:
            ax.axvline(published[title], color=PALETTE[1], linewidth=1.8, linestyle="--", label="published report")
        ax.set_title(fit_names([title], 0.6 * WIDTH / len(shuffles), 2)[0], fontsize=9)
        percent_axis(ax.xaxis, label="“Accuracy”")
        shuffled = f"{title}: shuffled, from {percent(values.min(), 0)} to {percent(values.max(), 0)}"
        claim = f"; published, {percent(published[title], 0)}" if title in published else ""
        said.append(f"{shuffled}; kept together, {percent(right[title], 0)}{claim}")
    axes[0, 0].set_ylabel("Share of shuffles")
    legend_line(fig, axes[0, 0])
    rows = [(title, i, value) for title, values in shuffles.items() for i, value in enumerate(values, 1)]
    data = pd.DataFrame(rows, columns=["model", "shuffle", "accuracy"])
    return fig.describe(f"{'. '.join(said)}.", data, SPLIT)


def runs_figure(runs: pd.DataFrame, curves: Scores, chance: float) -> Drawing:
    """Every run that a seed study reported beside ours, the best of an arm filled, and the best of so many by luck.

    runs: one row per run, columns run, arm, reported (0-1), ours (a tuple, one accuracy per training seed); curves:
    {arm: [k] the best accuracy to expect of 1 … k runs}.
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
    left.set_yticks(range(len(runs)), fit_names(runs["run"].tolist(), 2.4), fontsize=SMALL)
    left.set_ylim(len(runs) - 0.4, -0.6)
    percent_axis(left.xaxis, 0, 1.02, "Accuracy on the test images")
    told = []
    for arm, curve in curves.items():
        reported, many = float(runs.loc[[best[arm]], "reported"].iloc[0]), int((runs["arm"] == arm).sum())
        right.plot(np.arange(1, len(curve) + 1), curve, color=hues[arm], linewidth=1.6)
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


def ladder(rungs: Sequence[tuple[str, str, float, float, float]], chance: float) -> Drawing:
    """Each model's accuracy (protocol, model, value, low, high; fractions), protocol by protocol, with intervals."""
    models = list(dict.fromkeys(r[1] for r in rungs))
    each = {protocol: [r for r in rungs if r[0] == protocol] for protocol in dict.fromkeys(r[0] for r in rungs)}
    most = max(map(len, each.values()))
    fig, ax = score_rows([*each], 0.14 * most + 0.06, 0.45, chance, "Accuracy", high=1.3)
    hue, step, names = colours(models), 0.8 / most, dict(zip(models, fit_names(models, 1.2), strict=True))
    for row, shown in enumerate(each.values()):
        for place, (_, model, value, low, high) in enumerate(shown):
            y = row + step * (place - (len(shown) - 1) / 2)
            ax.plot([low, high], [y, y], color=hue[model], linewidth=1.8)
            ax.plot(value, y, "D", color=hue[model], markersize=4.5)
            words = f"{names[model]} {percent(value)}"
            ax.annotate(words, (high, y), (5, 0), textcoords="offset points", va="center", fontsize=SMALL)
    ax.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    told = "; ".join(f"{protocol}: {model} {percent(value)}" for protocol, model, value, _, _ in rungs)
    data = pd.DataFrame(rungs, columns=["protocol", "model", "accuracy", "low", "high"])
    return fig.describe(f"Accuracy by protocol: {told}; chance is {percent(chance)}.", data, FOLDS)


def learning_curve(table: pd.DataFrame, chance: float) -> Drawing:
    """Accuracy against training images per motif; table: columns label (the model's name), images, mean, low, high."""
    fig, ax = new(height=2.6)
    alt = []
    for title, colour in colours(table["label"].unique().tolist()).items():
        rows = table[table["label"] == title]
        ax.fill_between(rows["images"], rows["low"], rows["high"], color=colour, alpha=0.15, linewidth=0)
        ax.plot(rows["images"], rows["mean"], "o-", color=colour, markersize=4, label=title)
        steps = sorted(zip(rows["images"], rows["mean"], strict=True))
        (few, least), (many, most) = steps[0], steps[-1]
        alt.append(f"{title}: {percent(least)} with {few}, {percent(most)} with {many}")
    ax.axhline(chance, linewidth=1, **THIN)
    ticks = sorted(set(table["images"]))
    ax.set(xscale="log", xlabel="Training images per motif")
    ax.set_xticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    percent_axis(ax.yaxis, label="Accuracy")
    legend_inside(ax)
    what = "Accuracy with the fewest and with the most training images of each motif"
    return fig.describe(f"{what}. {'; '.join(alt)}; chance is {percent(chance)}.", table, FOLDS)


def corruption_figure(table: pd.DataFrame, chance: float) -> Drawing:
    """Accuracy on tampered test images; table: columns label (the model's name), corruption, accuracy, low, high."""
    fig, ax = new(height=2.4)
    table = table.replace({"corruption": {"none": "untouched"}})
    order = table["corruption"].unique(), table["label"].unique()
    parts = table.pivot(index="corruption", columns="label")
    wide, low, high = (parts[name].loc[order] for name in ("accuracy", "low", "high"))
    bands = np.stack([(wide - low).clip(0).T, (high - wide).clip(0).T], axis=1)
    style: dict[str, Any] = {"width": 0.8, "edgecolor": "white", "legend": False, "rot": 0, "xlabel": ""}
    style |= {"yerr": bands, "error_kw": {"elinewidth": 0.8, "ecolor": INK}}
    wide.plot.bar(ax=ax, color=[*colours([*wide.columns]).values()], **style)
    ax.axhline(chance, linewidth=1, **THIN)
    percent_axis(ax.yaxis, label="Accuracy")
    legend_line(fig, ax)
    worst = []
    for title in wide.columns:
        untouched, lowest, kind = wide[title]["untouched"], wide[title].min(), wide[title].idxmin()
        falls = f"falls from {percent(untouched)} to {percent(lowest)} at worst ({kind})"
        worst.append(f"{title} {falls if lowest < untouched else f'never falls below its {percent(untouched)}'}")
    return fig.describe(f"{'; '.join(worst)}.", table, FOLDS)
