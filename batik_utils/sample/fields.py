"""The motif families that are laid freely on the cloth: megamendung, celup and tambal."""

from dataclasses import dataclass

import numpy as np

from . import shapes
from .isen import FILLINGS, fill_ground
from .palette import Palette
from .pen import Pen, enlarge, mix, soften
from .repeats import ceplok, kawung, parang


@dataclass(frozen=True)
class _Cloud:
    """The union of a body (`line` [26, 2] with half widths `half` [26]) and billows (`middles` [m, 2], `radii` [m])."""

    line: np.ndarray
    half: np.ndarray
    middles: np.ndarray
    radii: np.ndarray

    @classmethod
    def heap(cls, rng: np.random.Generator, place: np.ndarray, size: float) -> "_Cloud":
        """A cloud about `size` wide at `place`: a wavy body that thins to a tip on both sides, billows heaped on it."""
        x = np.linspace(-0.56, 0.56, 26)
        sway = rng.uniform(0.03, 0.07) * np.sin(2 * np.pi * x + rng.uniform(-0.6, 0.6))
        half = 0.095 * np.maximum(1 - np.abs(x / 0.56) ** 1.7, 0) + 0.003
        billows = int(rng.integers(5, 9))
        along = np.linspace(-0.32, 0.32, billows) + rng.uniform(-0.03, 0.03, billows)
        radii = (0.09 + 0.075 * np.cos(along * 4)) * rng.uniform(0.75, 1.1, billows)
        side = np.where(rng.random(billows) < 0.66, -1.0, 1.0)
        rise = side * (0.03 + 0.3 * radii + 0.11 * np.cos(along * 4) * rng.random(billows))
        sign = np.array([-1 if rng.random() < 0.5 else 1, 1]) * size
        line = place + np.stack([x, sway], axis=1) * sign
        return cls(line, half * size, place + np.stack([along, rise], axis=1) * sign, radii * size)

    def fill(self, pen: Pen, distance: float, colour) -> None:
        """Fill what lies deeper than `distance` inside the cloud (outside it, when negative)."""
        body = self.half > distance
        if body.sum() > 2:
            pen.fill(shapes.ribbon(self.line[body], 2 * (self.half[body] - distance)), colour)
        keep = self.radii > distance
        pen.fill(self.middles[keep, None] + _DISC * (self.radii[keep] - distance)[:, None, None], colour)


_DISC = shapes.ellipse(1.0, corners=26)


def megamendung(pen: Pen, rng: np.random.Generator, palette: Palette, scale: float) -> None:
    """Megamendung: heaped clouds, each in nested contours whose colour deepens from rim to core.

    `scale` is the width of a cloud in picture widths.
    """
    layers, contour = int(rng.integers(4, 8)), rng.random() < 0.85
    rim, core = (palette.main, palette.second) if rng.random() < 0.6 else (palette.accent, palette.main)
    shades = mix(rim, core, np.linspace(0, 1, layers))
    fill_ground(pen, rng, palette)
    _, places = pen.view.lattice((scale * 1.12, 0), (scale * 0.56, scale * 0.54), scale * 0.55)
    for place in places:
        size = scale * rng.uniform(0.92, 1.15)
        cloud = _Cloud.heap(rng, place + rng.uniform(-0.06, 0.06, 2) * scale, size)
        step = 0.13 * size / layers
        cloud.fill(pen, -0.012 * size, palette.line)
        for layer, shade in enumerate(shades):
            if contour and layer:
                cloud.fill(pen, step * layer - 0.006 * size, palette.line if layer % 2 else rim)
            cloud.fill(pen, step * layer, shade)
        for k in np.argsort(cloud.radii, kind="stable")[-3:]:
            spiral = shapes.ribbon(shapes.curl(cloud.radii[k] * 0.42, 1.3, 16), cloud.radii[k] * 0.1)
            pen.fill(spiral + cloud.middles[k], palette.line)


def _bleed(canvas: np.ndarray, variance: float) -> np.ndarray:
    """`canvas` [n, n, 3] with its dyes run into the wet cloth: float32 [n, n, 3]; `variance` in 1/64 widths²."""
    n = canvas.shape[0]
    edges = np.linspace(0, n, 65).astype(int)
    sums = np.add.reduceat(np.add.reduceat(canvas.astype(np.int64), edges[:-1], 0), edges[:-1], 1)
    span = np.diff(edges)
    small = (sums / (span[:, None, None] * span[None, :, None])).astype(np.float32)
    return enlarge(np.pad(soften(small, variance), ((1, 1), (1, 1), (0, 0)), mode="edge"), n)


