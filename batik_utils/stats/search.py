"""Hyperparameter search as the report tells of it: chosen on validation images, with one look at the test set."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import pandas as pd

from batik_utils.errors import BatikError
from batik_utils.experiment.choose import ranking
from batik_utils.stats.metrics import accuracy
from batik_utils.values import Hyper, Results


@dataclass(frozen=True)
class Choice:
    """The setting that validation chose, and the one that the test set would have chosen."""

    model: str
    hyper: Hyper
    settings: int
    """How many settings were tried."""
    seeds: int
    val_accuracy: float
    """Mean over training seeds, of the chosen setting."""
    test_accuracy: float
    """Mean over training seeds, of the chosen setting: the honest figure."""
    test_chosen: Hyper
    """What one would have taken by looking at the test images."""
    test_chosen_accuracy: float
    """Its mean test accuracy over seeds, too high by design."""
    best_single: float
    """The highest test accuracy of any one fit in the whole search: the figure that tempts one to report it."""

    @property
    def optimism(self) -> float:
        """How much choosing on the test set would have added, as a fraction (never negative)."""
        return self.test_chosen_accuracy - self.test_accuracy


def settings_table(results: Results, model: str) -> pd.DataFrame:
    """One row per setting, best on validation first: the ranking that chose what was fitted.

    Columns: epochs, learning_rate, dropout, seeds, and mean val_accuracy, val_loss, test_accuracy over seeds.
    Raises BatikError where there was no search.
    """
    rows = [
        {**asdict(hyper), "seeds": seeds, "val_accuracy": val, "val_loss": loss, "test_accuracy": test}
        for hyper, val, loss, test, seeds in ranking(results, model)
    ]
    if not rows:
        raise BatikError(f"There was no search for {model}.")
    return pd.DataFrame(rows)


def choose(results: Results, model: str) -> Choice | None:
    """What the search of a model chose, with its test accuracy; None without a search."""
    rows = ranking(results, model)
    if not rows:
        return None
    hyper, val_accuracy, _, test_accuracy, seeds = rows[0]
    # Rounded, so that sums in another order cannot decide a tie, which goes to the better on validation.
    tempting = max(rows, key=lambda row: round(row[3], 9))
    ranked = {row[0] for row in rows}
    single = (
        accuracy(r.y_true, probabilities["test"])
        for r in results.select(model=model, protocol="search")
        for epochs, probabilities in r.checkpoints.items()
        if replace(r.fit.hyper, epochs=epochs) in ranked
    )
    return Choice(model, hyper, len(rows), seeds, val_accuracy, test_accuracy, tempting[0], tempting[3], max(single))
