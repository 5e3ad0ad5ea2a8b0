"""One progress bar on stderr for everything over two seconds; plain lines, by time, where nobody watches."""

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

T = TypeVar("T")

QUIET_SECONDS = 2.0
"""Work that is done sooner says nothing."""
LINE_SECONDS = 30.0
"""Seconds between plain lines."""


class Progress:
    """Counts work in stages; cost, where given, says how far the work is in time (jobs are not equally long)."""

    def __init__(self, shown: bool) -> None:
        self.console = Console(file=sys.stderr, force_jupyter=False, highlight=False, markup=False, soft_wrap=True)
        self.shown = shown
        self._bar: Bar | None = None
        self.stage("", 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stage("", 0)

    def stage(self, title: str, total: int, unit: str = "", cost: float | None = None) -> None:
        """Begin a stage of `total` things (unit, as "images"), of this cost together (default: one each)."""
        if self._bar is not None:
            self._bar.stop()
        self._bar, self.title, self.total, self.unit = None, title, total, unit
        self.cost = float(total if cost is None else cost)
        self.jobs, self.done, self.spent = 0, 0, 0.0
        self._start = self._spoken = time.monotonic()

    def advance(self, count: int = 1, cost: float | None = None) -> None:
        """One job done, of so many things and of this cost together."""
        self.jobs, self.done = self.jobs + 1, self.done + count
        self.spent += count if cost is None else cost
        now = time.monotonic()
        if not self.shown or now - self._start <= QUIET_SECONDS:
            return
        if self.console.is_terminal:
            if self._bar is None:
                columns = TextColumn("{task.description:>10}"), BarColumn(), TextColumn("{task.fields[told]}")
                self._bar = Bar(*columns, console=self.console, transient=True)
                self._bar.add_task(self.title, total=self.cost, told="")
                self._bar.start()
            self._bar.update(self._bar.task_ids[0], completed=self.spent, told=self._told(now))
        elif now - self._spoken > (QUIET_SECONDS if self._spoken == self._start else LINE_SECONDS):
            self._spoken = now
            self.say(f"{self.title}: {self._told(now)}")

    def _told(self, now: float) -> str:
        """Such as "24% (5 of 1,225 fits), about 140 s left"; 100 % at the end alone, and no time that is a guess."""
        share = min(0.99, self.spent / (self.cost or 1.0)) if self.done < self.total else 1.0
        told = f"{int(100 * share)}% ({self.done:,} of {self.total:,} {self.unit}".rstrip() + ")"
        # The first job compiles its network, which says nothing of those that follow.
        if self.jobs < 2 or not 0.05 <= share < 1 or now - self._start < 5:
            return told
        return f"{told}, about {(now - self._start) * (1 - share) / share:.0f} s left"

    def watch(self, items: Iterable[T]) -> Iterator[T]:
        """Pass items on, each one thing of the stage."""
        for item in items:
            yield item
            self.advance()

    def say(self, line: str) -> None:
        """A line for people, above the bar."""
        if self.shown:
            (self._bar.console if self._bar else self.console).print(line)


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
