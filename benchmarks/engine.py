"""Where the experiment engine's crowd of pretrained fits is timed against one fit the seed's way."""

from __future__ import annotations

import time
from collections.abc import Callable


def measure(run: Callable[[], int]) -> dict[str, float]:
    """Time the engine: run does a study's pretrained fits from nothing, in an empty cache, and returns how many."""
    start = time.perf_counter()
    fits = run()
    seconds = time.perf_counter() - start
    return {"fits": fits, "seconds": seconds}
