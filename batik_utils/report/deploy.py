"""The model that people can use: the best of a study, saved with what is known about it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batik_utils import backend
from batik_utils.errors import BatikError
from batik_utils.experiment import Plan, final_weights
from batik_utils.models.kinds import KINDS
from batik_utils.study import Study


def best_info(study: Study, metrics: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The model to save, and what is told of it, from the numbers of metrics.json.

    The one of highest accuracy in grouped cross-validation: no published test image has a say. Only models whose
    published fit with seed 0 succeeded count, since that fit is saved; raises BatikError where there is none.
    """
    scores = metrics["models"]
    first = {m: s for m in study.models for s in (scores[m].get("published") or {}).get("seeds", ()) if s["seed"] == 0}
    if not first:
        raise BatikError(f"no published fit with seed 0 succeeded in {study.name}.")
    grouped = {m: scores[m].get("grouped") or {} for m in first}
    best = max(first, key=lambda m: grouped[m].get("accuracy", -1.0))
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
