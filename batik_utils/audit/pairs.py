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

from batik_utils.audit.confirm import Laid, lay_on
from batik_utils.audit.look import Picture, look
from batik_utils.audit.propose import propose
from batik_utils.errors import BatikError
from batik_utils.progress import Progress
from batik_utils.values import Pair

_WHOLE_FRAME = 0.95
"""Share of both pictures in the overlap above which nothing was cropped (the borders of a warp are lost)."""


def find_pairs(
    sources: Sequence[Path | NDArray[np.uint8]],
    names: Sequence[str],
    sha256: Sequence[str] | None = None,
    bar: Progress | None = None,
) -> tuple[Pair, ...]:
    """All pairs among n pictures: files, or RGB arrays uint8 [h, w, 3]; names are their relative paths.

    Exact copies by sha256; others are proposed by perceptual hashes and local features, and confirmed only if
    one can be laid on the other (mirrored, by quarter turns, scaled, cropped) so that the pixels agree, coarse
    and fine, over most of the smaller one. Sorted by names. Two files with the same bytes stand for each other:
    what resembles one is paired with the first. Raises NotAnImage for a file that cannot be decoded.
    """
    bar = bar or Progress(False)
    known: Sequence[str | None] = sha256 or [None] * len(names)
    inputs = sorted(zip(names, sources, known, strict=True), key=lambda row: row[0])
    with _quiet_threads():
        described = _each("Looking", "pictures", look, [(source, name, sha) for name, source, sha in inputs], bar)
        first: dict[str, Picture] = {}
        pairs = []
        for picture in described:
            if picture.sha256 in first:
                pairs.append(_exact(first[picture.sha256], picture))
            else:
                first[picture.sha256] = picture
        pictures = list(first.values())
        bar.stage("Proposing", len(pictures), "pictures")
        candidates = [(pictures[a], pictures[b]) for a, b in propose(pictures, cpu_count(), bar)]
        laid = _each("Confirming", "pairs", lay_on, candidates, bar)
    pairs += [_pair(a, b, how) for (a, b), how in zip(candidates, laid, strict=True) if how.agrees]
    return tuple(sorted(pairs, key=lambda p: (p.a, p.b)))


def _each(title: str, unit: str, work: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], bar: Progress) -> Any:
    """work(*task) of each task, in threads (the work is done in C, without Python's lock)."""
    bar.stage(title, len(tasks), unit)
    done = Parallel(cpu_count(), prefer="threads", return_as="generator")(delayed(work)(*task) for task in tasks)
    return list(bar.watch(done))


@contextmanager
def _quiet_threads() -> Iterator[None]:
    """Pictures are shared out between threads, so OpenCV's own would only get in each other's way."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on metadata
            yield
    finally:
        cv2.setNumThreads(before)


def _exact(a: Picture, b: Picture) -> Pair:
    return Pair(a.name, b.name, "exact", a.label != b.label, f"the same bytes (sha256 {a.sha256[:12]}…)")


def _pair(a: Picture, b: Picture, how: Laid) -> Pair:
    upright = (b.height, b.width) if how.turn in (90, 270) else (b.width, b.height)
    cropped = min(how.in_a, how.in_b) < _WHOLE_FRAME
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
