"""The motif families; `unit` is the side of their unit in picture widths.

Kawung, parang and ceplok repeat on a lattice (parang's unit is a band with its diamonds); megamendung, celup and tambal
are laid freely (their unit is a cloud, the distance between ties, a patch).
"""

import numpy as np

from . import shapes
from .cloth import enlarge, soften
from .isen import ISEN, fill_ground, isen
from .pen import Palette, Pen, mix


def kawung(pen: Pen, rng: np.random.Generator, palette: Palette, unit: float) -> None:
    """Kawung: ovals on every side of a square grid, four meeting in each knot, seeds inside, a mark in each eye."""
    width, round_, lean = unit * rng.uniform(0.4, 0.62), rng.uniform(0.5, 0.85), rng.uniform(0.46, 0.5)
    inner, seeds, eye = rng.uniform(0.5, 0.74), rng.integers(1, 4), rng.integers(5)
    two_tone, rim, knot = rng.random() < 0.35, rng.uniform(0.82, 0.92), rng.random() < 0.6
    fill_ground(pen, rng, palette)
    cells, at = pen.view.lattice((unit, 0), (0, unit), unit)
    parity = np.tile(cells.sum(axis=1) % 2, 2)[:, None]
    body = np.where(parity == 0, palette.main, mix(palette.main, palette.second, 0.7 if two_tone else 0.0))
    layers = [(0.98, palette.line), (rim, body)]
    if rng.random() < 0.75:
        layers += [(inner, palette.second), (inner * 0.82, body)]
    for share, colour in layers:
        oval = shapes.leaf(unit * share, width * share, round_, lean) + np.array([unit * (1 - share) / 2, 0])
        pen.fill(shapes.around(oval, 4)[:2], colour, at)
    for place in ((0.5,), (0.34, 0.66), (0.27, 0.5, 0.73))[seeds - 1]:
        seed = shapes.polygon(10) * [unit * 0.075, unit * 0.05] + [unit * place, 0]
        pen.fill(shapes.around(seed, 4)[:2], palette.line if seeds != 1 else palette.accent, at)
    middle = at + unit / 2
    if eye == 0:
        pen.fill(shapes.polygon(12, unit * 0.09), palette.accent, middle)
        pen.fill(shapes.polygon(8, unit * 0.04), palette.main, middle)
    elif eye == 1:
        pen.fill(shapes.around(shapes.box(unit * 0.26, unit * 0.06), 4, np.pi / 4)[:2], palette.main, middle)
    elif eye == 2:
        drop = shapes.leaf(unit * 0.17, unit * 0.08) + np.array([unit * 0.03, 0])
        pen.fill(shapes.around(drop, 4), palette.accent, middle)
    elif eye == 3:
        pen.fill(shapes.polygon(16, (unit * 0.13, unit * 0.05)), palette.main, middle)
    if knot:
        pen.layers(shapes.polygon(10, unit), at, (0.07, palette.line), (0.042, palette.accent))


def parang(pen: Pen, rng: np.random.Generator, palette: Palette, unit: float) -> None:
    """Parang: bands of interlocking S-shaped blades, with a row of mlinjon diamonds between band and band."""
    gap = unit * rng.uniform(0.16, 0.3)
    band = unit - gap
    pitch = band * rng.uniform(0.42, 0.62)
    slant, hook = np.pi / 2 + rng.uniform(-0.7, -0.45), rng.uniform(1.5, 2.4)
    thick, tail = rng.uniform(0.42, 0.6), rng.uniform(0.25, 0.7)
    mirrored, vein, dots = rng.random() < 0.2, rng.random() < 0.75, rng.random() < 0.7
    rows = np.arange(-int(1.3 / unit), int(1.3 / unit) + 1)
    shift = rng.uniform(0, pitch, len(rows))
    fill_ground(pen, rng, palette)
    spine = shapes.bend(slant - hook * np.abs(np.linspace(-1, 1, 22)) ** 2.6, 1.0)
    spine = spine - (spine[0] + spine[-1]) / 2
    spine = spine * band * 0.92 / np.ptp(spine[:, 1])
    ends = spine[[0, -1], None]
    spots = np.array([[[pitch * 0.5 + p * band * np.cos(slant), p * band]] for p in (-0.2, 0.2)])
    u = np.linspace(-1, 1, 23)
    body = pitch * thick * ((1 - np.abs(u) ** 2.5) * 0.75 + 0.25) * np.where(u < 0, 1 - tail * 0.5 * -u, 1.0)
    diamond = np.array([[-0.62, 0], [0, -0.5], [0.62, 0], [0, 0.5]]) * gap
    for row, start in zip(rows, shift, strict=True):
        y = row * unit
        at = shapes.row(pitch, y, start)
        flip = [-1 if mirrored and row % 2 else 1, 1]
        for grow, colour in ((1.0, palette.line), (0.74, palette.main)):
            pen.fill(shapes.ribbon(spine, body * grow) * flip, colour, at)
            pen.fill((shapes.polygon(12, pitch * 0.23 * grow) + ends) * flip, colour, at)
        if vein:
            pen.fill(shapes.ribbon(spine[3:-3], body[3:-3] * 0.26) * flip, palette.second, at)
        pen.fill((shapes.polygon(8, pitch * 0.08) + ends) * flip, palette.accent, at)
        if dots:
            pen.fill((shapes.polygon(8, pitch * 0.06) + spots) * flip, palette.accent, at)
        y += unit / 2
        pen.fill(shapes.stripe(y, gap), palette.line)
        pen.fill(shapes.stripe(y, gap * 0.8), palette.deep)
        at = shapes.row(gap * rng.uniform(0.7, 0.72) * 1.3, y)
        pen.layers(diamond, at, (0.72, palette.main), (0.46, palette.line), (0.26, palette.accent))


