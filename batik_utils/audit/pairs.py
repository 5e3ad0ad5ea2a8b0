"""Pairs of files that show one picture, and the groups that they make."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from threadpoolctl import threadpool_limits

from batik_utils.audit.confirm import Laid, lay_on
from batik_utils.audit.look import Picture, look
from batik_utils.audit.propose import propose
from batik_utils.errors import BatikError
from batik_utils.progress import Progress
from batik_utils.values import Pair

LARGE, TRIES, _BATCH = 8, 40, 64
WHOLE_FRAME = 0.95  # share of both pictures in the overlap from which nothing was cropped (a warp loses its borders)


def find_pairs(
    sources: Sequence[Path | NDArray[np.uint8]],
    names: Sequence[str],
    sha256: Sequence[str] = (),
    bar: Progress | None = None,
) -> tuple[Pair, ...]:
    """All pairs among n pictures: files, or RGB arrays uint8 [h, w, 3]; names are their relative paths.

    Exact copies by sha256; others are proposed by small versions and local features, and confirmed only if one can be
    laid on the other (mirrored, by quarter turns, scaled, cropped) so that the pixels agree, coarse and fine. Sorted by
    names. Two files with the same bytes stand for each other: what resembles one is paired with the first. Within a
    group of over LARGE pictures, and of two that have failed to agree with TRIES others each, nothing more is compared;
    a line says so. Raises NotAnImage for a file that cannot be decoded.
    """
    bar = bar or Progress(False)
    inputs = sorted(zip(names, sources, sha256 or [""] * len(names), strict=True), key=lambda row: row[0])
    with _quiet_threads():
        bar.stage("Looking", len(inputs), "pictures")
        first: dict[str, Picture] = {}
        pairs: list[Pair] = []
        for picture in bar.watch(_each(look, [(source, name, sha) for name, source, sha in inputs])):
            if picture.sha256 in first:
                a, same = first[picture.sha256], f"the same bytes (sha256 {picture.sha256[:12]}…)"
                pairs.append(Pair(a.name, picture.name, "exact", a.label != picture.label, same))
            else:
                first[picture.sha256] = picture
        pictures = list(first.values())
        pairs += _confirmed(pictures, propose(pictures, cpu_count(), bar), bar)
    return tuple(sorted(pairs, key=lambda p: (p.a, p.b)))


def _each(work: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """work(*task) of each task, in threads (the work is done in C, without Python's lock)."""
    threads = Parallel(cpu_count(), prefer="threads", return_as="generator")
    yield from threads(delayed(work)(*task) for task in tasks)


def _confirmed(pictures: Sequence[Picture], candidates: Sequence[tuple[int, int]], bar: Progress) -> Iterator[Pair]:
    bar.stage("Confirming", len(candidates), "pairs")
    group, failed = np.arange(len(pictures)), np.zeros(len(pictures), dtype=int)
    left = 0

    def needed(a: int, b: int) -> bool:
        known = group[a] == group[b] and (group == group[a]).sum() > LARGE
        return not known and min(failed[a], failed[b]) < TRIES

    for start in range(0, len(candidates), _BATCH):
        batch = [pair for pair in candidates[start : start + _BATCH] if needed(*pair)]
        for (a, b), laid in zip(batch, _each(lay_on, [(pictures[a], pictures[b]) for a, b in batch]), strict=True):
            if laid.agrees:
                group[group == group[b]] = group[a]
                yield _pair(pictures[a], pictures[b], laid)
            else:
                failed[[a, b]] += 1
            bar.advance()
        skipped = len(candidates[start : start + _BATCH]) - len(batch)
        left += skipped
        bar.advance(skipped)
    if left:
        why = "what they would join is joined, or they resemble too many that they are not copies of"
        bar.say(f"{left:,} of {len(candidates):,} pairs of alike pictures were left out: {why}.")


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


def _pair(a: Picture, b: Picture, how: Laid) -> Pair:
    upright = (b.height, b.width) if how.turn in (90, 270) else (b.width, b.height)
    cropped = min(how.in_a, how.in_b) < WHOLE_FRAME
    resized = upright != (a.width, a.height) and not cropped
    marks = {"mirrored": how.mirrored, "rotated": how.turn != 0, "cropped": cropped, "resized": resized}
    true = [mark for mark, holds in marks.items() if holds] or ["re-encoded"]
    words = [f"turned by {how.turn}°" if mark == "rotated" else mark for mark in true]
    more = words if true[0] == "rotated" else words[1:]
    also = f" ({'' if true[0] == 'rotated' else 'also '}{', '.join(more)})" if more else ""
    reason = (
        f"correlation {how.whole:.2f} of the grey values, {how.detail:.2f} of the detail{also}; "
        f"the overlap is {100 * how.in_a:.0f} % of the first "
        f"({a.width} × {a.height}) and {100 * how.in_b:.0f} % of the second ({b.width} × {b.height})"
    )
    return Pair(a.name, b.name, true[0], a.label != b.label, reason)


def groups_from_pairs(
    paths: Sequence[str],
    pairs: Iterable[Pair],
    together: Sequence[Sequence[str]] = (),
    apart: Sequence[tuple[str, str]] = (),
) -> NDArray[np.int64]:
    """[n], numbered from 0 in order of first appearance: pictures joined by pairs share a number.

    together joins further paths, apart dissolves single pairs. Raises BatikError for a path that is not among
    paths, and where two that are to be apart stay joined through others.
    """
    rows = {path: row for row, path in enumerate(paths)}

    def row(path: str) -> int:
        if path not in rows:
            raise BatikError(f"groups names {path!r}, which is not among the {len(rows)} pictures of this study.")
        return rows[path]

    kept_apart = {frozenset((row(a), row(b))) for a, b in apart}
    joined = [(rows[p.a], rows[p.b]) for p in pairs if p.a in rows and p.b in rows]
    joined = [edge for edge in joined if frozenset(edge) not in kept_apart]
    joined += [(row(some[0]), row(other)) for some in together for other in some[1:]]
    a, b = np.array(joined, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(len(paths), len(paths)))
    groups = connected_components(graph, directed=False)[1]
    for one, other in apart:
        if groups[rows[one]] == groups[rows[other]]:
            raise BatikError(
                f"groups wants {one} and {other} apart, but they are joined through other pictures; "
                "name those pairs under apart too, or take them out of together."
            )
    _, first, number = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[number].astype(np.int64)
