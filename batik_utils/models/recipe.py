"""A recipe's fit: inner folds of its training rows choose candidate, head and strength, by scikit-learn.

A kernel (the mean of the blocks' scalar products) is brought to coordinates that have its scalar products: in those an
L2-penalised linear head learns what it would on the features themselves (Schölkopf and Smola 2002, chapter 14).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

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
from batik_utils.study_models import RecipeModel

if TYPE_CHECKING:
    from batik_utils.models.extract import Extractor

HEADS = {
    "ridge": lambda strength: RidgeClassifier(alpha=strength),
    "logistic": lambda strength: LogisticRegression(C=strength, max_iter=2000),
    "svm": lambda strength: LinearSVC(C=strength, max_iter=20_000, random_state=0),
}
"""By name; a strength is scikit-learn's own: alpha grows with regularisation, C falls."""
_SMALL = 1e-5  # of a kernel's largest eigenvalue: what is below is rounding
_UNSEEN = -10.0  # the decision for a class without training rows; others are around -1 and 1


@dataclass(frozen=True)
class Chosen:
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


def gram_matrices(features: NDArray[np.float32], extractor: Extractor) -> NDArray[np.float32]:
    """Scalar products [blocks, versions, n, n] of each version of picture i with the untouched picture j.

    features is [n, versions, d], version 0 untouched. On one thread, as several round differently.
    """
    edges = np.cumsum([0, *(width for _, width in extractor.blocks)])
    blocks = [features[:, :, start:stop] for start, stop in pairwise(edges)]
    with threadpool_limits(1):
        return np.stack([[block[:, v] @ block[:, 0].T for v in range(block.shape[1])] for block in blocks])


def fit_recipe(task: Task[RecipeModel], paths: Sequence[str], grams: NDArray[np.float32]) -> list[Fitted]:
    """Choose a setting by the inner folds of each fit's training rows, fit it on all of them, and ask it.

    The lowest Brier score is chosen: of a hundred rows the share that is right is too coarse to tell settings apart,
    and a log loss listens most to a few rows that were taken for sure and wrong. Ties go to more right, then to fewer
    parameters, then to the first.
    grams is gram_matrices of every row of the dataset; paths is [n]. Each candidate with its own best setting is asked
    about the test rows too (FitResult.alone). Weights are candidate [1], its index; dual [n, classes], zero in rows
    that did not train; and bias [classes]: softmax(kernel @ dual + bias) are the probabilities.
    """
    return [_fit(task, place, paths, grams) for place in range(len(task.fits))]


def _fit(task: Task[RecipeModel], place: int, paths: Sequence[str], grams: NDArray[np.float32]) -> Fitted:
    split, model, extractor = task.splits[place], task.model, _extractor(task)
    train = np.asarray(split.train)
    y, groups = np.asarray(task.labels)[train], np.asarray(task.groups)[train]
    folds = inner_folds(y, groups, model.inner_folds, training_seed(task.fits[place]))
    best: dict[str, Chosen] = {}
    heads: dict[str, tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]] = {}
    trials: dict[str, float] = {}
    for candidate, parts in model.candidates.items():
        kernels = grams[[name in parts for name, _ in extractor.blocks]].mean(axis=0)
        own = kernels[0][np.ix_(train, train)].astype(np.float64)
        places = [(learn, judge, *coordinates(own[np.ix_(learn, learn)])) for learn, judge in folds]
        tried: list[Chosen] = []
        for head, strength in ((head, s) for head, strengths in model.heads.items() for s in strengths):
            decided = np.empty((len(y), task.classes))
            for learn, judge, x, back in places:
                slopes, bias = linear(HEADS[head](strength), x, y[learn], task.classes)
                decided[judge] = own[np.ix_(judge, learn)] @ (back @ slopes) + bias
            right = int((decided.argmax(1) == y).sum())
            tried.append(Chosen(candidate, head, strength, right, *calibrated(decided, y)))
        trials |= {c.name: round(c.brier, 7) for c in tried}
        best[candidate] = first = min(tried, key=lambda c: (c.brier, -c.right))
        x, back = coordinates(own)
        slopes, bias = linear(HEADS[first.head](first.strength), x, y, task.classes)
        dual = np.zeros((len(paths), task.classes))
        dual[train] = first.temperature * (back @ slopes)
        heads[candidate] = kernels, dual, first.temperature * bias

    def parameters(candidate: str) -> int:
        """Of the deployed model: the backbones and the linear head."""
        alone = extractor.only(model.candidates[candidate])
        return alone.parameters + (alone.features + 1) * task.classes

    def ask(candidate: str, rows: Sequence[int], version: int = 0) -> NDArray[np.float64]:
        kernels, dual, bias = heads[candidate]
        return softmax(kernels[version][list(rows)] @ dual + bias, axis=1)

    name = min(best, key=lambda c: (best[c].brier, -best[c].right, parameters(c)))
    said = {part: ask(name, rows) for part, rows in evaluation_sets(split).items()}
    corruptions = {what: ask(name, split.test, 1 + at) for at, what in enumerate(task.corruptions)}
    alone = {candidate: ask(candidate, split.test) for candidate in best}
    more = {"corruptions": corruptions, "chosen": best[name].name, "alone": alone, "trials": trials}
    _, dual, bias = heads[name]
    weights: Weights = {"candidate": np.array([list(best).index(name)]), "dual": dual, "bias": bias}
    return task.result(place, paths, said, parameters(name), **more), weights


