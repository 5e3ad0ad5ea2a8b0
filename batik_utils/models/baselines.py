"""Baselines that a network must beat to have learnt anything: file metadata, colours, frozen features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from batik_utils.models.work import Fitted, Task
from batik_utils.study_models import AnyModel
from batik_utils.values import Dataset, Split


class BaselineModel(AnyModel):
    """A logistic regression, which every study is given beside its models; it has no hyperparameters to vary."""

    kind: Literal["baseline"] = "baseline"
    inputs: Literal["metadata", "colour", "features"]
    """What it is given: facts about the file; a histogram of its colours; a frozen backbone's features."""


BASELINES = {
    "baseline_metadata": BaselineModel(inputs="metadata", title="File metadata (picture unopened)"),
    "baseline_colour": BaselineModel(inputs="colour", title="Colour histogram"),
    "baseline_features": BaselineModel(inputs="features", title="Frozen features (logistic regression)"),
}
"""By the names that their fits have."""

COLOUR_BINS = 4  # per channel, so that the joint RGB histogram has 64 cells
REGULARISATION = 1.0  # scikit-learn's C, fixed beforehand for all three


def baseline_inputs(name: str, dataset: Dataset, features: NDArray[np.floating] | None = None) -> NDArray[np.float64]:
    """The inputs [n, k] of a baseline for every row of the dataset.

    metadata never opens an image: log width, log height, log bytes per pixel, log aspect, and format and mode
    as indicators, from dataset.facts; one constant column where there are none, or where all files are alike.
    colour is the square root of the joint RGB histogram. features is view 0 of features [n, views, k].
    """
    if name == "metadata":
        return _metadata(dataset)
    if name == "colour":
        return np.stack([_histogram(image) for image in dataset.images])
    assert features is not None
    return np.asarray(features[:, 0], dtype=np.float64)


def fit_baselines(task: Task[BaselineModel], paths: Sequence[str], inputs: NDArray[np.float64]) -> list[Fitted]:
    """Fit a task's splits on inputs [n, k]; paths is [n]."""
    labels, size = np.asarray(task.labels), (inputs.shape[1] + 1) * task.classes
    size += task.features.backbone.parameters if task.features else 0
    said = [fit_baseline(inputs, labels, task.classes, split) for split in task.splits]
    return [(task.result(place, paths, {"test": answer}, size), {}) for place, answer in enumerate(said)]


def fit_baseline(
    inputs: NDArray[np.float64], labels: NDArray[np.int64], classes: int, split: Split
) -> NDArray[np.float64]:
    """Probabilities [n_test, classes] of the split's test rows, from its training and validation rows.

    A standardised multinomial logistic regression (Cox 1958; scikit-learn's lbfgs, which draws nothing) for every
    baseline, its regularisation fixed beforehand, so that validation rows are rows to learn from. A class without
    training rows gets probability 0.
    """
    rows = np.array([*split.train, *split.val], dtype=np.int64)
    known = np.unique(labels[rows])
    out = np.zeros((len(split.test), classes))
    if len(known) == 1:
        out[:, known] = 1.0
        return out
    model = make_pipeline(StandardScaler(), LogisticRegression(C=REGULARISATION, max_iter=2000))
    model.fit(inputs[rows], labels[rows])
    out[:, known] = model.predict_proba(inputs[list(split.test)])
    return out


def _metadata(dataset: Dataset) -> NDArray[np.float64]:
    facts = dataset.facts
    if not facts:
        return np.ones((len(dataset), 1))
    width, height, size = (np.array([f[key] for f in facts], dtype=np.float64) for key in ("width", "height", "bytes"))
    columns = [np.log(width), np.log(height), np.log(size / (width * height)), np.log(width / height)]
    for key in ("format", "mode"):
        values = [str(f[key]) for f in facts]
        columns += [np.array([v == value for v in values], dtype=np.float64) for value in sorted(set(values))]
    # A column in which all files are alike says nothing; where all are alike, one constant column is left.
    telling = [column for column in columns if np.ptp(column) > 1e-12]
    return np.stack(telling, axis=1) if telling else np.ones((len(dataset), 1))


def _histogram(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    cells = (image.reshape(-1, 3).astype(np.int64) * COLOUR_BINS) // 256
    joint = (cells[:, 0] * COLOUR_BINS + cells[:, 1]) * COLOUR_BINS + cells[:, 2]
    # Square roots: the Hellinger kernel, in which a large plain ground does not drown the rare dyes.
    return np.sqrt(np.bincount(joint, minlength=COLOUR_BINS**3) / len(joint))
