"""Pairs of files that show one picture: candidates are proposed generously, and then confirmed."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from batik_utils.audit.confirm import Laid, lay_on
from batik_utils.audit.look import DIHEDRAL, POSES, Features, Picture, lay, look, poses
from batik_utils.progress import Progress
from batik_utils.values import Pair

ALIKE = 0.70  # two pictures whose small versions correlate so much, in one of eight ways to lay them, are candidates
VOTERS = 200  # local features of each picture that vote
NEAR = 16  # each for the pictures that own its nearest so many features
VOTE_COSINE = 0.90  # if they are at least so similar
VOTES = 6  # that agree on one pose make a candidate (two pictures taken at random have one or two)
MOST = 32  # candidates that one picture proposes at most: floods of near-copies need no more to be one group
WHOLE_FRAME = 0.95  # share of both pictures in the overlap from which nothing was cropped (a warp loses its borders)


def find_pairs(
    sources: Sequence[Path | NDArray[np.uint8]], names: Sequence[str], bar: Progress | None = None
) -> tuple[Pair, ...]:
    """All pairs among n pictures: files, or RGB arrays uint8 [h, w, 3]; names are their relative paths.

    Exact copies by sha256; others are proposed by small versions and local features, and confirmed only if one can be
    laid on the other (mirrored, by quarter turns, scaled, cropped) so that the pixels agree, coarse and fine. Sorted by
    names. Two files with the same bytes stand for each other: what resembles one is paired with the first.
    Raises NotAnImage for a file that cannot be decoded.
    """
    bar = bar or Progress(False)
    inputs = sorted(zip(sources, names, strict=True), key=lambda row: row[1])
    with _quiet_threads():
        bar.stage("Looking", len(inputs), "pictures")
        first: dict[str, Picture] = {}
        pairs: list[Pair] = []
        for picture in bar.watch(_each(look, inputs)):
            a = first.setdefault(picture.sha256, picture)
            if a is not picture:
                same = f"the same bytes (sha256 {picture.sha256[:12]}…)"
                pairs.append(Pair(a.name, picture.name, "exact", a.label != picture.label, same))
        pictures = list(first.values())
        bar.stage("Proposing", 2, "searches")
        found = [(pictures[a], pictures[b]) for a, b in _candidates(pictures, bar)]
        bar.stage("Confirming", len(found), "pairs")
        for (one, other), laid in zip(found, bar.watch(_each(lay_on, found)), strict=True):
            if laid.agrees:
                pairs.append(_pair(one, other, laid))
    return tuple(sorted(pairs, key=lambda p: (p.a, p.b)))


def _each(work: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """work(*task) of each task, in threads (the work is done in C, without Python's lock)."""
    threads = Parallel(cpu_count(), prefer="threads", return_as="generator")
    yield from threads(delayed(work)(*task) for task in tasks)


@contextmanager
def _quiet_threads() -> Iterator[None]:
    """Pictures are shared out between threads, so those of OpenCV and BLAS would only get in each other's way."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")  # Pillow's remarks on metadata
            yield
    finally:
        cv2.setNumThreads(before)


def _candidates(pictures: Sequence[Picture], bar: Progress) -> NDArray[np.int64]:
    """Pairs of rows [m, 2], the first the smaller; most are false, which confirming finds out."""
    if len(pictures) < 2:
        return np.zeros((0, 2), np.int64)
    thumbs = np.stack([picture.thumb for picture in pictures])
    ways = [np.stack([lay(thumb, way) for thumb in thumbs]) for way in DIHEDRAL]
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
    """[n, n]: like features of pictures a and b that agree on one way to lay a on b, upright or mirrored.

    Batik repeats itself, so likeness alone says little: each matched feature also proposes a pose, and only the
    largest set that agrees on one counts.
    """
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


def _pair(a: Picture, b: Picture, how: Laid) -> Pair:
    upright = (b.height, b.width) if how.turn in (90, 270) else (b.width, b.height)
    cropped = min(how.in_a, how.in_b) < WHOLE_FRAME
    resized = upright != (a.width, a.height) and not cropped
    marks = {"mirrored": how.mirrored, "rotated": how.turn != 0, "cropped": cropped, "resized": resized}
    kinds = [mark for mark, holds in marks.items() if holds] or ["re-encoded"]
    reason = (
        f"{', '.join(kinds)}: correlation {how.whole:.2f} of the grey values, {how.detail:.2f} of the detail; the "
        f"overlap is {100 * how.in_a:.0f} % of the first ({a.width} × {a.height}) and {100 * how.in_b:.0f} % of the "
        f"second ({b.width} × {b.height})"
    )
    return Pair(a.name, b.name, kinds[0], a.label != b.label, reason)
