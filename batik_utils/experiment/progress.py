"""A progress bar on stderr: done, total, rate and time left; plain lines where nobody watches."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

QUIET_SECONDS = 2
"""A run shorter than this says nothing."""
LINE_SECONDS = 30
"""Seconds between plain lines."""
MEMORY_SECONDS = 3600
"""How far back the bar looks for its time left; rich's own 30 s hold no two fits of half a minute."""


class Progress:
    """Counts fits, and before them the images whose features are computed.

    cost is that of all fits together, in the unit of advance's: the time left goes by it, since the longest tasks are
    done first. Without it, every fit costs 1.
    """

    def __init__(self, fits: int, shown: bool, cost: float | None = None) -> None:
        self._console = Console(file=sys.stderr) if shown else None
        self._totals = {"features": 0, "fits": fits}
        self._done = {"features": 0, "fits": 0}
        self._costs = {"features": 0.0, "fits": float(fits if cost is None else cost)}
        self._spent = {"features": 0.0, "fits": 0.0}
        self._start = self._stage = self._spoken = time.monotonic()
        self._bar: Bar | None = None
        self._rows: dict[str, int] = {}

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def expect(self, features: int) -> None:
        """That many images need their features computed first."""
        self._totals["features"] = self._costs["features"] = features
        self._stage = time.monotonic()

    def advance_features(self) -> None:
        """One image more."""
        self._advance("features", 1, 1)
        if self._done["features"] == self._totals["features"]:
            self._stage = time.monotonic()

    def advance(self, fits: int, cost: float | None = None) -> None:
        """So many fits more, of this cost together."""
        self._advance("fits", fits, fits if cost is None else cost)

    def say(self, line: str) -> None:
        """A line for people, above the bar."""
        if self._console:
            (self._bar.console if self._bar else self._console).print(line, highlight=False, markup=False)

    def _advance(self, what: str, count: int, cost: float) -> None:
        self._done[what] += count
        self._spent[what] += cost
        if not self._console:
            return
        now = time.monotonic()
        if self._console.is_terminal:
            if self._bar is None and now - self._start > QUIET_SECONDS:
                self._open()
            if self._bar:
                self._bar.update(
                    self._rows[what], completed=self._spent[what], count=self._count(what), rate=self._rate(what, now)
                )
        elif now - self._spoken > LINE_SECONDS:
            self._spoken = now
            left = (self._costs[what] - self._spent[what]) * (now - self._stage) / self._spent[what]
            self.say(f"{what}: {self._count(what)}, {self._rate(what, now)}, about {left:.0f} s left")

    def _count(self, what: str) -> str:
        return f"{self._done[what]}/{self._totals[what]}"

    def _rate(self, what: str, now: float) -> str:
        rate = self._done[what] / max(now - self._stage, 1e-9)
        return f"{rate:.1f} images/s" if what == "features" else f"{60 * rate:.1f} fits/min"

    def _open(self) -> None:
        columns = (
            TextColumn("{task.description:>8}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        self._bar = Bar(*columns, console=self._console, speed_estimate_period=MEMORY_SECONDS)
        for what, total in self._costs.items():
            if total:
                self._rows[what] = self._bar.add_task(what, total=total, count=self._count(what), rate="")
                # Not in add_task: rich estimates from updates alone.
                self._bar.update(self._rows[what], completed=self._spent[what])
        self._bar.start()
