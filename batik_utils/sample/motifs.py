"""The motif families; `unit` is the side of their unit in picture widths.

Kawung and parang repeat on a lattice (parang's unit is a band with its diamonds); megamendung and celup are laid freely
(their unit is a cloud, the distance between ties).
"""

import numpy as np
from PIL import Image, ImageFilter

from . import shapes
from .pen import Palette, Pen, mix


def _fill_ground(pen: Pen, rng: np.random.Generator, palette: Palette) -> None:
    """Lay dots, lines or spirals (or nothing) behind a motif, in a dye near the ground's.

    They belong to no family, so they teach a classifier nothing; cloth has them everywhere.
    """
    filling, pitch = rng.integers(4), rng.uniform(0.028, 0.05)
    dye = palette.deep if rng.random() < 0.6 else mix(palette.ground, palette.main, 0.6)
    colour = mix(palette.ground, dye, rng.uniform(0.2, 0.7))
    if filling == 0:
        at = pen.view.lattice((pitch, 0), (pitch * 0.5, pitch * 0.87), pitch)
        pen.fill(shapes.polygon(8, pitch * rng.uniform(0.14, 0.24)), colour, at)
    elif filling == 1:
        rows = np.arange(-1.3, 1.3, pitch)[:, None, None] * [0, 1]
        pen.fill(shapes.rotate(shapes.stripe(0, pitch * rng.uniform(0.2, 0.4)) + rows, rng.uniform(0, np.pi)), colour)
    elif filling == 2:
        at = pen.view.lattice((pitch * 1.7, 0), (pitch * 0.85, pitch * 1.48), pitch)
        spiral = shapes.ribbon(shapes.curl(pitch * 0.71, 1.6, 20), pitch * 0.15)
        pen.fill(shapes.rotate(spiral, rng.uniform(0, 2 * np.pi, len(at))) + at[:, None], colour)


def kawung(pen: Pen, rng: np.random.Generator, palette: Palette, unit: float) -> None:
    """Kawung: ovals on every side of a square grid, four meeting in each knot, seeds inside, a mark in each eye."""
    width, roundness = unit * rng.uniform(0.4, 0.62), rng.uniform(0.5, 0.85)
    inner, rim = rng.uniform(0.5, 0.74), rng.uniform(0.82, 0.92)
    seeds, eye, knot = rng.integers(1, 4), rng.integers(3), rng.random() < 0.6
    _fill_ground(pen, rng, palette)
    at = pen.view.lattice((unit, 0), (0, unit), unit)
    rings = [(0.98, palette.line), (rim, palette.main), (inner, palette.second), (inner * 0.82, palette.main)]
    for share, colour in rings if rng.random() < 0.75 else rings[:2]:
        oval = shapes.leaf(unit * share, width * share, roundness) + np.array([unit * (1 - share) / 2, 0])
        pen.fill(shapes.around(oval, 4)[:2], colour, at)
    for place in ((0.5,), (0.34, 0.66), (0.27, 0.5, 0.73))[seeds - 1]:
        seed = shapes.polygon(10) * [unit * 0.075, unit * 0.05] + [unit * place, 0]
        pen.fill(shapes.around(seed, 4)[:2], palette.line if seeds != 1 else palette.accent, at)
    middle = at + unit / 2
    if eye == 0:
        pen.layers(shapes.polygon(12, unit), middle, (0.09, palette.accent), (0.04, palette.main))
    elif eye == 1:
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
    _fill_ground(pen, rng, palette)
    spine = shapes.bend(slant - hook * np.abs(np.linspace(-1, 1, 22)) ** 2.6, 1.0)
    spine = spine - (spine[0] + spine[-1]) / 2
    spine = spine * band * 0.92 / np.ptp(spine[:, 1])
    ends = spine[[0, -1], None]
    u = np.linspace(-1, 1, 23)
    body = pitch * thick * ((1 - np.abs(u) ** 2.5) * 0.75 + 0.25) * np.where(u < 0, 1 - tail * 0.5 * -u, 1.0)
    diamond = np.array([[-0.62, 0], [0, -0.5], [0.62, 0], [0, 0.5]]) * gap
    for y in np.arange(-int(1.3 / unit), int(1.3 / unit) + 1) * unit:
        at = shapes.row(pitch, y, rng.uniform(0, pitch))
        for grow, colour in ((1.0, palette.line), (0.74, palette.main)):
            pen.fill(shapes.ribbon(spine, body * grow), colour, at)
            pen.fill(shapes.polygon(12, pitch * 0.23 * grow) + ends, colour, at)
        pen.fill(shapes.ribbon(spine[3:-3], body[3:-3] * 0.26), palette.second, at)
        pen.fill(shapes.polygon(8, pitch * 0.08) + ends, palette.accent, at)
        pen.fill(shapes.stripe(y + unit / 2, gap), palette.line)
        pen.fill(shapes.stripe(y + unit / 2, gap * 0.8), palette.deep)
        colours = (0.72, palette.main), (0.46, palette.line), (0.26, palette.accent)
        pen.layers(diamond, shapes.row(gap * 0.92, y + unit / 2), *colours)


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
    layers = rng.integers(4, 8)
    rim, core = (palette.main, palette.second) if rng.random() < 0.6 else (palette.accent, palette.main)
    shades = mix(rim, core, np.linspace(0, 1, layers))
    _fill_ground(pen, rng, palette)
    places = pen.view.lattice((unit * 1.12, 0), (unit * 0.56, unit * 0.54), unit * 0.55)
    for place in places:
        size = unit * rng.uniform(0.92, 1.15)
        cloud = _Cloud(rng, place + rng.uniform(-0.06, 0.06, 2) * unit, size)
        step = 0.13 * size / layers
        cloud.fill(pen, -0.012 * size, palette.line)
        for layer, shade in enumerate(shades):
            if layer:
                cloud.fill(pen, step * layer - 0.006 * size, palette.line if layer % 2 else rim)
            cloud.fill(pen, step * layer, shade)
        for k in np.argsort(cloud.radii, kind="stable")[-3:]:
            spiral = shapes.ribbon(shapes.curl(cloud.radii[k] * 0.42, 1.3, 16), cloud.radii[k] * 0.1)
            pen.fill(spiral, palette.line, cloud.middles[k])


