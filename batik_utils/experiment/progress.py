"""A progress bar on stderr: done, total, rate and time left; plain lines where nobody watches."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

QUIET_SECONDS = 2
"""A run shorter than this says nothing."""
LINE_SECONDS = 30
"""Seconds between plain lines."""


class Progress:
    """Counts fits, and before them the images whose features are computed."""

    def __init__(self, fits: int, shown: bool) -> None:
        self._console = Console(file=sys.stderr) if shown else None
        self._totals = {"features": 0, "fits": fits}
        self._done = {"features": 0, "fits": 0}
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
        self._totals["features"] = features
        self._stage = time.monotonic()

    def advance_features(self) -> None:
        """One image more."""
        self._advance("features", 1)
        if self._done["features"] == self._totals["features"]:
            self._stage = time.monotonic()

    def advance(self, fits: int) -> None:
        """So many fits more."""
        self._advance("fits", fits)

    def say(self, line: str) -> None:
        """A line for people, above the bar."""
        if self._console:
            (self._bar.console if self._bar else self._console).print(line, highlight=False, markup=False)

    def _advance(self, what: str, count: int) -> None:
        self._done[what] += count
        if not self._console:
            return
        now = time.monotonic()
        if self._console.is_terminal:
            if self._bar is None and now - self._start > QUIET_SECONDS:
                self._open()
            if self._bar:
                self._bar.update(self._rows[what], completed=self._done[what], rate=self._rate(what, now))
        elif now - self._spoken > LINE_SECONDS:
            self._spoken = now
            left = (self._totals[what] - self._done[what]) * (now - self._stage) / self._done[what]
            count_of = f"{self._done[what]}/{self._totals[what]}"
            self.say(f"{what}: {count_of}, {self._rate(what, now)}, about {left:.0f} s left")

    def _rate(self, what: str, now: float) -> str:
        unit = "images" if what == "features" else "fits"
        return f"{self._done[what] / max(now - self._stage, 1e-9):.1f} {unit}/s"

    def _open(self) -> None:
        columns = (
            TextColumn("{task.description:>8}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
        )
        self._bar = Bar(*columns, TimeRemainingColumn(), console=self._console)
        for what, total in self._totals.items():
            if total:
                self._rows[what] = self._bar.add_task(what, total=total, completed=self._done[what], rate="")
        self._bar.start()
