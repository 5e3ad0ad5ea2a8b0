"""Hyperparameter search: chosen on validation images alone, and what one look at the test set shows of the choice."""

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from batik_utils.stats.intervals import Interval, wilson
from batik_utils.stats.scores import SMALLEST, accuracy
from batik_utils.values import Hyper, Results

SEARCH = "search"
"""The protocol of fits that only serve a choice; they see the published split's rows."""


class Setting(NamedTuple):
    """One setting of a search; accuracies and loss are means over its training seeds."""

    hyper: Hyper
    val_accuracy: float
    val_loss: float
    test_accuracy: float
    seeds: int

    @property
    def rank(self) -> tuple[float, ...]:
        """The lower, the better; rounded, so that the order in which a mean was summed cannot decide a tie."""
        h = self.hyper
        return -round(self.val_accuracy, 9), round(self.val_loss, 9), h.epochs, h.learning_rate, h.dropout


def ranking(results: Results, model: str) -> list[Setting]:
    """Every setting that a model's search tried, checkpoints among them, the best mean validation accuracy first.

    Ties go to the lower mean validation loss, then fewer epochs, the lower learning rate, the lower dropout.
    Settings of which a fit failed are left out; empty where nothing is left.
    """
    failed = {r.fit.hyper for r in results.missing if (r.fit.model, r.fit.protocol) == (model, SEARCH)}
    scores: dict[Hyper, list[tuple[float, float, float]]] = defaultdict(list)
    for r in results.select(model, SEARCH):
        if r.fit.hyper not in failed and r.val_true is not None:
            for epochs, y_prob in r.checkpoints.items():
                right = y_prob["val"][np.arange(len(r.val_true)), r.val_true]
                loss = float(-np.mean(np.log(np.clip(right, SMALLEST, None))))
                both = (accuracy(r.val_true, y_prob["val"]), loss, accuracy(r.y_true, y_prob["test"]))
                scores[replace(r.fit.hyper, epochs=epochs)].append(both)
    means = {hyper: np.mean(rows, axis=0).tolist() for hyper, rows in scores.items()}
    settings = (Setting(h, m[0], m[1], m[2], len(scores[h])) for h, m in means.items())
    return sorted(settings, key=lambda setting: setting.rank)


def chosen_setting(results: Results, model: str) -> Hyper | None:
    """The first setting of the ranking; None where there is none."""
    return next((setting.hyper for setting in ranking(results, model)), None)


@dataclass(frozen=True)
class Choice:
    """The setting that validation chose, and the one that the test set would have chosen; means are over seeds."""

    model: str
    hyper: Hyper
    settings: int
    """How many settings were tried."""
    seeds: int
    val_accuracy: float
    test_accuracy: float
    """Means of the chosen setting: the honest figures."""
    test_chosen: Hyper
    """What one would have taken by looking at the test images."""
    test_chosen_accuracy: float
    """Its mean test accuracy, too high by design."""
    best_single: float
    """The highest test accuracy of any one fit in the whole search: the figure that tempts one to report it."""
    n_val: int
    n_test: int
    """Images behind the accuracies."""

    @property
    def interval(self) -> Interval:
        """Wilson, of the chosen setting's mean accuracy on the test images."""
        return wilson(self.test_accuracy * self.n_test, self.n_test)

    @property
    def optimism(self) -> float:
        """How much choosing on the test set would have added, as a fraction (never negative)."""
        return self.test_chosen_accuracy - self.test_accuracy


def chosen(results: Results, model: str) -> Choice | None:
    """What the search of a model chose, with its test accuracy; None without a search."""
    rows = ranking(results, model)
    if not rows:
        return None
    best = rows[0]
    # Rounded, so that sums in another order cannot decide a tie, which goes to the better on validation.
    tempting = max(rows, key=lambda row: round(row.test_accuracy, 9))
    ranked, fits = {row.hyper for row in rows}, results.select(model, SEARCH).items
    single = max(
        accuracy(r.y_true, y_prob["test"])
        for r in fits
        for epochs, y_prob in r.checkpoints.items()
        if replace(r.fit.hyper, epochs=epochs) in ranked
    )
    means = (best.hyper, len(rows), best.seeds, best.val_accuracy, best.test_accuracy)
    sizes = len(fits[0].val_paths), len(fits[0].paths)
    return Choice(model, *means, tempting.hyper, tempting.test_accuracy, single, *sizes)