def _rosette(pen: Pen, rng: np.random.Generator, palette: Palette, at: np.ndarray, radius: float, petals: int) -> None:
    """One kind of flower at all of `at`: outer petals, an inner whorl, a dotted heart."""
    start = rng.choice([0, 1]) * np.pi / petals
    width = 2 * radius * np.sin(np.pi / petals) * rng.uniform(0.8, 1.0)
    round_, lean = rng.uniform(0.5, 0.95), rng.uniform(0.5, 0.66)
    outer, inner = (palette.main, palette.second) if rng.random() < 0.65 else (palette.second, palette.main)
    for share, wide, colour in ((1.0, 1.0, palette.line), (0.92, 0.76, outer), (0.74, 0.3, palette.accent)):
        petal = shapes.leaf(radius * share, width * wide, round_, lean)
        pen.fill(shapes.around(petal, petals, start), colour, at)
    if rng.random() < 0.7:
        for share, wide, colour in ((0.6, 0.72, palette.line), (0.52, 0.5, inner)):
            petal = shapes.leaf(radius * share, width * wide, 0.7)
            pen.fill(shapes.around(petal, petals, start + np.pi / petals), colour, at)
    pen.layers(shapes.polygon(14, radius), at, (0.26, palette.line), (0.2, palette.accent), (0.1, palette.main))


def ceplok(pen: Pen, rng: np.random.Generator, palette: Palette, unit: float) -> None:
    """Ceplok: rosettes in squares, octagons or rings on a grid, tied together by small stars at the corners."""
    frame, petals = rng.integers(5), rng.choice([8, 8, 8, 6, 12])
    radius = unit * rng.uniform(0.33, 0.42)
    twin, small = rng.random() < 0.4, rng.choice([4, 8])
    fill_ground(pen, rng, palette)
    cells, at = pen.view.lattice((unit, 0), (0, unit), unit)
    if frame < 4:
        sides, size, turn = ((4, 0.68, np.pi / 4), (8, 0.53, np.pi / 8), (32, 0.49, 0.0), (4, 0.5, 0.0))[frame]
        outline = shapes.polygon(sides, unit * size, turn)
        pen.layers(outline, at, (1.0, palette.main), (0.95, palette.line), (0.9, palette.deep))
    odd = (cells.sum(axis=1) % 2 == 1) & twin
    _rosette(pen, rng, palette, at[~odd], radius, petals)
    if odd.any():
        _rosette(pen, rng, palette, at[odd], radius * 0.95, 4 if rng.random() < 0.5 else 8)
    big, corner = unit * rng.uniform(0.14, 0.2), at + unit / 2
    for share, colour in ((1.0, palette.line), (0.8, palette.main)):
        star = shapes.polygon(2 * small, (big * share, big * share * rng.uniform(0.35, 0.5)))
        pen.fill(star, colour, corner)
    pen.fill(shapes.polygon(10, big * 0.26), palette.accent, corner)
    if rng.random() < 0.5:
        for half in ([unit / 2, 0.0], [0.0, unit / 2]):
            pen.layers(shapes.polygon(4, unit), at + half, (0.09, palette.line), (0.055, palette.accent))


