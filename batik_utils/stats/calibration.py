"""Whether a model's probabilities mean what they say, before and after temperature scaling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import brier_score_loss

from batik_utils.stats.metrics import accuracy, log_loss
from batik_utils.values import FitResult, Results

BINS = 15
SMALLEST = 1e-7


def reliability(y_true: NDArray[np.int64], y_prob: NDArray[np.float64], bins: int = BINS) -> pd.DataFrame:
    """Accuracy against confidence, the predicted class's probability, in bins of equal width; empty ones left out.

    Columns: confidence and accuracy (means in the bin, 0-1), count. y_true is [n], y_prob [n, classes].
    """
    confidence = y_prob.max(axis=1)
    place = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1)
    table = pd.DataFrame({"confidence": confidence, "accuracy": y_prob.argmax(axis=1) == y_true}, dtype=np.float64)
    means = table.groupby(place).mean()
    return means.assign(count=np.unique(place, return_counts=True)[1]).reset_index(drop=True)


def ece(y_true: NDArray[np.int64], y_prob: NDArray[np.float64], bins: int = BINS) -> float:
    """Expected calibration error, 0-1: mean gap between confidence and accuracy, bins weighted by their images.

    Source: C. Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    table = reliability(y_true, y_prob, bins)
    return float(np.average((table["accuracy"] - table["confidence"]).abs(), weights=table["count"]))


def brier(y_true: NDArray[np.int64], y_prob: NDArray[np.float64]) -> float:
    """Brier score of all classes, 0 (perfect) to 2: mean squared distance between probabilities and truth."""
    rows = y_prob / y_prob.sum(axis=1, keepdims=True)
    return float(brier_score_loss(y_true, rows, labels=np.arange(y_prob.shape[1]), scale_by_half=False))


def scale(y_prob: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Probabilities [n, classes] divided in the exponent: over 1 is softer, under 1 is sharper; rows sum to 1."""
    return softmax(np.log(np.clip(y_prob, SMALLEST, 1.0)) / temperature, axis=1)


def fit_temperature(y_true: NDArray[np.int64], y_prob: NDArray[np.float64]) -> float:
    """The temperature, 0.05-20, that minimises the log loss of these probabilities [n, classes] for labels [n]."""
    logits = np.log(np.clip(y_prob, SMALLEST, 1.0))

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits * np.exp(-log_temperature), axis=1)
        return -float(scaled[np.arange(len(y_true)), y_true].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


@dataclass(frozen=True)
class Quality:
    """How good a set of probabilities is."""

    ece: float
    brier: float
    log_loss: float
    confidence: float
    """Mean probability of the predicted class."""
    accuracy: float
    reliability: pd.DataFrame


@dataclass(frozen=True)
class Calibration:
    """A model's out-of-fold probabilities as they are, and with a temperature that never saw the images it scales."""

    model: str
    before: Quality
    after: Quality
    temperatures: tuple[float, ...]
    """One per fit that was scaled."""
    n_images: int
    fits: int

    @property
    def temperature(self) -> float:
        """Median temperature; over 1 means that the model was too sure of itself."""
        return float(np.median(self.temperatures))


def quality(y_true: NDArray[np.int64], y_prob: NDArray[np.float64]) -> Quality:
    """Measure probabilities [n, classes] against labels [n]."""
    return Quality(
        ece=ece(y_true, y_prob),
        brier=brier(y_true, y_prob),
        log_loss=log_loss(y_true, y_prob),
        confidence=float(y_prob.max(axis=1).mean()),
        accuracy=accuracy(y_true, y_prob),
        reliability=reliability(y_true, y_prob),
    )


def calibrate(results: Results, model: str, protocol: str = "grouped") -> Calibration | None:
    """Calibration of single fits (never of their mean) under cross-validation; None where there are too few folds.

    For each repeat and training seed, the temperature of a fold is fitted on the other folds' out-of-fold
    probabilities. All fits are then pooled, so one image counts once per repeat and seed.
    """
    runs: dict[tuple[int, int], list[FitResult]] = {}
    for r in results.select(model=model, protocol=protocol):
        runs.setdefault((r.fit.repeat, r.fit.seed), []).append(r)
    fits: list[FitResult] = []
    temperatures: list[float] = []
    for folds in runs.values():
        if len(folds) > 1:
            fits += folds
            temperatures += [fit_temperature(*_pooled([r for r in folds if r is not held])) for held in folds]
    if not fits:
        return None
    y_true, before = _pooled(fits)
    after = np.concatenate([scale(r.y_prob, t) for r, t in zip(fits, temperatures, strict=True)])
    n_images = len({path for r in fits for path in r.paths})
    return Calibration(model, quality(y_true, before), quality(y_true, after), tuple(temperatures), n_images, len(fits))


def _pooled(fits: Sequence[FitResult]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    return np.concatenate([r.y_true for r in fits]), np.concatenate([r.y_prob for r in fits])
