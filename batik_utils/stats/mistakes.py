"""Labels that the models doubt, and a mistake made on purpose: predictions compared with labels in another order."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batik_utils.stats.metrics import OutOfFold, classification_table
from batik_utils.values import FitResult


def label_issues(oof: OutOfFold, motifs: Sequence[str]) -> pd.DataFrame:
    """Images whose given label is probably wrong, most doubtful first: path, given, suggested, probability, score.

    probability is the suggested motif's; score is that of the given label (0 doubtful - 1 sure). A doubt is a
    question for a person who knows batik, not a correction: with three motifs and hard images many are unfounded.
    Source: C. G. Northcutt, L. Jiang and I. L. Chuang, Journal of Artificial Intelligence Research 70 (2021).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its progress bar's, of Jupyter without ipywidgets
        from cleanlab.filter import find_label_issues

    columns = ["path", "given", "suggested", "probability", "score"]
    present = np.unique(oof.y_true)
    if len(present) < 2:
        return pd.DataFrame(columns=columns)
    # cleanlab warns, and estimates nonsense, where a class has no image; such a class cannot be a given label.
    labels, names = np.searchsorted(present, oof.y_true), [motifs[i] for i in present]
    y_prob = oof.y_prob[:, present] / oof.y_prob[:, present].sum(axis=1, keepdims=True)
    doubted = find_label_issues(labels, y_prob, return_indices_ranked_by="self_confidence", n_jobs=1)
    best, score = y_prob.argmax(axis=1), y_prob[np.arange(len(labels)), labels]
    rows = [
        (oof.paths[i], names[labels[i]], names[best[i]], float(y_prob[i, best[i]]), float(score[i]))
        for i in sorted(doubted.tolist(), key=lambda i: (round(float(score[i]), 9), oof.paths[i]))
        if best[i] != labels[i]
    ]
    return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True)
class Mispaired:
    """What a classification report shows when the predictions are in another order than the labels."""

    right: float
    """Accuracy with labels and predictions paired, 0-1."""
    expected: float
    """Mean accuracy over all shuffles, exactly: sum over classes of (share true) x (share predicted)."""
    accuracies: NDArray[np.float64]
    """[shuffles], accuracy of shuffle 0, 1, …"""
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    """[shuffles, motifs] each; a motif never predicted has precision and F1 of 0."""
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


def mispaired_fit(result: FitResult, motifs: Sequence[str], shuffles: int = 10_000) -> Mispaired:
    """Compare a fit's labels, in class order as a generator's classes are, with its predictions in shuffled orders.

    Shuffle s is drawn by a generator seeded with s.
    """
    order = np.argsort(result.y_true, kind="stable")
    labels, predicted = result.y_true[order], result.y_prob.argmax(axis=1)[order]
    orders = np.array([np.random.Generator(np.random.PCG64(s)).permutation(len(labels)) for s in range(shuffles)])
    classes = np.arange(len(motifs))
    hits = ((predicted[orders] == labels)[..., None] & (labels[:, None] == classes)).sum(axis=1)
    true, said = (np.bincount(v, minlength=len(motifs)) for v in (labels, predicted))
    precision, recall, f1 = (hits / np.maximum(below, 1) for below in (said, true, (said + true) / 2))
    accuracies = hits.sum(axis=1) / len(labels)
    low, high = np.quantile(accuracies, [0.025, 0.975]).tolist()
    expected, right = float(true @ said) / len(labels) ** 2, float((labels == predicted).mean())
    reports = (classification_table(labels, answers, motifs) for answers in (predicted, predicted[orders[0]]))
    scores = (accuracies, precision, recall, f1)
    return Mispaired(right, expected, *scores, low, high, len(labels), *reports)
