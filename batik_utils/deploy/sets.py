"""Prediction sets: the motifs that cannot be ruled out, of which the true one is one nine times in ten."""

from __future__ import annotations

import numpy as np

from batik_utils.deploy.answers import members
from batik_utils.deploy.bundle import Sets
from batik_utils.stats.calibration import fit_temperature, pooled, scale, whole_runs
from batik_utils.stats.scores import Labels, Probabilities
from batik_utils.values import Results

COVERAGE = 0.9


def prediction_sets(results: Results, model: str, temperature: float) -> Sets | None:
    """The rule for sets, from a model's out-of-fold probabilities; None where there are too few folds.

    A set holds the motifs of probability 1 - threshold or more (Sadinle, Lei and Wasserman 2019), and the most
    probable one always. Coverage and size are measured on each fold with temperature and threshold from the other
    folds of its repeat, so on pictures of which no near-duplicate had a say.
    """
    whole = whole_runs(results, model)
    if not whole:
        return None
    covered, sizes = [], []
    for folds in whole:
        for fold in folds:
            y_true, y_prob = pooled([other for other in folds if other is not fold])
            heat = fit_temperature(y_true, y_prob)
            held = members(scale(fold.y_prob, heat), threshold(y_true, scale(y_prob, heat)))
            covered.append(held[np.arange(len(held)), fold.y_true])
            sizes.append(held.sum(axis=1))
    limits = [threshold(y_true, scale(y_prob, temperature)) for y_true, y_prob in map(pooled, whole)]
    return Sets(
        coverage=COVERAGE,
        threshold=round(float(np.median(limits)), 6),
        measured_coverage=float(np.concatenate(covered).mean()),
        mean_size=float(np.concatenate(sizes).mean()),
    )


def threshold(y_true: Labels, y_prob: Probabilities) -> float:
    """How improbable the truth [n] may be, given probabilities [n, m] in which each picture is once."""
    improbable = 1 - y_prob[np.arange(len(y_true)), y_true]
    level = min(1.0, COVERAGE * (1 + 1 / len(improbable)))  # the next picture counts as one more
    return float(np.quantile(improbable, level, method="inverted_cdf"))
