"""The method of a study as a flow diagram."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from batik_utils.figures.style import GREY, INK, PALETTE, WIDTH, colours, new
from batik_utils.wording import count, listed

GAP, ROW, LOW, HIGH = 0.2, 0.38, 0.4, 0.62
"""Inches: between two bands of boxes, of one model's row, of a band with one line of text and with three."""
READINGS = {
    "Intervals": "Wilson on one split; Nadeau and Bengio across folds",
    "Tests": "McNemar; corrected t, with Holm; Bayesian correlated t",
    "Calibration": "a temperature from the other folds",
}
"""What is made of the probabilities in every study."""


@dataclass(frozen=True)
class Arm:
    """One model of the study."""

    title: str
    steps: Sequence[str]
    """From picture to probabilities: ("frozen backbone", "features", "trained head"), or one network."""
    parameters: int
    repeats: int
    """Of the cross-validation."""
    seeds: int
    """Training seeds of each fold."""


@dataclass(frozen=True)
class Flow:
    """What the diagram of the method says."""

    images: int
    groups: int
    """Of near-duplicates, a lone image being a group."""
    motifs: Sequence[str]
    published: str
    """The fixed split: "120 train, 30 test"."""
    folds: int
    arms: Sequence[Arm]
    baselines: Sequence[str]
    controls: Sequence[str]
    """What is done to labels or test images to see what a model lives on."""
    verdict: str
    """Which two models it is about."""
    curve: Sequence[int] = ()
    """Training images per motif of the learning curve."""