def celup(pen: Pen, rng: np.random.Generator, palette: Palette, unit: float) -> None:
    """Celup (jumputan): tied rings with soft uneven rims, dye running outwards, small resist dots."""
    rings, order = rng.integers(2, 5), rng.choice([0.06, 0.06, 0.2])
    others = [palette.second, palette.accent, palette.deep, palette.ground]
    dyes = [palette.main, *(others[k] for k in rng.permutation(4))]
    _fill_ground(pen, rng, palette)
    places = pen.view.lattice((unit, 0), (unit * rng.choice([0.0, 0.5]), unit * 0.92), unit * 0.7)
    places = places + rng.uniform(-1, 1, places.shape) * unit * order
    widths = [1.0, *np.sort(rng.uniform(0.15, 1.0, rings))[-2::-1]]
    angle, k = np.linspace(0, 2 * np.pi, 44, endpoint=False), np.arange(2, 6)[:, None]
    hub, ties = rng.random() < 0.7, []
    for place in places:
        radius = unit * rng.uniform(0.36 - order, 0.47)
        uneven = 0.18 / k * rng.uniform(-1, 1, (4, 1)) * np.cos(k * angle + rng.uniform(0, 2 * np.pi, (4, 1)))
        shape = shapes.polar(radius * (1 + uneven.sum(axis=0) + rng.uniform(-0.045, 0.045, 44)), angle)
        ties.append((place, shape))
        pen.layers(shape, place, *zip(widths, dyes, strict=False))
    wet = Image.fromarray(pen.canvas).filter(ImageFilter.GaussianBlur(pen.n * rng.uniform(0.013, 0.025)))
    dry = int(rng.integers(65))  # of 256 parts: dyes run into the wet cloth
    pen.canvas = ((np.asarray(wet, int) * (256 - dry) + pen.canvas * dry) >> 8).astype(np.uint8)
    for place, shape in ties:
        if rng.random() < 0.75:
            dots = place + shape[:: rng.integers(2, 5)] * rng.uniform(0.86, 1.12)
            pen.layers(shapes.polygon(4, unit * 0.035), dots, (1.0, palette.main), (0.42, palette.line))
        if hub:
            pen.layers(shape, place, (0.13, palette.main), (0.05, palette.line))
    if rng.random() < 0.6:
        drop = shapes.polygon(4, unit * 0.03) + np.array([unit * 0.07, 0])
        pen.fill(shapes.around(drop, 4), palette.main, places + unit * np.array([0.5, 0.46]))
