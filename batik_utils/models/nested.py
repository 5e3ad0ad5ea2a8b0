"""Nested selection: inside a fit's own training rows, inner folds choose among a recipe's candidates, heads, strengths.

Everything is done on Gram matrices. A kernel's rows are brought to coordinates that have its scalar products, in which
any linear head of scikit-learn learns as it would on the features themselves (Schölkopf and Smola 2002, chapter 14).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from batik_utils.errors import BatikError
from batik_utils.models.work import Fitted, Task, Weights, evaluation_sets, training_seed
from batik_utils.study import RecipeModel

if TYPE_CHECKING:
    from batik_utils.models.recipes import Extractor

HEADS = {
    "ridge": lambda strength: RidgeClassifier(alpha=strength),
    "logistic": lambda strength: LogisticRegression(C=strength, max_iter=2000),
    "svm": lambda strength: LinearSVC(C=strength, max_iter=20_000, random_state=0),
}
"""By name; a strength is scikit-learn's own: alpha grows with regularisation, C falls."""
_SMALL = 1e-5  # of a kernel's largest eigenvalue: what is below is rounding
_UNSEEN = -10.0  # the decision for a class without training rows; others are around -1 and 1
Grams = NDArray[np.float32]


@dataclass(frozen=True)
class Choice:
    """A setting, and how it did on the rows of the inner folds when it had not been trained on them."""

    candidate: str
    head: str
    strength: float
    right: int
    brier: float  # Brier score at the temperature, 0 (perfect) to 2
    temperature: float  # of the lowest log loss, by which decisions are multiplied before the softmax

    @property
    def name(self) -> str:
        """Such as "covariances, ridge 0.1"."""
        return f"{self.candidate}, {self.head} {self.strength:g}"


@dataclass(frozen=True)
class Linear:
    """A head in terms of its training rows: decisions are kernel @ dual + bias."""

    dual: NDArray[np.float64]  # [rows, classes]
    bias: NDArray[np.float64]  # [classes]

    def decide(self, kernel: NDArray[np.floating]) -> NDArray[np.float64]:
        """Decisions [m, classes] from the kernel [m, rows] of m pictures with the training rows."""
        return kernel @ self.dual + self.bias


def gram_matrices(features: NDArray[np.float32], extractor: Extractor) -> Grams:
    """Scalar products [blocks, versions, n, n] of each version of picture i with the untouched picture j.

    features is [n, versions, d], version 0 untouched. On one thread, as several round differently.
    """
    edges = np.cumsum([0, *(width for _, width in extractor.blocks)])
    blocks = [features[:, :, start:stop] for start, stop in pairwise(edges)]
    with threadpool_limits(1):
        return np.stack([[block[:, v] @ block[:, 0].T for v in range(block.shape[1])] for block in blocks])


def fit_recipe(task: Task[RecipeModel], paths: Sequence[str], grams: Grams) -> list[Fitted]:
    """Choose a setting by the inner folds of each fit's training rows, fit it on all of them, and ask it.

    The lowest Brier score is chosen: of a hundred rows the share that is right is too coarse to tell settings apart,
    and a log loss listens most to a few rows that were taken for sure and wrong. Ties go to more right, then to fewer
    parameters, then to the first.
    grams is gram_matrices of every row of the dataset; paths is [n]. Each candidate with its own best setting is asked
    about the test rows too (FitResult.alone). Weights are candidate [1], its index; dual [n, classes], zero in rows
    that did not train; and bias [classes]: softmax(kernel @ dual + bias) are the probabilities.
    """
    return [_fit(task, place, paths, grams) for place in range(len(task.fits))]


def _fit(task: Task[RecipeModel], place: int, paths: Sequence[str], grams: Grams) -> Fitted:
    split, model, extractor = task.splits[place], task.model, _extractor(task)
    train, blocks = np.asarray(split.train), [name for name, _ in extractor.blocks]
    y, groups = np.asarray(task.labels)[train], np.asarray(task.groups)[train]
    folds = inner_folds(y, groups, model.inner_folds, training_seed(task.fits[place]))
    found: dict[str, tuple[Choice, Linear, Grams]] = {}
    compared: list[Choice] = []
    for candidate, parts in model.candidates.items():
        kernels = grams[[name in parts for name in blocks]].mean(axis=0)
        own = kernels[0][np.ix_(train, train)].astype(np.float64)
        tried = list(trials(own, y, folds, model, candidate, task.classes))
        compared += tried
        choice = min(tried, key=lambda c: (c.brier, -c.right))
        (head,) = fit_heads(own, y, choice.head, [choice.strength], task.classes)
        found[candidate] = choice, head, kernels

    def parameters(candidate: str) -> int:
        """Of the deployed model: the backbones and the linear head."""
        alone = extractor.only(model.candidates[candidate])
        return alone.parameters + (alone.features + 1) * task.classes

    def ask(candidate: str, rows: Sequence[int], version: int = 0) -> NDArray[np.float64]:
        choice, head, kernels = found[candidate]
        return softmax(choice.temperature * head.decide(kernels[version][np.ix_(np.asarray(rows), train)]), axis=1)

    best = min(found, key=lambda name: (found[name][0].brier, -found[name][0].right, parameters(name)))
    choice, head, _ = found[best]
    said = {name: ask(best, rows) for name, rows in evaluation_sets(split).items()}
    corruptions = {name: ask(best, split.test, 1 + at) for at, name in enumerate(task.corruptions)}
    alone = {candidate: ask(candidate, split.test) for candidate in found}
    more = {"corruptions": corruptions, "chosen": choice.name, "alone": alone}
    more["trials"] = {c.name: round(c.brier, 7) for c in compared}
    dual = np.zeros((len(paths), task.classes))
    dual[train] = choice.temperature * head.dual
    index = np.array([list(found).index(best)])
    weights: Weights = {"candidate": index, "dual": dual, "bias": choice.temperature * head.bias}
    return task.result(place, paths, said, parameters(best), **more), weights


