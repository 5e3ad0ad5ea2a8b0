"""Isen-isen and ornament that every motif family shares: ground fillings, borders, sprays of leaves.

They belong to no class, so they teach a classifier nothing; cloth has them everywhere.
"""

import numpy as np

from . import shapes
from .palette import Palette
from .pen import Pen, mix


def cecek(pen: Pen, rng: np.random.Generator, colour, pitch: float) -> None:
    """Cecek: dots on a grid."""
    _, at = pen.view.lattice((pitch, 0), (pitch * 0.5, pitch * 0.87), pitch)
    pen.fill(shapes.ellipse(pitch * rng.uniform(0.14, 0.24), corners=8), colour, at)


def galaran(pen: Pen, rng: np.random.Generator, colour, pitch: float) -> None:
    """Galaran: parallel lines."""
    steps = np.linspace(-1.3, 1.3, 30)
    turn = rng.uniform(0, np.pi)
    line = shapes.ribbon(np.stack([steps, np.zeros(30)], axis=1), pitch * rng.uniform(0.2, 0.4))
    rows = np.arange(-int(1.3 / pitch), int(1.3 / pitch) + 1)
    at = np.stack([np.zeros(len(rows)), rows * pitch], axis=1)
    pen.fill(shapes.rotate(line[None] + at[:, None], turn), colour)


def sisik(pen: Pen, rng: np.random.Generator, colour, pitch: float) -> None:
    """Sisik: overlapping scales."""
    arc = np.linspace(0.1 * np.pi, 0.9 * np.pi, 9)
    scale = shapes.ribbon(np.stack([np.cos(arc), np.sin(arc)], axis=1) * pitch * 0.6, pitch * 0.16)
    _, at = pen.view.lattice((pitch, 0), (pitch * 0.5, pitch * 0.55), pitch)
    pen.fill(scale, colour, at)


def gabah(pen: Pen, rng: np.random.Generator, colour, pitch: float) -> None:
    """Gabah sinawur: scattered grains of rice."""
    _, at = pen.view.lattice((pitch, 0), (0, pitch), pitch)
    grain = shapes.leaf(pitch * 0.62, pitch * 0.26, 0.7)
    turns = rng.uniform(0, 2 * np.pi, len(at))
    spread = at + rng.uniform(-0.25, 0.25, at.shape) * pitch
    if len(at):
        pen.fill(np.stack([shapes.rotate(grain, t) for t in turns]) + spread[:, None], colour)


def truntum(pen: Pen, rng: np.random.Generator, colour, pitch: float) -> None:
    """Truntum: a sky of small stars."""
    _, at = pen.view.lattice((pitch, pitch * 0.5), (-pitch * 0.5, pitch), pitch)
    pen.fill(shapes.star(int(rng.integers(4, 9)), pitch * 0.38, pitch * 0.12), colour, at)


def ukel(pen: Pen, rng: np.random.Generator, colour, pitch: float) -> None:
    """Ukel: small spirals, each turned its own way."""
    pitch = pitch * 1.7
    _, at = pen.view.lattice((pitch, 0), (pitch * 0.5, pitch * 0.87), pitch)
    spiral = shapes.ribbon(shapes.curl(pitch * 0.42, 1.6, 20), pitch * 0.09)
    turns = rng.uniform(0, 2 * np.pi, len(at))
    if len(at):
        pen.fill(np.stack([shapes.rotate(spiral, t) for t in turns]) + at[:, None], colour)


def kisi(pen: Pen, rng: np.random.Generator, colour, pitch: float) -> None:
    """Kisi: a lattice of crossed lines with a dot in each eye."""
    pitch = pitch * 1.5
    state = rng.uniform(0, np.pi)
    steps = np.linspace(-1.3, 1.3, 30)
    line = shapes.ribbon(np.stack([steps, np.zeros(30)], axis=1), pitch * 0.12)
    rows = np.arange(-int(1.3 / pitch), int(1.3 / pitch) + 1) * pitch
    for turn in (state, state + np.pi / 2):
        pen.fill(shapes.rotate(line[None] + np.stack([0 * rows, rows], axis=1)[:, None], turn), colour)
    a = shapes.rotate(np.array([pitch, 0.0]), state)
    cells, _ = pen.view.lattice(a, (-a[1], a[0]), pitch)
    pen.fill(shapes.ellipse(pitch * 0.13, corners=8), colour, (cells + 0.5) @ np.array([a, (-a[1], a[0])]))


