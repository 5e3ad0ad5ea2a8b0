"""Pixels computed once: decoded or drawn pictures in a memory-mapped file with their facts beside it."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from batik_utils.data.obtain import cache_dir
from batik_utils.errors import BatikError

Outcome = dict[str, Any] | str
"""What became of one picture: its facts, or the reason why there is none."""

_SERIAL = 64
"""Up to this many pictures one process is done before two have started."""


def cached_pictures(
    key: Any,
    size: int,
    work: Callable[..., tuple[NDArray[np.uint8] | None, Outcome]],
    tasks: Sequence[tuple[Any, ...]],
    accept: Callable[[list[Outcome]], None],
    title: str,
    progress: bool = False,
) -> tuple[NDArray[np.uint8], list[Outcome]]:
    """Run work(*task) for each task, once for each key, side by side in processes.

    `key` (plain values) must tell apart everything that the result depends on. Returns the pictures that there
    are, uint8 [n, size, size, 3], memory-mapped and read-only, in the order of their tasks; and every task's
    outcome. `accept` sees the outcomes before anything is kept and may raise. The pixels are moved into place
    whole, the notes last, so that an interrupted run leaves no cache; a damaged one is computed again.
    Raises BatikError when the cache folder cannot be written or a process dies.
    """
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    folder = cache_dir() / "images"
    pixels, notes = folder / f"{name}.npy", folder / f"{name}.json"
    found = _load(pixels, notes, len(tasks), size)
    if found is None:
        try:
            _build(pixels, notes, size, work, tasks, accept, title, progress)
        except OSError as error:
            raise BatikError(
                f"The cache folder cannot be written ({error.strerror}); make room in it, "
                "or set BATIK_CACHE to another folder."
            ) from None
        except BrokenProcessPool:
            raise BatikError(f"{title}: a process was killed, most often for want of memory.") from None
        found = _load(pixels, notes, len(tasks), size)
        if found is None:
            raise BatikError("The cache folder loses what is written to it; set BATIK_CACHE to another folder.")
    return found


def _load(pixels: Path, notes: Path, tasks: int, size: int) -> tuple[NDArray[np.uint8], list[Outcome]] | None:
    try:
        said = json.loads(notes.read_text(encoding="utf-8"))
        outcomes = said["outcomes"]
        if said["sha256"] != file_sha256(pixels) or len(outcomes) != tasks:
            return None
        images = np.load(pixels, mmap_mode="r")
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
    count = sum(isinstance(o, dict) for o in outcomes)
    return (images, outcomes) if images.shape == (count, size, size, 3) else None


def _build(
    pixels: Path,
    notes: Path,
    size: int,
    work: Callable[..., tuple[NDArray[np.uint8] | None, Outcome]],
    tasks: Sequence[tuple[Any, ...]],
    accept: Callable[[list[Outcome]], None],
    title: str,
    progress: bool,
) -> None:
    pixels.parent.mkdir(parents=True, exist_ok=True)
    room, whole, words = (_temporary(pixels.parent) for _ in range(3))
    try:
        shape = (len(tasks), size, size, 3)
        images = np.lib.format.open_memmap(room, mode="w+", dtype=np.uint8, shape=shape)
        outcomes: list[Outcome] = []
        count = 0
        for image, outcome in _watched(_run(work, tasks), len(tasks), title, progress):
            outcomes.append(outcome)
            if image is not None:
                images[count] = image
                count += 1
        accept(outcomes)
        images.flush()
        if count == len(tasks):
            whole.unlink()
            whole = room
        else:  # a .npy file says its length first, so the rows that stayed empty cost a copy
            kept = np.lib.format.open_memmap(whole, mode="w+", dtype=np.uint8, shape=(count, *shape[1:]))
            kept[:] = images[:count]
            kept.flush()
            del kept
        del images
        said = {"outcomes": outcomes, "sha256": file_sha256(whole)}
        words.write_text(json.dumps(said, indent=1, sort_keys=True), encoding="utf-8")
        os.replace(whole, pixels)
        os.replace(words, notes)
    finally:
        for leftover in (room, whole, words):
            leftover.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, as 64 hex digits; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _temporary(folder: Path) -> Path:
    handle, name = tempfile.mkstemp(dir=folder, suffix=".tmp")
    os.close(handle)
    return Path(name)


def _run(work: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
    jobs = min(4, joblib.cpu_count())  # each may hold a few hundred megabytes of one large photograph
    if len(tasks) <= _SERIAL or jobs == 1:
        for task in tasks:
            yield work(*task)
        return
    # Processes, not threads: Pillow's warnings are silenced through a filter that threads would share.
    yield from joblib.Parallel(n_jobs=jobs, return_as="generator")(joblib.delayed(work)(*t) for t in tasks)
    get_reusable_executor().shutdown()  # idle workers would keep their memory while models train


def _watched(items: Iterable[Any], total: int, title: str, progress: bool) -> Iterator[Any]:
    """Pass items on, with a bar on the standard error's terminal once two seconds have gone by."""
    console = Console(file=sys.stderr, force_jupyter=False)
    if not (progress and console.is_terminal):
        yield from items
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(title, total=total)
    begun = time.monotonic()
    try:
        for item in items:
            yield item
            bar.advance(task)
            if not bar.live.is_started and time.monotonic() - begun > 2:
                bar.start()
    finally:
        bar.stop()
