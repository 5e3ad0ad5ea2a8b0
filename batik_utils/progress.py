"""How far work of over two seconds is, on stderr: one line that renews itself in a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Self, TypeVar

from rich.console import Console
from rich.status import Status

T = TypeVar("T")

QUIET_SECONDS = 2.0  # work that is done sooner says nothing
LINE_SECONDS = 30.0  # seconds between plain lines


class Progress:
    """Counts work in stages; cost, where given, says how far the work is in time (jobs are not equally long)."""

    def __init__(self, shown: bool) -> None:
        self.console = Console(file=sys.stderr, force_jupyter=False, highlight=False, markup=False, soft_wrap=True)
        self.shown = shown
        self._live: Status | None = None
        self.stage("", 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stage("", 0)

    def stage(self, title: str, total: int, unit: str = "", cost: float | None = None) -> None:
        """Begin a stage of `total` things (unit, as "images"), of this cost together (default: one each)."""
        if self._live is not None:
            self._live.stop()
        self._live, self.title, self.total, self.unit = None, title, total, unit
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
        # Such as "fits: 24% (5 of 1,225 fits), about 140 s left"; 100 % at the end alone, no time that is a guess.
        share = min(0.99, self.spent / (self.cost or 1.0)) if self.done < self.total else 1.0
        told = f"{self.title}: {int(100 * share)}% ({self.done:,} of {self.total:,} {self.unit}".rstrip() + ")"
        # The first job compiles its network, which says nothing of those that follow.
        if self.jobs >= 2 and 0.05 <= share < 1 and now - self._start >= 5:
            told += f", about {(now - self._start) * (1 - share) / share:.0f} s left"
        if self.console.is_terminal:
            self._live = self._live or self.console.status("")
            self._live.start()
            self._live.update(told)
        elif now - self._spoken > (QUIET_SECONDS if self._spoken == self._start else LINE_SECONDS):
            self._spoken = now
            self.say(told)

    def watch(self, items: Iterable[T]) -> Iterator[T]:
        """Pass items on, each one thing of the stage."""
        for item in items:
            yield item
            self.advance()

    def say(self, line: str) -> None:
        """A line for people, above the one that renews itself."""
        if self.shown:
            self.console.print(line)


class Stages(Progress):
    """Times the stages of a run and says so, one line each."""

    @contextmanager
    def __call__(self, name: str, quiet: bool = False) -> Iterator[None]:
        """One stage; a terminal is told that it goes on, but where it is quiet, showing a progress of its own."""
        start, going_on = time.monotonic(), self.shown and self.console.is_terminal and not quiet
        with self.console.status(f"{name} …") if going_on else nullcontext():
            yield
        self.say(f"  {name:<10} {time.monotonic() - start:7.1f} s")
