"""Whether two pictures are one: laid on each other, their pixels must agree, everywhere and in the detail."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from batik_utils.audit.look import Picture
from batik_utils.audit.poses import UPRIGHT, agreements

# Chosen on the 20 motifs, every pair near them looked at. Copies score at least 0.91, 0.77 and 0.81 (planted ones
# 0.95 each). Two photographs of one shirt reach 0.93, 0.75 and 0.74; shirts of one cut, 0.97, 0.81 and 0.75.
WHOLE = 0.90
"""Least correlation of the grey values over the overlap."""
DETAIL = 0.70
"""Least correlation of the detail (band-passed grey values) over the overlap."""
PATCH = 0.78
"""Least correlation of the detail in most patches of a grid (a like shape agrees at its outline only)."""
GRID = 14
PATCHES = 0.4
"""Share of the patches that may fall short: watermarks, captions."""
OVERLAP = 0.60
"""Least share of the smaller picture that the other one shows too."""
PART = 0.10
"""Least share of either picture: a thumbnail of a repeat resembles too much."""
BEYOND_DOUBT = 0.90
"""Where detail and patches both agree so well, less will do of the rest:"""
LESS_OVERLAP = 0.30
"""two crops of one picture,"""
LESS_WHOLE = 0.70
"""or one that was lit or toned anew."""
TINT = 12.0
"""Most mean difference of colour: copies differ by up to 9, like drawings in other dyes by 14 and more."""
REFINED = 3
"""So many of the best poses are refined, if their grey values correlate by WORTH_REFINING."""
WORTH_REFINING = 0.3
SCALES = (1 / 5, 5.0)
STRETCH = 2.0
"""Most that one axis may be stretched against the other."""
NOISE = 2.5
"""Grey levels (standard deviation) under which a patch's detail is taken for noise."""


@dataclass(frozen=True, eq=False)
class Laid:
    """How well b, laid on a, agrees with it."""

    matrix: NDArray[np.float64]
    """[2, 3], from pixels of b's grey picture to pixels of a's."""
    whole: float
    detail: float
    patch: float
    in_a: float
    """Share of a that b shows."""
    in_b: float
    """Share of b that a shows."""
    tint: float
    """Mean difference of colour over the overlap, levels of 255 (brightness left out)."""

    @property
    def agrees(self) -> bool:
        """Whether the two are one picture."""
        certain = min(self.detail, self.patch) >= BEYOND_DOUBT
        low, high = sorted((self.in_a, self.in_b))
        overlap = low >= PART and high >= (LESS_OVERLAP if certain else OVERLAP)
        whole = self.whole >= (LESS_WHOLE if certain else WHOLE)
        alike = self.detail >= DETAIL and self.patch >= PATCH and self.tint <= TINT
        return overlap and whole and alike

    @property
    def mirrored(self) -> bool:
        """Whether b is a mirrored copy."""
        return bool(np.linalg.det(self.matrix[:, :2]) < 0)

    @property
    def turn(self) -> int:
        """Degrees that b is turned against a: 0, 90, 180 or 270."""
        return 90 * (round(_angle(self.matrix) / 90) % 4)


NOTHING = Laid(np.eye(2, 3), 0.0, 0.0, 0.0, 0.0, 0.0, 255.0)


def lay_on(a: Picture, b: Picture) -> Laid:
    """The best way to lay b on a that was found, and how well they then agree."""
    measured = sorted((_measure(a, b, matrix) for matrix in _poses(a, b)), key=_score, reverse=True)
    best = measured[0]
    for laid in measured[:REFINED]:
        if laid.whole >= WORTH_REFINING and _score(best) < 0.15:
            best = max(best, _measure(a, b, _refine(a, b, laid.matrix)), key=_score)
    return best


def _score(laid: Laid) -> float:
    return min(laid.whole - WHOLE, laid.detail - DETAIL, laid.patch - PATCH)


def _poses(a: Picture, b: Picture) -> list[NDArray[Any]]:
    found = sorted(
        (pair for mirrored in (False, True) for pair in agreements(a, b, mirrored)), key=lambda pair: -len(pair[0])
    )
    poses = [cv2.estimateAffine2D(b_points, a_points, ransacReprojThreshold=4.0)[0] for a_points, b_points in found]
    return [m for m in poses if m is not None and _plausible(m)][:4] + _whole_frames(a, b)


def _whole_frames(a: Picture, b: Picture) -> list[NDArray[np.float64]]:
    # b's corners on a's, in the best two of eight ways: for pictures with little local detail.
    (ha, wa), (hb, wb) = a.grey.shape, b.grey.shape
    small = cv2.resize(a.grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float64)
    out = []
    for flip in (1, -1):
        for quarter in range(4):
            turned = 1j**quarter
            linear = np.array([[turned.real, -turned.imag], [turned.imag, turned.real]]) @ np.diag([flip, 1])
            to_a = np.diag([wa / 2, ha / 2]) @ linear @ np.diag([2 / wb, 2 / hb])
            shift = np.array([wa - 1, ha - 1]) / 2 - to_a @ (np.array([wb - 1, hb - 1]) / 2)
            matrix = np.column_stack([to_a, shift])
            on_small = np.diag([32 / wa, 32 / ha]) @ matrix
            laid = cv2.warpAffine(cv2.GaussianBlur(b.grey, (0, 0), wb / 64), on_small, (32, 32))
            out.append((np.corrcoef(small.ravel(), laid.ravel() + 1e-9 * small.ravel())[0, 1], quarter, flip, matrix))
    return [matrix for *_, matrix in sorted(out, key=lambda row: -row[0])[:2]]


