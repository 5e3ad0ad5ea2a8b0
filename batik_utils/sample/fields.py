"""The motif families that are laid freely on the cloth: megamendung, celup and tambal.

As in repeats, `scale` is the width of a family's unit (a cloud, the distance between ties, a patch) in picture widths.
"""

import numpy as np

from . import shapes
from .isen import FILLINGS, fill_ground
from .palette import Palette
from .pen import Pen, enlarge, mix, soften
from .repeats import ceplok, kawung, parang


class _Cloud:
    """A wavy body about `size` wide that thins to a tip on both sides (a line, half widths), billows heaped on it."""

    def __init__(self, rng: np.random.Generator, place: np.ndarray, size: float):
        x = np.linspace(-0.56, 0.56, 26)
        sway = rng.uniform(0.03, 0.07) * np.sin(2 * np.pi * x + rng.uniform(-0.6, 0.6))
        half = 0.095 * np.maximum(1 - np.abs(x / 0.56) ** 1.7, 0) + 0.003
        billows = int(rng.integers(5, 9))
        along = np.linspace(-0.32, 0.32, billows) + rng.uniform(-0.03, 0.03, billows)
        radii = (0.09 + 0.075 * np.cos(along * 4)) * rng.uniform(0.75, 1.1, billows)
        side = np.where(rng.random(billows) < 0.66, -1.0, 1.0)
        rise = side * (0.03 + 0.3 * radii + 0.11 * np.cos(along * 4) * rng.random(billows))
        sign = np.array([-1 if rng.random() < 0.5 else 1, 1]) * size
        self.line, self.half = place + np.stack([x, sway], axis=1) * sign, half * size
        self.middles, self.radii = place + np.stack([along, rise], axis=1) * sign, radii * size

    def fill(self, pen: Pen, distance: float, colour) -> None:
        """Fill what lies deeper than `distance` inside the cloud (outside it, when negative)."""
        body = self.half > distance
        if body.sum() > 2:
            pen.fill(shapes.ribbon(self.line[body], 2 * (self.half[body] - distance)), colour)
        keep = self.radii > distance
        discs = shapes.polygon(26) * (self.radii[keep] - distance)[:, None, None]
        pen.fill(self.middles[keep, None] + discs, colour)


def megamendung(pen: Pen, rng: np.random.Generator, palette: Palette, scale: float) -> None:
    """Megamendung: heaped clouds, each in nested contours whose colour deepens from rim to core."""
    layers, contour = int(rng.integers(4, 8)), rng.random() < 0.85
    rim, core = (palette.main, palette.second) if rng.random() < 0.6 else (palette.accent, palette.main)
    shades = mix(rim, core, np.linspace(0, 1, layers))
    fill_ground(pen, rng, palette)
    _, places = pen.view.lattice((scale * 1.12, 0), (scale * 0.56, scale * 0.54), scale * 0.55)
    for place in places:
        size = scale * rng.uniform(0.92, 1.15)
        cloud = _Cloud(rng, place + rng.uniform(-0.06, 0.06, 2) * scale, size)
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
    """Celup (jumputan): tied rings with soft uneven rims and pleats, dye running outwards, small resist dots."""
    order, rings = rng.random() < 0.6, int(rng.integers(2, 5))
    others = [palette.second, palette.accent, palette.deep, palette.ground]
    dyes = [palette.main, *(others[k] for k in rng.permutation(4))]
    fill_ground(pen, rng, palette)
    _, places = pen.view.lattice((scale, 0), (scale * rng.choice([0.0, 0.5]), scale * 0.92), scale * 0.7)
    places = places + rng.uniform(-1, 1, places.shape) * scale * (0.06 if order else 0.2)
    widths = np.sort(rng.uniform(0.15, 1.0, rings))[::-1]
    widths[0] = 1.0
    pleats, hub = int(rng.integers(10, 22)), rng.random() < 0.7
    ties = []
    for place in places:
        radius = scale * rng.uniform(0.36, 0.47) * (1.0 if order else rng.uniform(0.6, 1.1))
        shape = shapes.blob(rng, 44, 0.09, 0.045)
        ties.append((place, radius, shape))
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
    for place, radius, shape in ties:
        if rng.random() < 0.75:
            dots = place + shape[:: int(rng.integers(2, 5))] * radius * rng.uniform(0.86, 1.12)
            pen.layers(shapes.polygon(4, scale * 0.035), dots, (1.0, palette.main), (0.42, palette.line))
        if hub:
            for corners, share, colour in ((14, 0.13, palette.main), (10, 0.05, palette.line)):
                pen.fill(place + shapes.blob(rng, corners, 0.2, 0.1) * radius * share, colour)
    if rng.random() < 0.6:
        at = np.array([place for place, *_ in ties]).reshape(-1, 2) + scale * np.array([0.5, 0.46])
        drop = shapes.polygon(4, scale * 0.03) + np.array([scale * 0.07, 0])
        pen.fill(shapes.around(drop, 4), palette.main, at)


