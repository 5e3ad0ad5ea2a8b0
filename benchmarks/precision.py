"""What bfloat16 costs in accuracy: the same seeds at both precisions, and a paired test."""

from __future__ import annotations

import argparse

import numpy as np
from scipy import stats

from batik_utils.models.train_scratch import train_scratch
from batik_utils.values import Hyper
from benchmarks.pictures import halves, load


def accuracies(study_name: str, seeds: int, epochs: int) -> dict[str, np.ndarray]:
    """Accuracy on the held-out fifth, per precision: [seeds]."""
    study, dataset = load(study_name)
    spec = next(model for model in study.models.values() if model.kind == "scratch")
    train, held = halves(dataset)
    hyper = Hyper(epochs, spec.learning_rate, spec.dropout)
    found: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    for precision, column in found.items():
        for seed in range(seeds):
            result = train_scratch(
                spec, hyper, dataset.images, dataset.labels, dataset.sha256, train, {"test": held}, seed,
                len(dataset.motifs), precision=precision,
            )  # fmt: skip
            right = result.probabilities["test"].argmax(axis=1) == dataset.labels[held]
            column.append(float(right.mean()))
            print(f"{precision} seed {seed}: {column[-1]:.3f}", flush=True)
    return {precision: np.array(column) for precision, column in found.items()}


def summary(found: dict[str, np.ndarray]) -> str:
    """Mean and standard deviation of each, the paired difference with its 95 % interval, and the t test."""
    lines = []
    for precision, column in found.items():
        spread = f" ± {column.std(ddof=1):.3f} (sd)" if len(column) > 1 else ""
        lines.append(f"{precision}: {column.mean():.3f}{spread}, {len(column)} seeds")
    difference = found["bfloat16"] - found["float32"]
    line = f"bfloat16 - float32: {difference.mean():+.3f}"
    if len(difference) > 1 and difference.std() > 0:
        test = stats.ttest_1samp(difference, 0.0)
        low, high = test.confidence_interval(0.95)
        line += f", 95 % interval {low:+.3f} to {high:+.3f}, paired t test p = {test.pvalue:.2f}"
    return "\n".join([*lines, line])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="bali-betawi-celup")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=20)
    asked = parser.parse_args()
    print(summary(accuracies(asked.study, asked.seeds, asked.epochs)))
