"""A vector pen: closed shapes in cloth coordinates (picture widths from the middle), seen through a camera.

Nothing random depends on the size, so that the same picture comes out at every size. Only polygon filling is left to
OpenCV (fixed-point integers, one thread); all else is elementwise NumPy, which rounds alike on every machine.
"""

import cv2
import numpy as np

_SHIFT = 6  # polygon corners are given to OpenCV in 1/64 pixel


class View:
    """A camera on the cloth, drawn by `rng`: rotation, unequal scale, perspective and a hand's slight waver."""

    def __init__(self, rng: np.random.Generator):
        turn = rng.uniform(-0.45, 0.45)
        stretch = rng.uniform(0.86, 1.16)
        cos, sin = np.cos(turn), np.sin(turn)
        shear = rng.uniform(-0.12, 0.12)
        self.linear = np.array([[cos, -sin], [sin, cos]]) @ np.array([[stretch, shear], [0.0, 1 / stretch]])
        self.vanish = rng.uniform(-0.2, 0.2, 2)
        self.offset = rng.uniform(-0.06, 0.06, 2)
        self.waves = rng.uniform(-1, 1, (2, 4)) * [7, 9, 26, 38]  # radians per picture width
        self.phases = rng.uniform(0, 2 * np.pi, 4)
        self.sways = rng.uniform(-1, 1, (4, 2)) * [[0.016], [0.012], [0.0026], [0.0018]]

    def project(self, points: np.ndarray) -> np.ndarray:
        """Cloth points float [..., 2] to picture points [..., 2]; the picture is the unit square."""
        waver = np.sin(points @ self.waves + self.phases) @ self.sways
        x = (points + waver) @ self.linear.T + self.offset
        return x / np.maximum(1 + x @ self.vanish, 0.25)[..., None] + 0.5

    def lattice(self, a, b, reach: float) -> tuple[np.ndarray, np.ndarray]:
        """Points i·a + j·b whose picture may come within `reach` of it: integers [n, 2] and cloth points [n, 2]."""
        basis = np.array([a, b], dtype=float)
        # 1.3 widths from the middle is outside the picture for every camera that can be drawn.
        span = np.ceil(1.3 * np.abs(np.linalg.inv(basis)).sum(axis=0)).astype(int)
        cells = np.moveaxis(np.mgrid[-span[0] : span[0] + 1, -span[1] : span[1] + 1], 0, -1).reshape(-1, 2)
        points = cells @ basis
        seen = self.project(points)
        near = ((seen > -1.6 * reach) & (seen < 1 + 1.6 * reach)).all(axis=1) & (np.abs(points) < 1.3).all(axis=1)
        return cells[near], points[near]


class Pen:
    """Fills shapes on an RGB canvas uint8 [n, n, 3] through a `View`; only those that touch a `mask` (bool [n, n])."""

    def __init__(self, view: View, n: int, ground, mask: np.ndarray | None = None):
        self.view, self.n, self.mask = view, n, mask
        self.canvas = np.empty((n, n, 3), np.uint8)
        self.canvas[:] = np.asarray(ground, dtype=np.uint8)

    def fill(self, shape: np.ndarray, colour, at: np.ndarray | None = None) -> None:
        """Fill shapes [..., m, 2], each at all of `at` [k, 2], in one `colour` or one for each filling, 0..255."""
        shapes = np.asarray(shape, dtype=float).reshape(-1, 1, *np.shape(shape)[-2:])
        if at is not None:
            shapes = shapes + np.asarray(at, dtype=float).reshape(-1, 1, 2)
        shapes = shapes.reshape(-1, *shapes.shape[-2:])
        if not len(shapes):
            return
        pixels = self.view.project(shapes) * self.n - 0.5
        low, high = pixels.min(axis=1), pixels.max(axis=1)
        seen = ((high > -1) & (low < self.n)).all(axis=1)
        if self.mask is not None:
            looked = np.concatenate([pixels[:, :: max(1, pixels.shape[1] // 6)], pixels.mean(1, keepdims=True)], 1)
            x, y = np.moveaxis(np.clip(looked, 0, self.n - 1).astype(int), -1, 0)
            seen &= self.mask[y, x].any(axis=1)
        corners = np.rint(pixels * (1 << _SHIFT)).astype(np.int32)
        colours = np.broadcast_to(np.asarray(colour, dtype=float).reshape(-1, 3), (len(shapes), 3)).tolist()
        for k in np.flatnonzero(seen).tolist():
            cv2.fillPoly(self.canvas, [corners[k]], colours[k], cv2.LINE_AA, _SHIFT)

    def layers(self, shape: np.ndarray, at: np.ndarray | None, *layers: tuple[float, np.ndarray]) -> None:
        """Fill `shape`, each time scaled by a share and in another colour, at each of `at`."""
        for share, colour in layers:
            self.fill(shape * share, colour, at)


def canvas_size(size: int) -> int:
    """The side of the canvas that a picture of `size` pixels is drawn on: `size` doubled until it is fine enough."""
    # OpenCV's smooth edges are about a pixel fat, which on a coarse canvas would thicken the lines of small pictures.
    return 2 * size if size >= 192 else canvas_size(2 * size)


def mix(a, b, share) -> np.ndarray:
    """The colour `share` of the way from `a` to `b`, float."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return a + (b - a) * np.asarray(share, dtype=float)[..., None]


def spline(values: np.ndarray, n: int) -> np.ndarray:
    """A smooth curve [n, ...] by `values` [k, ...] (quadratic B-spline), whose ends lie half a cell outside it."""
    place = (np.arange(n) + 0.5) / n * (len(values) - 2)
    left = np.minimum(place.astype(int), len(values) - 3)
    t = (place - left).astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    taps = values[left] * (0.5 * (1 - t) * (1 - t)), values[left + 1] * (0.5 + t * (1 - t))
    return taps[0] + taps[1] + values[left + 2] * (0.5 * t * t)


def enlarge(grid: np.ndarray, n: int) -> np.ndarray:
    """A smooth float32 [n, n, ...] field by the values of `grid` [g, g, ...]."""
    field = spline(spline(grid.astype(np.float32), n).swapaxes(0, 1), n)
    return np.ascontiguousarray(field.swapaxes(0, 1))


def reduce(canvas: np.ndarray, size: int) -> np.ndarray:
    """Area average of an even-sided canvas uint8 [n, n, c], n = size·2^k: uint8 [size, size, c]."""
    while canvas.shape[0] > size:
        wide = canvas.astype(np.uint16)
        total = wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2]
        canvas = ((total + 2) >> 2).astype(np.uint8)
    return canvas


def soften(image: np.ndarray, variance: float) -> np.ndarray:
    """Float32 `image` [n, n, ...] blurred by about a Gaussian of `variance` pixels², edges held."""
    steps = int(np.ceil(variance / 0.6))
    side = np.float32(variance / (2 * steps))
    for axis in (0, 1) * steps:
        image = image.swapaxes(0, axis)
        padded = np.concatenate([image[:1], image, image[-1:]])
        image = (image * (1 - 2 * side) + (padded[:-2] + padded[2:]) * side).swapaxes(0, axis)
    return image
