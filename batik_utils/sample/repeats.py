"""The motif families that repeat on a lattice: kawung, parang and ceplok.

`scale` is the side of their unit (for parang a band with its diamonds) in picture widths.
"""

import numpy as np

from . import shapes
from .isen import fill_ground
from .palette import Palette
from .pen import Pen, mix


def _crossed(shape: np.ndarray, turn: float = 0.0) -> np.ndarray:
    return np.stack([shapes.rotate(shape, turn), shapes.rotate(shape, turn + np.pi / 2)])


def kawung(pen: Pen, rng: np.random.Generator, palette: Palette, scale: float) -> None:
    """Kawung: ovals on every side of a square grid, four meeting in each knot, seeds inside, a mark in each eye."""
    side = scale
    width, round_, lean = side * rng.uniform(0.4, 0.62), rng.uniform(0.5, 0.85), rng.uniform(0.46, 0.5)
    inner, seeds, eye = rng.uniform(0.5, 0.74), int(rng.integers(1, 4)), int(rng.integers(5))
    two_tone, rim, knot = rng.random() < 0.35, rng.uniform(0.82, 0.92), rng.random() < 0.6
    fill_ground(pen, rng, palette)
    cells, at = pen.view.lattice((side, 0), (0, side), side)
    parity = np.tile(cells.sum(axis=1) % 2, 2)[:, None]
    body = np.where(parity == 0, palette.main, mix(palette.main, palette.second, 0.7 if two_tone else 0.0))
    layers = [(0.98, palette.line), (rim, body)]
    if rng.random() < 0.75:
        layers += [(inner, palette.second), (inner * 0.82, body)]
    for share, colour in layers:
        oval = shapes.leaf(side * share, width * share, round_, lean) + np.array([side * (1 - share) / 2, 0])
        pen.fill(_crossed(oval), colour, at)
    for place in {1: (0.5,), 2: (0.34, 0.66), 3: (0.27, 0.5, 0.73)}[seeds]:
        seed = shapes.polygon(10) * [side * 0.075, side * 0.05] + np.array([side * place, 0])
        pen.fill(_crossed(seed), palette.line if seeds != 1 else palette.accent, at)
    middle = at + side / 2
    if eye == 0:
        pen.fill(shapes.polygon(12, side * 0.09), palette.accent, middle)
        pen.fill(shapes.polygon(8, side * 0.04), palette.main, middle)
    elif eye == 1:
        pen.fill(_crossed(shapes.box(side * 0.26, side * 0.06), np.pi / 4), palette.main, middle)
    elif eye == 2:
        drop = shapes.leaf(side * 0.17, side * 0.08) + np.array([side * 0.03, 0])
        pen.fill(shapes.around(drop, 4), palette.accent, middle)
    elif eye == 3:
        pen.fill(shapes.star(8, side * 0.13, side * 0.05), palette.main, middle)
    if knot:
        pen.layers(shapes.polygon(10, side), at, (0.07, palette.line), (0.042, palette.accent))


def parang(pen: Pen, rng: np.random.Generator, palette: Palette, scale: float) -> None:
    """Parang: bands of interlocking S-shaped blades, with a row of mlinjon diamonds between band and band."""
    gap = scale * rng.uniform(0.16, 0.3)
    band = scale - gap
    pitch = band * rng.uniform(0.42, 0.62)
    slant, hook = np.pi / 2 + rng.uniform(-0.7, -0.45), rng.uniform(1.5, 2.4)
    thick, tail = rng.uniform(0.42, 0.6), rng.uniform(0.25, 0.7)
    mirrored, vein, dots = rng.random() < 0.2, rng.random() < 0.75, rng.random() < 0.7
    rows = np.arange(-int(1.3 / scale), int(1.3 / scale) + 1)
    shift = rng.uniform(0, pitch, len(rows))
    fill_ground(pen, rng, palette)
    spine = shapes.bend(slant - hook * np.abs(np.linspace(-1, 1, 22)) ** 2.6, 1.0)
    spine = spine - (spine[0] + spine[-1]) / 2
    spine = spine * band * 0.92 / (spine[:, 1].max() - spine[:, 1].min())
    ends = spine[[0, -1], None]
    spots = np.array([[[pitch * 0.5 + p * band * np.cos(slant), p * band]] for p in (-0.2, 0.2)])
    u = np.linspace(-1, 1, 23)
    body = pitch * thick * ((1 - np.abs(u) ** 2.5) * 0.75 + 0.25) * np.where(u < 0, 1 - tail * 0.5 * -u, 1.0)
    diamond = np.array([[-0.62, 0], [0, -0.5], [0.62, 0], [0, 0.5]]) * gap

    for row, start in zip(rows, shift, strict=True):
        y = row * scale
        at = shapes.row(pitch, y, start)
        flip = np.array([-1, 1]) if mirrored and row % 2 else np.array([1, 1])
        for grow, colour in ((1.0, palette.line), (0.74, palette.main)):
            pen.fill(shapes.ribbon(spine, body * grow) * flip, colour, at)
            pen.fill((shapes.polygon(12, pitch * 0.23 * grow) + ends) * flip, colour, at)
        if vein:
            pen.fill(shapes.ribbon(spine[3:-3], body[3:-3] * 0.26) * flip, palette.second, at)
        pen.fill((shapes.polygon(8, pitch * 0.08) + ends) * flip, palette.accent, at)
        if dots:
            pen.fill((shapes.polygon(8, pitch * 0.06) + spots) * flip, palette.accent, at)
        y += scale / 2
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


def ceplok(pen: Pen, rng: np.random.Generator, palette: Palette, scale: float) -> None:
    """Ceplok: rosettes in squares, octagons or rings on a grid, tied together by small stars at the corners."""
    side, frame = scale, int(rng.integers(5))
    petals = int(rng.choice([8, 8, 8, 6, 12]))
    radius = side * rng.uniform(0.33, 0.42)
    twin, small = rng.random() < 0.4, int(rng.choice([4, 8]))
    fill_ground(pen, rng, palette)
    cells, at = pen.view.lattice((side, 0), (0, side), side)
    corner = at + side / 2
    if frame < 4:
        sides, size, turn = ((4, 0.68, np.pi / 4), (8, 0.53, np.pi / 8), (32, 0.49, 0.0), (4, 0.5, 0.0))[frame]
        outline = shapes.polygon(sides, side * size, turn)
        pen.layers(outline, at, (1.0, palette.main), (0.95, palette.line), (0.9, palette.deep))
    odd = (cells.sum(axis=1) % 2 == 1) & twin
    _rosette(pen, rng, palette, at[~odd], radius, petals)
    if odd.any():
        _rosette(pen, rng, palette, at[odd], radius * 0.95, 4 if rng.random() < 0.5 else 8)
    big = side * rng.uniform(0.14, 0.2)
    for share, colour in ((1.0, palette.line), (0.8, palette.main)):
        pen.fill(shapes.star(small, big * share, big * share * rng.uniform(0.35, 0.5)), colour, corner)
    pen.fill(shapes.polygon(10, big * 0.26), palette.accent, corner)
    if rng.random() < 0.5:
        for half in ((side / 2, 0.0), (0.0, side / 2)):
            pen.layers(shapes.polygon(4, side), at + np.array(half), (0.09, palette.line), (0.055, palette.accent))
