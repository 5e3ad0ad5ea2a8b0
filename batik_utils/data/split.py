"""Which images train and which test: the seeds' own splits, grouped cross-validation, learning curves, permutation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedShuffleSplit

from batik_utils.errors import BatikError
from batik_utils.study import Study
from batik_utils.values import Dataset, Split

KERAS_EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")
"""What Keras' flow_from_directory looks at; a file of another name does not exist for it."""


def published_split(study: Study, dataset: Dataset) -> Split:
    """The seed study's own split; it knows nothing of near-duplicates, on purpose.

    keras-validation-split: ImageDataGenerator(validation_split=0.2). Of each motif's files in lexicographic
    order of their names ("1.jpg", "10.jpg", "11.jpg", ...) the first int(0.2 n) are the test rows, which the
    seed called validation, and the others train; val is empty. Files whose extension Keras does not know are in
    neither. Files that are not images were skipped by the loader and are not counted in n, whereas Keras counts
    them by their names and then fails to open them; none is among the motifs of the seeds.

    stratified-80-10-10: a shuffle stratified by motif (seed 0); the first tenth tests, the second validates.

    Raises BatikError when a motif has too few images for its part.
    """
    if study.published.split == "keras-validation-split":
        return _keras_split(dataset)
    return _tenths(dataset)


def grouped_splits(study: Study, dataset: Dataset, repeats: int) -> list[Split]:
    """Stratified k-fold in which a group is never divided, `repeats` times with random_state = 0, 1, ...

    Returns repeats x study.grouped.folds splits in the order of repeat and fold; val is empty. A group that has
    images under two labels (the same picture twice) stays on one side like any other.
    Raises BatikError when a motif has fewer groups than folds, or is not in every train and test part.
    """
    folds = study.grouped.folds
    for label, motif in enumerate(dataset.motifs):
        groups = len(np.unique(dataset.groups[dataset.labels == label]))
        if groups < folds:
            raise BatikError(
                f"{motif} has {groups} different images, too few for {folds} folds; set grouped.folds lower."
            )
    splits = []
    for repeat in range(repeats):
        folder = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=repeat)
        parts = folder.split(np.zeros(len(dataset)), dataset.labels, dataset.groups)
        for fold, (train, test) in enumerate(parts):
            for rows, part in ((train, "train on"), (test, "test on")):
                _demand_all(dataset, rows, f"fold {fold + 1} of repeat {repeat + 1} to {part}")
            splits.append(Split("grouped", repeat, fold, _rows(train), (), _rows(test)))
    return splits


def curve_splits(study: Study, dataset: Dataset, repeats: int) -> list[Split]:
    """The grouped splits with only k training images of each motif, for each k of study.grouped.curve.

    The protocol is "curve-k". Test rows are the fold's own for every k. Which images train is drawn from
    (repeat, fold) alone and is nested: the 5 are among the 10. A motif with fewer than k gives all it has.
    """
    whole = grouped_splits(study, dataset, repeats)
    splits = []
    for k in study.grouped.curve:
        for split in whole:
            draw = np.random.Generator(np.random.PCG64([split.repeat, split.fold]))
            train = np.array(split.train)
            chosen: list[int] = []
            for label in range(len(dataset.motifs)):
                chosen += draw.permutation(train[dataset.labels[train] == label])[:k].tolist()
            splits.append(replace(split, protocol=f"curve-{k}", train=_rows(chosen)))
    return splits


def permuted(dataset: Dataset, seed: int) -> Dataset:
    """The same images with labels dealt out at random: what a model still gets right is chance, or a leak.

    Labels move between groups, not images: near-duplicates share one label (that of the group's first image),
    so that no copy can tell the label of another. Where groups differ in size, the motifs' counts may shift by
    a few; chance is then that of the permuted labels.
    """
    _, first, group = np.unique(dataset.groups, return_index=True, return_inverse=True)
    dealt = np.random.Generator(np.random.PCG64(seed)).permutation(dataset.labels[first])
    return replace(dataset, labels=dealt[group])


def _keras_split(dataset: Dataset) -> Split:
    train: list[int] = []
    test: list[int] = []
    for label, motif in enumerate(dataset.motifs):
        rows = [i for i in _of(dataset, label) if dataset.paths[i].lower().endswith(KERAS_EXTENSIONS)]
        rows.sort(key=lambda i: dataset.paths[i])
        cut = int(0.2 * len(rows))
        if cut == 0:
            raise BatikError(f"{motif} has {len(rows)} images, and a fifth of them must be at least one to test on.")
        test += rows[:cut]
        train += rows[cut:]
    return Split("published", 0, 0, _rows(train), (), _rows(test))


def _tenths(dataset: Dataset) -> Split:
    everything = np.arange(len(dataset))
    tenth = round(len(dataset) / 10)
    for label, motif in enumerate(dataset.motifs):
        if len(_of(dataset, label)) < 3 or tenth < len(dataset.motifs):
            raise BatikError(f"{motif}: a tenth of {len(dataset)} images is too few to have every motif in it.")
    rest, test = _shuffled(dataset, everything, tenth)
    train, val = _shuffled(dataset, rest, tenth)
    for rows, part in ((train, "to train on"), (val, "to validate on"), (test, "to test on")):
        _demand_all(dataset, rows, part)
    return Split("published", 0, 0, _rows(train), _rows(val), _rows(test))


def _shuffled(dataset: Dataset, rows: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    cut = StratifiedShuffleSplit(n_splits=1, test_size=size, random_state=0)
    large, small = next(cut.split(rows, dataset.labels[rows]))
    return rows[large], rows[small]


def _of(dataset: Dataset, label: int) -> list[int]:
    return np.flatnonzero(dataset.labels == label).tolist()


def _demand_all(dataset: Dataset, rows: NDArray[np.int64], where: str) -> None:
    present = set(dataset.labels[rows].tolist())
    for label, motif in enumerate(dataset.motifs):
        if label not in present:
            raise BatikError(f"{motif} has no image in {where}: too few different images for this protocol.")


def _rows(rows: Sequence[int] | NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(sorted(int(i) for i in rows))