class _Sheet:
    """Paper to draw on in inches, from the top left corner."""

    def __init__(self, height: float) -> None:
        self.figure, self.ax = new(height=height)
        self.figure.set_layout_engine("none")
        self.ax.set(xlim=(-0.02, WIDTH + 0.02), ylim=(height + 0.02, -0.02), position=(0, 0, 1, 1))
        self.ax.axis("off")

    def frame(self, x: float, y: float, width: float, height: float, face: str, edge: str) -> None:
        round_corners = "round,pad=0,rounding_size=0.05"
        self.ax.add_patch(FancyBboxPatch((x, y), width, height, round_corners, fc=face, ec=edge, lw=0.7))

    def write(
        self, x: float, y: float, text: str, width: float = WIDTH, bold: bool = False, ha: str = "center"
    ) -> None:
        # A letter of the small type takes 0.056 inches, on average and rather too many.
        text, style = textwrap.fill(text, int(width / 0.056)), {"size": 7, "weight": "bold"} if bold else {"size": 6.5}
        self.ax.text(x, y, text, **style, color=INK, ha=ha, va="center", linespacing=1.15)

    def pair(self, x: float, middle: float, bold: str, below: str) -> None:
        self.write(x, middle - 0.075, bold, bold=True, ha="left")
        self.write(x, middle + 0.085, below, ha="left")

    def box(self, place: tuple[float, float, float, float], heading: str, text: str, colour: str = GREY) -> None:
        x, y, width, height = place
        self.frame(*place, colour + "24", colour)
        if heading:
            self.write(x + width / 2, y + 0.13, heading, bold=True)
        self.write(x + width / 2, y + height / 2 + (0.085 if heading else 0), text, width)

    def band(self, y: float, cells: Mapping[str, str]) -> None:
        side = (WIDTH - 0.12 * (len(cells) - 1)) / len(cells)
        for i, (heading, text) in enumerate(cells.items()):
            self.box((i * (side + 0.12), y, side, HIGH), heading, text)

    def arrow(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        style = {"arrowstyle": "-|>", "mutation_scale": 7, "shrinkA": 0, "shrinkB": 0, "color": INK, "linewidth": 0.8}
        self.ax.annotate("", end, start, arrowprops=style)

    def down(self, y: float, *parts: float) -> float:
        """Arrows at these parts of the width; returns where the next band begins."""
        for part in parts:
            self.arrow((part * WIDTH, y), (part * WIDTH, y + GAP))
        return y + GAP


def method_flow(flow: Flow) -> Figure:
    """From pictures over splits and models to the verdict; as wide as the page, taller with every model."""
    models, thirds = ROW * (len(flow.arms) + bool(flow.baselines)) + 0.12, (1 / 6, 1 / 2, 5 / 6)
    sheet = _Sheet(LOW + 0.16 + HIGH + models + 0.3 + HIGH + LOW + 5 * GAP)
    motifs = textwrap.shorten(f"{len(flow.motifs)} motifs: {', '.join(flow.motifs)}", 50, placeholder=" …")
    repeats = count(max(arm.repeats for arm in flow.arms), "repeat")
    curve = [f"{listed([str(n) for n in flow.curve])} training images per motif"] if flow.curve else []
    splits = {
        "One split": flow.published,
        "Grouped cross-validation": f"{flow.folds} folds, {repeats} at most; a group is never on both sides",
        "Controls on the same folds": "; ".join([", ".join(flow.controls)] * bool(flow.controls) + curve) or "none",
    }
    sheet.frame(0, 0, WIDTH, LOW + 0.16, "#F8F8F8", "#DDDDDD")
    sheet.box((0.08, 0.08, 2.88, LOW), f"{flow.images:,} pictures", motifs)
    groups = f"{flow.groups:,} groups; copies of one picture share one"
    sheet.box((3.34, 0.08, 2.88, LOW), "Audit for near-duplicates", groups)
    sheet.arrow((2.96, 0.08 + LOW / 2), (3.34, 0.08 + LOW / 2))
    y = sheet.down(LOW + 0.16, *thirds)
    sheet.band(y, splits)
    y = sheet.down(y + HIGH, *thirds)
    sheet.frame(0, y, WIDTH, models, "#F8F8F8", "#DDDDDD")
    _models(sheet, y + 0.06, flow)
    y = sheet.down(y + models, 1 / 2)
    seen = "Probabilities of every model for images that it has not seen, kept with their labels"
    sheet.box((0, y, WIDTH, 0.3), "", seen)
    y = sheet.down(y + 0.3, *thirds)
    sheet.band(y, READINGS)
    y = sheet.down(y + HIGH, 1 / 2)
    sheet.box((1.2, y, WIDTH - 2.4, LOW), "Verdict", flow.verdict, PALETTE[0])
    return sheet.figure


def _models(sheet: _Sheet, y: float, flow: Flow) -> None:
    """The models, a row each, and the baselines; equal first steps have one colour."""
    colour = colours(list(dict.fromkeys(arm.steps[0] for arm in flow.arms)))
    middles = [y + (i + 0.5) * ROW for i in range(len(flow.arms) + 1)]
    for middle, arm in zip(middles, flow.arms, strict=False):
        fits = f"{arm.repeats} × {flow.folds} folds, {count(arm.seeds, 'seed')}"
        sheet.pair(0.1, middle, textwrap.shorten(arm.title, 34, placeholder=" …"), f"{arm.parameters:,} parameters")
        sheet.pair(4.98, middle, f"{flow.folds * arm.repeats * arm.seeds:,} fits", fits)
        # A longer text gets a wider box, though not in proportion.
        shares = [len(step) ** 0.5 for step in arm.steps]
        room, x = 2.75 - 0.16 * (len(arm.steps) - 1), 2.1
        for k, (step, share) in enumerate(zip(arm.steps, shares, strict=True)):
            if k:
                sheet.arrow((x - 0.16, middle), (x, middle))
            side = room * share / sum(shares)
            sheet.box((x, middle - ROW / 2 + 0.04, side, ROW - 0.08), "", step, colour[arm.steps[0]])
            x += side + 0.16
    if flow.baselines:
        sheet.pair(0.1, middles[-1], "Baselines", "on the same folds")
        sheet.write(2.1, middles[-1], "; ".join(flow.baselines), WIDTH - 2.2, ha="left")