FILLINGS = (cecek, galaran, sisik, gabah, truntum, ukel, kisi)


def fill_ground(pen: Pen, rng: np.random.Generator, palette: Palette) -> None:
    """Lay one filling (or none) behind a motif, in a dye near the ground's."""
    chosen = int(rng.integers(len(FILLINGS) + 3))
    pitch, strength = rng.uniform(0.028, 0.05), rng.uniform(0.2, 0.7)
    if chosen < len(FILLINGS):
        dye = palette.deep if rng.random() < 0.6 else mix(palette.ground, palette.main, 0.6)
        FILLINGS[chosen](pen, rng, mix(palette.ground, dye, strength), pitch)


def spray(pen: Pen, rng: np.random.Generator, palette: Palette, centre: np.ndarray, size: float) -> None:
    """Lung-lungan: a bent stem of `size` with leaves on both sides and a flower at its head, over the motif."""
    start, turn = rng.uniform(0, 2 * np.pi), rng.uniform(-2.2, 2.2)
    stem = shapes.bend(start + turn * np.linspace(0, 1, 24), size)
    stem = stem - stem[12] + centre
    leaf_colour, flower = (palette.second, palette.accent) if rng.random() < 0.5 else (palette.main, palette.second)
    edge = size * 0.014
    pen.fill(shapes.ribbon(stem, size * 0.045), palette.line)
    for k in range(3, 22, 4):
        ahead = stem[k + 1] - stem[k]
        angle = np.arctan2(ahead[1], ahead[0])
        for side in (-1, 1):
            length = size * rng.uniform(0.17, 0.25)
            for grow, colour in ((edge, palette.line), (0, leaf_colour)):
                blade = shapes.leaf(length + 2 * grow, length * 0.36 + 2 * grow, 0.9, 0.42) - [grow, 0]
                pen.fill(shapes.rotate(blade, angle + side * 0.9) + stem[k], colour)
            vein = shapes.ribbon(np.array([[length * 0.1, 0], [length * 0.8, 0]]), length * 0.06)
            pen.fill(shapes.rotate(vein, angle + side * 0.9) + stem[k], palette.line)
    pen.fill(shapes.ribbon(stem, size * 0.022), leaf_colour)
    petals = int(rng.integers(5, 9))
    for grow, colour in ((edge, palette.line), (0, flower)):
        petal = shapes.leaf(size * 0.2 + grow, size * 0.13 + 2 * grow, 0.6, 0.6)
        pen.fill(shapes.around(petal, petals, start) + stem[-1], colour)
    pen.fill(shapes.ellipse(size * 0.055) + stem[-1], palette.line)
    pen.fill(shapes.ellipse(size * 0.035) + stem[-1], palette.main)


def border(pen: Pen, rng: np.random.Generator, palette: Palette) -> None:
    """A tumpal border along one edge: stripes and a row of triangles on a plain strip."""
    width, inset = rng.uniform(0.12, 0.22), rng.uniform(0.2, 0.4)
    turn = rng.integers(4) * np.pi / 2
    steps = np.linspace(-1.3, 1.3, 24)

    def strip(low: float, high: float) -> np.ndarray:
        line = np.stack([steps, np.full(24, (low + high) / 2)], axis=1)
        return shapes.rotate(shapes.ribbon(line, high - low), turn)

    pen.fill(strip(inset, 1.3), palette.deep)
    for low, high, colour in (
        (inset - 0.01, inset + 0.004, palette.line),
        (inset + 0.012, inset + 0.022, palette.main),
        (inset + 0.03 + width, inset + 0.042 + width, palette.main),
    ):
        pen.fill(strip(low, high), colour)
    base = width * rng.uniform(0.5, 0.9)
    at = np.stack([np.arange(-1.3, 1.3, base), np.full(len(np.arange(-1.3, 1.3, base)), inset + 0.026)], axis=1)
    for grow, colour in ((1.0, palette.second), (0.62, palette.line), (0.42, palette.accent)):
        tooth = np.array([[-base / 2, 0], [base / 2, 0], [0, width]]) * grow + [0, width * 0.12 * (1 - grow)]
        pen.fill(shapes.rotate(tooth[None] + at[:, None], turn), colour)
