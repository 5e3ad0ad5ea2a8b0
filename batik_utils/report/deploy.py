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


def best_model(study: Study, results: Results) -> str:
    """The model of highest mean accuracy in grouped cross-validation: no published test image has a say.

    Only models whose published fit with seed 0 succeeded count, since that fit is the one that is saved; raises
    BatikError where there is none.
    """
    summaries = {m: published_summary(results, m) for m in fitted(study, results)}
    models = [m for m, summary in summaries.items() if summary and 0 in summary.seeds]
    if not models:
        raise BatikError(f"no published fit with seed 0 succeeded in {study.name}.")
    intervals = {m: grouped_interval(results, m) for m in models}
    return max(models, key=lambda m: intervals[m].value if intervals[m] else -1.0)


def save_best(plan: Plan, results: Results, metrics: Mapping[str, Any], folder: Path) -> None:
    """Train the best model's published fit (seed 0) again; save it as folder/model.keras, with model-card.md.

    Raises BatikError where no such fit succeeded, or it cannot be trained again.
    """
    backend.start()
    from batik_utils.models.saved import assemble, save_model
    from batik_utils.models.scratch import build_scratch

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
