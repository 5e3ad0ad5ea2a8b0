"""Hyperparameter search read from results: chosen on validation images, with one look at the test set."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from batik_utils.errors import BatikError
from batik_utils.values import FitResult, Hyper, Results

SEARCH = "search"
"""The protocol of fits that only serve a choice; they see the published split's rows."""


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
    """Its mean test accuracy over seeds: the seed study's way, too high by design."""
    best_single: float
    """The highest test accuracy of any one fit in the whole search: the figure that tempts one to report it."""

    @property
    def optimism(self) -> float:
        """How much choosing on the test set would have added, as a fraction (never negative)."""
        return self.test_chosen_accuracy - self.test_accuracy


def unrolled(results: Results, model: str) -> list[FitResult]:
    """One FitResult per (setting, training seed) of a search: its fits and each checkpoint on their way.

    A checkpoint at 20 epochs of a fit of 40 is what a fit of 20 would have been, so it stands as one. Settings of
    which a fit failed are left out, as the choice leaves them out.
    """
    failed = {r.fit.hyper for r in results.missing if r.fit.model == model and r.fit.protocol == SEARCH}
    found: dict[tuple[int, float, float, int], FitResult] = {}
    for result in results.select(model=model, protocol=SEARCH):
        h = result.fit.hyper
        if h in failed:
            continue
        for epochs, probabilities in result.checkpoints.items():
            found[epochs, h.learning_rate, h.dropout, result.fit.seed] = replace(
                result,
                fit=replace(result.fit, hyper=replace(h, epochs=epochs)),
                y_prob=probabilities["test"],
                val_prob=probabilities["val"],
                history={name: values[:epochs] for name, values in result.history.items()},
                checkpoints={},
                corruptions={},
            )
    return [found[key] for key in sorted(found)]


def settings_table(results: Results, model: str) -> pd.DataFrame:
    """One row per setting: epochs, learning_rate, dropout, seeds, and mean val_accuracy, val_loss, test_accuracy.

    Best on validation first, ties broken as the choice breaks them. Raises BatikError where there was no search.
    """
    rows = [
        {
            "epochs": r.fit.hyper.epochs,
            "learning_rate": r.fit.hyper.learning_rate,
            "dropout": r.fit.hyper.dropout,
            "seeds": r.fit.seed,
            "val_accuracy": _accuracy(r.val_true, r.val_prob),
            "val_loss": _loss(r.val_true, r.val_prob),
            "test_accuracy": _accuracy(r.y_true, r.y_prob),
        }
        for r in unrolled(results, model)
    ]
    if not rows:
        raise BatikError(f"There was no search for {model}.")
    setting = ["epochs", "learning_rate", "dropout"]
    measures = {"seeds": "count", "val_accuracy": "mean", "val_loss": "mean", "test_accuracy": "mean"}
    table = pd.DataFrame(rows).groupby(setting, as_index=False).agg(measures)
    order = ["val_accuracy", "val_loss", *setting]
    # Rounded, so that sums in another order cannot turn a tie into a choice.
    keys = table[order].round(9)
    keys["val_accuracy"] = -keys["val_accuracy"]
    return table.loc[keys.sort_values(order, kind="stable").index].reset_index(drop=True)


def choose(results: Results, model: str) -> Choice | None:
    """What the search of a model chose, with its test accuracy; None without a search.

    The rule is that of experiment.choose, which decided what was fitted: highest mean validation accuracy; ties go to
    the lower validation loss, then to fewer epochs, a lower learning rate and less dropout (a test holds them equal).
    """
    if not unrolled(results, model):
        return None
    table = settings_table(results, model)
    first = table.iloc[0]
    best = int(table["test_accuracy"].round(9).to_numpy().argmax())
    return Choice(
        model=model,
        hyper=_hyper(first),
        settings=len(table),
        seeds=int(first["seeds"]),
        val_accuracy=float(first["val_accuracy"]),
        test_accuracy=float(first["test_accuracy"]),
        test_chosen=_hyper(table.iloc[best]),
        test_chosen_accuracy=float(table["test_accuracy"].iloc[best]),
        best_single=max(_accuracy(r.y_true, r.y_prob) for r in unrolled(results, model)),
    )


def final_fits(results: Results, model: str) -> tuple[FitResult, ...]:
    """The published fits of a model, one per training seed, by seed; empty where there are none.

    Raises BatikError where one seed was fitted twice, with two settings: nothing here may choose between them.
    """
    fits = sorted(results.select(model=model, protocol="published"), key=lambda r: r.fit.seed)
    if len({r.fit.seed for r in fits}) < len(fits):
        raise BatikError(f"{model} was fitted with several settings on the published split; only one may count.")
    return tuple(fits)


def _hyper(row: pd.Series) -> Hyper:
    return Hyper(int(row["epochs"]), float(row["learning_rate"]), float(row["dropout"]))


def _accuracy(y_true: np.ndarray, y_prob: np.ndarray) -> float:
    return float((y_prob.argmax(axis=1) == y_true).mean())


def _loss(y_true: np.ndarray, y_prob: np.ndarray) -> float:
    return float(-np.log(np.clip(y_prob[np.arange(len(y_true)), y_true], 1e-7, None)).mean())
