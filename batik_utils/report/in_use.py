"""What the report says of the classifier that is given out: tables, and sentences whose verdict flips with the numbers.

All take the part "deployed" of metrics.json (deploy.measured.Deployed) as plain values.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from batik_utils import wording as say
from batik_utils.deploy.convert import LEAST_AGREEMENT
from batik_utils.deploy.gate import MOST_OWN
from batik_utils.report.lessons import TELLS

UNDER = 0.02
"""From this on a coverage falls short."""
HINTS = 0.7
"""AUROC from which there is something in telling two sorts of pictures apart."""

Numbers = Mapping[str, Any]


def precision_table(deployed: Numbers) -> pd.DataFrame:
    """One row per precision: size, how far from Keras, accuracy on pictures that were not trained on."""
    rows = [
        {
            "precision": row["precision"],
            "MB": say.number(row["bytes"] / 1e6),
            "largest difference": say.number(row["largest"], 6 if row["precision"] == "float32" else 3),
            "median difference": say.number(row["median"], 6 if row["precision"] == "float32" else 3),
            "same motif": say.percent(row["agreement"]),
            "accuracy": say.percent(row["accuracy"]),
        }
        for row in deployed["precisions"]
    ]
    return pd.DataFrame(rows)


def precision(deployed: Numbers) -> str:
    """What the smaller files cost."""
    whole, half, rough = deployed["precisions"]
    told = []
    for row in (half, rough):
        smaller = f"{row['precision']} makes the file {say.number(whole['bytes'] / row['bytes'])} times smaller"
        lost = whole["accuracy"] - row["accuracy"]
        if lost > 0:
            cost = f"loses {say.points(lost)} of accuracy on {say.count(deployed['held_out'], 'picture')}"
        elif row["agreement"] < 1:
            cost = (
                f"names another motif for {say.percent(1 - row['agreement'])} of the pictures, without losing accuracy"
            )
        else:
            cost = "changes no answer here"
        told.append(f"{smaller} and {cost}")
    given = f"What is given out has learnt from all pictures, and is in {deployed['precision']}"
    kept = f"in float16 it keeps {say.percent(LEAST_AGREEMENT, 0)} of its answers or more"
    if deployed["precision"] == "float32":
        kept = f"in float16 it would change more than {say.percent(1 - LEAST_AGREEMENT, 0)} of its answers"
    return f"{say.upper_first(told[0])}; {told[1]}. {given}: {kept}."


def given_out(deployed: Numbers) -> str:
    """What the file's network is, and whether what is judged is another."""
    size = f"Its network has {deployed['parameters']:,} parameters"
    if not deployed["variant"]:
        return f"{size}."
    chosen = f"{size}: of its candidates, inner folds of all pictures chose *{deployed['variant']}*"
    if deployed["judged"] == deployed["variant"]:
        return f"{chosen}."
    return (
        f"{chosen}. On the training images of the fixed split alone they chose *{deployed['judged']}*: what is tried "
        "below on that split's test images, and the sizes beside it, is of that network and not of the file's."
    )


def gate_table(deployed: Numbers) -> pd.DataFrame:
    """What the gate was judged on, and what it does there."""
    gate, unseen = deployed["gate"], deployed["unseen"]
    rows = []
    if gate:
        turned = say.percent(gate["ordinary_turned_away"])
        rows.append((f"ordinary pictures ({gate['n_ordinary']})", say.number(gate["auroc"], 3), turned))
        rows.append(("the study’s own, left out", "–", say.percent(gate["own_turned_away"])))
    if unseen:
        other = f"motifs that it does not know ({unseen['motifs']}, {unseen['images']} pictures)"
        rows.append((other, say.number(unseen["auroc"], 3), "–"))
    return pd.DataFrame(rows, columns=["pictures", "AUROC", "turned away"])


def gate(deployed: Numbers) -> str:
    """Whether there is a gate, why not, and whether it keeps to its aim."""
    found = deployed["gate"]
    if deployed["auroc"] is None:
        return (
            "There is no gate: the features were trained on these very pictures, so that none is left to say how often "
            "it would turn away what it should not."
        )
    if found is None:
        return (
            f"There is no gate: an ordinary picture is further from the training pictures than one of the study's own "
            f"in {say.percent(deployed['auroc'])} of cases only."
        )
    own = say.percent(found["own_turned_away"])
    kept = f"{own} of the study's own pictures are turned away, within the {say.percent(MOST_OWN, 0)} aimed at"
    if found["own_turned_away"] > MOST_OWN:
        kept = f"{own} of the study's own pictures are turned away, more than the {say.percent(MOST_OWN, 0)} aimed at"
    return (
        f"The gate turns away {say.percent(found['ordinary_turned_away'])} of the ordinary pictures that had no say in "
        f"its threshold (AUROC {say.number(found['auroc'], 3)}); {kept}."
    )


def unseen(found: Numbers) -> str:
    """Whether motifs that the classifier does not know look stranger to it than those that it does."""
    best = max(found["auroc"], found["auroc_confidence"] or 0.0)
    by = f"AUROC {say.number(found['auroc'], 2)} by distance"
    if found["auroc_confidence"] is not None:
        by += f", {say.number(found['auroc_confidence'], 2)} by confidence"
    who = f"Pictures of {say.count(found['motifs'], 'other motif')} ({by}; 0.5 is chance)"
    if best >= TELLS:
        return f"{who} are told from those that it knows."
    if best >= HINTS:
        return f"{who} look somewhat stranger than those that it knows, and too little so to be told from them."
    return f"{who} cannot be told from those that it knows: most are given the name of one of these."


def sets(found: Numbers) -> str:
    """What prediction sets promise, and whether they keep it."""
    share = say.percent(found["measured_coverage"])
    size = f"{say.number(found['mean_size'], 2)} motifs on average"
    promise = f"nine times in ten ({say.percent(found['coverage'], 0)})"
    if found["measured_coverage"] < found["coverage"] - UNDER:
        return f"The sets are to hold the true motif {promise} and hold it less often: {share}, with {size}."
    return f"The sets are to hold the true motif {promise}, and on unseen folds they do: {share}, with {size}."


def deletion(found: Numbers, evidence: str) -> str:
    """Whether deleting what a map marks hurts more than deleting as much at random."""
    marked, random = (float(np.mean(found[name][1:])) for name in ("marked", "random"))
    which = "the map of evidence marks" + (" (found by covering each field in turn)" if evidence != "exact" else "")
    means = f"the named motif keeps a mean probability of {say.percent(marked)}, against {say.percent(random)}"
    where = f"over {say.count(found['images'], 'held-out picture')}"
    low, high = found["gap"] or (-1.0, 1.0)
    if found["gap"]:
        where += f" (difference {say.points_range(say.Band(low, high))}, 95{say.NBSP}% interval)"
    if low > 0:
        return f"Deleting what {which} hurts more than deleting at random: {means} {where}."
    if high < 0:
        return f"Deleting what {which} hurts *less* than deleting at random: {means} {where}. It misleads here."
    nothing = f"Deleting what {which} is not shown to hurt more than deleting at random"
    return f"{nothing}: {means} {where}. It says little here."
