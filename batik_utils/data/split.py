"""Which images train and which test, protocol by protocol: everything that is known of a protocol is here."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedShuffleSplit

from batik_utils.errors import BatikError
from batik_utils.study import ROOT, Repetition, Study
from batik_utils.values import Dataset, Split

KERAS_EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")  # all that flow_from_directory sees


@dataclass(frozen=True)
class Round:
    """Splits on which a model is fitted alike, and what is asked of the fits."""

    splits: Sequence[Split]
    seeds: int = 1  # training seeds 0 … seeds - 1 for each split
    tried: bool = False  # whether a model is fitted with every setting of its `runs` (one without them, with none)
    labels: NDArray[np.int64] | None = None  # [n], where they are not the dataset's
    groups: NDArray[np.int64] | None = None  # [n], where those that the splits keep whole are not the dataset's
    corruptions: bool = False  # whether the test images are tampered with too
    history: bool = False


def runs(study: Study, dataset: Dataset, often: Repetition) -> Iterator[Round]:
    """The seed study's own split with all the settings that it ran; a model's `runs` say which, and its seeds."""
    yield Round([replace(published_split(study, dataset), protocol="runs")], tried=True)


def published(study: Study, dataset: Dataset, often: Repetition) -> Iterator[Round]:
    """The seed study's own split."""
    seeds = study.published.seeds
    yield Round([published_split(study, dataset)], seeds, corruptions=True, history=True)


def grouped(study: Study, dataset: Dataset, often: Repetition) -> Iterator[Round]:
    """Repeated k-fold; the verdict comes from here, and nothing is tuned on it."""
    yield Round(grouped_splits(study, dataset, often.repeats), often.seeds, corruptions=True)


def sources(study: Study, dataset: Dataset, often: Repetition) -> Iterator[Round]:
    """The same with pictures of one source on one side too: what to expect on cloth photographed by somebody else."""
    if study.sources and often.sources:
        yield Round(grouped_splits(study, dataset, often.sources, "sources"), groups=dataset.sources)


def others(study: Study, dataset: Dataset, often: Repetition) -> Iterator[Round]:
    """The splits of somebody else, as they are and in order, each as a repeat of one fold; val is empty.

    Pictures that their list does not name are in no split. Raises BatikError where the list is not there, names no
    picture of the dataset, or leaves a motif without images on one side.
    """
    if not study.others or not often.others:
        return
    cells = _listed(study, "others.splits", study.others.splits, "tested in splits")
    tested = {path: cell.split() for path, cell in cells.items()}
    listed = [row for row, path in enumerate(dataset.paths) if path in tested]
    splits = []
    for repeat, name in enumerate(sorted({name for row in listed for name in tested[dataset.paths[row]]}, key=int)):
        test = np.array([row for row in listed if name in tested[dataset.paths[row]]])
        train = np.setdiff1d(listed, test)
        _demand_all(dataset, f" in split {name} of {study.others.splits}.csv", train=train, test=test)
        splits.append(Split("others", repeat, 0, _rows(train), (), _rows(test)))
    if not splits:
        raise BatikError(f"{study.others.splits}.csv names none of the pictures of {study.name}.")
    yield Round(splits)


def curve(study: Study, dataset: Dataset, often: Repetition) -> Iterator[Round]:
    """The same with only k training images of each motif, for each k of study.grouped.curve; "curve-k".

    Test rows are those of the folds of the first often.curve repeats. Which images train is drawn from (repeat, fold)
    alone and is nested: the 5 are among the 10. A motif with fewer than k in a fold gives all it has; BatikError is
    raised for one that has fewer in all.
    """
    repeats, counts, folds = min(often.curve, often.repeats), np.bincount(dataset.labels), study.grouped.folds
    if repeats and (k := max(study.grouped.curve, default=0)) > (least := counts.min()):
        few = f"{dataset.motifs[counts.argmin()]} has {least:,}, and {folds} folds train on {least - least // folds}"
        raise BatikError(f"grouped.curve asks for {k:,} pictures of each motif, but {few}; set it to no more.")
    for k in study.grouped.curve if repeats else ():
        splits = []
        for split in grouped_splits(study, dataset, repeats):
            draw = np.random.Generator(np.random.PCG64([split.repeat, split.fold]))
            train = np.array(split.train)
            own = [train[dataset.labels[train] == label] for label in range(len(dataset.motifs))]
            chosen = np.concatenate([draw.permutation(rows)[:k] for rows in own])
            splits.append(replace(split, protocol=f"curve-{k}", train=_rows(chosen)))
        yield Round(splits)


def permuted(study: Study, dataset: Dataset, often: Repetition) -> Iterator[Round]:
    """Repeat r of the grouped protocol with labels dealt out at random (seed r): what is still right is a leak.

    They are dealt among groups, that of each group's first image: near-duplicates share one. Where groups differ in
    size, the motifs' counts may shift by a few; chance is then that of the permuted labels.
    """
    _, first, group = np.unique(dataset.groups, return_index=True, return_inverse=True)
    for repeat in range(often.permuted):
        dealt = np.random.Generator(np.random.PCG64(repeat)).permutation(dataset.labels[first])[group]
        splits = grouped_splits(study, replace(dataset, labels=dealt), repeat + 1)[-study.grouped.folds :]
        yield Round([replace(split, protocol="permuted") for split in splits], labels=dealt)


