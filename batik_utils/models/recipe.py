"""A recipe's fit: frozen features, perhaps a metric learnt from other motifs' pictures, and a linear head.

A kernel (the mean of the blocks' scalar products) is brought to coordinates that have its scalar products: in those an
L2-penalised linear head learns what it would on the features themselves (Schölkopf and Smola 2002, chapter 14).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from batik_utils.models.work import Fitted, Task, Weights, evaluation_sets, training_seed
from batik_utils.study_models import RecipeModel

FOLDS = 5  # of a fit's training rows, for the temperature alone
_SMALL = 1e-5  # of a kernel's largest eigenvalue: what is below is rounding
_UNSEEN = -10.0  # the decision for a class without training rows; others are around -1 and 1
Others = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Of other motifs' pictures: features [p, d] and labels [p]."""


@dataclass(frozen=True)
class Block:
    """Where a block's features stand, and the metric in which two pictures of it are compared."""

    columns: slice
    mean: NDArray[np.float32]  # [w], of the other motifs' pictures
    within: NDArray[np.float32]  # [p, w]: how each of them differs from the mean of its motif; p may be 0
    inverse: NDArray[np.float32]  # [p, p]

    def apply(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(S/β + I)⁻¹ (x − mean) of features [n, w], by Woodbury's identity: the metric's matrix is never formed."""
        centred: NDArray[np.float32] = features[:, self.columns] - self.mean
        centred -= (centred @ self.within.T @ self.inverse) @ self.within
        return centred


def learn_blocks(widths: Sequence[int], scale: float, others: Others | None) -> list[Block]:
    """The blocks of features, each with its metric; without others' features, plain scalar products.

    S is the scatter of the others' pictures within their motifs, β is scale times its mean eigenvalue. Directions in
    which pictures of one motif differ much count less, and those in which they do not keep their length.
    """
    blocks = []
    for start, stop in pairwise(np.cumsum([0, *widths]).tolist()):
        columns, width = slice(start, stop), stop - start
        if others is None:
            none = np.zeros((0, width), np.float32)
            blocks.append(Block(columns, np.zeros(width, np.float32), none, np.zeros((0, 0), np.float32)))
            continue
        features, member = others[0][:, columns], np.eye(others[1].max() + 1, dtype=np.float32)[others[1]]
        with threadpool_limits(1):  # several threads round differently
            within = features - member @ (member.T @ features / member.sum(axis=0)[:, None].clip(1))
            gram = (within @ within.T).astype(np.float64)
            inverse = np.linalg.inv(scale * np.trace(gram) / width * np.eye(len(gram)) + gram)
        blocks.append(Block(columns, features.mean(axis=0), within, inverse.astype(np.float32)))
    return blocks


def kernels(features: NDArray[np.float32], blocks: Sequence[Block]) -> NDArray[np.float32]:
    """Scalar products [versions, n, n] of each version of picture i with the untouched picture j, mean over blocks.

    features is [n, versions, d], version 0 untouched.
    """
    found = np.zeros((features.shape[1], len(features), len(features)), np.float32)
    with threadpool_limits(1):
        for block in blocks:
            untouched = block.apply(features[:, 0]).T
            for version in range(features.shape[1]):
                found[version] += (features[:, version, block.columns] - block.mean) @ untouched / len(blocks)
    return found


def fit_recipe(
    task: Task[RecipeModel], paths: Sequence[str], grams: NDArray[np.float32], parameters: int
) -> list[Fitted]:
    """Fit the head on each fit's training rows, with the temperature that its inner folds ask for, and ask it.

    grams is that of kernels for every row of the dataset; paths is [n]. Weights are dual [n, classes], zero in rows
    that did not train, and bias [classes]: softmax(kernel @ dual + bias) are the probabilities.
    """
    done: list[Fitted] = []
    for place, (fit, split) in enumerate(zip(task.fits, task.splits, strict=True)):
        train = np.asarray(split.train)
        y, groups = np.asarray(task.labels)[train], np.asarray(task.groups)[train]
        own = grams[0][np.ix_(train, train)].astype(np.float64)
        decided, judged = np.empty((len(y), task.classes)), np.zeros(len(y), bool)
        for learn, judge in inner_folds(y, groups, training_seed(fit)):
            slopes, bias = linear(own[np.ix_(learn, learn)], y[learn], task.classes, task.model.strength)
            decided[judge], judged[judge] = own[np.ix_(judge, learn)] @ slopes + bias, True
        # Where no row could be held out, decisions are taken as they are.
        warmth = temperature(decided[judged], y[judged]) if judged.any() else 1.0
        slopes, bias = linear(own, y, task.classes, task.model.strength)
        dual = np.zeros((len(paths), task.classes))
        dual[train] = warmth * slopes
        weights = {"dual": dual, "bias": warmth * bias}
        asked = {part: (0, rows) for part, rows in evaluation_sets(split).items()}
        asked |= {f"tampered {what}": (1 + at, split.test) for at, what in enumerate(task.corruptions)}
        said = {
            part: softmax(grams[at][list(rows)] @ dual + weights["bias"], axis=1) for part, (at, rows) in asked.items()
        }
        corruptions = {what: said.pop(f"tampered {what}") for what in task.corruptions}
        done.append((task.result(place, paths, said, parameters, corruptions=corruptions), weights))
    return done


def primal_weights(weights: Weights, features: NDArray[np.float32], blocks: Sequence[Block]) -> Weights:
    """A fit's weights on the features themselves: kernel [d, classes] and bias [classes].

    features is [n, versions, d], of every row of the dataset. The metric and its centring are in them.
    """
    assert isinstance(weights, dict)
    # The kernel that the fit saw is the mean over its blocks.
    dual, bias, found = weights["dual"] / len(blocks), weights["bias"], []
    for block in blocks:
        found.append(block.apply(features[:, 0]).T @ dual)
        bias = bias - block.mean @ found[-1]
    return {"kernel": np.concatenate(found), "bias": bias}


def inner_folds(
    y: NDArray[np.int64], groups: NDArray[np.int64], seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Stratified folds of y [rows] in which a group is never divided: FOLDS, or fewer where a motif has few groups.

    None where a motif has one group only.
    """
    folds = min(FOLDS, *(len(np.unique(groups[y == label])) for label in np.unique(y)))
    if folds < 2:
        return []
    return list(StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(y, y, groups))


def coordinates(kernel: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows x [n, k] with a kernel's [n, n] scalar products, and [n, k] that brings a head's slopes back to the kernel.

    x @ slopes = kernel @ (back @ slopes), and so it is for other pictures' scalar products with these.
    """
    values, vectors = np.linalg.eigh(kernel)
    kept = values > _SMALL * values[-1]
    roots, vectors = np.sqrt(values[kept]), vectors[:, kept]
    return vectors * roots, vectors / roots


def linear(
    kernel: NDArray[np.float64], y: NDArray[np.int64], classes: int, strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Dual slopes [rows, classes] and bias [classes] of a ridge for a kernel [rows, rows] and labels [rows]."""
    x, back = coordinates(kernel)
    head = RidgeClassifier(alpha=strength).fit(x, y)
    slopes, bias = np.atleast_2d(head.coef_), np.atleast_1d(head.intercept_)
    if len(slopes) == 1:  # of two classes scikit-learn keeps the second's alone
        slopes, bias = np.concatenate([-slopes, slopes]), np.concatenate([-bias, bias])
    whole, offset = np.zeros((x.shape[1], classes)), np.full(classes, _UNSEEN)
    whole[:, head.classes_], offset[head.classes_] = slopes.T, bias
    return back @ whole, offset


def temperature(decisions: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    """What decisions [rows, classes] are multiplied by for the lowest mean log loss of labels y [rows]."""

    def loss(log_temperature: float) -> float:
        said = log_softmax(np.exp(log_temperature) * decisions, axis=1)[np.arange(len(y)), y]
        return -float(np.maximum(said, np.log(1e-7)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-4.0, 6.0), method="bounded").x))
