"""What happens to a drawn motif on its way to a photograph: wax crackle, weave, folds, light, wear and noise."""

from itertools import islice

import numpy as np

from . import shapes
from .palette import Palette
from .pen import Pen, View, enlarge, reduce, soften, spline


def crackle(view: View, rng: np.random.Generator, n: int) -> np.ndarray:
    """Where dye crept through cracked wax: fine branching lines, uint8 [n, n], 255 on a crack."""
    pen = Pen(view, n, (0, 0, 0))
    places, angles, lengths, widths = (-0.7, 0.7, 2), (0, 2 * np.pi), (0.25, 0.8), (0.0022, 0.005)
    ends = [tuple(rng.uniform(*r) for r in (places, angles, lengths, widths)) for _ in range(rng.integers(3, 16))]
    for start, heading, length, width in islice(ends, 60):  # which grows meanwhile
        line = start + shapes.bend(heading + np.cumsum(rng.uniform(-0.34, 0.34, 14)), length)
        pen.fill(shapes.ribbon(line, width * np.linspace(1, 0.35, 15)), (255, 255, 255))
        for k in rng.integers(2, 13, int(rng.integers(0, 4))):
            if length > 0.12:
                aside = heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.2)
                ends.append((line[k], aside, length * rng.uniform(0.3, 0.6), width * 0.7))
    return pen.canvas[..., 0]


def _axis(n: int) -> np.ndarray:
    """The middles of n pixels in [0, 1], float32."""
    return (np.arange(n, dtype=np.float32) + np.float32(0.5)) / np.float32(n)


def light(rng: np.random.Generator, n: int) -> np.ndarray:
    """How bright each place is: slope, vignette, folds and shadows, float32 [n, n] about 1."""
    x = (_axis(n) - np.float32(0.5))[None, :]
    y = x.T
    slope, dark = rng.uniform(-0.22, 0.22, 2).astype(np.float32), np.float32(rng.uniform(0, 0.45))
    middle = rng.uniform(-0.25, 0.25, 2).astype(np.float32)
    field = 1 + slope[0] * x + slope[1] * y
    field = field - dark * ((x - middle[0]) * (x - middle[0]) + (y - middle[1]) * (y - middle[1]))
    sway = enlarge(rng.uniform(-0.06, 0.06, (5, 5)), n)
    for _ in range(int(rng.integers(1, 4))):
        turn, depth = rng.uniform(0, 2 * np.pi), np.float32(rng.uniform(0.03, 0.14))
        across = np.float32(np.cos(turn)) * x + np.float32(np.sin(turn)) * y + sway
        fold = spline(rng.uniform(-1, 1, rng.integers(3, 11) + 2), 1024).astype(np.float32)
        field = field + depth * fold[np.clip((across + np.float32(0.85)) * 600, 0, 1023).astype(int)]
    return np.maximum(field, np.float32(0.25))


def weave(rng: np.random.Generator, n: int) -> np.ndarray:
    """Threads of uneven thickness in two directions: float32 [n, n] about 1."""
    turn, threads = rng.uniform(-0.5, 0.5), np.float32(rng.uniform(60, 150))
    strength = np.float32(rng.uniform(0.03, 0.12))
    x, y = _axis(n)[None, :], _axis(n)[:, None]
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    field = np.ones((n, n), np.float32)
    for u in (cos * x + sin * y, cos * y - sin * x):
        yarn = rng.uniform(-1, 1, 1024).astype(np.float32)
        place = (u + 1) * threads
        left = place.astype(int)
        t = place - left
        field += strength * (yarn[left & 1023] * (1 - t) + yarn[(left + 1) & 1023] * t)
    return field


def finish(canvas: np.ndarray, view: View, rng: np.random.Generator, palette: Palette, size: int) -> np.ndarray:
    """The photograph of a drawn cloth: `canvas` uint8 [n, n, 3] to uint8 [size, size, 3]."""
    wax = crackle(view, rng, canvas.shape[0])
    crack_strength, crack_share = rng.uniform(0.25, 0.85), rng.random()
    dye = palette.line if rng.random() < 0.6 else palette.deep
    image: np.ndarray = reduce(canvas, size).astype(np.float32)
    if crack_share < 0.8:
        cracks = reduce(wax[..., None], size).astype(np.float32) * np.float32(crack_strength / 255)
        image = image + (dye.astype(np.float32) - image) * cracks
    stain = enlarge(rng.uniform(-1, 1, (7, 7, 3)), size)
    image = image + stain * np.float32(rng.uniform(2, 16))
    image = image * (light(rng, size) * weave(rng, size))[..., None]
    fade, haze = rng.random(), rng.uniform(90, 200)
    if fade < 0.2:  # worn or badly exposed
        image = image + (np.float32(haze) - image) * np.float32(rng.uniform(0.1, 0.4))
    image = image * rng.uniform(0.88, 1.1, 3).astype(np.float32)
    focus = rng.uniform(0, 1) ** 3 * 0.007 + 0.0016
    softened = soften(image, (focus * size) ** 2)
    grain = rng.integers(0, 256, (2, 256, 256, 3), dtype=np.uint8).astype(np.float32)
    index = np.arange(size) * 256 // size if size <= 256 else np.arange(size) % 256
    noise = (grain[0] + grain[1] - 255)[index][:, index] * np.float32(rng.uniform(0.01, 0.06))
    return np.clip(np.rint(softened + noise), 0, 255).astype(np.uint8)
