"""Isen-isen and ornament that every motif family shares: ground fillings, borders, sprays of leaves.

They belong to no class, so they teach a classifier nothing; cloth has them everywhere.
"""

import numpy as np

from . import shapes
from .pen import Palette, Pen, mix

ISEN = ("cecek", "galaran", "sisik", "gabah", "truntum", "ukel", "kisi")

# The steps of the lattice that marks are on, in pitches.
_STEPS = {"sisik": ((1, 0), (0.5, 0.55)), "gabah": ((1, 0), (0, 1)), "truntum": ((1, 0.5), (-0.5, 1))}


def isen(kind: str, pen: Pen, rng: np.random.Generator, colour: np.ndarray, pitch: float) -> None:
    """Fill the cloth with one of ISEN, about `pitch` apart."""
    if kind in {"galaran", "kisi"}:
        return _lines(kind == "kisi", pen, rng, colour, pitch)
    pitch = pitch * 1.7 if kind == "ukel" else pitch
    a, b = np.array(_STEPS.get(kind, ((1, 0), (0.5, 0.87)))) * pitch
    _, at = pen.view.lattice(a, b, pitch)
    if kind == "cecek":  # dots
        mark = shapes.polygon(8, pitch * rng.uniform(0.14, 0.24))
    elif kind == "sisik":  # overlapping scales
        mark = shapes.ribbon(shapes.polar(1.0, np.linspace(0.1 * np.pi, 0.9 * np.pi, 9)) * pitch * 0.6, pitch * 0.16)
    elif kind == "gabah":  # scattered grains of rice
        mark = shapes.rotate(shapes.leaf(pitch * 0.62, pitch * 0.26, 0.7), rng.uniform(0, 2 * np.pi, len(at)))
        at = at + rng.uniform(-0.25, 0.25, at.shape) * pitch
    elif kind == "truntum":  # a sky of small stars
        mark = shapes.polygon(2 * int(rng.integers(4, 9)), (pitch * 0.38, pitch * 0.12))
    else:  # ukel: small spirals, each turned its own way
        spiral = shapes.ribbon(shapes.curl(pitch * 0.42, 1.6, 20), pitch * 0.09)
        mark = shapes.rotate(spiral, rng.uniform(0, 2 * np.pi, len(at)))
    pen.fill(mark + at[:, None], colour)


def _lines(crossed: bool, pen: Pen, rng: np.random.Generator, colour: np.ndarray, pitch: float) -> None:
    """Galaran, parallel lines; or kisi, a lattice of crossed ones with a dot in each eye."""
    turn = rng.uniform(0, np.pi)
    pitch = pitch * 1.5 if crossed else pitch
    line = shapes.stripe(0.0, pitch * (0.12 if crossed else rng.uniform(0.2, 0.4)))
    rows = np.arange(-int(1.3 / pitch), int(1.3 / pitch) + 1) * pitch
    for angle in (turn, turn + np.pi / 2) if crossed else (turn,):
        pen.fill(shapes.rotate(line + np.stack([0 * rows, rows], axis=1)[:, None], angle), colour)
    if crossed:
        a = shapes.rotate(np.array([pitch, 0.0]), turn)
        b = np.array([-a[1], a[0]])
        cells, _ = pen.view.lattice(a, b, pitch)
        pen.fill(shapes.polygon(8, pitch * 0.13), colour, (cells + 0.5) @ np.stack([a, b]))


def fill_ground(pen: Pen, rng: np.random.Generator, palette: Palette) -> None:
    """Lay one filling (or none) behind a motif, in a dye near the ground's."""
    chosen = rng.integers(len(ISEN) + 3)
    pitch, strength = rng.uniform(0.028, 0.05), rng.uniform(0.2, 0.7)
    if chosen < len(ISEN):
        dye = palette.deep if rng.random() < 0.6 else mix(palette.ground, palette.main, 0.6)
        isen(ISEN[chosen], pen, rng, mix(palette.ground, dye, strength), pitch)


def spray(pen: Pen, rng: np.random.Generator, palette: Palette, centre: np.ndarray, size: float) -> None:
    """Lung-lungan: a bent stem of `size` with leaves on both sides and a flower at its head, over the motif."""
    start, turn = rng.uniform(0, 2 * np.pi), rng.uniform(-2.2, 2.2)
    stem = shapes.bend(start + turn * np.linspace(0, 1, 24), size)
    stem = stem - stem[12] + centre
    leaf_colour, flower = (palette.second, palette.accent) if rng.random() < 0.5 else (palette.main, palette.second)
    edge = size * 0.014
    pen.fill(shapes.ribbon(stem, size * 0.045), palette.line)
    for k in range(3, 22, 4):
        angle = np.arctan2(*(stem[k + 1] - stem[k])[::-1])
        for turn in (angle - 0.9, angle + 0.9):
            length = size * rng.uniform(0.17, 0.25)
            for grow, colour in ((edge, palette.line), (0, leaf_colour)):
                blade = shapes.leaf(length + 2 * grow, length * 0.36 + 2 * grow, 0.9, 0.42) - [grow, 0]
                pen.fill(shapes.rotate(blade, turn), colour, stem[k])
            vein = shapes.ribbon(np.array([[length * 0.1, 0], [length * 0.8, 0]]), length * 0.06)
            pen.fill(shapes.rotate(vein, turn), palette.line, stem[k])
    pen.fill(shapes.ribbon(stem, size * 0.022), leaf_colour)
    petals = int(rng.integers(5, 9))
    for grow, colour in ((edge, palette.line), (0, flower)):
        petal = shapes.leaf(size * 0.2 + grow, size * 0.13 + 2 * grow, 0.6, 0.6)
        pen.fill(shapes.around(petal, petals, start), colour, stem[-1])
    pen.layers(shapes.polygon(18, size), stem[-1], (0.055, palette.line), (0.035, palette.main))


def border(pen: Pen, rng: np.random.Generator, palette: Palette) -> None:
    """A tumpal border along one edge: stripes and a row of triangles on a plain strip."""
    width, inset = rng.uniform(0.12, 0.22), rng.uniform(0.2, 0.4)
    turn = rng.integers(4) * np.pi / 2
    for low, high, colour in (
        (inset, 1.3, palette.deep),
        (inset - 0.01, inset + 0.004, palette.line),
        (inset + 0.012, inset + 0.022, palette.main),
        (inset + 0.03 + width, inset + 0.042 + width, palette.main),
    ):
        pen.fill(shapes.rotate(shapes.stripe((low + high) / 2, high - low, 24), turn), colour)
    base = width * rng.uniform(0.5, 0.9)
    at = shapes.row(base, inset + 0.026)
    for grow, colour in ((1.0, palette.second), (0.62, palette.line), (0.42, palette.accent)):
        tooth = np.array([[-base / 2, 0], [base / 2, 0], [0, width]]) * grow + [0, width * 0.12 * (1 - grow)]
        pen.fill(shapes.rotate(tooth + at[:, None], turn), colour)