def _sides(patch: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The sides of a polygon [m, 2] as pairs of corners."""
    return list(zip(patch, np.roll(patch, -1, axis=0), strict=True))


def _patches(rng: np.random.Generator, cells: np.ndarray, at: np.ndarray, side: float, cut: int) -> list[np.ndarray]:
    """Every cell's square, whole or cut into two or four triangles, in one of four ways."""
    square = shapes.box(side, side)
    halves = {+1: (square[[0, 1, 2]], square[[0, 2, 3]]), -1: (square[[0, 1, 3]], square[[1, 2, 3]])}
    patches: list[np.ndarray] = []
    for odd, place in zip(cells.sum(axis=1) % 2 == 1, at, strict=True):
        whole, coin = cut == 3 and rng.random() < 0.5, rng.random() < 0.5
        way = 1 if (True, odd, coin, True)[cut] else -1
        if whole:
            patches.append(place + square)
        elif cut == 2 and rng.random() < 0.3:
            patches += [place + np.array([a, b, [0, 0]]) for a, b in _sides(square)]
        else:
            patches += [place + half for half in halves[way]]
    return patches


def tambal(pen: Pen, rng: np.random.Generator, palette: Palette, scale: float) -> None:
    """Tambal: patchwork of squares and triangles, each patch filled with a smaller motif or isen, seams between."""
    side, cut = scale, int(rng.integers(4))
    patches = _patches(rng, *pen.view.lattice((side, 0), (0, side), side), side, cut)
    dyes = [palette.ground, palette.deep, palette.second, palette.main, palette.accent]
    inks = [palette.main, palette.line, palette.main, palette.line, palette.line]
    kinds = len(dyes)
    plan = Pen(pen.view, pen.n, (kinds, 0, 0))
    edge = np.linspace(0, 1, 6, endpoint=False)[:, None]
    for patch, k in zip(patches, rng.permutation(np.arange(len(patches)) % kinds), strict=True):
        plan.fill(np.concatenate([a + (b - a) * edge for a, b in _sides(patch)]), (50.0 * k, 0, 0))
    label = (plan.canvas[..., 0].astype(int) + 25) // 50
    fills = rng.permutation(len(FILLINGS) + 3)[:kinds]
    cloth = np.empty_like(pen.canvas)
    for k in range(kinds):
        inner = Pen(pen.view, pen.n, dyes[k], mask=label == k)
        if fills[k] < len(FILLINGS):
            FILLINGS[fills[k]](inner, rng, inks[k], rng.uniform(0.028, 0.05))
        else:
            own = Palette(dyes[k], inks[k], palette.second, palette.accent, palette.line, dyes[(k + 1) % kinds])
            small = (kawung, parang, ceplok)[fills[k] - len(FILLINGS)]
            small(inner, rng, own, side * rng.uniform(0.34, 0.48))
        cloth[inner.mask] = inner.canvas[inner.mask]
    pen.canvas = cloth
    seam, stitched = side * rng.uniform(0.015, 0.035), rng.random() < 0.5
    ends = {tuple(np.rint(np.sort(s, axis=0).ravel() * 1e6)): s for patch in patches for s in _sides(patch)}

    def along(low: float, high: float, count: int) -> np.ndarray:
        return np.stack([a + (b - a) * np.linspace(low, high, count)[:, None] for a, b in ends.values()])

    pen.fill(np.stack([shapes.ribbon(line, seam) for line in along(0, 1, 7)]), palette.line)
    if stitched:
        pen.fill(shapes.box(seam * 0.7, seam * 0.7), palette.main, along(0.04, 0.96, 12))
