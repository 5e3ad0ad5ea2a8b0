"""What one process does in one go, as plain values: some fits of one model, and what each leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from batik_utils.cache import digest_json
from batik_utils.study_models import AnyModel, Image
from batik_utils.values import Failed, Fit, FitResult, Split

if TYPE_CHECKING:
    from batik_utils.models.features import FeatureSpec

M = TypeVar("M", bound=AnyModel)
Pair = tuple[Fit, Split]
Said = dict[str, NDArray[np.float64]]  # probabilities [m, classes] per evaluation set or corruption; rows sum to 1
Weights = dict[str, NDArray[Any]] | list[NDArray[np.float32]]  # a head's by name, a network's in order
Fitted = tuple[FitResult, Weights]


@dataclass(frozen=True, kw_only=True)
class Task(Generic[M]):
    """One scratch fit, some heads, or one baseline on all its splits, and what is asked of them."""

    model: M
    fits: tuple[Fit, ...]
    splits: tuple[Split, ...]  # one per fit
    labels: tuple[int, ...] = field(repr=False)  # of every row of the dataset; shuffled in the permutation control
    classes: int
    groups: tuple[int, ...] = field(default=(), repr=False)  # of every row; what shares one is never divided
    image: Image = field(default_factory=Image)  # how the pictures become arrays
    features: FeatureSpec | None = None  # what it is given in the images' place
    corruptions: tuple[str, ...] = ()
    checkpoints: tuple[int, ...] = ()  # epoch counts after which validation and test rows are asked about too
    history: bool = False
    slug: str = ""  # names it and, with the key, its file; the same however code and parameters change
    parts: Mapping[str, Any] = field(default_factory=dict, repr=False)  # what its results depend on
    cost: float = 0.0  # seconds of one core, roughly

    @cached_property
    def key(self) -> str:
        """sha256 over parts."""
        return digest_json(self.parts)

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of the dataset that are needed, sorted."""
        return tuple(sorted({i for s in self.splits for part in (s.train, s.val, s.test) for i in part}))

    def is_answered_by(self, results: Sequence[FitResult]) -> bool:
        """Whether these are results of its fits: each failed, or finite probabilities for every test row."""
        shapes = [(len(split.test), self.classes) for split in self.splits]
        return [r.fit for r in results] == [*self.fits] and all(
            r.missing or (r.y_prob.shape == shape and len(r.paths) == len(r.y_true) == shape[0] and r.is_finite)
            for r, shape in zip(results, shapes, strict=True)
        )

    def result(self, place: int, paths: Sequence[str], said: Said, parameters: int, **more: Any) -> FitResult:
        """The result of the fit at a place from its probabilities of "test" and, where there are such rows, "val".

        paths is that of every row of the dataset; more may hold FitResult's history, checkpoints and corruptions.
        """
        split, labels = self.splits[place], np.asarray(self.labels)
        test, val = np.asarray(split.test), np.asarray(split.val, np.int64)
        return FitResult(
            fit=self.fits[place],
            paths=tuple(paths[i] for i in test),
            y_true=labels[test],
            y_prob=said["test"],
            parameters=int(parameters),
            val_paths=tuple(paths[i] for i in val),
            val_true=labels[val] if split.val else None,
            val_prob=said["val"] if split.val else None,
            **more,
        )


def checked(result: FitResult) -> FitResult:
    """The result with probabilities rounded to 7 decimals; a failed one where not all numbers are finite."""

    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rounded(item) for key, item in value.items()}
        floating = isinstance(value, np.ndarray) and value.dtype.kind == "f"
        return np.round(value, 7).astype(np.float64) if floating else value

    if not result.is_finite:
        return FitResult.failed(result.fit, Failed("training diverged (NaN)"))
    return replace(result, **{name: rounded(value) for name, value in vars(result).items()})


def evaluation_sets(split: Split) -> dict[str, Sequence[int]]:
    """{"test": rows}, and "val" where the split has such rows."""
    return {"test": split.test, "val": split.val} if split.val else {"test": split.test}


def followed(
    task: Task[Any],
    place: int,
    paths: Sequence[str],
    parameters: int,
    learn: Callable[[int], dict[str, float]],
    ask: Callable[[Sequence[int], str], NDArray[np.float64]],
) -> FitResult:
    """Train the fit at a place of a task, epoch by epoch, and ask what the task wants to know; its result.

    learn(epoch) shows the training rows once and gives the accuracy and loss meanwhile; ask(rows, corruption) gives
    probabilities [m, classes] of rows of the dataset, as they are where the corruption is "".
    """
    fit, split, labels = task.fits[place], task.splits[place], np.asarray(task.labels)
    sets = evaluation_sets(split)
    watched = list(sets.get("val", split.test))
    history: dict[str, list[float]] = {}
    checkpoints: dict[int, Said] = {}
    for epoch in range(fit.hyper.epochs):
        now = learn(epoch)
        if task.history:
            for name, value in (now | _judged(ask(watched, ""), labels[watched])).items():
                history.setdefault(name, []).append(value)
        if epoch + 1 in task.checkpoints:
            checkpoints[epoch + 1] = {name: ask(rows, "") for name, rows in sets.items()}
    said = {name: ask(rows, "") for name, rows in sets.items()}
    corruptions = {name: ask(split.test, name) for name in task.corruptions}
    more = {"history": history, "checkpoints": checkpoints, "corruptions": corruptions}
    return task.result(place, paths, said, parameters, **more)


def _judged(y_prob: NDArray[np.float64], y_true: NDArray[np.int64]) -> dict[str, float]:
    """A history's val_accuracy and val_loss from probabilities [m, classes] and labels [m]."""
    right = np.clip(y_prob[np.arange(len(y_true)), y_true], 1e-7, None)
    return {"val_accuracy": float(np.mean(y_prob.argmax(1) == y_true)), "val_loss": float(-np.mean(np.log(right)))}


def training_seed(fit: Fit) -> int:
    """The seed of a fit's training, from its seed, repeat and fold: no two fits of one protocol share one."""
    return int(np.random.SeedSequence([fit.seed, fit.repeat, fit.fold]).generate_state(1)[0])
