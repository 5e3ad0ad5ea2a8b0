"""This project's way of the same fit: the scratch network of a study, trained by batik_utils."""

import argparse
import json
import time

from benchmarks.pictures import load, scratch_fit


def seconds_per_epoch(study_name: str, precision: str, epochs: int) -> dict[str, float]:
    """Mean over a fit of `epochs` epochs, after a fit of one that compiles (its seconds are "first_fit")."""
    study, dataset = load(study_name)

    def fit(length: int) -> float:
        start = time.perf_counter()
        scratch_fit(study, dataset, precision, length)
        return time.perf_counter() - start

    first = fit(1)
    return {"first_fit": first, "seconds_per_epoch": fit(epochs) / epochs}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("precision", choices=["float32", "bfloat16"])
    parser.add_argument("--study", required=True)
    parser.add_argument("--epochs", type=int, default=3)
    asked = parser.parse_args()
    print(json.dumps(seconds_per_epoch(asked.study, asked.precision, asked.epochs)))
