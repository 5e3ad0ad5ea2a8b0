"""Count the pictures and the arithmetic of one epoch: multiply-adds in convolutions and matrix products."""

from __future__ import annotations

import argparse
import json

from batik_utils.models.scratch import multiply_adds
from benchmarks.pictures import halves, load


def facts(study_name: str) -> dict[str, int | str]:
    """Pictures, and multiply-adds of an epoch: training on four fifths, looking at one fifth."""
    study, dataset = load(study_name)
    spec = next(model for model in study.models.values() if model.kind == "scratch")
    train, held = halves(dataset)
    forward, training = multiply_adds(spec.architecture, dataset.size, len(dataset.motifs))
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
