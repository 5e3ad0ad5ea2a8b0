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
    labels, names = np.searchsorted(present, oof.y_true), [motifs[i] for i in present]
    y_prob = oof.y_prob[:, present] / oof.y_prob[:, present].sum(axis=1, keepdims=True)
    doubted = find_label_issues(labels, y_prob, return_indices_ranked_by="self_confidence", n_jobs=1)
    scores, best = get_label_quality_scores(labels, y_prob, method="self_confidence"), y_prob.argmax(axis=1)
    rows = [
        (oof.paths[i], names[labels[i]], names[best[i]], float(y_prob[i, best[i]]), float(scores[i]))
        for i in sorted(doubted.tolist(), key=lambda i: (round(float(scores[i]), 9), oof.paths[i]))
        if best[i] != labels[i]
    ]
    return pd.DataFrame(rows, columns=columns)
