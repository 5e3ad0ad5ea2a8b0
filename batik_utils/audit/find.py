"""Pairs of files that show one picture: proposed generously, confirmed where pixels agree when laid on each other."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from batik_utils.audit.look import DIHEDRAL, POSES, UPRIGHT, Features, Picture, lay, look, poses
from batik_utils.data.obtain import motif_of
from batik_utils.progress import Progress
from batik_utils.values import Pair

ALIKE = 0.70  # two pictures whose small versions correlate so much, in one of eight ways to lay them, are candidates
VOTERS = 200  # local features of each picture that vote
NEAR = 16  # each for the pictures that own its nearest so many features
VOTE_COSINE = 0.90  # if they are at least so similar
VOTES = 6  # that agree on one pose make a candidate (two pictures taken at random have one or two)
MOST = 32  # candidates that one picture proposes at most: floods of near-copies need no more to be one group
WHOLE_FRAME = 0.95  # share of both pictures in the overlap from which nothing was cropped (a warp loses its borders)

LIMITS = np.array([  # detail, patches, whole, tint, overlap
    (0.95, 0.95, 0.70, 25.0, 0.30),  # beyond doubt: two crops of one picture, lit, toned or dyed anew
    (0.90, 0.92, 0.70, 12.0, 0.30),
    (0.85, 0.85, 0.70, 6.0, 0.70),  # a cloth laid out once, photographed twice
    (0.70, 0.78, 0.90, 12.0, 0.95),  # a copy under captions, watermarks, blur
    (0.60, 0.94, 0.65, 25.0, 0.60),  # a copy within a collage, whose other parts differ
    (0.70, 0.70, 0.90, 7.0, 0.75),  # one cloth or garment photographed again
])  # fmt: skip
"""Two pictures are one where they keep all limits of a row (tint at most, the others at least). Chosen on the 20 motifs
and the sample, every pair near them looked at: shirts of one cut reach (.81, .75, .97, 14, 1), parangs
(.82, .79, .81, 7, .7) and (.61, .93, .67, 9, .8), drawn kawungs (.90, .85, .92, 10, .9)."""
GRID = 14
PATCHES = 0.4  # share of the patches that may fall short: watermarks, captions
PART = 0.10  # least share of either picture: a thumbnail of a repeat resembles too much
LIKE = 0.85  # cosine from which two features are matched
SCALES = (1 / 5, 5.0)
STRETCH = 2.5  # most that one axis may be stretched against the other
NOISE = 2.5  # grey levels (standard deviation) under which a patch's detail is taken for noise


def find_pairs(
    sources: Sequence[Path | NDArray[np.uint8]], names: Sequence[str], bar: Progress | None = None
) -> tuple[Pair, ...]:
    """All pairs among n pictures: files, or RGB arrays uint8 [h, w, 3]; names are their relative paths.

    Sorted by names. Exact copies by sha256: what resembles one is paired with the first. Others are proposed by small
    versions and local features, and confirmed if one can be laid on the other (mirrored, by quarter turns, scaled,
    cropped) so that the pixels agree. Raises NotAnImage for a file that cannot be decoded.
    """
    bar = bar or Progress(False)
    inputs = sorted(zip(sources, names, strict=True), key=lambda row: row[1])
    first: dict[str, Picture] = {}
    pairs: list[Pair] = []
    # Pictures are shared out between threads, so those of OpenCV and BLAS would only get in each other's way.
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")  # Pillow's remarks on metadata
            bar.stage("Looking", len(inputs), "pictures")
            for picture in bar.watch(_each(look, inputs)):
                a = first.setdefault(picture.sha256, picture)
                if a is not picture:
                    same = f"the same bytes (sha256 {picture.sha256[:12]}…)"
                    pairs.append(Pair(a.name, picture.name, "exact", motif_of(a.name) != motif_of(picture.name), same))
            pictures = list(first.values())
            bar.stage("Proposing", 2, "searches")
            found = [(pictures[a], pictures[b]) for a, b in _candidates(pictures, bar)]
            bar.stage("Confirming", len(found), "pairs")
            for (one, other), laid in zip(found, bar.watch(_each(lay_on, found)), strict=True):
                if laid.agrees:
                    pairs.append(_pair(one, other, laid))
    finally:
        cv2.setNumThreads(before)
    return tuple(sorted(pairs, key=lambda p: (p.a, p.b)))


def _each(work: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """work(*task) of each task, in threads (the work is done in C, without Python's lock)."""
    return iter(Parallel(cpu_count(), prefer="threads", return_as="generator")(delayed(work)(*t) for t in tasks))


def _candidates(pictures: Sequence[Picture], bar: Progress) -> NDArray[np.int64]:
    """Pairs of rows [m, 2], the first the smaller; most are false, which confirming finds out."""
    if len(pictures) < 2:
        return np.zeros((0, 2), np.int64)
    small = [cv2.resize(p.grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32) for p in pictures]
    ways = [np.stack([lay(picture, way) for picture in small]) for way in DIHEDRAL]
    plain, *turned = (way.reshape(len(way), -1) - way.mean(axis=(1, 2))[:, None] for way in ways)
    size = np.maximum(np.linalg.norm(plain, axis=1), 1.0)
    alike = np.max([plain @ way.T for way in (plain, *turned)], axis=0) / np.outer(size, size)
    votes = _votes([picture.features for picture in pictures], bar)
    strength = np.where(alike >= ALIKE, alike * VOTERS, 0) + np.where(votes >= VOTES, votes, 0)
    strength = np.maximum(strength, strength.T)
    np.fill_diagonal(strength, 0)
    weakest = np.sort(strength, axis=1)[:, -MOST:][:, :1]  # of a picture's MOST strongest
    chosen = (strength > 0) & (strength >= weakest)
    return np.argwhere(np.triu(chosen | chosen.T))


def _votes(found: Sequence[Features], bar: Progress) -> NDArray[np.int64]:
    """[n, n]: like features of pictures a and b that agree on one way to lay a on b, upright or mirrored."""
    # Batik repeats itself, so likeness alone says little: each matched feature also proposes a pose.
    n = len(found)
    fields = [np.concatenate([getattr(f, what)[:VOTERS] for f in found]) for what in Features.__annotations__]
    every, owner = Features(*fields), np.repeat(np.arange(n), [min(VOTERS, len(f)) for f in found])
    agreed = np.zeros(n * n, dtype=np.int64)
    if len(every) < NEAR:
        return agreed.reshape(n, n)
    cv2.setRNGSeed(0)  # the trees are random, and of this thread
    index = cv2.flann.Index(every.descriptors, {"algorithm": 1, "trees": 4})  # 1: k-d trees
    for own in bar.watch((every, every.mirrored)):
        match, distance = index.knnSearch(own.descriptors, NEAR, params={"checks": 2 * NEAR})
        row, place = np.nonzero((1 - distance / 2 >= VOTE_COSINE) & (owner[match] != owner[:, None]))
        match = match[row, place]
        _, nearest = np.unique(row * n + owner[match], return_index=True)  # of each feature and picture
        row, match = row[nearest], match[nearest]
        straight, grids = poses(own, row, every, match)
        pair = (owner[row] * n + owner[match])[straight]
        for grid in grids:
            numbers, count = np.unique(pair * POSES + grid, return_counts=True)
            np.maximum.at(agreed, numbers // POSES, count)
    return agreed.reshape(n, n)


@dataclass(frozen=True, eq=False)
class Laid:
    """How well b, laid on a, agrees with it."""

    matrix: NDArray[np.float64]  # [2, 3], from pixels of b's grey picture to pixels of a's
    whole: float
    detail: float
    patch: float
    in_a: float  # share of a that b shows
    in_b: float  # share of b that a shows
    tint: float  # mean difference of colour over the overlap, levels of 255 (brightness left out)

    @property
    def agrees(self) -> bool:
        """Whether the two are one picture."""
        low, high = sorted((self.in_a, self.in_b))
        values = np.array([self.detail, self.patch, self.whole, -self.tint, high])
        return low >= PART and bool((values >= LIMITS * [1, 1, 1, -1, 1]).all(axis=1).any())


NOTHING = Laid(np.eye(2, 3), 0.0, 0.0, 0.0, 0.0, 0.0, 255.0)


def lay_on(a: Picture, b: Picture) -> Laid:
    """The best way to lay b on a that was found, and how well they then agree."""
    by_features = sorted(_by_features(a, b, False) + _by_features(a, b, True), key=lambda found: -found[0])[:4]
    measured = (_measure(a, b, matrix) for _, matrix in by_features)
    return max(measured, key=lambda laid: (laid.agrees, min(laid.detail, laid.patch)), default=NOTHING)


def _by_features(a: Picture, b: Picture, mirrored: bool) -> list[tuple[int, NDArray[np.float64]]]:
    """Poses on which the largest sets of matched features agree: how many, and the matrix."""
    own, other = a.features.mirrored if mirrored else a.features, b.features
    if min(len(own), len(other)) < 4:
        return []
    likeness = own.descriptors @ other.descriptors.T
    match = likeness.argmax(axis=1)
    rows = np.flatnonzero(likeness[np.arange(len(match)), match] >= LIKE)
    straight, grids = poses(own, rows, other, match[rows])
    rows, found = rows[straight], []
    for grid in grids:
        numbers, sizes = np.unique(grid, return_counts=True)
        for largest in np.argsort(-sizes, kind="stable")[:2]:
            agreeing = rows[grid == numbers[largest]]
            if len(agreeing) >= 4:
                ends = b.points[match[agreeing]], a.points[agreeing]
                found.append((len(agreeing), cv2.estimateAffine2D(*ends, ransacReprojThreshold=4.0)[0]))
    return [(size, matrix) for size, matrix in found if matrix is not None]


def _angle(matrix: NDArray[Any]) -> float:
    linear = matrix[:, :2]
    if np.linalg.det(linear) < 0:
        linear = linear @ np.diag([-1, 1])
    return float(np.degrees(np.arctan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1])))