def celup(pen: Pen, rng: np.random.Generator, palette: Palette, scale: float) -> None:
    """Celup (jumputan): tied rings with soft uneven rims and pleats, dye running outwards, small resist dots.

    `scale` is the distance between ties in picture widths.
    """
    order, rings = rng.random() < 0.6, int(rng.integers(2, 5))
    dyes = [palette.main, palette.second, palette.accent, palette.deep, palette.ground]
    dyes = [dyes[0], *(dyes[1 + k] for k in rng.permutation(4))]
    fill_ground(pen, rng, palette)
    _, places = pen.view.lattice((scale, 0), (scale * rng.choice([0.0, 0.5]), scale * 0.92), scale * 0.7)
    places = places + rng.uniform(-1, 1, places.shape) * scale * (0.06 if order else 0.2)
    widths = np.sort(rng.uniform(0.15, 1.0, rings))[::-1]
    widths[0] = 1.0
    pleats, hub = int(rng.integers(10, 22)), rng.random() < 0.7
    outlines = []
    for place in places:
        radius = scale * rng.uniform(0.36, 0.47) * (1.0 if order else rng.uniform(0.6, 1.1))
        shape = shapes.blob(rng, 44, 0.09, 0.045)
        outlines.append((place, radius, shape))
        for k, share in enumerate(widths):
            pen.fill(place + shape * radius * share, dyes[k % len(dyes)])
            shape = shape + rng.uniform(-0.03, 0.03, shape.shape)
        fold = shapes.leaf(radius * 0.6, radius * 0.05, 1.0) + np.array([radius * rng.uniform(0.1, 0.4), 0])
        reach = rng.uniform(0.7, 1.3, (pleats, 1, 1))
        streaks = shapes.around(fold, pleats, rng.uniform(0, 2 * np.pi)) * reach
        pen.fill(place + streaks, np.where(rng.random((pleats, 1)) < 0.6, palette.ground, palette.main))
    wet = _bleed(pen.canvas, rng.uniform(0.8, 2.6))
    dry = rng.uniform(0.0, 0.25)
    pen.canvas = np.rint(wet * np.float32(1 - dry) + pen.canvas * np.float32(dry)).astype(np.uint8)
    tie = shapes.polygon(4, scale * 0.035)
    for place, radius, shape in outlines:
        if rng.random() < 0.75:
            dots = place + shape[:: int(rng.integers(2, 5))] * radius * rng.uniform(0.86, 1.12)
            pen.fill(tie, palette.main, dots)
            pen.fill(tie * 0.42, palette.line, dots)
        if hub:
            pen.fill(place + shapes.blob(rng, 14, 0.2, 0.1) * radius * 0.13, palette.main)
            pen.fill(place + shapes.blob(rng, 10, 0.2, 0.1) * radius * 0.05, palette.line)
    if rng.random() < 0.6:
        at = np.array([p for p, _, _ in outlines]).reshape(-1, 2) + scale * np.array([0.5, 0.46])
        for drop in shapes.around(shapes.polygon(4, scale * 0.03) + np.array([scale * 0.07, 0]), 4):
            pen.fill(drop, palette.main, at)


def _sides(patch: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The sides of a polygon [m, 2] as pairs of corners."""
    return list(zip(patch, np.roll(patch, -1, axis=0), strict=True))


def tambal(pen: Pen, rng: np.random.Generator, palette: Palette, scale: float) -> None:
    """Tambal: patchwork of squares and triangles, each patch filled with a smaller motif or isen, seams between.

    `scale` is the side of a patch in picture widths.
    """
    side, cut = scale, int(rng.integers(4))
    cells, at = pen.view.lattice((side, 0), (0, side), side)
    square = shapes.box(side, side)
    halves = {+1: (square[[0, 1, 2]], square[[0, 2, 3]]), -1: (square[[0, 1, 3]], square[[1, 2, 3]])}
    patches: list[np.ndarray] = []
    for (i, j), place in zip(cells, at, strict=True):
        whole = cut == 3 and rng.random() < 0.5
        way = {0: 1, 1: 1 if (i + j) % 2 else -1, 2: 1 if rng.random() < 0.5 else -1, 3: 1}[cut]
        if whole:
            patches.append(place + square)
        elif cut == 2 and rng.random() < 0.3:
            patches += [place + np.array([square[k], square[(k + 1) % 4], [0, 0]]) for k in range(4)]
        else:
            patches += [place + half for half in halves[way]]
    dyes = [palette.ground, palette.deep, palette.second, palette.main, palette.accent]
    inks = [palette.main, palette.line, palette.main, palette.line, palette.line]
    kinds = len(dyes)
    kind = rng.permutation(np.arange(len(patches)) % kinds)
    plan = Pen(pen.view, pen.n, (kinds, 0, 0))
    for patch, k in zip(patches, kind, strict=True):
        edge = np.linspace(0, 1, 6, endpoint=False)[:, None]
        bent = np.concatenate([a + (b - a) * edge for a, b in _sides(patch)])
        plan.fill(bent, (50.0 * k, 0, 0))
    label = (plan.canvas[..., 0].astype(int) + 25) // 50
    fills = rng.permutation(len(FILLINGS) + 3)[:kinds]
    cloth = np.empty_like(pen.canvas)
    for k in range(kinds):
        patch_pen = Pen(pen.view, pen.n, dyes[k])
        patch_pen.mask = label == k
        if fills[k] < len(FILLINGS):
            FILLINGS[fills[k]](patch_pen, rng, inks[k], rng.uniform(0.028, 0.05))
        else:
            own = Palette(dyes[k], inks[k], palette.second, palette.accent, palette.line, dyes[(k + 1) % kinds])
            small = (kawung, parang, ceplok)[fills[k] - len(FILLINGS)]
            small(patch_pen, rng, own, side * rng.uniform(0.34, 0.48))
        cloth[patch_pen.mask] = patch_pen.canvas[patch_pen.mask]
    pen.canvas = cloth
    seam = side * rng.uniform(0.015, 0.035)
    stitched = rng.random() < 0.5
    sides = {
        tuple(np.rint(np.sort([a, b], axis=0).ravel() * 1e6)): (a, b) for patch in patches for a, b in _sides(patch)
    }
    along = np.linspace(0, 1, 7)[:, None]
    pen.fill(np.stack([shapes.ribbon(a + (b - a) * along, seam) for a, b in sides.values()]), palette.line)
    if stitched:
        along = np.linspace(0.04, 0.96, 12)[:, None]
        stitches = np.concatenate([a + (b - a) * along for a, b in sides.values()])
        pen.fill(shapes.box(seam * 0.7, seam * 0.7), palette.main, stitches)
