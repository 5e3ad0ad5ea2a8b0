"""What happens to a drawn motif on its way to a photograph: wax crackle, weave, folds, light, wear and noise."""

from itertools import islice

import numpy as np

from . import shapes
from .pen import Palette, Pen, View


def spline(values: np.ndarray, n: int) -> np.ndarray:
    """A smooth curve [n, ...] by `values` [k, ...] (quadratic B-spline), whose ends lie half a cell outside it."""
    place = (np.arange(n) + 0.5) / n * (len(values) - 2)
    left = np.minimum(place.astype(int), len(values) - 3)
    t = (place - left).astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    taps = values[left] * (0.5 * (1 - t) * (1 - t)), values[left + 1] * (0.5 + t * (1 - t))
    return taps[0] + taps[1] + values[left + 2] * (0.5 * t * t)


def enlarge(grid: np.ndarray, n: int) -> np.ndarray:
    """A smooth float32 [n, n, ...] field by the values of `grid` [g, g, ...]."""
    return np.ascontiguousarray(spline(spline(grid.astype(np.float32), n).swapaxes(0, 1), n).swapaxes(0, 1))


def soften(image: np.ndarray, variance: float) -> np.ndarray:
    """Float32 `image` [n, n, ...] blurred by about a Gaussian of `variance` pixels², edges held."""
    steps = int(np.ceil(variance / 0.6))
    side = np.float32(variance / (2 * steps))
    for axis in (0, 1) * steps:
        image = image.swapaxes(0, axis)
        padded = np.concatenate([image[:1], image, image[-1:]])
        image = (image * (1 - 2 * side) + (padded[:-2] + padded[2:]) * side).swapaxes(0, axis)
    return image


def _reduce(canvas: np.ndarray, size: int) -> np.ndarray:
    """Area average of an even-sided canvas uint8 [n, n, c], n = size·2^k: float32 [size, size, c] of whole numbers."""
    while len(canvas) > size:
        wide = canvas.astype(np.uint16)
        canvas = (wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2] + 2) >> 2
    return canvas.astype(np.float32)


def _crackle(view: View, rng: np.random.Generator, n: int) -> np.ndarray:
    """Where dye crept through cracked wax: fine branching lines, uint8 [n, n, 3], 255 on a crack."""
    pen = Pen(view, n, (0, 0, 0))
    places, angles, lengths, widths = (-0.7, 0.7, 2), (0, 2 * np.pi), (0.25, 0.8), (0.0022, 0.005)
    ends = [tuple(rng.uniform(*r) for r in (places, angles, lengths, widths)) for _ in range(rng.integers(3, 16))]
    for start, heading, length, width in islice(ends, 60):  # which grows meanwhile
        line = start + shapes.bend(heading + np.cumsum(rng.uniform(-0.34, 0.34, 14)), length)
        pen.fill(shapes.ribbon(line, width * np.linspace(1, 0.35, 15)), (255, 255, 255))
        for k in rng.integers(2, 13, rng.integers(0, 4)):
            if length > 0.12:
                aside = heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.2)
                ends.append((line[k], aside, length * rng.uniform(0.3, 0.6), width * 0.7))
    return pen.canvas


def _light(rng: np.random.Generator, n: int) -> np.ndarray:
    """How bright each place is: slope, vignette, folds, threads of uneven thickness; float32 [n, n] about 1."""
    axis = (np.arange(n, dtype=np.float32) + 0.5) / n
    x, y = axis[None, :] - 0.5, axis[:, None] - 0.5
    slope, dark = rng.uniform(-0.22, 0.22, 2).astype(np.float32), rng.uniform(0, 0.45)
    middle = rng.uniform(-0.25, 0.25, 2).astype(np.float32)
    light = 1 + slope[0] * x + slope[1] * y - dark * ((x - middle[0]) ** 2 + (y - middle[1]) ** 2)
    sway = enlarge(rng.uniform(-0.06, 0.06, (5, 5)), n)
    for _ in range(rng.integers(1, 4)):
        turn, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.14)
        across = np.float32(np.cos(turn)) * x + np.float32(np.sin(turn)) * y + sway
        fold = spline(rng.uniform(-1, 1, rng.integers(3, 11) + 2), 1024).astype(np.float32)
        light = light + depth * fold[np.clip((across + 0.85) * 600, 0, 1023).astype(int)]
    turn, threads, strength = rng.uniform(-0.5, 0.5), rng.uniform(60, 150), np.float32(rng.uniform(0.03, 0.12))
    x, y = axis[None, :], axis[:, None]
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    weave = np.ones((n, n), np.float32)
    for u in (cos * x + sin * y, cos * y - sin * x):
        yarn, place = rng.uniform(-1, 1, 1024).astype(np.float32), (u + 1) * threads
        left = place.astype(int)
        t = place - left
        weave += strength * (yarn[left & 1023] * (1 - t) + yarn[(left + 1) & 1023] * t)
    return np.maximum(light, 0.25) * weave


def finish(canvas: np.ndarray, view: View, rng: np.random.Generator, palette: Palette, size: int) -> np.ndarray:
    """The photograph of a drawn cloth: `canvas` uint8 [n, n, 3] to uint8 [size, size, 3]."""
    wax = _crackle(view, rng, len(canvas))
    crack_strength, crack_share = rng.uniform(0.25, 0.85), rng.random()
    dye = (palette.line if rng.random() < 0.6 else palette.deep).astype(np.float32)
    image = _reduce(canvas, size)
    if crack_share < 0.8:
        image = image + (dye - image) * (_reduce(wax, size) * (crack_strength / 255))
    stain = enlarge(rng.uniform(-1, 1, (7, 7, 3)), size)
    image = image + stain * rng.uniform(2, 16)
    image = image * _light(rng, size)[..., None]
    fade, haze = rng.random(), rng.uniform(90, 200)
    if fade < 0.2:  # worn or badly exposed
        image = image + (haze - image) * rng.uniform(0.1, 0.4)
    image = image * rng.uniform(0.88, 1.1, 3).astype(np.float32)
    focus = rng.uniform(0, 1) ** 3 * 0.007 + 0.0016
    softened = soften(image, (focus * size) ** 2)
    grain = rng.integers(0, 256, (2, 256, 256, 3), dtype=np.uint8).astype(np.float32)
    index = np.arange(size) * 256 // size if size <= 256 else np.arange(size) % 256
    noise = (grain[0] + grain[1] - 255)[index][:, index] * rng.uniform(0.01, 0.06)
    return np.clip(np.rint(softened + noise), 0, 255).astype(np.uint8)
