"""The model that people can use: the best of a study, saved with what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batik_utils import backend
from batik_utils.errors import BatikError
from batik_utils.experiment import Plan, final_weights
from batik_utils.report.cards import model_card
from batik_utils.report.tables import fitted
from batik_utils.stats.metrics import grouped_interval, published_summary
from batik_utils.study import Study
from batik_utils.values import Results

FILE = "model.keras"


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


def save_best(plan: Plan, results: Results, metrics: Mapping[str, Any], folder: Path) -> None:
    """Train the best model's published fit (seed 0) again; save it as folder/model.keras, with model-card.md.

    Raises BatikError where no such fit succeeded, or it cannot be trained again.
    """
    backend.start()
    from batik_utils.models.saved import save_model

    study = plan.study
    name = best_model(study, results)
    model = study.models[name]
    summary = published_summary(results, name)
    hyper = summary.median.fit.hyper
    weights = final_weights(plan, name)
    if model.kind == "scratch":
        network = build_scratch(model.architecture, study.image.size, len(study.motifs), hyper.dropout)
        network.set_weights(weights)
    else:
        network = assemble(model.backbone, weights, study.image.size, study.motifs, hyper.dropout)
    interval = grouped_interval(results, name)
    info = {
        "study": study.name,
        "model": name,
        "title": model.title,
        "resize": study.image.resize,
        "test_accuracy": round(summary.accuracy[summary.seeds.index(0)], 6),
        "test_images": summary.n_test,
        "grouped_accuracy": [round(v, 6) for v in (interval.value, interval.low, interval.high)] if interval else None,
    }
    save_model(folder / FILE, network, study.motifs, info)
    (folder / "model-card.md").write_text(model_card(study, name, info, metrics), encoding="utf-8", newline="\n")
