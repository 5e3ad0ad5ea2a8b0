"""Hyperparameter search read from results: chosen on validation images, with one look at the test set."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss

from batik_utils.errors import BatikError
from batik_utils.values import FitResult, Hyper, Results


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


def unrolled(results: Results, model: str, protocol: str = "published") -> list[FitResult]:
    """One FitResult per (setting, training seed): the fits themselves and each checkpoint on their way.

    A checkpoint at 20 epochs of a fit of 40 is what a fit of 20 would have been, so it stands as one.
    """
    found: dict[tuple[int, float, float, int], FitResult] = {}
    chosen = results.select(model=model, protocol=protocol).items
    for result in chosen:
        h = result.fit.hyper
        found[h.epochs, h.learning_rate, h.dropout, result.fit.seed] = result
    for result in chosen:
        h = result.fit.hyper
        for epochs, probabilities in result.checkpoints.items():
            key = (epochs, h.learning_rate, h.dropout, result.fit.seed)
            if key not in found:
                found[key] = replace(
                    result,
                    fit=replace(result.fit, hyper=replace(h, epochs=epochs)),
                    y_prob=probabilities["test"],
                    val_prob=probabilities.get("val"),
                    history={name: values[:epochs] for name, values in result.history.items()},
                    checkpoints={},
                    probes={},
                )
    return [found[key] for key in sorted(found)]


def settings_table(results: Results, model: str) -> pd.DataFrame:
    """One row per setting: epochs, learning_rate, dropout, seeds, and mean val_accuracy, val_loss, test_accuracy.

    val_* are NaN for fits without validation images. Best on validation first; ties go to the lower validation
    loss, then to fewer epochs, a lower learning rate and less dropout.
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
        raise BatikError(f"There is no fit of {model} under the published protocol.")
    setting = ["epochs", "learning_rate", "dropout"]
    measures = {"seeds": "count", "val_accuracy": "mean", "val_loss": "mean", "test_accuracy": "mean"}
    table = pd.DataFrame(rows).groupby(setting, as_index=False).agg(measures)
    order = ["val_accuracy", "val_loss", *setting]
    # Rounded, so that sums in another order cannot turn a tie into a choice.
    keys = table[order].round(9)
    keys["val_accuracy"] = -keys["val_accuracy"]
    return table.loc[keys.sort_values(order, kind="stable").index].reset_index(drop=True)


def choose(results: Results, model: str) -> Choice | None:
    """The setting with the highest mean validation accuracy; None where only one setting was fitted.

    Raises BatikError where several settings were fitted without validation images: nothing may choose then.
    """
    table = settings_table(results, model)
    if len(table) == 1:
        return None
    if table["val_accuracy"].isna().any():
        raise BatikError(f"{model} was fitted with several settings but without validation images to choose by.")
    first = table.iloc[0]
    tempting = table.iloc[int(table["test_accuracy"].round(9).to_numpy().argmax())]
    return Choice(
        model=model,
        hyper=_hyper(first),
        settings=len(table),
        seeds=int(first["seeds"]),
        val_accuracy=float(first["val_accuracy"]),
        test_accuracy=float(first["test_accuracy"]),
        test_chosen=_hyper(tempting),
        test_chosen_accuracy=float(tempting["test_accuracy"]),
        best_single=max(_accuracy(r.y_true, r.y_prob) for r in unrolled(results, model)),
    )


def final_fits(results: Results, model: str) -> tuple[FitResult, ...]:
    """The published fits that count, one per training seed, by seed: those at the setting that was chosen.

    Without a search these are simply all published fits of the model; empty where there are none.
    """
    if not results.select(model=model, protocol="published").items:
        return ()
    choice = choose(results, model)
    fits = [r for r in unrolled(results, model) if choice is None or r.fit.hyper == choice.hyper]
    return tuple(sorted(fits, key=lambda r: r.fit.seed))


def _hyper(row: pd.Series) -> Hyper:
    return Hyper(int(row["epochs"]), float(row["learning_rate"]), float(row["dropout"]))


def _accuracy(y_true: np.ndarray | None, y_prob: np.ndarray | None) -> float:
    if y_true is None or y_prob is None or not len(y_true):
        return float("nan")
    return float((y_prob.argmax(axis=1) == y_true).mean())


def _loss(y_true: np.ndarray | None, y_prob: np.ndarray | None) -> float:
    if y_true is None or y_prob is None or not len(y_true):
        return float("nan")
    clipped = np.clip(y_prob, 1e-7, 1.0)
    clipped /= clipped.sum(axis=1, keepdims=True)
    return float(log_loss(y_true, clipped, labels=np.arange(y_prob.shape[1])))
