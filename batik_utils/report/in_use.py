"""What the report says of the classifier that is given out: tables, and sentences whose verdict flips with the numbers.

All take the part "deployed" of metrics.json (deploy.make) as plain values.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from batik_utils import wording as say
from batik_utils.deploy.convert import LEAST_AGREEMENT
from batik_utils.deploy.gate import MOST_OWN
from batik_utils.report.lessons import TELLS

UNDER = 0.02
"""From this on a coverage falls short."""
HINTS = 0.7
"""AUROC from which there is something in telling two sorts of pictures apart."""

APART = {"grouped": "near-duplicates left out", "sources": "their whole source left out"}
"""What a picture of the study's own is not compared with, by the protocol that measured."""
Numbers = Mapping[str, Any]


def precision(deployed: Numbers) -> str:
    """What weights of half the length cost."""
    compared = say.count(deployed["compared"], "training picture")
    same = f"In float16 it names the same motif as in float32 for all of {compared}"
    if deployed["agreement"] < 1:
        other = say.percent(1 - deployed["agreement"])
        same = f"In float16 it names another motif than in float32 for {other} of {compared}"
    kept = f"The file ({say.number(deployed['bytes'] / 1e6)} MB) is in {deployed['precision']}"
    limit = say.percent(1 - LEAST_AGREEMENT, 0)
    return f"{same}; more than {limit} would be too many. {kept}."


def given_out(deployed: Numbers) -> str:
    """What the file's network is."""
    size = f"Its network has {deployed['parameters']:,} parameters"
    if not deployed["variant"]:
        return f"{size}."
    return f"{size}: of its candidates, inner folds of all pictures chose *{deployed['variant']}*."


def gate_table(deployed: Numbers) -> pd.DataFrame:
    """What the gate was judged on, and what it does there."""
    gate, unseen = deployed["gate"], deployed["unseen"]
    rows = []
    if gate:
        turned = say.percent(gate["ordinary_turned_away"])
        rows.append((f"ordinary pictures ({gate['n_ordinary']})", say.number(gate["auroc"], 3), turned))
        own = say.percent(gate["own_turned_away"])
        rows.append((f"the study’s own, {APART[deployed['protocol']]} ({gate['n_own']})", "–", own))
    if unseen:
        other = f"motifs that it does not know ({unseen['motifs']}, {unseen['images']} pictures)"
        turned = say.percent(gate["others_turned_away"]) if gate else "–"
        rows.append((other, say.number(unseen["auroc"], 3), turned))
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
    measured = found["measured"]
    band = say.percent_range(say.Band(measured["low"], measured["high"]))
    share = f"{say.percent(measured['value'])} of {say.count(measured['n'], 'picture')} (95{say.NBSP}% interval {band})"
    size = f"{say.number(found['mean_size'], 2)} motifs on average"
    promise = f"nine times in ten ({say.percent(found['coverage'], 0)})"
    if measured["value"] < found["coverage"] - UNDER:
        return f"The sets are to hold the true motif {promise} and hold it less often: {share}, with {size}."
    return f"The sets are to hold the true motif {promise}, and on unseen folds they do: {share}, with {size}."


def apart(deployed: Numbers) -> str:
    """How sure and how right it is, and what was kept on one side to find out."""
    what = {"grouped": "near-duplicates", "sources": "all pictures of one source"}[deployed["protocol"]]
    kept = f"Temperature, sets and what is turned away are set and measured with {what} on one side"
    if not (found := deployed["calibration"]):
        return f"{kept}."
    gap = f"how sure it is and how often it is right lie {say.points(found['error'])} apart on average"
    return f"{kept}; so {gap} ({say.count(found['n'], 'picture')})."


def coverage_table(found: Numbers) -> pd.DataFrame:
    """How often the sets hold the true motif, motif by motif."""
    rows = [
        (name, part["n"], say.percent(part["value"]), say.percent_range(say.Band(part["low"], part["high"])))
        for name, part in zip(say.motif_names(list(found["per_motif"])), found["per_motif"].values(), strict=True)
    ]
    return pd.DataFrame(rows, columns=["motif", "pictures", "held", "95 % interval"])
