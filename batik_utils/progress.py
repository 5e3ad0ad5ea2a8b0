"""One progress bar on stderr for everything over two seconds; plain lines, by time, where nobody watches."""

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Self, TypeVar

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

    def advance(self, count: int = 1, cost: float | None = None) -> None:
        """So many things more, of this cost together."""
        self.done += count
        self.spent += count if cost is None else cost
        now, told = time.monotonic(), f"{self.done:,} of {self.total:,} {self.unit}".rstrip()
        if self.shown and self.console.is_terminal:
            if self._bar is None and now - self._start > QUIET_SECONDS:
                self._open()
            if self._bar is not None:
                self._bar.update(self._row, completed=self.spent, count=told)
        elif now - self._spoken > (QUIET_SECONDS if self._spoken == self._start else LINE_SECONDS):
            self._spoken = now
            share = self.spent / self.cost if self.cost else 1.0
            left = (now - self._start) * (1 - share) / max(share, 1e-9)
            self.say(f"{self.title}: {share:.0%} ({told}), about {left:.0f} s left")

    def watch(self, items: Iterable[T]) -> Iterator[T]:
        """Pass items on, each one thing of the stage."""
        for item in items:
            yield item
            self.advance()

    def say(self, line: str) -> None:
        """A line for people, above the bar."""
        if self.shown:
            (self._bar.console if self._bar else self.console).print(line)

    def _open(self) -> None:
        columns = TextColumn("{task.description:>10}"), BarColumn(), TextColumn("{task.fields[count]}")
        left, memory = TimeRemainingColumn(), MEMORY_SECONDS
        self._bar = Bar(*columns, left, console=self.console, speed_estimate_period=memory, transient=True)
        self._row = self._bar.add_task(self.title, total=self.cost, count="")
        self._bar.start()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class Stages(Progress):
    """Times the stages of a run and says so, one line each."""

    def __init__(self, shown: bool) -> None:
        super().__init__(shown)
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str, quiet: bool = False) -> Iterator[None]:
        """One stage; it says that it goes on after two seconds, or is quiet where it shows a bar of its own."""
        start, timer = time.monotonic(), threading.Timer(QUIET_SECONDS, self.say, [f"  {name} …"])
        if not quiet:
            timer.start()
        try:
            yield
        finally:
            timer.cancel()
        self.seconds[name] = time.monotonic() - start
        self.say(f"  {name:<10} {self.seconds[name]:7.1f} s")
