"""How the pretrained arm's cost grows with motifs and repeats: python -m benchmarks.scaling [--motifs 3 6 12 20]."""

import argparse
import os
import resource
import tempfile
import time
from dataclasses import replace
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

from batik_utils.data.obtain import published_files
from batik_utils.dataset import load_dataset
from batik_utils.experiment import make_plan, run_plan
from batik_utils.study import Repetition, Study
from batik_utils.study_file import load_study
from batik_utils.values import Dataset


def bigger_study(motifs: list[str], repeats: int) -> Study:
    """Study one's pretrained model, and nothing else, on these motifs."""
    one = load_study("bali-betawi-celup")
    grouped = one.grouped.model_copy(update={"pretrained": Repetition(repeats=repeats, curve=False, permuted=0)})
    models = {name: one.models[name] for name in one.compare}
    return one.model_copy(update={"motifs": tuple(motifs), "grouped": grouped, "models": models, "claims": ()})


def measure(study: Study, dataset: Dataset) -> tuple[int, float]:
    """(fits, seconds) of the grouped fits of the pretrained model; features already computed are used."""
    plan = make_plan(study, dataset)
    model = study.compare[0]
    tasks = tuple(t for t in plan.tasks if (t.fits[0].model, t.fits[0].protocol) == (model, "grouped"))
    start = time.perf_counter()
    results = run_plan(replace(plan, tasks=tasks, waiting=()), progress=False)
    return len(results), time.perf_counter() - start


def main() -> None:
    """Print seconds and peak memory, each size from an empty cache, at 1 repeat and then at 10."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--motifs", type=int, nargs="+", default=[3, 6, 12, 20])
    asked = parser.parse_args().motifs
    names = sorted({path.split("/")[0] for path in published_files()})
    out = Table(
        "motifs", "images", "features and 25 fits, s", "per image, s", "225 more fits, s", "largest process, GB"
    )
    for count in asked:
        few, many = (bigger_study(names[:count], repeats) for repeats in (1, 10))
        dataset = load_dataset(few)
        with tempfile.TemporaryDirectory() as empty, patch.dict(os.environ, BATIK_CACHE=empty):
            _, first = measure(few, dataset)
            _, more = measure(many, dataset)
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1e6
        cells = (f"{first:.1f}", f"{first / len(dataset):.3f}", f"{more:.1f}", f"{peak:.2f}")
        out.add_row(str(count), str(len(dataset)), *cells)
    Console().print(out)


if __name__ == "__main__":
    main()
