"""Whether a model's probabilities mean what they say, before and after temperature scaling."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import brier_score_loss

from batik_utils.stats.scores import SMALLEST, Labels, Probabilities, accuracy, log_loss
from batik_utils.values import FitResult, Results

BINS = 15


@dataclass(frozen=True)
class Quality:
    """How good a set of probabilities is."""

    ece: float  # expected calibration error, 0-1: mean gap of confidence and accuracy, bins weighted by their images
    brier: float  # Brier score of all classes, 0 (perfect) to 2: mean squared distance between probabilities and truth
    log_loss: float
    confidence: float  # mean probability of the predicted class
    accuracy: float
    reliability: pd.DataFrame  # of each bin of confidence that is not empty: mean confidence, accuracy (0-1), count


def quality(y_true: Labels, y_prob: Probabilities) -> Quality:
    """Measure probabilities [n, classes] against labels [n], confidence in 15 bins.

    Source: C. Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    confidence = y_prob.max(axis=1)
    place = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1)
    images = pd.DataFrame({"confidence": confidence, "accuracy": y_prob.argmax(axis=1) == y_true}, dtype=np.float64)
    bins = images.groupby(place).mean().assign(count=np.unique(place, return_counts=True)[1]).reset_index(drop=True)
    rows = y_prob / y_prob.sum(axis=1, keepdims=True)
    return Quality(
        ece=float(np.average((bins["accuracy"] - bins["confidence"]).abs(), weights=bins["count"])),
        brier=float(brier_score_loss(y_true, rows, labels=np.arange(y_prob.shape[1]), scale_by_half=False)),
        log_loss=log_loss(y_true, y_prob),
        confidence=float(confidence.mean()),
        accuracy=accuracy(y_true, y_prob),
        reliability=bins,
    )


def scale(y_prob: Probabilities, temperature: float) -> Probabilities:
    """Probabilities [n, classes] divided in the exponent: over 1 is softer, under 1 is sharper; rows sum to 1."""
    return softmax(np.log(np.clip(y_prob, SMALLEST, 1.0)) / temperature, axis=1)


def fit_temperature(y_true: Labels, y_prob: Probabilities) -> float:
    """The temperature, 0.05-20, that minimises the log loss of these probabilities [n, classes] for labels [n]."""
    logits = np.log(np.clip(y_prob, SMALLEST, 1.0))

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits * np.exp(-log_temperature), axis=1)
        return -float(scaled[np.arange(len(y_true)), y_true].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


@dataclass(frozen=True)
class Calibration:
    """A model's out-of-fold probabilities as they are, and with a temperature that never saw the images it scales."""

    model: str
    before: Quality
    after: Quality
    temperatures: tuple[float, ...]  # one per fit that was scaled; over 1 means that confidence was too high


def calibrate(results: Results, model: str, protocol: str = "grouped") -> Calibration | None:
    """Calibration of single fits of cross-validation (never of their mean); None where there are too few folds.

    A fold's temperature is fitted on the other folds of its repeat and seed; then all fits are pooled.
    """
    runs = whole_runs(results, model, protocol)
    fits = [r for folds in runs for r in folds]
    if not fits:
        return None
    others = ([other for other in folds if other is not r] for folds in runs for r in folds)
    temperatures = tuple(fit_temperature(*pooled(folds)) for folds in others)
    y_true, before = pooled(fits)
    after = np.concatenate([scale(r.y_prob, t) for r, t in zip(fits, temperatures, strict=True)])
    return Calibration(model, quality(y_true, before), quality(y_true, after), temperatures)


def whole_runs(results: Results, model: str, protocol: str = "grouped") -> list[list[FitResult]]:
    """A model's fits by repeat and training seed, each run with all its folds; those of one fold left out."""
    runs: dict[tuple[int, int], list[FitResult]] = {}
    for r in results.select(model, protocol):
        runs.setdefault((r.fit.repeat, r.fit.seed), []).append(r)
    return [folds for folds in runs.values() if len(folds) > 1]


def pooled(fits: Sequence[FitResult]) -> tuple[Labels, Probabilities]:
    """Labels [n] and probabilities [n, m] of several fits' test pictures."""
    return np.concatenate([r.y_true for r in fits]), np.concatenate([r.y_prob for r in fits])
