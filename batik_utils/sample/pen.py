"""What cloth is drawn with: a camera, a vector pen (in picture widths from the middle of the cloth) and dyes.

Nothing random depends on the size, so that the same picture comes out at every size. Only polygon filling is left to
OpenCV (fixed-point integers, one thread); all else is elementwise NumPy and Pillow on whole numbers, which round alike.
"""

from dataclasses import dataclass

import cv2
import numpy as np

_SHIFT = 6  # polygon corners are given to OpenCV in 1/64 pixel


class View:
    """A camera on the cloth, drawn by `rng`: rotation, unequal scale, perspective and a hand's slight waver."""

    def __init__(self, rng: np.random.Generator):
        turn, stretch = rng.uniform(-0.45, 0.45), rng.uniform(0.86, 1.16)
        cos, sin = np.cos(turn), np.sin(turn)
        self.linear = np.array([[cos, -sin], [sin, cos]]) @ [[stretch, rng.uniform(-0.12, 0.12)], [0.0, 1 / stretch]]
        self.vanish, self.offset = rng.uniform(-0.2, 0.2, 2), rng.uniform(-0.06, 0.06, 2)
        self.waves = rng.uniform(-1, 1, (2, 4)) * [7, 9, 26, 38]  # radians per picture width
        self.phases = rng.uniform(0, 2 * np.pi, 4)
        self.sways = rng.uniform(-1, 1, (4, 2)) * [[0.016], [0.012], [0.0026], [0.0018]]

    def project(self, points: np.ndarray) -> np.ndarray:
        """Cloth points float [..., 2] to picture points [..., 2]; the picture is the unit square."""
        waver = np.sin(points @ self.waves + self.phases) @ self.sways
        x = (points + waver) @ self.linear.T + self.offset
        return x / np.maximum(1 + x @ self.vanish, 0.25)[..., None] + 0.5

    def lattice(self, a, b, reach: float) -> np.ndarray:
        """Cloth points i·a + j·b whose picture may come within `reach` of it: [n, 2]."""
        basis = np.array([a, b], dtype=float)
        # 1.3 widths from the middle is outside the picture for every camera that can be drawn.
        i, j = np.ceil(1.3 * np.abs(np.linalg.inv(basis)).sum(axis=0)).astype(int)
        points = np.moveaxis(np.mgrid[-i : i + 1, -j : j + 1], 0, -1).reshape(-1, 2) @ basis
        seen = self.project(points)
        near = ((seen > -1.6 * reach) & (seen < 1 + 1.6 * reach)).all(axis=1) & (np.abs(points) < 1.3).all(axis=1)
        return points[near]


class Pen:
    """Fills shapes on an RGB canvas uint8 [n, n, 3] through a `View`."""

    def __init__(self, view: View, n: int, ground: np.ndarray):
        self.view, self.n = view, n
        self.canvas = np.full((n, n, 3), np.asarray(ground, dtype=np.uint8))

    def fill(self, shape: np.ndarray, colour, at=(0.0, 0.0)) -> None:
        """Fill shapes [..., m, 2], each at all of `at` [k, 2], in one `colour` or one for each filling, 0..255."""
        corners = np.shape(shape)[-2:]
        shapes = np.reshape(shape, (-1, 1, *corners)) + np.reshape(at, (-1, 1, 2))
        pixels = self.view.project(shapes.reshape(-1, *corners)) * self.n - 0.5
        seen = ((pixels.max(axis=1) > -1) & (pixels.min(axis=1) < self.n)).all(axis=1)
        colours = np.broadcast_to(np.reshape(colour, (-1, 3)).astype(float), (len(pixels), 3)).tolist()
        for k in np.flatnonzero(seen):
            outline = np.rint(pixels[k] * (1 << _SHIFT)).astype(np.int32)
            cv2.fillPoly(self.canvas, [outline], colours[k], cv2.LINE_AA, _SHIFT)

    def layers(self, shape: np.ndarray, at: np.ndarray, *layers: tuple[float, np.ndarray]) -> None:
        """Fill `shape`, each time scaled by a share and in another colour, at each of `at`."""
        for share, colour in layers:
            self.fill(shape * share, colour, at)


def mix(a: np.ndarray, b: np.ndarray, share) -> np.ndarray:
    """The colour `share` (one or [k]) of the way from `a` to `b`, float [3] or [k, 3]."""
    return a + (b - a) * np.asarray(share)[..., None]


# The palettes of court and coast: darkest, lightest, then three dyes. All motifs share them, so that colour alone tells
# little. The names are traditions, the values this project's own choice by eye.
_DYES = {
    "sogan": ("#2b1a12", "#efe0bd", "#8a5426", "#c38b48", "#1f2c46"),
    "sogan-indigo": ("#16203a", "#f1e6cc", "#7a4a22", "#2f4672", "#b98a52"),
    "indigo": ("#101d3d", "#eef0ea", "#28488a", "#5d86bd", "#9cb9d6"),
    "lasem": ("#3d0f14", "#f3e3c8", "#a61c28", "#d1573f", "#26457a"),
    "pekalongan": ("#23304f", "#f7ecd8", "#d2566d", "#3f9a8c", "#e8a33d"),
    "pesisiran": ("#1c3b36", "#f5ead0", "#2f8f6b", "#c93c3a", "#e6b84a"),
    "cirebon": ("#14233f", "#f2f0e6", "#c0272f", "#2e6fb0", "#8fc1dd"),
    "garut": ("#33305c", "#f6e7c9", "#7a5aa6", "#d9a766", "#4b86a8"),
    "betawi": ("#4a1440", "#fbe9d3", "#c93f7e", "#f08a3c", "#2a9a9c"),
}


@dataclass(frozen=True)
class Palette:
    """Six roles, each an RGB float array [3] (0..255)."""

    ground: np.ndarray  # the cloth
    main: np.ndarray  # what the motif is made of
    second: np.ndarray  # its fillings
    accent: np.ndarray
    line: np.ndarray  # its contours
    deep: np.ndarray  # a dye near the ground, for what lies behind


def draw_palette(rng: np.random.Generator, home: tuple[str, ...]) -> Palette:
    """One palette: a tradition (one of `home` every other time), dyes shifted a little, and a ground."""
    names = sorted(home if rng.random() < 0.5 else _DYES)
    dark, light, *dyes = (np.array([*bytes.fromhex(c[1:])], float) for c in _DYES[names[rng.integers(len(names))]])
    first, second, third = (dyes[k] for k in rng.permutation(3))
    cast, way = rng.uniform(-16, 16, 3), rng.random()
    if way < 0.8:  # dark cloth, light motif
        ground, main, line, deep = dark, light, mix(dark, first, 0.15), mix(dark, first, 0.45)
    elif way < 0.9:  # light cloth, dyed motif
        ground, main, line, deep = light, first, dark, mix(light, third, 0.35)
    else:  # dyed cloth, light motif
        ground, main, line, deep = first, light, dark, mix(first, dark, 0.45)
    fill, accent = (second, third) if rng.random() < 0.7 else (mix(second, light, 0.4), second)
    return Palette(*(np.clip(c + cast, 6, 250) for c in (ground, main, fill, accent, line, deep)))
