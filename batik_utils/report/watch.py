"""Build a report again whenever something that it is made from is saved."""

import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from rich.console import Console

from batik_utils.errors import BatikError
from batik_utils.study import ROOT


def watch_report(arguments: Sequence[str], extra: Iterable[Path] = (), rounds: int | None = None) -> None:
    """Run `batik report` with these arguments now and after each change (rounds times), with a line for each.

    Every build is a process of its own, so that changed code is what runs. Raises BatikError without watchfiles.
    """
    try:
        from watchfiles import watch
    except ImportError:
        raise BatikError("watchfiles is not installed: `make lab` installs it.") from None
    places = [*(ROOT / name for name in ("batik_utils", "notebooks", "studies")), *extra]
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    console.print(f"Watching {', '.join(f'{place.name}/' for place in places)}; Ctrl-C ends it.")
    batik = [sys.executable, "-c", "from batik_utils.cli import main; main()", "report", *arguments]
    seen = watch(*places, yield_on_timeout=True, rust_timeout=200, raise_interrupt=False)
    for changes in islice((changes for number, changes in enumerate(seen) if changes or not number), rounds):
        changed = ", ".join(sorted({Path(name).name for _, name in changes})[:3]) or "start"
        begun = time.monotonic()
        done = subprocess.run(batik, capture_output=True, text=True)
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        outcome = said if done.returncode or "Nothing" in said else "built"
        console.print(f"{time.strftime('%H:%M:%S')} {changed}: {outcome} ({time.monotonic() - begun:.1f} s)")
