"""Photographs whose label the models doubt: cleanlab's confident learning on out-of-fold probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from batik_utils.stats.metrics import OutOfFold


def label_issues(oof: OutOfFold, motifs: Sequence[str]) -> pd.DataFrame:
    """Images whose given label is probably wrong, most doubtful first: path, given, suggested, probability, score.

    probability is the suggested motif's; score is that of the given label (0 doubtful - 1 sure). A doubt is a
    question for a person who knows batik, not a correction: with three motifs and hard images many are unfounded.
    Source: C. G. Northcutt, L. Jiang and I. L. Chuang, Journal of Artificial Intelligence Research 70 (2021).
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    columns = ["path", "given", "suggested", "probability", "score"]
    present = np.unique(oof.y_true)
    if len(present) < 2:
        return pd.DataFrame(columns=columns)
    # cleanlab warns, and estimates nonsense, where a class has no image; such a class cannot be a given label.
    place = np.full(oof.y_prob.shape[1], -1)
    place[present] = np.arange(len(present))
    labels = place[oof.y_true]
    probabilities = oof.y_prob[:, present]
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    found = find_label_issues(labels, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    scores = get_label_quality_scores(labels, probabilities, method="self_confidence")
    order = sorted((int(i) for i in found), key=lambda i: (round(float(scores[i]), 9), oof.paths[i]))
    rows = []
    for i in order:
        best = int(probabilities[i].argmax())
        if best != labels[i]:
            names = motifs[present[labels[i]]], motifs[present[best]]
            rows.append((oof.paths[i], *names, float(probabilities[i, best]), float(scores[i])))
    return pd.DataFrame(rows, columns=columns)
