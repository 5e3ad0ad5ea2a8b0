"""Pairs of files that show one picture, and the groups that they make."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from batik_utils.audit.confirm import Laid, lay_on
from batik_utils.audit.look import Picture, look
from batik_utils.audit.propose import propose
from batik_utils.errors import BatikError

Kind = Literal["exact", "re-encoded", "resized", "mirrored", "rotated", "cropped"]

_WHOLE_FRAME = 0.95
"""Share of both pictures in the overlap above which nothing was cropped (the borders of a warp are lost)."""


@dataclass(frozen=True)
class Pair:
    """Two files that show one picture."""

    a: str
    """Path relative to the data folder, posix."""
    b: str
    kind: Kind
    """How b differs from a; the first of mirrored, rotated, cropped, resized, re-encoded that is true."""
    labels_differ: bool
    """Whether the two lie in different motifs' folders."""
    reason: str
    """One line with the measured numbers."""


def find_pairs(
    sources: Sequence[Path | NDArray[np.uint8]],
    names: Sequence[str],
    sha256: Sequence[str] | None = None,
    progress: bool = False,
) -> tuple[Pair, ...]:
    """All pairs among n pictures: files, or RGB arrays uint8 [h, w, 3]; names are their relative paths.

    Exact copies by sha256; others are proposed by perceptual hashes and local features, and confirmed only if
    one can be laid on the other (mirrored, by quarter turns, scaled, cropped) so that the pixels agree, coarse
    and fine, over most of the smaller one. Sorted by names. Two files with the same bytes stand for each other:
    what resembles one is paired with the first. `progress` shows a bar on a terminal after two seconds.
    Raises NotAnImage for a file that cannot be decoded.
    """
    jobs = cpu_count()
    with warnings.catch_warnings(), _Bar(progress) as bar, _one_thread_each():
        warnings.simplefilter("ignore")  # Pillow's remarks on metadata; integrity's business.
        known = sha256 or [None] * len(names)
        described: list[Picture] = bar.run("Looking at pictures", look, zip(sources, names, known, strict=True), jobs)
        first: dict[str, Picture] = {}
        pairs = []
        for picture in described:
            if picture.sha256 in first:
                pairs.append(_pair(first[picture.sha256], picture, None))
            else:
                first[picture.sha256] = picture
        pictures = list(first.values())
        bar.say("Proposing pairs")
        candidates = [(pictures[a], pictures[b]) for a, b in propose(pictures, jobs)]
        laid = bar.run("Confirming pairs", lay_on, candidates, jobs)
    pairs += [_pair(a, b, how) for (a, b), how in zip(candidates, laid, strict=True) if how.agrees]
    return tuple(sorted(pairs, key=lambda p: (p.a, p.b)))


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


def _pair(a: Picture, b: Picture, how: Laid | None) -> Pair:
    if a.name > b.name and how is None:
        a, b = b, a
    differ = a.label != b.label
    if how is None:
        return Pair(a.name, b.name, "exact", differ, f"the same bytes (sha256 {a.sha256[:12]}…)")
    swapped = a.name > b.name
    turn = (360 - how.turn) % 360 if swapped and not how.mirrored else how.turn
    in_a, in_b = (how.in_b, how.in_a) if swapped else (how.in_a, how.in_b)
    a, b = (b, a) if swapped else (a, b)
    cropped = min(in_a, in_b) < _WHOLE_FRAME
    upright = (b.height, b.width) if turn in (90, 270) else (b.width, b.height)
    resized = upright != (a.width, a.height)
    marks = {"mirrored": how.mirrored, "rotated": turn != 0, "cropped": cropped, "resized": resized and not cropped}
    kind: Any = next((k for k, true in marks.items() if true), "re-encoded")
    named = marks | {"rotated": turn != 0 and kind != "rotated"}
    words = [f"turned by {turn}°" if k == "rotated" else k for k, true in named.items() if true and k != kind]
    also = f" (also {', '.join(words)})" if words else f" (turned by {turn}°)" if kind == "rotated" else ""
    reason = (
        f"correlation {how.whole:.2f} of the grey values, {how.detail:.2f} of the detail{also}; "
        f"the overlap is {100 * in_a:.0f} % of the first ({a.width} × {a.height}) and {100 * in_b:.0f} % of the "
        f"second ({b.width} × {b.height})"
    )
    return Pair(a.name, b.name, kind, differ, reason)


class _one_thread_each:
    """Pictures are shared out between threads, so that OpenCV's own would only get in each other's way."""

    def __enter__(self) -> None:
        self.before = cv2.getNumThreads()
        cv2.setNumThreads(1)

    def __exit__(self, *_: object) -> None:
        cv2.setNumThreads(self.before)


class _Bar:
    """A progress bar on the standard error's terminal, once two seconds have gone by."""

    def __init__(self, wanted: bool) -> None:
        console = Console(file=sys.stderr, force_jupyter=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=console, transient=True)
        self.wanted = wanted and console.is_terminal
        self.begun = time.monotonic()

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def say(self, title: str, total: int | None = None) -> Any:
        """Begin a stage; total None is one of unknown length."""
        for task in self.bar.task_ids:
            self.bar.remove_task(task)
        self._wake()
        return self.bar.add_task(title, total=total)

    def run(self, title: str, work: Callable[..., Any], tasks: Iterable[tuple[Any, ...]], jobs: int) -> list[Any]:
        """work(*task) of each task, in threads (the work is done in C, without Python's lock)."""
        todo = list(tasks)
        stage = self.say(title, len(todo))
        out = []
        for item in Parallel(jobs, prefer="threads", return_as="generator")(delayed(work)(*task) for task in todo):
            out.append(item)
            self.bar.advance(stage)
            self._wake()
        return out

    def _wake(self) -> None:
        if self.wanted and not self.bar.live.is_started and time.monotonic() - self.begun > 2:
            self.bar.start()
