"""The model that people can use: the best of a study, saved with what is known about it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batik_utils import backend
from batik_utils.errors import BatikError
from batik_utils.experiment import Plan, final_weights
from batik_utils.models.kinds import KINDS
from batik_utils.study import Study

LIMIT = 10_000_000
"""Parameters that a model for use may have, at most."""


def best_info(study: Study, metrics: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The model to save, and what is told of it, from the numbers of metrics.json.

    The rule: of the models that a network can be made of, have at most LIMIT parameters and repeat nobody's mistake on
    purpose, the one whose accuracy in grouped cross-validation has the highest lower bound; of equals, the smallest.
    Only models whose published fit with seed 0 succeeded count, since that fit is saved; no published test image has a
    say. Raises BatikError where there is none.
    """
    scores = metrics["models"]
    first = {m: s for m in study.models for s in (scores[m].get("published") or {}).get("seeds", ()) if s["seed"] == 0}
    if not first:
        raise BatikError(f"no published fit with seed 0 succeeded in {study.name}.")
    able = [
        m
        for m in first
        if KINDS[study.models[m].kind].can_be_saved(study.models[m])
        and not getattr(study.models[m], "variant_of", None)
        and (scores[m]["parameters"] or 0) <= LIMIT
    ]
    if not able:
        raise BatikError(f"no model of {study.name} can be saved as a network of at most {LIMIT:,} parameters.")
    grouped = {m: scores[m].get("grouped") or {} for m in able}
    lowest = {m: (grouped[m].get("interval") or [-1.0])[0] for m in able}
    best = max(able, key=lambda m: (lowest[m], -(scores[m]["parameters"] or 0)))
    interval = grouped[best].get("interval")
    return best, {
        "study": study.name,
        "model": best,
        "title": study.models[best].title,
        "resize": study.image.resize,
        "test_accuracy": first[best]["accuracy"],
        "test_images": scores[best]["published"]["n_test"],
        "grouped_accuracy": [grouped[best]["accuracy"], *interval] if interval else None,
    }


def save_best(plan: Plan, metrics: Mapping[str, Any], path: Path) -> None:
    """Train the best model's published fit (seed 0) again, and save it as path, a .keras file.

    Raises BatikError where no such fit succeeded, or it cannot be trained again.
    """
    backend.start()
    from batik_utils.models.saved import save_model

    study = plan.study
    name, info = best_info(study, metrics)
    model, dropout = study.models[name], metrics["models"][name]["published"]["hyper"]["dropout"]
    network = KINDS[model.kind].assemble(model, final_weights(plan, name), study.image.size, study.motifs, dropout)
    save_model(path, network, study.motifs, info)
