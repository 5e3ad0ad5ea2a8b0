"""A search's choice: made on validation rows alone, a pure function of results."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from batik_utils.values import Hyper, Results

SEARCH = "search"  # the protocol of fits that only serve a choice; they see the published split's rows


class Setting(NamedTuple):
    """One setting of a search; accuracies and loss are means over its training seeds."""

    hyper: Hyper
    val_accuracy: float
    val_loss: float
    test_accuracy: float
    seeds: int


def ranking(results: Results, model: str) -> list[Setting]:
    """Every setting that a model's search tried, checkpoints among them, the best mean validation accuracy first.

    Ties go to the lower mean validation loss, then fewer epochs, the lower learning rate, the lower dropout.
    Settings of which a fit failed are left out; empty where nothing is left.
    """
    failed = {r.fit.hyper for r in results.missing if (r.fit.model, r.fit.protocol) == (model, SEARCH)}
    scores: dict[Hyper, list[tuple[float, float, float]]] = defaultdict(list)
    for r in results.select(model, SEARCH):
        if r.fit.hyper not in failed and r.val_true is not None:
            for epochs, said in r.checkpoints.items():
                hyper = Hyper(epochs, r.fit.hyper.learning_rate, r.fit.hyper.dropout)
                right = said["val"][np.arange(len(r.val_true)), r.val_true]
                loss = -np.mean(np.log(np.clip(right, 1e-7, None)))
                scores[hyper].append(
                    (_accuracy(said["val"], r.val_true), float(loss), _accuracy(said["test"], r.y_true))
                )
    means = {hyper: np.mean(rows, axis=0).tolist() for hyper, rows in scores.items()}
    return sorted((Setting(h, m[0], m[1], m[2], len(scores[h])) for h, m in means.items()), key=_rank)


def choose(results: Results, model: str) -> Hyper | None:
    """The first setting of the ranking; None where there is none."""
    return next((setting.hyper for setting in ranking(results, model)), None)


def _rank(setting: Setting) -> tuple[float, ...]:
    h = setting.hyper
    # Rounded, so that the order in which a mean was summed cannot decide a tie.
    return -round(setting.val_accuracy, 9), round(setting.val_loss, 9), h.epochs, h.learning_rate, h.dropout


def _accuracy(y_prob: NDArray[np.float64], y_true: NDArray[np.int64]) -> float:
    return float(np.mean(y_prob.argmax(axis=1) == y_true))