PROTOCOLS: dict[str, Callable[[Study, Dataset, Repetition], Iterator[Round]]] = {
    protocol.__name__: protocol for protocol in (runs, published, grouped, sources, others, curve, permuted)
}
"""By name, in the order in which a plan lists them."""


def published_split(study: Study, dataset: Dataset) -> Split:
    """The seed study's own split; it knows nothing of near-duplicates, on purpose.

    keras-validation-split: ImageDataGenerator(validation_split=0.2). Of each motif's files in lexicographic order of
    their names the first int(0.2 n) test (the seed called them validation), and the others train; val is empty. Files
    whose extension Keras does not know are in neither; those that are no images are not counted, as Keras counts them.
    stratified-80-10-10: a shuffle stratified by motif (seed 0); the first tenth tests, the second validates.
    listed: as studies/splits/NAME.csv has them, "train", "val" or "test"; what it does not name is in no part.
    Raises BatikError when a motif has too few images for its part, or the list is not there.
    """
    if study.published.split == "keras-validation-split":
        train, test = [], []
        for label, motif in enumerate(dataset.motifs):
            rows = sorted(np.flatnonzero(dataset.labels == label).tolist(), key=lambda row: dataset.paths[row])
            own = [row for row in rows if dataset.paths[row].lower().endswith(KERAS_EXTENSIONS)]
            cut = int(0.2 * len(own))
            if cut == 0:
                raise BatikError(f"{motif} has {len(own)} images, and a fifth of them must be at least one to test on.")
            test += own[:cut]
            train += own[cut:]
        return Split("published", 0, 0, _rows(train), (), _rows(test))
    if study.published.split == "listed":
        part = _listed(study, "published.files", str(study.published.files), "part")
        named = np.array([part.get(path, "") for path in dataset.paths])
        learning, validating, testing = (np.flatnonzero(named == name) for name in ("train", "val", "test"))
    else:
        counts, tenth = np.bincount(dataset.labels, minlength=len(dataset.motifs)), round(len(dataset) / 10)
        for motif, images in zip(dataset.motifs, counts, strict=True):
            if images < 3 or tenth < len(dataset.motifs):
                raise BatikError(f"{motif}: a tenth of {len(dataset)} images is too few to have every motif in it.")
        cut_off = StratifiedShuffleSplit(n_splits=1, test_size=tenth, random_state=0)
        rest, testing = next(cut_off.split(dataset.labels, dataset.labels))
        learning, validating = (rest[part] for part in next(cut_off.split(rest, dataset.labels[rest])))
    _demand_all(dataset, "", train=learning, test=testing, **({"validate": validating} if len(validating) else {}))
    return Split("published", 0, 0, _rows(learning), _rows(validating), _rows(testing))


def grouped_splits(
    study: Study, dataset: Dataset, repeats: int, protocol: Literal["grouped", "sources"] = "grouped"
) -> list[Split]:
    """Stratified k-fold in which a group (or a source) is never divided, `repeats` times, random_state = 0, 1, ...

    Returns repeats x study.grouped.folds splits in the order of repeat and fold; val is empty. A group that has
    images under two labels stays on one side like any other.
    Raises BatikError when a motif has fewer groups than folds, or is not in every train and test part.
    """
    folds = study.grouped.folds
    kept, word = (dataset.groups, "images") if protocol == "grouped" else (dataset.sources, "sources")
    counts = [len(np.unique(kept[dataset.labels == label])) for label in range(len(dataset.motifs))]
    if (least := min(counts)) < folds:
        few = f"{dataset.motifs[counts.index(least)]} has {least} different {word}, too few for {folds:,} folds"
        raise BatikError(f"{few}; set grouped.folds to {least} or lower.")
    splits = []
    for repeat in range(repeats):
        for fold, (train, test) in enumerate(_folds(tuple(dataset.labels), tuple(kept), folds, repeat)):
            _demand_all(dataset, f" in fold {fold + 1} of repeat {repeat + 1}", train=train, test=test)
            splits.append(Split(protocol, repeat, fold, _rows(train), (), _rows(test)))
    return splits


def _listed(study: Study, field: str, name: str, column: str) -> dict[str, str]:
    """{path: what a column of studies/splits/NAME.csv says of it}."""
    path = ROOT / "studies" / "splits" / f"{name}.csv"
    if not path.is_file():
        raise BatikError(f"{study.name}: {field} names {path.name}, which is not in studies/splits/.")
    with path.open(encoding="utf-8", newline="") as file:
        return {row["path"]: row[column] for row in csv.DictReader(file)}


@lru_cache(maxsize=1000)
def _folds(labels: tuple[int, ...], groups: tuple[int, ...], folds: int, seed: int) -> list[tuple[NDArray, NDArray]]:
    folder = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    return list(folder.split(np.zeros(len(labels)), labels, groups))


def _demand_all(dataset: Dataset, where: str, **parts: NDArray[np.int64]) -> None:
    for purpose, rows in parts.items():
        for label in sorted(set(range(len(dataset.motifs))) - set(dataset.labels[rows].tolist())):
            none = f"{dataset.motifs[label]} has no image to {purpose} on{where}"
            raise BatikError(f"{none}: too few different images for this protocol.")


def _rows(rows: ArrayLike) -> tuple[int, ...]:
    return tuple(np.sort(rows).tolist())
