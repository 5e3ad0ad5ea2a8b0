"""Pixels computed once: decoded or drawn pictures in a memory-mapped file with their facts beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool
from numpy.typing import NDArray

from batik_utils.data.obtain import cache_dir
from batik_utils.errors import BatikError
from batik_utils.files import atomic, digest_file, digest_json, read_sealed, write_sealed
from batik_utils.progress import Progress

Outcome = dict[str, Any] | str
"""What became of one picture: its facts, or the reason why there is none."""

_SERIAL = 64
"""Up to this many pictures one process is done before two have started."""


def cached_pictures(
    key: Any,
    size: int,
    work: Callable[..., tuple[NDArray[np.uint8] | None, Outcome]],
    tasks: Sequence[tuple[Any, ...]],
    accept: Callable[[list[Outcome]], object],
    bar: Progress,
) -> tuple[NDArray[np.uint8], list[Outcome]]:
    """Run work(*task) for each task, once for each key, side by side in processes.

    `key` (plain values) must tell apart everything that the result depends on. Returns the pictures that there
    are, uint8 [n, size, size, 3], memory-mapped and read-only, in the order of their tasks; and every task's
    outcome, which `accept` sees before anything is kept and may refuse. A damaged cache is computed again.
    Raises BatikError when the cache folder cannot be written or a process dies.
    """
    pixels = cache_dir() / "images" / f"{digest_json(key)}.rgb"
    notes = pixels.with_suffix(".json")
    found = _load(pixels, notes, size)
    if found is None:
        outcomes: list[Outcome] = []
        try:
            with atomic(pixels) as part:
                with part.open("wb") as file:
                    for image, outcome in bar.watch(_run(work, tasks)):
                        outcomes.append(outcome)
                        if image is not None:
                            file.write(image.tobytes())
                accept(outcomes)
                sha256 = digest_file(part)
        except BrokenProcessPool:
            raise BatikError(f"{bar.title}: a process was killed, most often for want of memory.") from None
        write_sealed(notes, json.dumps({"outcomes": outcomes, "sha256": sha256}).encode())
        found = _load(pixels, notes, size)
        if found is None:
            raise BatikError("The cache folder loses what is written to it; set BATIK_CACHE to another folder.")
    return found


def _load(pixels: Path, notes: Path, size: int) -> tuple[NDArray[np.uint8], list[Outcome]] | None:
    said = json.loads(read_sealed(notes) or "null")
    try:
        if said is None or said["sha256"] != digest_file(pixels):
            return None
    except OSError:
        return None
    count = sum(isinstance(outcome, dict) for outcome in said["outcomes"])
    return np.memmap(pixels, np.uint8, "r", shape=(count, size, size, 3)), said["outcomes"]


def _run(work: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
    jobs = min(4, joblib.cpu_count())  # each may hold a few hundred megabytes of one large photograph
    if len(tasks) <= _SERIAL or jobs == 1:
        yield from (work(*task) for task in tasks)
        return
    # Processes, not threads: Pillow's warnings are silenced through a filter that threads would share.
    yield from joblib.Parallel(n_jobs=jobs, return_as="generator")(joblib.delayed(work)(*t) for t in tasks)
    get_reusable_executor().shutdown()  # idle workers would keep their memory while models train
