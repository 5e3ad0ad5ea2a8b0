"""A search's choice: made on validation rows alone, a pure function of results."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from batik_utils.values import Hyper, Results

SEARCH = "search"
"""The protocol of fits that only serve a choice; they see the published split's rows."""


def choose(results: Results, model: str) -> Hyper | None:
    """The setting with the best mean validation accuracy over seeds, among all settings and their checkpoints.

    Ties go to the lower mean validation loss, then fewer epochs, the lower learning rate, the lower dropout.
    Settings of which a fit failed are passed over; None where nothing is left.
    """
    scores: dict[Hyper, list[tuple[float, float]]] = defaultdict(list)
    failed = {r.fit.hyper for r in results.missing if r.fit.model == model and r.fit.protocol == SEARCH}
    for r in results.select(model, SEARCH):
        if r.fit.hyper in failed:
            continue
        for epochs, said in r.checkpoints.items():
            hyper = Hyper(epochs, r.fit.hyper.learning_rate, r.fit.hyper.dropout)
            right = said["val"][np.arange(len(r.val_true)), r.val_true]
            accuracy = np.mean(said["val"].argmax(1) == r.val_true)
            scores[hyper].append((accuracy, -np.mean(np.log(np.clip(right, 1e-7, None)))))
    if not scores:
        return None

    def rank(hyper: Hyper) -> tuple[float, ...]:
        accuracy, loss = np.mean(scores[hyper], axis=0)
        # Rounded, so that the order in which a mean was summed cannot decide a tie.
        return (-round(accuracy, 9), round(loss, 9), hyper.epochs, hyper.learning_rate, hyper.dropout)

    return min(scores, key=rank)
