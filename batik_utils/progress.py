"""One progress bar on stderr for everything over two seconds; plain lines, by time, where nobody watches."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

T = TypeVar("T")

QUIET_SECONDS = 2.0
"""Work that is done sooner says nothing."""
LINE_SECONDS = 30.0
"""Seconds between plain lines."""
MEMORY_SECONDS = 3600
"""How far back the bar looks for its time left; rich's own 30 s hold no two fits of half a minute."""


class Progress:
    """Counts work in stages; cost, where given, says how far the work is in time (fits are not equally long)."""

    def __init__(self, shown: bool) -> None:
        self.console = Console(file=sys.stderr, force_jupyter=False, highlight=False, markup=False, soft_wrap=True)
        self.shown = shown
        self._bar: Bar | None = None
        self.stage("", 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def stage(self, title: str, total: int, unit: str = "", cost: float | None = None) -> None:
        """Begin a stage of `total` things (unit, as "images"), of this cost together (default: one each)."""
        self._close()
        self.title, self.total, self.unit = title, total, unit
        self.cost = float(total if cost is None else cost)
        self.done, self.spent = 0, 0.0
        self._start = self._spoken = time.monotonic()
        self._first = True

    def advance(self, count: int = 1, cost: float | None = None) -> None:
        """So many things more, of this cost together."""
        self.done += count
        self.spent += count if cost is None else cost
        if not self.shown:
            return
        now = time.monotonic()
        if self.console.is_terminal:
            if self._bar is None and now - self._start > QUIET_SECONDS:
                self._open()
            if self._bar is not None:
                self._bar.update(self._row, completed=self.spent, count=self._count())
        elif now - self._spoken > (QUIET_SECONDS if self._first else LINE_SECONDS):
            self._spoken, self._first = now, False
            share = self.spent / self.cost if self.cost else 1.0
            left = (now - self._start) * (1 - share) / max(share, 1e-9)
            self.say(f"{self.title}: {share:.0%} ({self._count()}), about {left:.0f} s left")

    def watch(self, items: Iterable[T]) -> Iterator[T]:
        """Pass items on, each one thing of the stage."""
        for item in items:
            yield item
            self.advance()

    def say(self, line: str) -> None:
        """A line for people, above the bar."""
        if self.shown:
            (self._bar.console if self._bar else self.console).print(line)

    def _count(self) -> str:
        return f"{self.done:,} of {self.total:,} {self.unit}".rstrip()

    def _open(self) -> None:
        columns: tuple[Any, ...] = (
            TextColumn("{task.description:>10}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
        )
        self._bar = Bar(
            *columns, TimeRemainingColumn(), console=self.console, speed_estimate_period=MEMORY_SECONDS, transient=True
        )
        self._row = self._bar.add_task(self.title, total=self.cost, count=self._count())
        self._bar.start()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class Stages:
    """Times the stages of a run and says so, one line each."""

    def __init__(self, shown: bool) -> None:
        self.shown = shown
        self.seconds: dict[str, float] = {}
        self._console = Progress(shown).console

    @contextmanager
    def __call__(self, name: str, quiet: bool = False) -> Iterator[None]:
        """One stage; it says that it goes on after two seconds, or is quiet where it shows a bar of its own."""
        start = time.monotonic()
        timer = threading.Timer(QUIET_SECONDS, self.say, [f"  {name} …"])
        if not quiet:
            timer.start()
        try:
            yield
        finally:
            timer.cancel()
        self.seconds[name] = time.monotonic() - start
        self.say(f"  {name:<10} {self.seconds[name]:7.1f} s")

    def say(self, line: str) -> None:
        """A line for people."""
        if self.shown:
            self._console.print(line)