def primal_weights(task: Task[RecipeModel], weights: Weights, features: NDArray[np.float32]) -> Weights:
    """A fit's weights on the features themselves: candidate [1], kernel [d of its parts, classes] and bias [classes].

    features is [n, versions, d], of every row of the dataset.
    """
    assert isinstance(weights, dict)
    extractor = _extractor(task)
    parts = list(task.model.candidates.values())[int(weights["candidate"][0])]
    columns = extractor.columns(parts)
    # The kernel that the fit saw is the mean over its blocks.
    kernel = features[:, 0, columns].T @ weights["dual"] / len(extractor.only(parts).blocks)
    return {"candidate": weights["candidate"], "kernel": kernel, "bias": weights["bias"]}


def _extractor(task: Task[RecipeModel]) -> Extractor:
    assert task.features is not None
    return cast("Extractor", task.features.backbone)


def trials(
    kernel: NDArray[np.float64],
    y: NDArray[np.int64],
    folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    model: RecipeModel,
    candidate: str,
    classes: int,
) -> Iterator[Choice]:
    """Every head and strength of a candidate on the inner folds; kernel is [rows, rows], y [rows]."""
    for head, strengths in model.heads.items():
        decisions = np.empty((len(strengths), len(y), classes))
        for learn, judge in folds:
            fitted = fit_heads(kernel[np.ix_(learn, learn)], y[learn], head, strengths, classes)
            for at, linear in enumerate(fitted):
                decisions[at, judge] = linear.decide(kernel[np.ix_(judge, learn)])
        for strength, decided in zip(strengths, decisions, strict=True):
            right = int((decided.argmax(1) == y).sum())
            yield Choice(candidate, head, strength, right, *calibrated(decided, y))


def inner_folds(
    y: NDArray[np.int64], groups: NDArray[np.int64], folds: int, seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Stratified folds of y [rows] in which a group is never divided, fewer where a motif has not so many groups.

    Raises BatikError where a motif has one group only.
    """
    fewest = min(len(np.unique(groups[y == label])) for label in np.unique(y))
    if fewest < 2:
        raise BatikError("A motif has only one different picture to train on, and a choice among recipes needs two.")
    return list(StratifiedGroupKFold(min(folds, fewest), shuffle=True, random_state=seed).split(y, y, groups))


def fit_heads(
    kernel: NDArray[np.float64], y: NDArray[np.int64], head: str, strengths: Sequence[float], classes: int
) -> list[Linear]:
    """A head of each strength on a kernel [rows, rows] and labels [rows]."""
    values, vectors = np.linalg.eigh(kernel)
    kept = values > _SMALL * values[-1]
    roots, vectors = np.sqrt(values[kept]), vectors[:, kept]
    fitted = []
    for strength in strengths:
        estimator = HEADS[head](strength).fit(vectors * roots, y)
        slopes, bias = np.atleast_2d(estimator.coef_), np.atleast_1d(estimator.intercept_)
        if len(slopes) == 1:  # of two classes scikit-learn keeps the second's alone
            slopes, bias = np.concatenate([-slopes, slopes]), np.concatenate([-bias, bias])
        dual, offset = np.zeros((len(y), classes)), np.full(classes, _UNSEEN)
        dual[:, estimator.classes_] = (vectors / roots) @ slopes.T
        offset[estimator.classes_] = bias
        fitted.append(Linear(dual, offset))
    return fitted


def calibrated(decisions: NDArray[np.float64], y: NDArray[np.int64]) -> tuple[float, float]:
    """Brier score of decisions [rows, classes] at the temperature of the lowest mean log loss, and that."""

    def loss(log_temperature: float) -> float:
        said = log_softmax(np.exp(log_temperature) * decisions, axis=1)[np.arange(len(y)), y]
        return -float(np.maximum(said, np.log(1e-7)).mean())

    best = minimize_scalar(loss, bounds=(-4.0, 6.0), method="bounded")
    apart = softmax(np.exp(best.x) * decisions, axis=1) - np.eye(decisions.shape[1])[y]
    return float((apart**2).sum(axis=1).mean()), float(np.exp(best.x))