def _angle(matrix: NDArray[Any]) -> float:
    linear = matrix[:, :2]
    if np.linalg.det(linear) < 0:
        linear = linear @ np.diag([-1, 1])
    return float(np.degrees(np.arctan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1])))


def _plausible(matrix: NDArray[Any]) -> bool:
    low, high = sorted(np.linalg.svd(matrix[:, :2], compute_uv=False))
    if not (SCALES[0] <= low and high <= SCALES[1] and high <= STRETCH * low):
        return False
    angle = _angle(matrix)
    return abs(angle - 90 * round(angle / 90)) < UPRIGHT


def _refine(a: Picture, b: Picture, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shift, scale and shear a little until the pixels agree best (Evangelidis & Psarakis 2008)."""
    half = np.diag([0.5, 0.5, 1.0])
    small_a, small_b = (cv2.resize(p.grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for p in (a, b))
    start = half @ np.vstack([matrix, [0, 0, 1]]) @ np.linalg.inv(half)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
    try:
        back: NDArray[Any] = np.linalg.inv(start)[:2].astype(np.float32)
        _, back = cv2.findTransformECC(small_a, small_b, back, cv2.MOTION_AFFINE, stop)
        refined = np.linalg.inv(np.vstack([back, [0, 0, 1]]).astype(np.float64))
    except (cv2.error, np.linalg.LinAlgError):
        return matrix
    refined = (np.linalg.inv(half) @ refined @ half)[:2]
    return refined if _plausible(refined) else matrix


def _measure(a: Picture, b: Picture, matrix: NDArray[np.float64]) -> Laid:
    (ha, wa), (hb, wb) = a.grey.shape, b.grey.shape
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    mask = cv2.warpAffine(np.full_like(b.grey, 255), matrix, (wa, ha)) == 255
    area = int(mask.sum())
    if area < 0.02 * wa * ha or not _plausible(matrix):
        return NOTHING
    # The finer of the two is blurred to the coarser one's detail, and both a little, against JPEG's blocks.
    blurred = cv2.GaussianBlur(b.grey, (0, 0), 0.6 * max(1, 1 / scale)).astype(np.float32)
    laid = cv2.GaussianBlur(cv2.warpAffine(blurred, matrix, (wa, ha), flags=cv2.INTER_LINEAR), (0, 0), 0.8)
    own = cv2.GaussianBlur(a.grey, (0, 0), max(1.0, 0.6 * scale)).astype(np.float32)
    inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) > 0
    whole = _correlation(own[inner], laid[inner]) if inner.any() else 0.0
    if whole < WORTH_REFINING:
        return replace(NOTHING, whole=whole)
    side = max(int(np.ptp(np.flatnonzero(mask.any(axis=axis)))) for axis in (0, 1)) + 1
    fine_own, fine_laid = (_detail(x, mask, side // 8 | 1) for x in (own, laid))
    return Laid(
        matrix,
        whole,
        _correlation(fine_own[inner], fine_laid[inner]),
        _patches(fine_own, fine_laid, inner),
        area / (wa * ha),
        min(1.0, area / (scale**2 * wb * hb)),
        _tint(a, b, matrix),
    )


def _tint(a: Picture, b: Picture, matrix: NDArray[np.float64]) -> float:
    (ha, wa), (hb, wb) = a.chroma.shape[:2], b.chroma.shape[:2]
    small = matrix.copy()
    small[:, 2] /= 4
    laid = cv2.warpAffine(b.chroma, small, (wa, ha))
    seen = cv2.warpAffine(np.ones((hb, wb), np.float32), small, (wa, ha)) > 0.99
    return float(np.abs(laid - a.chroma)[seen].mean()) if seen.any() else 255.0


def _detail(x: NDArray[Any], mask: NDArray[np.bool_], side: int) -> NDArray[Any]:
    # The smooth part is a mean over pixels inside the overlap only: what lies outside is black on one side.
    weight = mask.astype(np.float32)
    smooth, share = (cv2.blur(v, (side, side), borderType=cv2.BORDER_CONSTANT) for v in (x * weight, weight))
    return x - smooth / np.maximum(share, 1e-6)


def _patches(own: NDArray[Any], laid: NDArray[Any], mask: NDArray[np.bool_]) -> float:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    weight = mask[box].astype(np.float32)
    x, y = own[box] * weight, laid[box] * weight
    share, *moments = (
        cv2.resize(v, (GRID, GRID), interpolation=cv2.INTER_AREA) for v in (weight, x, y, x * x, y * y, x * y)
    )
    mx, my, xx, yy, xy = (moment / np.maximum(share, 1e-6) for moment in moments)
    vx, vy = xx - mx * mx, yy - my * my
    # A plain ground in both says nothing: its detail is the encoder's noise.
    telling = (share > 0.5) & (np.maximum(vx, vy) >= NOISE**2)
    if telling.sum() < GRID:
        return 0.0
    return float(np.quantile(((xy - mx * my) / np.sqrt(np.maximum(vx * vy, 1e-6)))[telling], PATCHES))


def _correlation(x: NDArray[Any], y: NDArray[Any]) -> float:
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / scale if scale else 0.0
