"""A mistake made on purpose: a shuffled generator's predictions compared with labels in file order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batik_utils.stats.metrics import classification_table
from batik_utils.values import FitResult

SHUFFLES = 10_000


@dataclass(frozen=True)
class Mispaired:
    """What a classification report shows when the predictions are in another order than the labels."""

    right: float
    """Accuracy with labels and predictions paired, 0-1."""
    expected: float
    """Mean accuracy over all shuffles, exactly: sum over classes of (share true) x (share predicted)."""
    accuracies: NDArray[np.float64]
    """[shuffles], accuracy of shuffle 0, 1, …"""
    low: float
    high: float
    """The middle 95 % of them."""
    n: int
    right_report: pd.DataFrame
    """Precision, recall, F1, support, paired."""
    wrong_report: pd.DataFrame
    """The same of shuffle 0: what such a page would show."""

    def at_most(self, accuracy: float) -> float:
        """Share of shuffles whose report shows this accuracy or less (rounded to whole images)."""
        return float((self.accuracies * self.n <= round(accuracy * self.n) + 1e-9).mean())

    def at_least(self, accuracy: float) -> float:
        """Share of shuffles whose report shows this accuracy or more (rounded to whole images)."""
        return float((self.accuracies * self.n >= round(accuracy * self.n) - 1e-9).mean())


def mispaired_accuracy(
    y_true: NDArray[np.int64], y_pred: NDArray[np.int64], motifs: tuple[str, ...], shuffles: int = SHUFFLES
) -> Mispaired:
    """Compare labels in file order [n] with predictions [n] in shuffled order, many times over.

    Both come in the same order here; the labels are put in class order, as generator.classes has them, and shuffle s
    is drawn by a generator seeded with s.
    """
    order = np.argsort(y_true, kind="stable")
    labels, predicted = y_true[order], y_pred[order]
    orders = [np.random.Generator(np.random.PCG64(s)).permutation(len(labels)) for s in range(shuffles)]
    accuracies = (predicted[np.array(orders)] == labels).mean(axis=1)
    low, high = np.quantile(accuracies, [0.025, 0.975])
    shares = [np.bincount(v, minlength=len(motifs)) / len(labels) for v in (labels, predicted)]
    return Mispaired(
        right=float((labels == predicted).mean()),
        expected=float(shares[0] @ shares[1]),
        accuracies=accuracies,
        low=float(low),
        high=float(high),
        n=len(labels),
        right_report=classification_table(labels, predicted, motifs),
        wrong_report=classification_table(labels, predicted[orders[0]], motifs),
    )


def mispaired_fit(result: FitResult, motifs: tuple[str, ...], shuffles: int = SHUFFLES) -> Mispaired:
    """The mistake made with one fit's test predictions."""
    return mispaired_accuracy(result.y_true, result.y_prob.argmax(axis=1), motifs, shuffles)
