"""Which of a study's models people are given to use."""

from batik_utils.errors import BatikError
from batik_utils.models.kinds import KINDS
from batik_utils.stats.compare import shared_folds
from batik_utils.stats.scores import grouped_interval, parameters
from batik_utils.study import Study
from batik_utils.values import Results

LIMIT = 10_000_000
"""Parameters that a model for use may have, at most."""


def recommended(study: Study, results: Results) -> str:
    """The name of the model to use, from a study's results.

    The rule: of the models that a network can be made of, have at most LIMIT parameters and repeat nobody's mistake on
    purpose, the one whose accuracy in grouped cross-validation has the highest lower bound; of equals, the smallest.
    No published test image has a say. Raises BatikError where there is none.
    """
    sizes = {m: parameters(results, m) for m in study.models if results.select(m, "published").items}
    if not sizes:
        raise BatikError(f"no published fit succeeded in {study.name}.")
    able = [
        m
        for m, size in sizes.items()
        if KINDS[study.models[m].kind].can_be_saved(study.models[m])
        and not getattr(study.models[m], "variant_of", None)
        and size <= LIMIT
    ]
    if not able:
        raise BatikError(f"no model of {study.name} can be saved as a network of at most {LIMIT:,} parameters.")
    shared = shared_folds(results, *study.compare)
    intervals = {m: grouped_interval(shared, m) for m in able}
    return max(able, key=lambda m: (round(i.low, 6) if (i := intervals[m]) else -1.0, -sizes[m]))