def _measure(a: Picture, b: Picture, matrix: NDArray[Any]) -> Laid:
    low, high = sorted(np.linalg.svd(matrix[:, :2], compute_uv=False))
    angle = _angle(matrix)
    if low < SCALES[0] or high > min(SCALES[1], STRETCH * low) or abs(angle - 90 * round(angle / 90)) >= UPRIGHT:
        return NOTHING
    (ha, wa), (hb, wb) = a.grey.shape, b.grey.shape
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    mask = cv2.warpAffine(np.full_like(b.grey, 255), matrix, (wa, ha)) == 255
    inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) > 0
    area = int(mask.sum())
    if area < 0.02 * wa * ha or not inner.any():
        return NOTHING
    # The finer of the two is blurred to the coarser one's detail, and both a little, against JPEG's blocks.
    blurred = cv2.GaussianBlur(b.grey, (0, 0), 0.6 * max(1, 1 / scale)).astype(np.float32)
    laid = cv2.GaussianBlur(cv2.warpAffine(blurred, matrix, (wa, ha), flags=cv2.INTER_LINEAR), (0, 0), 0.8)
    own = cv2.GaussianBlur(a.grey, (0, 0), max(1.0, 0.6 * scale)).astype(np.float32)
    side = max(int(np.ptp(np.flatnonzero(mask.any(axis=axis)))) for axis in (0, 1)) + 1
    whole = _correlation(own[inner], laid[inner])
    if whole < LIMITS[:, 2].min():
        return NOTHING
    # The smooth part is a mean over pixels inside the overlap only: what lies outside is black on one side.
    weight, window = mask.astype(np.float32), (side // 8 | 1, side // 8 | 1)
    sums = (cv2.blur(v, window, borderType=cv2.BORDER_CONSTANT) for v in (weight, own * weight, laid * weight))
    share, smooth_own, smooth_laid = sums
    share = np.maximum(share, 1e-6)
    fine_own, fine_laid = own - smooth_own / share, laid - smooth_laid / share
    detail, patch = _correlation(fine_own[inner], fine_laid[inner]), _patches(fine_own, fine_laid, inner)
    in_b = min(1.0, area / (scale**2 * wb * hb))
    quarter, size = matrix / [1, 1, 4], a.chroma.shape[1::-1]
    seen = cv2.warpAffine(np.ones(b.chroma.shape[:2], np.float32), quarter, size) > 0.99
    apart = np.abs(cv2.warpAffine(b.chroma, quarter, size) - a.chroma)[seen]
    tint = float(apart.mean()) if len(apart) else 255.0
    return Laid(matrix, whole, detail, patch, area / (wa * ha), in_b, tint)


def _patches(own: NDArray[Any], laid: NDArray[Any], mask: NDArray[np.bool_]) -> float:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    weight = mask[box].astype(np.float32)
    x, y = own[box] * weight, laid[box] * weight
    fields = (weight, x, y, x * x, y * y, x * y)
    share, *moments = (cv2.resize(field, (GRID, GRID), interpolation=cv2.INTER_AREA) for field in fields)
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


def _pair(a: Picture, b: Picture, how: Laid) -> Pair:
    turns = round(_angle(how.matrix) / 90) % 4
    upright = (b.height, b.width) if turns % 2 else (b.width, b.height)
    cropped = min(how.in_a, how.in_b) < WHOLE_FRAME
    resized = upright != (a.width, a.height) and not cropped
    mirrored = np.linalg.det(how.matrix[:, :2]) < 0
    marks = {"mirrored": mirrored, "rotated": turns != 0, "cropped": cropped, "resized": resized}
    kinds = [mark for mark, holds in marks.items() if holds] or ["re-encoded"]
    reason = (
        f"{', '.join(kinds)}: correlation {how.whole:.2f} of the grey values, {how.detail:.2f} of the detail; the "
        f"overlap is {100 * how.in_a:.0f} % of the first ({a.width} × {a.height}) and {100 * how.in_b:.0f} % of the "
        f"second ({b.width} × {b.height})"
    )
    return Pair(a.name, b.name, kinds[0], motif_of(a.name) != motif_of(b.name), reason)
