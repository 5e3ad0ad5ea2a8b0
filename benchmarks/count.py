"""Count the pictures and the arithmetic of one epoch: multiply-adds in convolutions and matrix products."""

import argparse
import json

import numpy as np

from batik_utils.models.scratch import build_scratch
from benchmarks.pictures import halves, load


def multiply_adds(architecture: str, size: int, classes: int) -> tuple[int, int]:
    """Count one image's multiply-adds (forward, training step) in the convolutions and matrix products.

    A training step computes each layer forward, its weights' gradient, and its input's gradient, the last not
    for the first layer, whose input is the picture.
    """
    forward = []
    for layer in build_scratch(architecture, size, classes, 0.0).layers:
        if hasattr(layer, "kernel"):
            _, *places, _ = layer.output.shape
            forward.append(int(np.prod(places)) * int(np.prod(layer.kernel.shape)))
    return sum(forward), 3 * sum(forward) - forward[0]


def facts(study_name: str) -> dict[str, int | str]:
    """Pictures, and multiply-adds of an epoch: training on four fifths, looking at one fifth."""
    study, dataset = load(study_name)
    train, held = halves(dataset)
    forward, training = multiply_adds(study.models[study.compare[1]].architecture, dataset.size, len(dataset.motifs))
    return {
        "data": dataset.source.kind,
        "train": len(train),
        "held": len(held),
        "training_multiply_adds_per_epoch": training * len(train) + forward * len(held),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True)
    print(json.dumps(facts(parser.parse_args().study)))