class _Cloud:
    """A wavy body about `size` wide that thins to a tip on both sides (a line, half widths), billows heaped on it."""

    def __init__(self, rng: np.random.Generator, place: np.ndarray, size: float):
        x = np.linspace(-0.56, 0.56, 26)
        sway = rng.uniform(0.03, 0.07) * np.sin(2 * np.pi * x + rng.uniform(-0.6, 0.6))
        half = 0.095 * np.maximum(1 - np.abs(x / 0.56) ** 1.7, 0) + 0.003
        billows = rng.integers(5, 9)
        along = np.linspace(-0.32, 0.32, billows) + rng.uniform(-0.03, 0.03, billows)
        radii = (0.09 + 0.075 * np.cos(along * 4)) * rng.uniform(0.75, 1.1, billows)
        side = np.where(rng.random(billows) < 0.66, -1.0, 1.0)
        rise = side * (0.03 + 0.3 * radii + 0.11 * np.cos(along * 4) * rng.random(billows))
        sign = np.array([-1 if rng.random() < 0.5 else 1, 1]) * size
        self.line, self.half = place + np.stack([x, sway], axis=1) * sign, half * size
        self.middles, self.radii = place + np.stack([along, rise], axis=1) * sign, radii * size

    def fill(self, pen: Pen, distance: float, colour: np.ndarray) -> None:
        """Fill what lies deeper than `distance` inside the cloud (outside it, when negative)."""
        body, keep = self.half > distance, self.radii > distance
        if body.sum() > 2:
            pen.fill(shapes.ribbon(self.line[body], 2 * (self.half[body] - distance)), colour)
        discs = shapes.polygon(26) * (self.radii[keep] - distance)[:, None, None]
        pen.fill(self.middles[keep, None] + discs, colour)


def megamendung(pen: Pen, rng: np.random.Generator, palette: Palette, unit: float) -> None:
    """Megamendung: heaped clouds, each in nested contours whose colour deepens from rim to core."""
    layers, contour = rng.integers(4, 8), rng.random() < 0.85
    rim, core = (palette.main, palette.second) if rng.random() < 0.6 else (palette.accent, palette.main)
    shades = mix(rim, core, np.linspace(0, 1, layers))
    fill_ground(pen, rng, palette)
    _, places = pen.view.lattice((unit * 1.12, 0), (unit * 0.56, unit * 0.54), unit * 0.55)
    for place in places:
        size = unit * rng.uniform(0.92, 1.15)
        cloud = _Cloud(rng, place + rng.uniform(-0.06, 0.06, 2) * unit, size)
        step = 0.13 * size / layers
        cloud.fill(pen, -0.012 * size, palette.line)
        for layer, shade in enumerate(shades):
            if contour and layer:
                cloud.fill(pen, step * layer - 0.006 * size, palette.line if layer % 2 else rim)
            cloud.fill(pen, step * layer, shade)
        for k in np.argsort(cloud.radii, kind="stable")[-3:]:
            spiral = shapes.ribbon(shapes.curl(cloud.radii[k] * 0.42, 1.3, 16), cloud.radii[k] * 0.1)
            pen.fill(spiral, palette.line, cloud.middles[k])


def celup(pen: Pen, rng: np.random.Generator, palette: Palette, unit: float) -> None:
    """Celup (jumputan): tied rings with soft uneven rims and pleats, dye running outwards, small resist dots."""
    order, rings = rng.random() < 0.6, rng.integers(2, 5)
    others = [palette.second, palette.accent, palette.deep, palette.ground]
    dyes = [palette.main, *(others[k] for k in rng.permutation(4))]
    fill_ground(pen, rng, palette)
    _, places = pen.view.lattice((unit, 0), (unit * rng.choice([0.0, 0.5]), unit * 0.92), unit * 0.7)
    places = places + rng.uniform(-1, 1, places.shape) * unit * (0.06 if order else 0.2)
    widths = [1.0, *np.sort(rng.uniform(0.15, 1.0, rings))[-2::-1]]
    pleats, hub = int(rng.integers(10, 22)), rng.random() < 0.7
    ties = []
    for place in places:
        radius = unit * rng.uniform(0.36, 0.47) * (1.0 if order else rng.uniform(0.6, 1.1))
        shape = shapes.blob(rng, 44, 0.09, 0.045)
        ties.append((place, radius, shape))
        for share, dye in zip(widths, dyes, strict=False):
            pen.fill(shape * radius * share, dye, place)
            shape = shape + rng.uniform(-0.03, 0.03, shape.shape)
        fold = shapes.leaf(radius * 0.6, radius * 0.05, 1.0) + np.array([radius * rng.uniform(0.1, 0.4), 0])
        reach = rng.uniform(0.7, 1.3, (pleats, 1, 1))
        streaks = shapes.around(fold, pleats, rng.uniform(0, 2 * np.pi)) * reach
        pen.fill(streaks, np.where(rng.random((pleats, 1)) < 0.6, palette.ground, palette.main), place)
    edges = np.linspace(0, pen.n, 65).astype(int)  # dyes run into the wet cloth, which a coarse grid shows well enough
    sums = np.add.reduceat(np.add.reduceat(pen.canvas.astype(np.int64), edges[:-1], 0), edges[:-1], 1)
    coarse = (sums / np.outer(np.diff(edges), np.diff(edges))[..., None]).astype(np.float32)
    coarse = np.pad(soften(coarse, rng.uniform(0.8, 2.6)), ((1, 1), (1, 1), (0, 0)), mode="edge")
    wet, dry = enlarge(coarse, pen.n), rng.uniform(0.0, 0.25)
    pen.canvas = np.rint(wet * np.float32(1 - dry) + pen.canvas * np.float32(dry)).astype(np.uint8)
    for place, radius, shape in ties:
        if rng.random() < 0.75:
            dots = place + shape[:: rng.integers(2, 5)] * radius * rng.uniform(0.86, 1.12)
            pen.layers(shapes.polygon(4, unit * 0.035), dots, (1.0, palette.main), (0.42, palette.line))
        if hub:
            for corners, share, colour in ((14, 0.13, palette.main), (10, 0.05, palette.line)):
                pen.fill(shapes.blob(rng, corners, 0.2, 0.1) * radius * share, colour, place)
    if rng.random() < 0.6:
        between = np.array([place for place, *_ in ties]).reshape(-1, 2) + unit * np.array([0.5, 0.46])
        drop = shapes.polygon(4, unit * 0.03) + np.array([unit * 0.07, 0])
        pen.fill(shapes.around(drop, 4), palette.main, between)


