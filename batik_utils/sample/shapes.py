"""The closed outlines that motifs are built of, as float arrays [m, 2] in the units of their arguments."""

import numpy as np


def rotate(points: np.ndarray, angle) -> np.ndarray:
    """`points` [..., 2] turned by `angle` radians about the origin; [m, 2] by each of several [k]: [k, m, 2]."""
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.stack([cos, sin, -sin, cos], axis=-1).reshape(*np.shape(angle), 2, 2)


def around(shape: np.ndarray, count: int, start: float = 0.0) -> np.ndarray:
    """`shape` [m, 2] turned to `count` even angles: [count, m, 2]."""
    return rotate(shape, start + 2 * np.pi * np.arange(count) / count)


def polar(radius, angle: np.ndarray) -> np.ndarray:
    """Points at `radius` (one or [m]) and `angle` [m]."""
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def polygon(corners: int, radius=1.0, start: float = 0.0) -> np.ndarray:
    """A regular polygon in a circle of `radius` (with many corners, a circle); a star where two radii take turns."""
    return polar(np.resize(radius, corners), start + np.arange(corners) * 2 * np.pi / corners)


def leaf(length: float, width: float, roundness: float) -> np.ndarray:
    """A petal from (0, 0) to (length, 0): `roundness` 1 is pointed, 0.5 oval."""
    t = (1 - np.cos(np.linspace(0, np.pi, 11))) / 2
    half = width / 2 * np.sin(np.pi * t) ** roundness
    half[[0, -1]] = 0
    upper = np.stack([t * length, half], axis=1)
    return np.concatenate([upper, (upper * [1, -1])[-2:0:-1]])


def ribbon(line: np.ndarray, width) -> np.ndarray:
    """The outline of a stroke along `line` [m, 2], `width` everywhere or [m]."""
    step = np.gradient(line, axis=0)
    norm = np.sqrt((step * step).sum(axis=1, keepdims=True)) + 1e-12
    side = np.stack([-step[:, 1], step[:, 0]], axis=1) / norm * np.broadcast_to(width, len(line))[:, None] / 2
    return np.concatenate([line + side, (line - side)[::-1]])


def stripe(y: float, width: float) -> np.ndarray:
    """A straight ribbon across the whole cloth at height `y`."""
    return ribbon(row(0.08, y), width)


def row(pitch: float, y: float, start: float = 0.0) -> np.ndarray:
    """Points across the whole cloth, a pitch apart, at height `y`: [k, 2]."""
    x = np.arange(-1.3, 1.3, pitch) + start
    return np.stack([x, np.full(len(x), y)], axis=1)


def bend(headings: np.ndarray, length: float) -> np.ndarray:
    """The curve that starts at (0, 0) and takes equal steps along `headings` [m] (radians): [m + 1, 2]."""
    return np.pad(np.cumsum(polar(1.0, headings) * length / len(headings), axis=0), ((1, 0), (0, 0)))


def curl(radius: float, turns: float, steps: int) -> np.ndarray:
    """An ukel: a spiral [steps, 2] from (radius, 0) towards the origin."""
    t = np.linspace(0, 1, steps)
    return polar(radius * (1 - 0.85 * t), 2 * np.pi * turns * t)
