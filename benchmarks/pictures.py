"""The pictures that every measurement uses: a study's own, or the procedural sample where they are not at hand."""

from __future__ import annotations

from batik_utils.data.load import load_dataset
from batik_utils.errors import BatikError
from batik_utils.study import ScratchModel, Study, load_study
from batik_utils.values import Dataset


def load(name: str) -> tuple[Study, Dataset]:
    """Read a study and its pictures; where they cannot be had, the sample study and its."""
    study = load_study(name)
    try:
        return study, load_dataset(study)
    except BatikError:
        sample = load_study("sample")
        # The same arithmetic as the study that was asked for: its size of picture.
        sample = sample.model_copy(update={"image": study.image, "motifs": sample.motifs[: len(study.motifs)]})
        return sample, load_dataset(sample)


def scratch_model(study: Study, precision: str = "float32") -> ScratchModel:
    """The scratch model of the study's verdict, with "float32" or "bfloat16" arithmetic."""
    return study.models[study.compare[1]].model_copy(update={"precision": precision})


def halves(dataset: Dataset) -> tuple[list[int], list[int]]:
    """Four fifths to train on, one fifth to look at, motif by motif: 120 and 30 of the seed's 150."""
    train, held = [], []
    for label in range(len(dataset.motifs)):
        rows = [int(row) for row in (dataset.labels == label).nonzero()[0]]
        cut = len(rows) // 5
        held += rows[:cut]
        train += rows[cut:]
    return train, held
