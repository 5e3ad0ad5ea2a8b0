"""Whether a model's probabilities mean what they say, before and after temperature scaling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.metrics import brier_score_loss

from batik_utils.stats.metrics import log_loss
from batik_utils.values import FitResult, Results

BINS = 15
SMALLEST = 1e-7


def reliability(y_true: NDArray[np.int64], y_prob: NDArray[np.float64], bins: int = BINS) -> pd.DataFrame:
    """Accuracy against confidence in bins of equal width; empty bins are left out.

    Confidence is the probability of the predicted class. Columns: low, high (the bin's edges), confidence and
    accuracy (means in the bin), count. y_true is [n], y_prob [n, classes].
    """
    confidence = y_prob.max(axis=1)
    right = (y_prob.argmax(axis=1) == y_true).astype(np.float64)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    table = pd.DataFrame({"bin": place, "confidence": confidence, "accuracy": right})
    means = table.groupby("bin").agg(
        confidence=("confidence", "mean"), accuracy=("accuracy", "mean"), count=("accuracy", "size")
    )
    means.insert(0, "low", means.index / bins)
    means.insert(1, "high", (means.index + 1) / bins)
    return means.reset_index(drop=True)


def ece(y_true: NDArray[np.int64], y_prob: NDArray[np.float64], bins: int = BINS) -> float:
    """Expected calibration error, 0-1: mean gap between confidence and accuracy, bins weighted by their images.

    Source: C. Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    table = reliability(y_true, y_prob, bins)
    return float(((table["accuracy"] - table["confidence"]).abs() * table["count"]).sum() / table["count"].sum())


def brier(y_true: NDArray[np.int64], y_prob: NDArray[np.float64]) -> float:
    """Brier score of all classes, 0 (perfect) to 2: mean squared distance between probabilities and truth."""
    if not len(y_true):
        return float("nan")
    rows = y_prob / y_prob.sum(axis=1, keepdims=True)
    return float(brier_score_loss(y_true, rows, labels=np.arange(y_prob.shape[1]), scale_by_half=False))


def scale(y_prob: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Probabilities [n, classes] divided in the exponent: over 1 is softer, under 1 is sharper; rows sum to 1."""
    logits = np.log(np.clip(y_prob, SMALLEST, 1.0)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(y_true: NDArray[np.int64], y_prob: NDArray[np.float64]) -> float:
    """The temperature, 0.05-20, that minimises the log loss of these probabilities."""
    logits = np.log(np.clip(y_prob, SMALLEST, 1.0))
    own = logits[np.arange(len(y_true)), y_true]

    def loss(log_temperature: float) -> float:
        z = logits * np.exp(-log_temperature)
        top = z.max(axis=1)
        total = top + np.log(np.exp(z - top[:, None]).sum(axis=1))
        return float((total - own * np.exp(-log_temperature)).mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded")
    return float(np.exp(found.x))


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


def quality(y_true: NDArray[np.int64], y_prob: NDArray[np.float64], bins: int = BINS) -> Quality:
    """Measure probabilities [n, classes] against labels [n]."""
    return Quality(
        ece=ece(y_true, y_prob, bins),
        brier=brier(y_true, y_prob),
        log_loss=log_loss(y_true, y_prob),
        confidence=float(y_prob.max(axis=1).mean()),
        accuracy=float((y_prob.argmax(axis=1) == y_true).mean()),
        reliability=reliability(y_true, y_prob, bins),
    )


def calibrate(results: Results, model: str, protocol: str = "grouped", bins: int = BINS) -> Calibration | None:
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
        if len(folds) < 2:
            continue
        for held in folds:
            others = [r for r in folds if r is not held]
            temperatures.append(fit_temperature(*_pooled(others)))
            fits.append(held)
    if not fits:
        return None
    y_true, before = _pooled(fits)
    after = np.concatenate([scale(r.y_prob, t) for r, t in zip(fits, temperatures, strict=True)])
    return Calibration(
        model=model,
        before=quality(y_true, before, bins),
        after=quality(y_true, after, bins),
        temperatures=tuple(temperatures),
        n_images=len({p for r in fits for p in r.paths}),
        fits=len(fits),
    )


def _pooled(fits: Sequence[FitResult]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    return np.concatenate([r.y_true for r in fits]), np.concatenate([r.y_prob for r in fits])
