"""Which of a study's models people are given to use."""

from collections.abc import Mapping
from typing import Any

from batik_utils.errors import BatikError
from batik_utils.models.kinds import KINDS
from batik_utils.study import Study

LIMIT = 10_000_000
"""Parameters that a model for use may have, at most."""


def recommended(study: Study, metrics: Mapping[str, Any]) -> str:
    """The name of the model to use, from the numbers of metrics.json.

    The rule: of the models that a network can be made of, have at most LIMIT parameters and repeat nobody's mistake on
    purpose, the one whose accuracy in grouped cross-validation has the highest lower bound; of equals, the smallest.
    No published test image has a say. Raises BatikError where there is none.
    """
    scores = metrics["models"]
    fitted = [m for m in study.models if scores[m].get("published")]
    if not fitted:
        raise BatikError(f"no published fit succeeded in {study.name}.")
    able = [
        m
        for m in fitted
        if KINDS[study.models[m].kind].can_be_saved(study.models[m])
        and not getattr(study.models[m], "variant_of", None)
        and (scores[m]["parameters"] or 0) <= LIMIT
    ]
    if not able:
        raise BatikError(f"no model of {study.name} can be saved as a network of at most {LIMIT:,} parameters.")
    lowest = {m: ((scores[m].get("grouped") or {}).get("interval") or [-1.0])[0] for m in able}
    return max(able, key=lambda m: (lowest[m], -(scores[m]["parameters"] or 0)))