# Ways to cut a square, by its corners 0 to 3 and its middle 4.
_WHOLE, _HALVES, _OTHER_HALVES = [[0, 1, 2, 3]], [[0, 1, 2], [0, 2, 3]], [[0, 1, 3], [1, 2, 3]]
_QUARTERS = [[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]]


def _along(sides: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Points `share` [k] of the way along sides [m, 2, 2]: [m, k, 2]."""
    return sides[:, :1] + (sides[:, 1:] - sides[:, :1]) * share[:, None]


def tambal(pen: Pen, rng: np.random.Generator, palette: Palette, unit: float) -> None:
    """Tambal: patchwork of squares and triangles, each patch filled with a smaller motif or isen, seams between."""
    cut, spots = rng.integers(4), np.append(shapes.box(unit, unit), [[0, 0]], axis=0)
    patches: list[np.ndarray] = []  # each by its sides, [m, 2, 2]
    for cell, place in zip(*pen.view.lattice((unit, 0), (0, unit), unit), strict=True):
        whole, coin = cut == 3 and rng.random() < 0.5, rng.random() < 0.5
        parts = _HALVES if (True, cell.sum() % 2 == 1, coin, True)[cut] else _OTHER_HALVES
        if cut == 2 and rng.random() < 0.3:
            parts = _QUARTERS
        for corners in _WHOLE if whole else parts:
            patches.append(place + spots[np.stack([corners, np.roll(corners, -1)], axis=1)])
    dyes = [palette.ground, palette.deep, palette.second, palette.main, palette.accent]
    inks = [palette.main, palette.line, palette.main, palette.line, palette.line]
    plan = Pen(pen.view, pen.n, (len(dyes), 0, 0))
    for patch, k in zip(patches, rng.permutation(np.arange(len(patches)) % len(dyes)), strict=True):
        plan.fill(_along(patch, np.linspace(0, 1, 6, endpoint=False)).reshape(-1, 2), (50.0 * k, 0, 0))
    dyed = (plan.canvas[..., 0].astype(int) + 25) // 50
    cloth = np.empty_like(pen.canvas)
    for k, filling in enumerate(rng.permutation(len(ISEN) + 3)[: len(dyes)]):
        inner = Pen(pen.view, pen.n, dyes[k], mask=dyed == k)
        if filling < len(ISEN):
            isen(ISEN[filling], inner, rng, inks[k], rng.uniform(0.028, 0.05))
        else:
            own = Palette(dyes[k], inks[k], palette.second, palette.accent, palette.line, dyes[(k + 1) % len(dyes)])
            (kawung, parang, ceplok)[filling - len(ISEN)](inner, rng, own, unit * rng.uniform(0.34, 0.48))
        cloth[inner.mask] = inner.canvas[inner.mask]
    pen.canvas = cloth
    seam, stitched = unit * rng.uniform(0.015, 0.035), rng.random() < 0.5
    seams = {tuple(np.rint(np.sort(side, axis=0).ravel() * 1e6)): side for patch in patches for side in patch}
    sides = np.stack([*seams.values()])
    pen.fill(np.stack([shapes.ribbon(line, seam) for line in _along(sides, np.linspace(0, 1, 7))]), palette.line)
    if stitched:
        pen.fill(shapes.box(seam * 0.7, seam * 0.7), palette.main, _along(sides, np.linspace(0.04, 0.96, 12)))
