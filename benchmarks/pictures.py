"""The pictures that every measurement uses: a study's own, or the procedural sample where they are not at hand."""

from batik_utils.data.load import load_dataset
from batik_utils.errors import BatikError
from batik_utils.models.work import Task
from batik_utils.study import Study
from batik_utils.study_file import load_study
from batik_utils.values import Dataset, Fit, FitResult, Hyper, Split


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


def halves(dataset: Dataset) -> tuple[list[int], list[int]]:
    """Four fifths to train on, one fifth to look at, motif by motif: 120 and 30 of the seed's 150."""
    train, held = [], []
    for label in range(len(dataset.motifs)):
        rows = [int(row) for row in (dataset.labels == label).nonzero()[0]]
        cut = len(rows) // 5
        held += rows[:cut]
        train += rows[cut:]
    return train, held


def scratch_fit(study: Study, dataset: Dataset, precision: str, epochs: int, seed: int = 0) -> FitResult:
    """The verdict's scratch model trained on these halves, by this project, in "float32" or "bfloat16" arithmetic."""
    from batik_utils.models.train import train_scratch

    model = study.models[study.compare[1]].model_copy(update={"precision": precision})
    train, held = halves(dataset)
    fit = Fit(study.name, "scratch", "bench", 0, 0, seed, Hyper(epochs, model.learning_rate, model.dropout))
    split = Split("bench", 0, 0, tuple(train), (), tuple(held))
    labels, classes = tuple(dataset.labels.tolist()), len(dataset.motifs)
    task = Task(model=model, fits=(fit,), splits=(split,), labels=labels, classes=classes, history=True)
    return train_scratch(task, dataset.paths, dataset.sha256, dataset.images)[0][0]
