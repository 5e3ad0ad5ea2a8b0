"""Measure the seed's way and ours in one run, print the ratios, and keep them in the cache folder's bench.json."""

import argparse
import json
import os
import subprocess
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from batik_utils.cache import write_json
from batik_utils.data.obtain import cache_dir

FIT_EPOCHS = 20
PRECISIONS = ("float32", "bfloat16")


def measure(study: str, epochs: int) -> dict[str, Any]:
    """Measure everything, each part in its own process; seconds, per epoch and per 20-epoch fit."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Loads the pictures and counts; also fills the cache, so that no measurement below decodes anything.
    facts = _run("count", ["benchmarks.count", "--study", study])[0]
    found: dict[str, Any] = {"study": study, "cores": cores, **facts, "seed_way": {}, "scratch": {}}
    options = ["--study", study, "--epochs", str(epochs)]
    for kind in ("scratch", "pretrained"):
        got = _run(f"the seed's way, {kind}", ["benchmarks.seed_way", kind, *options], seeds_way=True)[0]
        found["seed_way"][kind] = got["seconds_per_epoch"] * FIT_EPOCHS
    for precision in PRECISIONS:
        peak = _run(f"peak {precision}", ["benchmarks.machine", precision], threads=cores)[0]
        floor = facts["training_multiply_adds_per_epoch"] * FIT_EPOCHS / peak["multiply_adds_per_second"]
        ours = ["benchmarks.our_way", precision, *options]
        alone = _run(f"one fit, {precision}", ours, threads=cores)[0]
        side_by_side = _run(f"{cores} fits side by side, {precision}", ours, processes=cores)
        together = sum(got["seconds_per_epoch"] for got in side_by_side) / cores**2
        found["scratch"][precision] = {
            "peak_gflops": 2 * peak["multiply_adds_per_second"] / 1e9,
            "floor": floor,
            "alone": alone["seconds_per_epoch"] * FIT_EPOCHS,
            "together": together * FIT_EPOCHS,
        }
    found["engine"] = _run("all pretrained fits", ["benchmarks.engine", "--study", study])[0]
    return found


def table(found: dict[str, Any]) -> Table:
    """The measurements as a table: seconds, ratio to the seed's way, share of the arithmetic floor."""
    seed = found["seed_way"]
    title = f"{found['study']}: a fit of {FIT_EPOCHS} epochs on {found['train']} pictures, {found['cores']} cores"
    out = Table(title=title)
    for column in ("", "seconds per epoch", "seconds per fit", "× faster", "floor, s", "floor / measured"):
        out.add_column(column, justify="left" if not column else "right")

    def row(name: str, seconds: float, base: float, floor: float | None = None) -> None:
        share = "" if floor is None else f"{floor / seconds:.0%}"
        cells = (f"{seconds / FIT_EPOCHS:.2f}", f"{seconds:.1f}", f"{base / seconds:.2f}")
        out.add_row(name, *cells, "" if floor is None else f"{floor:.1f}", share)

    floor = found["scratch"]["float32"]["floor"]
    row("seed's way, scratch CNN", seed["scratch"], seed["scratch"], floor)
    for precision, got in found["scratch"].items():
        row(f"ours, {precision}, one fit on all cores", got["alone"], seed["scratch"], got["floor"])
        row(f"ours, {precision}, fits side by side", got["together"], seed["scratch"], got["floor"])
    row("seed's way, MobileNetV2 in the loop", seed["pretrained"], seed["pretrained"])
    engine = found["engine"]
    ratio = f"{seed['pretrained'] / engine['seconds']:.2f}"
    out.add_row(f"ours, {engine['fits']} pretrained fits together", "", f"{engine['seconds']:.1f}", ratio, "", "")
    return out


def _run(
    what: str, module: list[str], threads: int = 1, processes: int = 1, seeds_way: bool = False
) -> list[dict[str, Any]]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "OMP_"))}
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if not seeds_way:  # the seeds left the threads to TensorFlow
        environment |= {"TF_NUM_INTRAOP_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    Console(stderr=True).print(f"[dim]{what} …[/dim]")
    command = [sys.executable, "-W", "ignore", "-m", *module]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(command, env=environment, **pipes) for _ in range(processes)]
    said = [process.communicate() for process in running]
    for process, (_, error) in zip(running, said, strict=True):
        if process.returncode:
            raise SystemExit(f"{what} failed:\n{error[-2000:]}")
    found = [json.loads(out.strip().splitlines()[-1]) for out, _ in said]
    Console(stderr=True).print(f"[dim]  {found}[/dim]")
    return found


def main() -> None:
    """Command line: python -m benchmarks [STUDY] [--epochs N]."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", nargs="?", default="bali-betawi-celup")
    parser.add_argument("--epochs", type=int, default=3, help="epochs measured after the first")
    asked = parser.parse_args()
    found = measure(asked.study, asked.epochs)
    Console().print(table(found))
    write_json(cache_dir() / "bench.json", found)


if __name__ == "__main__":
    main()
