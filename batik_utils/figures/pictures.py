"""Figures of a study's pictures, their files and colours, its method, and of what predictions of them are worth."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from batik_utils.data import palette
from batik_utils.figures.style import (
    GREY,
    HEIGHT,
    INK,
    LETTER,
    LINE,
    MOST,
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
from batik_utils.wording import Band, count, percent, percent_range

# Motifs above which a cell of a confusion matrix has no room for a decimal, and none for a number at all.
CROWDED, FULL = 8, 24
KINDS_OF_SIZE = 8  # sizes of files of which each is a bar; of more, each file is a point


def motif_styles(motifs: Sequence[str]) -> list[dict[str, Any]]:
    """Each motif's colour and marker in their order; who sees no hues still sees three shapes and three lightnesses."""
    several = [sns.husl_palette(-(-len(motifs) // 3), l=light) for light in (0.45, 0.6, 0.75)]
    hues = PALETTE if len(motifs) <= len(PALETTE) else [several[i % 3][i // 3] for i in range(len(motifs))]
    return [{"color": hues[i], "marker": "os^"[i % 3]} for i in range(len(motifs))]


def place_names(ax: Axes, names: Sequence[Sequence[Any]], points: Sequence[Sequence[float]]) -> None:
    """Write each name (x, y, name) beside its point, where it covers no other name and none of all points."""
    ax.figure.get_figure(root=True).draw_without_rendering()
    spots, shown = [ax.transData.transform(point) for point in points], fit_names([name for *_, name in names], 2)
    taken: list[Any] = []
    # A line that passes behind a name is kept from its letters.
    halo = [withStroke(linewidth=2.2, foreground="white")]
    style: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL, "color": INK, "path_effects": halo}
    for (x, y, _), name in zip(names, shown, strict=True):
        for up, side in product((3, -9, 12, -18), ("left", "right")):
            text = ax.annotate(name, (x, y), (5 if side == "left" else -5, up), ha=side, **style)
            box = text.get_window_extent()
            inside = all(map(ax.bbox.containsx, (box.x0, box.x1))) and ax.bbox.containsy(box.y0)
            covers = any(map(box.overlaps, taken)) or any(box.padded(4).contains(*spot) for spot in spots)
            if inside and not covers:
                break
            text.remove()
        else:
            text = ax.annotate(name, (x, y), (5, 3), **style)
        taken.append(text.get_window_extent())


def motif_ticks(ax: Axes, motifs: Sequence[str], places: Sequence[float], inches: float) -> float:
    """Name the places under a plot that is so many inches wide; returns the height that the names take, in inches."""
    some = slice(None, None, -(-len(places) // MOST))
    names = fit_names(motifs, 1.2)[some]
    ax.set_xticks(places[some], names, fontsize=SMALL)
    width = LETTER * max(map(len, names))
    if width < inches / len(places):
        return LINE
    slanted = len(names) <= 10 and width < 0.8
    slant = {"rotation": 35} if slanted else {"rotation": 90, "va": "center"}
    plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor", **slant)
    return width * (0.6 if slanted else 1) + LINE


class Picture(NamedTuple):
    """A picture with what is said about it."""

    image: NDArray[Any]  # uint8 [h, w, 3]
    name: str  # the file's path, which stands under its palette
    title: str = ""
    good: bool | None = None  # whether it is framed as a right (blue) or wrong (orange) prediction; None for no frame


def picture_grid(
    pictures: Sequence[Picture], columns: int, row_names: Sequence[str] = (), lines: int = 1, *, photos: bool
) -> Drawing:
    """Pictures, or where photos is False their palettes with their names, in rows of `columns`.

    row_names stand left of the rows; lines is the least height of the titles. A palette is five stripes at most.
    """
    rows, tile = math.ceil(len(pictures) / columns), WIDTH / columns
    titles = ["\n".join(fit_names([line], tile - 0.1, 2)[0] for line in p.title.split("\n")) for p in pictures]
    palettes = [palette(picture.image) for picture in pictures]
    lines = max([lines, *(title.count("\n") + 1 for title in titles)])
    height = rows * (tile * (1 if photos else 0.66) + 0.14 * (lines + (not photos)))
    fig, axes = new(rows, columns, height=min(height, HEIGHT), squeeze=False)
    fig.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.03)
    for ax in axes.flat[len(pictures) :]:
        ax.remove()
    for ax, picture, title, shares in zip(axes.flat, pictures, titles, palettes, strict=False):
        ax.set(xticks=[], yticks=[])
        ax.grid(visible=False)
        if photos:
            ax.imshow(picture.image, interpolation="antialiased")
        else:
            ax.set(xlim=(0, 1), ylim=(1, 0))
            tops = np.cumsum([0.0, *(share for _, share in shares)])
            for (colour, share), top in zip(shares, tops, strict=False):
                ax.bar(0.5, share, 1, top, color=colour, linewidth=0)
            if picture.name not in picture.title:
                ax.set_xlabel(fit_names([picture.name], tile)[0], fontsize=SMALL, color=INK, labelpad=2)
        frame = {None: "#CCCCCC", True: PALETTE[0], False: PALETTE[1]}[picture.good]
        plt.setp(ax.spines.values(), visible=True, color=frame, linewidth=0.6 if picture.good is None else 2.0)
        ax.set_title(title, fontsize=SMALL, fontweight="normal", loc="center", color=INK, pad=3)
    for ax, name in zip(axes[:, 0], fit_names(row_names, tile * (0.9 if photos else 0.6), 2), strict=False):
        ax.set_ylabel(name, fontsize=SMALL, color=INK)
    rated = [picture.good for picture in pictures if picture.good is not None]
    alt = [f"{count(len(pictures), 'picture')}{'' if photos else ', each as a tile of its own five colours'}"]
    alt += [f"one row each for {', '.join(row_names)}"] if row_names else []
    alt += [f"{sum(rated)} framed as right and {len(rated) - sum(rated)} as wrong"] if rated else []
    data = pd.DataFrame({"file": [p.name for p in pictures], "said": [p.title.replace("\n", " ") for p in pictures]})
    data["palette"] = [" ".join(f"{colour} {share:.3f}" for colour, share in shares) for shares in palettes]
    return fig.describe("; ".join(alt) + ".", data, "the pictures themselves")


def file_sizes(facts: pd.DataFrame) -> Drawing:
    """Width against height of files, pixels (facts: motif, width, height): a point each, or a bar for each of a few."""
    motifs = facts["motif"].unique().tolist()
    looks = dict(zip(motifs, motif_styles(motifs), strict=True))
    counts = facts.value_counts(["width", "height", "motif"]).unstack(fill_value=0)[motifs].sort_index()
    if len(counts) <= KINDS_OF_SIZE:
        legend = 0.13 * min(len(motifs), MOST) / (1 + (len(motifs) > 24)) + 0.4
        fig, ax = new(height=max(0.3 * len(counts) + 0.9, legend))
        counts.plot.barh(stacked=True, ax=ax, color=[looks[m]["color"] for m in motifs], legend=False, width=0.7)
        ax.set_yticks(range(len(counts)), [f"{width:,} × {height:,}" for width, height in counts.index])
        ax.set(xlabel="Files", ylabel="Pixels")
        ax.xaxis.get_major_locator().set_params(integer=True)
    else:
        fig, ax = new(height=3.6)
        for motif, style in looks.items():
            rows = facts[facts["motif"] == motif]
            ax.plot(rows["width"], rows["height"], ls="", label=motif, markersize=3.5, alpha=0.7, mew=0, **style)
        ax.set(xlabel="Width (pixels)", ylabel="Height (pixels)")
        for axis, side, scale in ((ax.xaxis, "width", ax.set_xscale), (ax.yaxis, "height", ax.set_yscale)):
            if facts[side].max() > 5 * facts[side].min():
                scale("log")
                axis.set_major_locator(LogLocator(subs=(1, 3)))
                axis.set_minor_locator(NullLocator())
            axis.set_major_formatter("{x:,.0f}")
    legend_inside(ax, "beside" if len(counts) <= KINDS_OF_SIZE else "best")
    middle = facts.groupby("motif", sort=False)[["width", "height"]].median().prod(axis=1) ** 0.5
    ends = (f"{what}s from {facts[what].min():,} to {facts[what].max():,}" for what in ("width", "height"))
    most = f"largest in {middle.idxmax()} (side about {middle.max():,.0f})"
    least = f"smallest in {middle.idxmin()} ({middle.min():,.0f})"
    alt = f"In pixels: {', '.join(ends)}. A middling file is {most} and {least}."
    return fig.describe(alt, facts[["motif", "width", "height"]], "the files of the study's motifs")


def motif_colours(images: NDArray[np.uint8], labels: NDArray[np.int64], motifs: Sequence[str]) -> Drawing:
    """Distribution of hue-free lightness and of saturation per motif, each image one value; images is [n, h, w, 3]."""
    shape, wide = ((1, 2), WIDTH / 2) if len(motifs) <= 12 else ((2, 1), WIDTH)
    fig, axes = new(*shape)
    pixels = images.reshape(len(images), -1, 3)[:, ::7].astype(np.float64) / 255
    values = {
        "Mean lightness": pixels.mean(axis=(1, 2)),
        "Mean colourfulness": (pixels.max(axis=2) - pixels.min(axis=2)).mean(axis=1),
    }
    alt = []
    for ax, (what, each) in zip(axes, values.items(), strict=True):
        parts = ax.violinplot([each[labels == i] for i in range(len(motifs))], showmedians=True, widths=0.8)
        for body, style in zip(parts["bodies"], motif_styles(motifs), strict=True):
            body.set(facecolor=style["color"], alpha=0.5)
        for key in ("cbars", "cmins", "cmaxes", "cmedians"):
            parts[key].set(color="#444444", linewidth=0.9)
        under = motif_ticks(ax, motifs, range(1, len(motifs) + 1), wide - 0.6)
        ax.set_ylabel(what)
        fig.set_figheight(shape[0] * (1.9 + under))
        middle = [float(np.median(each[labels == i])) for i in range(len(motifs))]
        low, high = int(np.argmin(middle)), int(np.argmax(middle))
        least, most = (f"{motifs[i]} ({middle[i]:.2f})" for i in (low, high))
        alt.append(f"{what}: the median is lowest in {least}, highest in {most}.")
    data = pd.DataFrame({"motif": [motifs[i] for i in labels], **{k.lower(): v.round(3) for k, v in values.items()}})
    return fig.describe(" ".join(alt), data, "all pictures that are used")


def method_flow(bands: Sequence[Mapping[str, str]]) -> Drawing:
    """Bands of headings with texts, {heading: text}, each in a box, an arrow to the next."""
    left, gap = 1.9, 0.2
    style: dict[str, Any] = {"color": INK, "size": SMALL, "va": "top", "linespacing": 1.15}
    heads, texts = left - 0.1 - 2 * LETTER, WIDTH - left - 0.1  # bold letters are wider
    whole = partial(fit_names, lines=99)
    boxes = [[(whole([name], heads)[0], whole([text], texts)[0]) for name, text in band.items()] for band in bands]
    lines = [[1 + max(text.count("\n") for text in row) for row in box] for box in boxes]
    ends = np.cumsum([LINE * (sum(counts) + 1) + gap for counts in lines])
    fig, ax = new(height=ends[-1] - gap + 0.04)
    fig.set_layout_engine("none")
    ax.set(xlim=(-0.01, WIDTH + 0.01), ylim=(ends[-1] - gap + 0.02, -0.02), position=(0, 0, 1, 1))
    ax.axis("off")
    for box, counts, end in zip(boxes, lines, ends, strict=True):
        height, colour = LINE * (sum(counts) + 1), PALETTE[0] if end == ends[-1] else GREY
        y = end - gap - height
        corners = "round,pad=0,rounding_size=0.05"
        ax.add_patch(FancyBboxPatch((0, y), WIDTH, height, corners, fc=colour + "24", ec=colour, lw=0.7))
        for (heading, text), high in zip(box, counts, strict=True):
            ax.text(0.1, y + LINE / 2, heading, weight="bold", **style)
            ax.text(left, y + LINE / 2, text, **style)
            y += LINE * high
        if end < ends[-1]:
            ax.annotate("", (WIDTH / 2, end), (WIDTH / 2, end - gap), arrowprops={"arrowstyle": "-|>", "color": INK})
    steps = [" and ".join(b) if len(b) <= 3 else f"{len(b)} rows from {next(iter(b))} on" for b in bands]
    said = [(step, *row) for step, band in enumerate(bands, 1) for row in band.items()]
    data = pd.DataFrame(said, columns=["band", "heading", "text"])
    alt = f"From top to bottom, an arrow from each to the next: {'; '.join(steps)}."
    return fig.describe(alt, data, "the study's file")


def confusion_matrices(matrices: Mapping[str, NDArray[np.float64]], motifs: Sequence[str]) -> Drawing:
    """Rows are true motifs, columns predicted ones, {model: [c, c] counts or mean counts}; shade is the row share."""
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
        points = zip(rows["trio"], rows["ours"], rows["stated"], strict=True)
        fig.name(marks, *(f"{trio} ({arm}): {percent(a)} here, {percent(b)} stated" for trio, a, b in points))
    tops = stated.loc[stated.groupby("trio")["stated"].idxmax()].sort_values("ours")
    highest = tops[["ours", "stated", "trio"]].to_numpy().tolist()
    for ours, _, _ in highest:
        for ax in (above, below):
            ax.axvline(ours, color=GREY, linewidth=0.6, zorder=0)
    percent_axis(below.yaxis, 0.0, 1.06, label="As others state it")
    percent_axis(below.xaxis, low, 1.0, label=f"Here, on the same three motifs ({first})")
    legend_inside(above, "upper left")
    legend_inside(below, "lower right")
    place_names(below, highest, stated[["ours", "stated"]].to_numpy().tolist())
    seen = accuracies.items()
    means = (f"{t}: mean {percent(v.mean())}, from {percent(v.min())} to {percent(v.max())}" for t, v in seen)
    data = stated[["trio", "arm", "ours", "stated"]]
    pairs = (f"{t} ({arm}) {percent(a)} here, {percent(b)} stated" for t, arm, a, b in data.to_numpy().tolist())
    alt = f"{count(len(accuracies[first]), 'trio')}. {'; '.join(means)}. Stated by others: {'; '.join(pairs)}."
    return fig.describe(alt, data, "frozen features of all pictures, grouped folds")
