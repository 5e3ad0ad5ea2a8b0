"""Prediction sets: the motifs that cannot be ruled out, of which the true one is one nine times in ten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from batik_utils.deploy.answers import members
from batik_utils.deploy.bundle import Measured, Sets
from batik_utils.stats.calibration import fit_temperature, pooled, scale, whole_runs
from batik_utils.stats.intervals import wilson
from batik_utils.stats.scores import Labels, Probabilities
from batik_utils.values import Results

COVERAGE = 0.9


def prediction_sets(
    results: Results, model: str, temperature: float, protocol: str, motifs: Sequence[str], kept: Mapping[str, int]
) -> Sets | None:
    """The rule for sets, from a model's predictions in cross-validation; None where there are too few folds.

    A set holds the motifs of probability 1 - threshold or more (Sadinle, Lei and Wasserman 2019), and the most
    probable one always. Coverage and size are measured on each fold with temperature and threshold from the other
    folds of its repeat; kept is {path: what the protocol keeps on one side}, of which each counts once in an interval.
    """
    whole = whole_runs(results, model, protocol)
    if not whole:
        return None
    found = []
    for folds in whole:
        for fold in folds:
            y_true, y_prob = pooled([other for other in folds if other is not fold])
            heat = fit_temperature(y_true, y_prob)
            held = members(scale(fold.y_prob, heat), threshold(y_true, scale(y_prob, heat)))
            truth = {"path": fold.paths, "motif": fold.y_true, "held": held[np.arange(len(held)), fold.y_true]}
            found.append(pd.DataFrame(truth | {"size": held.sum(axis=1)}))
    pictures = pd.concat(found).groupby("path").mean()
    pictures["kept"] = [kept[path] for path in pictures.index]

    def measured(rows: pd.DataFrame) -> Measured:
        band = wilson(rows["held"].mean() * (distinct := rows["kept"].nunique()), distinct)
        return Measured(value=round(band.value, 6), low=round(band.low, 6), high=round(band.high, 6), n=len(rows))

    limits = [threshold(y_true, scale(y_prob, temperature)) for y_true, y_prob in map(pooled, whole)]
    return Sets(
        coverage=COVERAGE,
        threshold=round(float(np.median(limits)), 6),
        measured=measured(pictures),
        per_motif={
            name: measured(rows) for i, name in enumerate(motifs) if len(rows := pictures[pictures["motif"] == i])
        },
        mean_size=round(float(pictures["size"].mean()), 6),
    )


def threshold(y_true: Labels, y_prob: Probabilities) -> float:
    """How improbable the truth [n] may be, given probabilities [n, m] in which each picture is once."""
    improbable = 1 - y_prob[np.arange(len(y_true)), y_true]
    level = min(1.0, COVERAGE * (1 + 1 / len(improbable)))  # the next picture counts as one more
    return float(np.quantile(improbable, level, method="inverted_cdf"))
