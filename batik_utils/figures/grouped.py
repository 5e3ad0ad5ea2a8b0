"""Figures of the grouped protocol: fold scores, size, posterior, learning curve, corruptions, features."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial import KDTree

from batik_utils.figures.style import (
    GREY,
    INK,
    PALETTE,
    THIN,
    Drawing,
    colours,
    legend_inside,
    legend_line,
    motif_styles,
    new,
    percent_axis,
    place_names,
    ranked,
)
from batik_utils.stats.scores import pareto_front
from batik_utils.wording import number, percent, probability, signed_points

FITS = "the fits of grouped cross-validation"


def fold_dots(
    scores: Mapping[str, NDArray[np.float64]], intervals: Mapping[str, tuple[float, float]], chance: float
) -> Drawing:
    """Accuracy of every test fold, {model: [folds × repeats]}, with the corrected interval of the mean under it."""
    fig, ax = new(height=0.4 * len(scores) + 0.6)
    for y, (title, values) in enumerate(scores.items()):
        # Folds of one accuracy would hide one another: they stand in a pile.
        for value, times in zip(*np.unique(np.round(values, 6), return_counts=True), strict=True):
            pile = y - 0.12 + min(0.07, 0.5 / times) * (np.arange(times) - (times - 1) / 2)
            ax.plot(np.full(times, value), pile, "o", color=PALETTE[0], markersize=2.6, alpha=0.6, mew=0)
        ax.plot(intervals[title], [y + 0.27, y + 0.27], color=INK, linewidth=1.8)
        ax.plot(np.mean(values), y + 0.27, "D", color=INK, markersize=4.5)
    ax.axvline(chance, linewidth=1, **THIN)
    ax.set_yticks(range(len(scores)), list(scores))
    ax.set_ylim(len(scores) - 0.5, -0.5)
    percent_axis(ax.xaxis, label="Accuracy on a held-out fold")
    alt = (
        f"Mean accuracy over held-out folds, highest first: {ranked({t: float(np.mean(v)) for t, v in scores.items()})}"
    )
    rows = [(t, i, v, *intervals[t]) for t, values in scores.items() for i, v in enumerate(values, 1)]
    data = pd.DataFrame(rows, columns=["model", "fold", "accuracy", "interval_low", "interval_high"])
    return fig.describe(f"{alt}; chance is {percent(chance)}.", data, FITS)


COSTS = {
    "parameters": ("Parameters, backbone included", "smaller", "larger", "{:,}"),
    "milliseconds": ("Milliseconds for a picture on one core", "faster", "slower", "{:,g}"),
}


def pareto(
    points: Mapping[str, tuple[float, float, float, float]],
    chance: float,
    cost: Literal["parameters", "milliseconds"] = "parameters",
) -> Drawing:
    """Accuracy against cost, {model: (cost, accuracy, low, high)}; the line joins those that no cheaper one beats."""
    name, less, more, form = COSTS[cost]
    fig, ax = new(height=3.2)
    rising = sorted(points.items(), key=lambda point: (point[1][0], -point[1][1]))
    best = pareto_front([(size, value) for _, (size, value, *_) in rising])
    front = [(*rising[place][1][:2], rising[place][0]) for place in best]
    for place, (_, (size, value, low, high)) in enumerate(rising):
        colour = PALETTE[0] if place in best else GREY
        over = 3 if place in best else 2  # a point of the line is not hidden by another
        ax.plot([size, size], [low, high], color=colour, linewidth=1.4, solid_capstyle="butt", zorder=over)
        ax.plot(size, value, "o", color=colour, markersize=5, zorder=over)
    ax.plot(
        *zip(*(point[:2] for point in front), strict=True), color=PALETTE[0], lw=0.9, drawstyle="steps-post", zorder=0
    )
    ax.axhline(chance, linewidth=1, **THIN)
    ax.set(xscale="log", xlabel=f"{name} (logarithmic axis)")
    ax.set_xlim(right=ax.get_xlim()[1] * 12)  # room for the names
    percent_axis(ax.yaxis, label="Grouped accuracy")
    place_names(ax, [(size, value, title) for title, (size, value, _, _) in rising])
    steps = ", ".join(f"{title} ({form.format(size)} {cost}, {percent(value)})" for size, value, title in front)
    beaten = [title for title in points if title not in {point[2] for point in front}]
    others = f" One no {more} reaches as much as each of the others: {', '.join(beaten)}." if beaten else ""
    alt = f"No {less} model beats these: {steps}.{others}"
    data = pd.DataFrame([(t, *p) for t, p in points.items()], columns=["model", cost, "accuracy", "low", "high"])
    return fig.describe(alt, data, FITS)


def posterior_figure(
    mean: float, scale: float, df: float, rope: float, titles: Sequence[str], probabilities: Sequence[float]
) -> Drawing:
    """Posterior of the accuracy difference A − B (Student t), the region of practical equivalence shaded.

    titles: A, B; probabilities: P(A better), P(same), P(B better).
    """
    fig, ax = new(height=2.1)
    spread = max(4.5 * scale, 3 * rope)
    low, high = min(mean - spread, -2 * rope), max(mean + spread, 2 * rope)
    # The legend gets the side where the curve is not.
    left, room = mean > (low + high) / 2, 0.25 * (high - low)
    low, high = (low - room, high) if left else (low, high + room)
    x = np.union1d(np.linspace(low, high, 200), (-rope, rope))  # so that the parts meet
    density = stats.t.pdf(x, df, loc=mean, scale=max(scale, 1e-9))
    ax.plot(x, density, color=INK, linewidth=1.2)
    parts = ((x >= rope, PALETTE[0]), (np.abs(x) <= rope, GREY), (x <= -rope, PALETTE[1]))
    names = (f"{titles[0]} better", f"practically the same (±{100 * rope:g} points)", f"{titles[1]} better")
    shown = [f"{name}: {probability(p)}" for name, p in zip(names, probabilities, strict=True)]
    for (where, colour), name in zip(parts, shown, strict=True):
        label = textwrap.fill(name, 30)
        ax.fill_between(x, density, where=where, color=colour, alpha=0.45, linewidth=0, label=label)
    ax.axvline(0, linewidth=0.8, **THIN)
    ax.set(
        xlabel=textwrap.fill(f"Difference in accuracy, {titles[0]} − {titles[1]} (points)", 60),
        yticks=[],
        ylim=(0, None),
        xlim=(low, high),
    )
    ax.xaxis.set_major_formatter(lambda value, _: number(100 * value, 0, sign=True))
    ax.spines["left"].set_visible(False)
    legend_inside(ax, "upper left" if left else "upper right")
    alt = f"A bell of beliefs about the difference, its middle at {signed_points(mean)}. {'; '.join(shown)}."
    data = pd.DataFrame({"difference": x, "density": density})
    return fig.describe(alt, data, FITS)


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
    return fig.describe(f"{what}. {'; '.join(alt)}; chance is {percent(chance)}.", table, FITS)


def corruption_figure(table: pd.DataFrame, chance: float) -> Drawing:
    """Accuracy on tampered test images with its interval; table: label (the model's name), corruption ("none"),
    accuracy, low, high."""
    fig, ax = new(height=2.4)
    table = table.replace({"corruption": {"none": "untouched"}})
    order = table["corruption"].unique(), table["label"].unique()
    parts = table.pivot(index="corruption", columns="label")
    wide, low, high = (parts[name].loc[order] for name in ("accuracy", "low", "high"))
    bands = np.stack([(wide - low).clip(0).T, (high - wide).clip(0).T], axis=1)
    style: dict[str, Any] = {"width": 0.8, "edgecolor": "white", "legend": False, "rot": 0, "xlabel": "", "yerr": bands}
    style["error_kw"] = {"elinewidth": 0.8, "ecolor": INK}
    wide.plot.bar(ax=ax, color=list(colours(list(wide.columns)).values()), **style)
    ax.axhline(chance, linewidth=1, **THIN)
    percent_axis(ax.yaxis, label="Accuracy")
    legend_line(fig, ax)
    worst = []
    for title in wide.columns:
        untouched, lowest, kind = wide[title]["untouched"], wide[title].min(), wide[title].idxmin()
        falls = f"falls from {percent(untouched)} to {percent(lowest)} at worst ({kind})"
        worst.append(f"{title} {falls if lowest < untouched else f'never falls below its {percent(untouched)}'}")
    return fig.describe(f"{'; '.join(worst)}.", table, FITS)


def feature_map(points: NDArray[np.float64], labels: NDArray[np.int64], motifs: Sequence[str]) -> Drawing:
    """Images as points in two dimensions, [n, 2], coloured by motif; n > 1."""
    fig, ax = new(height=3.6)
    for label, (motif, style) in enumerate(zip(motifs, motif_styles(motifs), strict=True)):
        ax.plot(*points[labels == label].T, ls="", label=motif, markersize=4, alpha=0.75, mew=0, **style)
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.set_aspect("equal", adjustable="datalim")
    legend_inside(ax)
    nearest = KDTree(points).query(points, 2)[1][:, 1]
    same = labels[nearest] == labels
    shares = {motif: float(same[labels == i].mean()) for i, motif in enumerate(motifs) if (labels == i).any()}
    own = f"Of the points, {percent(float(same.mean()), 0)} lie nearest to one of their own motif"
    places = dict(zip("xy", points.round(1).T, strict=True))
    data = pd.DataFrame({"motif": [motifs[i] for i in labels], **places})
    return fig.describe(f"{own}; by motif, {ranked(shares)}.", data, "frozen features of all pictures")
