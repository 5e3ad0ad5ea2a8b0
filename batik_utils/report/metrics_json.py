"""metrics.json: a study's numbers for machines, in the form of metrics_file.py."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from batik_utils.cache import rounded
from batik_utils.report.metrics_file import Judged, MetricsFile, Scores
from batik_utils.report.pages import VERSION
from batik_utils.stats import metrics as scores
from batik_utils.stats.power import power_statement
from batik_utils.stats.search import choose
from batik_utils.values import Results
from batik_utils.wording import NBSP

if TYPE_CHECKING:
    from batik_utils.report.analysis import Analysis

FOLDED = ("grouped", "sources", "others", "permuted")
"""The protocols with more than one split."""
BASELINE = "baseline_"
"""How the names of baselines begin in fits."""


def build_metrics(analysis: "Analysis") -> dict[str, Any]:
    """All numbers of a study as plain JSON values (see MetricsFile), rounded to 6 decimals."""
    study, dataset, results = analysis.study, analysis.dataset, analysis.results
    (a, b), (got, planned) = study.compare, analysis.counted(study.compare)
    counts = np.bincount(dataset.labels, minlength=len(dataset.motifs)).tolist()
    fitted = {r.fit.model for r in results.select()}
    baselines = {r.fit.model for r in results.select(protocol="grouped") if r.fit.model.startswith(BASELINE)}
    raw = {
        "version": VERSION,
        "study": study.name,
        "title": study.title,
        "motifs": dataset.motifs,
        "data": {
            **asdict(dataset.source),
            "drawn": dataset.source.is_drawn,
            "images": len(dataset),
            "per_motif": dict(zip(dataset.motifs, counts, strict=True)),
            "groups": len(np.unique(dataset.groups)),
            "skipped": [{"path": path, "reason": reason} for path, reason in dataset.skipped],
            "fingerprint": dataset.fingerprint,
        },
        "models": {
            name: {
                "title": model.title,
                "kind": model.kind,
                "parameters": analysis.parameters(name) if name in fitted else None,
            }
            | _protocols(analysis, name)
            for name, model in study.models.items()
        },
        "comparison": {
            "a": a,
            "b": b,
            "verdict": analysis.verdict.word,
            "sentence": analysis.verdict.sentence,
            "fits": {"got": got, "planned": planned},
            "grouped": analysis.head,
            "family": analysis.comparisons,
            "by_source": analysis.comparisons_by_source,
            "published": next((c for c in analysis.published_comparisons if c.median.b == b), None),
            "power": power_statement(results, a, b),
        },
        "baselines": {name.removeprefix(BASELINE): _folds(analysis.shared, name, "grouped") for name in baselines},
        "claims": {
            row.id: {name: getattr(row, name) for name in Judged.model_fields if name in type(row).model_fields}
            | {"grouped": row.grouped and {"value": row.grouped, "interval": row.grouped}}
            for row in analysis.claims
        },
        "published": {c.id: c.model_dump(exclude={"id", "what"}) for c in study.claims},
    }
    text = MetricsFile.model_validate(raw).model_dump_json(exclude_unset=True).replace(NBSP, " ")
    return json.loads(text, parse_float=rounded)


def _protocols(analysis: "Analysis", model: str) -> dict[str, Any]:
    results, motifs = analysis.results, analysis.dataset.motifs
    out: dict[str, Any] = {p: _folds(analysis.shared, model, p) for p in FOLDED if analysis.shared.select(model, p)}
    if analysis.title(model) in analysis.all_folds:
        out["grouped_all"] = _folds(results, model, "grouped")
    if summary := analysis.summaries.get(model):
        columns = zip(summary.seeds, summary.accuracy, summary.loss, summary.macro_f1, strict=True)
        seeds = [dict(zip(("seed", "accuracy", "loss", "macro_f1"), row, strict=True)) for row in columns]
        fit = summary.median
        table = scores.classification_table(fit.y_true, fit.y_prob.argmax(axis=1), motifs)
        out["published"] = {
            **seeds[summary.seeds.index(fit.fit.seed)],
            "interval": summary.interval,
            "n_test": summary.n_test,
            "per_class": _per_class(table),
            "seeds": seeds,
            "range": (summary.low, summary.high),
            "hyper": fit.fit.hyper,
        }
        if choice := choose(results, model):
            out["search"] = choice
    if model in analysis.per_motif:
        # Not for "permuted": there an image has another label in each repeat.
        out["grouped"]["per_class"] = _per_class(analysis.per_motif[model].set_axis(motifs))
    if fits := [r for r in analysis.shared.select(model, "grouped") if r.alone]:
        out["alone"] = {
            name: float(np.mean([scores.accuracy(r.y_true, r.alone[name]) for r in fits])) for name in fits[0].alone
        }
    if curve := {r.fit.protocol for r in results.select(model) if r.fit.protocol.startswith("curve-")}:
        out["curve"] = {p.removeprefix("curve-"): _mean(results, model, p) for p in curve}
    return out


def _folds(results: Results, model: str, protocol: str) -> dict[str, Any]:
    fits = results.select(model, protocol)
    return {metric: _mean(results, model, protocol, metric) for metric in Scores.model_fields} | {
        "interval": scores.grouped_interval(results, model, "accuracy", protocol),
        "n_test": len({path for r in fits for path in r.paths}),
        "fits": len(fits),
    }


def _mean(results: Results, model: str, protocol: str, metric: str = "accuracy") -> float:
    return float(scores.mean_over_seeds(scores.fold_scores(results, model, protocol, metric)).mean())


def _per_class(table: pd.DataFrame) -> dict[str, Any]:
    rows = table[["precision", "recall", "F1", "support"]].rename(columns={"F1": "f1"})
    if "F1_low" in table:
        rows["f1_interval"] = list(zip(table["F1_low"], table["F1_high"], strict=True))
    return {str(motif): row for motif, row in rows.to_dict("index").items()}
