"""Measure a scratch fit the seeds' way, in plain Keras and our way; the seconds are kept in the cache's bench.json."""

import argparse
import json
import os
import subprocess
import sys

from rich.console import Console
from rich.table import Table

from batik_utils.cache import write_json
from batik_utils.data.obtain import cache_dir
from benchmarks.ways import WAYS

FIT_EPOCHS = 20


def seconds_per_epoch(way: str, study: str, epochs: int, threads: int, processes: int) -> float:
    """Seconds of one epoch when so many processes of so many threads train side by side, for each fit that is done."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "OMP_"))}
    environment |= {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
    }
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.ways", way, study, str(epochs)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(command, env=environment, **pipes) for _ in range(processes)]
    said = [process.communicate() for process in running]
    for process, (_, error) in zip(running, said, strict=True):
        if process.returncode:
            raise SystemExit(f"{way} failed:\n{error[-2000:]}")
    return sum(json.loads(out.strip().splitlines()[-1]) for out, _ in said) / processes**2


def main() -> None:
    """Command line: python -m benchmarks [STUDY] [--epochs N]."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", nargs="?", default="bali-betawi-celup")
    parser.add_argument("--epochs", type=int, default=3, help="epochs measured after the first")
    asked = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    table = Table(title=f"{asked.study}: seconds for a fit of {FIT_EPOCHS} epochs, {cores} cores")
    for column in ("", "alone on all cores", "× faster", f"{cores} side by side, each", "× faster"):
        table.add_column(column, justify="right" if column else "left")
    found: dict[str, list[float]] = {}
    for way in WAYS:
        Console(stderr=True).print(f"[dim]{way} …[/dim]")
        settings = ((cores, 1), (1, cores))
        found[way] = [FIT_EPOCHS * seconds_per_epoch(way, asked.study, asked.epochs, *setting) for setting in settings]
        ratios = [first / seconds for first, seconds in zip(found["the seeds'"], found[way], strict=True)]
        table.add_row(
            way, *(cell for s, r in zip(found[way], ratios, strict=True) for cell in (f"{s:.1f}", f"{r:.2f}"))
        )
    Console().print(table)
    write_json(cache_dir() / "bench.json", {"study": asked.study, "cores": cores, "seconds": found})


if __name__ == "__main__":
    main()