def primal_weights(task: Task[RecipeModel], weights: Weights, features: NDArray[np.float32]) -> Weights:
    """A fit's weights on the features themselves: candidate [1], kernel [d of its parts, classes] and bias [classes].

    features is [n, versions, d], of every row of the dataset.
    """
    assert isinstance(weights, dict)
    extractor = _extractor(task)
    parts = list(task.model.candidates.values())[int(weights["candidate"][0])]
    # The kernel that the fit saw is the mean over its blocks.
    dual = weights["dual"] / len(extractor.only(parts).blocks)
    kernel = features[:, 0, extractor.columns(parts)].T @ dual
    return {"candidate": weights["candidate"], "kernel": kernel, "bias": weights["bias"]}


def _extractor(task: Task[RecipeModel]) -> Extractor:
    assert task.features is not None
    return cast("Extractor", task.features.backbone)


def coordinates(kernel: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows x [n, k] with a kernel's [n, n] scalar products, and [n, k] that brings a head's slopes back to the kernel.

    x @ slopes = kernel @ (back @ slopes), and so it is for other pictures' scalar products with these.
    """
    values, vectors = np.linalg.eigh(kernel)
    kept = values > _SMALL * values[-1]
    roots, vectors = np.sqrt(values[kept]), vectors[:, kept]
    return vectors * roots, vectors / roots


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


def linear(
    head: Any, x: NDArray[np.float64], y: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slopes [k, classes] and bias [classes] of one of HEADS fitted on x [rows, k] and labels y [rows]."""
    head.fit(x, y)
    slopes, bias = np.atleast_2d(head.coef_), np.atleast_1d(head.intercept_)
    if len(slopes) == 1:  # of two classes scikit-learn keeps the second's alone
        slopes, bias = np.concatenate([-slopes, slopes]), np.concatenate([-bias, bias])
    whole, offset = np.zeros((x.shape[1], classes)), np.full(classes, _UNSEEN)
    whole[:, head.classes_], offset[head.classes_] = slopes.T, bias
    return whole, offset


def calibrated(decisions: NDArray[np.float64], y: NDArray[np.int64]) -> tuple[float, float]:
    """Brier score of decisions [rows, classes] at the temperature of the lowest mean log loss, and that."""

    def loss(log_temperature: float) -> float:
        said = log_softmax(np.exp(log_temperature) * decisions, axis=1)[np.arange(len(y)), y]
        return -float(np.maximum(said, np.log(1e-7)).mean())

    best = minimize_scalar(loss, bounds=(-4.0, 6.0), method="bounded")
    apart = softmax(np.exp(best.x) * decisions, axis=1) - np.eye(decisions.shape[1])[y]
    return float((apart**2).sum(axis=1).mean()), float(np.exp(best.x))
