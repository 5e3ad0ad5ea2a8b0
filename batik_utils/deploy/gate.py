"""“This does not look like batik”: a distance to the training pictures, its threshold, and how far it can be relied on.

The distance of a picture is the mean cosine distance of its features to those of the nearest training pictures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from batik_utils.deploy.answers import Features, distances
from batik_utils.deploy.bundle import Gate

NEIGHBOURS = 5
LEAST_AUROC = 0.9
"""Of features that cannot even do this nothing is made."""
MOST_OWN = 0.05
"""The share of a study's own pictures that a threshold may turn away, where it is set."""


def left_out(features: Features, groups: NDArray[np.int64], neighbours: int) -> NDArray[np.float64]:
    """Distances of the training pictures themselves, [n]: of each to those outside its group of near-duplicates."""
    return distances(features, features, neighbours, groups[:, None] == groups[None])


def auroc(own: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """How often one of the others is further than one of the own, ties counting half; 0.5 is chance."""
    return float(roc_auc_score(np.repeat([0, 1], [len(own), len(others)]), np.concatenate([own, others])))


def make_gate(
    own: NDArray[np.float64], groups: NDArray[np.int64], ordinary: NDArray[np.float64], judges: NDArray[np.bool_]
) -> tuple[Gate | None, float]:
    """The gate from distances of a study's own pictures [n], left out, and of ordinary ones [m]; and its AUROC.

    One half of the ordinary pictures, and every second group of the own, set the threshold, the others judge it. It is
    halfway between the neighbours of the cut that parts the first halves best (the shares rightly told apart, added)
    without turning away more than MOST_OWN of the own. None where the AUROC among the judges is under LEAST_AUROC.
    """
    judging = np.unique(groups, return_inverse=True)[1] % 2 == 1
    setting, sorted_out = own[~judging], ordinary[~judges]
    truth = np.repeat([0, 1], [len(setting), len(sorted_out)])
    scores = np.concatenate([setting, sorted_out])
    turned, caught, cuts = roc_curve(truth, scores, drop_intermediate=False)
    allowed = turned <= MOST_OWN
    cut = cuts[allowed][np.argmax((caught - turned)[allowed])]  # what is as far as this, or further, is turned away
    below = scores[scores < cut]
    threshold = float(round((cut + below.max()) / 2, 4)) if np.isfinite(cut) and len(below) else 2.0
    how_well = auroc(own[judging], ordinary[judges])
    if how_well < LEAST_AUROC:
        return None, how_well
    gate = Gate(
        neighbours=NEIGHBOURS,
        threshold=threshold,
        auroc=how_well,
        ordinary_turned_away=float((ordinary[judges] > threshold).mean()),
        own_turned_away=float((own[judging] > threshold).mean()),
        n_ordinary=int(judges.sum()),
    )
    return gate, how_well
