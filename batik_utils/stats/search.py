"""Hyperparameter search as the report tells of it: chosen on validation images, with one look at the test set."""

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from batik_utils.stats.intervals import Interval, wilson
from batik_utils.stats.metrics import accuracy
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
                scores[hyper].append((accuracy(r.val_true, said["val"]), float(loss), accuracy(r.y_true, said["test"])))
    means = {hyper: np.mean(rows, axis=0).tolist() for hyper, rows in scores.items()}
    return sorted((Setting(h, m[0], m[1], m[2], len(scores[h])) for h, m in means.items()), key=_rank)


def chosen(results: Results, model: str) -> Hyper | None:
    """The first setting of the ranking; None where there is none."""
    return next((setting.hyper for setting in ranking(results, model)), None)


def _rank(setting: Setting) -> tuple[float, ...]:
    h = setting.hyper
    # Rounded, so that the order in which a mean was summed cannot decide a tie.
    return -round(setting.val_accuracy, 9), round(setting.val_loss, 9), h.epochs, h.learning_rate, h.dropout


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


def choose(results: Results, model: str) -> Choice | None:
    """What the search of a model chose, with its test accuracy; None without a search."""
    rows = ranking(results, model)
    if not rows:
        return None
    best = rows[0]
    # Rounded, so that sums in another order cannot decide a tie, which goes to the better on validation.
    tempting = max(rows, key=lambda row: round(row.test_accuracy, 9))
    ranked = {row.hyper for row in rows}
    single = max(
        accuracy(r.y_true, probabilities["test"])
        for r in results.select(model=model, protocol="search")
        for epochs, probabilities in r.checkpoints.items()
        if replace(r.fit.hyper, epochs=epochs) in ranked
    )
    chosen = (best.hyper, len(rows), best.seeds, best.val_accuracy, best.test_accuracy)
    fit = results.select(model=model, protocol="search").items[0]
    sizes = len(fit.val_paths), len(fit.paths)
    return Choice(model, *chosen, tempting.hyper, tempting.test_accuracy, single, *sizes)
