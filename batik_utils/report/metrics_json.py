"""metrics.json: a study's numbers for machines, in the form of metrics_file.MetricsFile (metrics_schema.json)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from batik_utils.files import write_json
from batik_utils.report.metrics_file import VERSION, Judged, MetricsFile, OnFolds
from batik_utils.report.verdicts import fit_counts, verdict
from batik_utils.stats import metrics as scores
from batik_utils.stats.claims import ClaimRow, claims_table
from batik_utils.stats.compare import compare_published, compare_with
from batik_utils.stats.power import power_statement
from batik_utils.stats.search import choose
from batik_utils.study import Study
from batik_utils.values import Dataset, Results
from batik_utils.wording import NBSP

SCHEMA = Path(__file__).with_name("metrics_schema.json")
"""Made of MetricsFile by `python -m batik_utils.report.metrics_json`."""
DECIMALS = 6
BASELINE = "baseline_"
"""How the names of baselines begin in fits."""


def schema() -> dict[str, Any]:
    """JSON schema of metrics.json."""
    return MetricsFile.model_json_schema()


def build_metrics(
    study: Study,
    dataset: Dataset,
    results: Results,
    parameters: Mapping[str, int] | None = None,
    expected: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """All numbers of a study as plain JSON values (see MetricsFile), rounded to 6 decimals.

    parameters maps models to their number of parameters (default: what the fits say);
    expected is (got, planned) grouped fits of the two compared models (default: counted in results).
    """
    counted = {r.fit.model: r.parameters for r in results.select()} | dict(parameters or {})
    raw = {
        "version": VERSION,
        "study": study.name,
        "title": study.title,
        "motifs": dataset.motifs,
        "data": _data(dataset),
        "models": {
            name: {"title": model.title, "kind": model.kind, "parameters": counted.get(name)}
            | _protocols(results, name, dataset)
            for name, model in study.models.items()
        },
        "comparison": _comparison(study, results, expected),
        "baselines": {
            name.removeprefix(BASELINE): _folds(results, name, "grouped")
            for name in {r.fit.model for r in results.select(protocol="grouped")}
            if name.startswith(BASELINE)
        },
        "claims": {row.id: _claim(row) for row in claims_table(study, results)},
        "published": {c.id: c.model_dump(exclude={"id", "what"}) for c in study.claims},
    }
    text = MetricsFile.model_validate(raw).model_dump_json(exclude_unset=True).replace(NBSP, " ")
    # Adding zero turns -0.0 into 0.0.
    return json.loads(text, parse_float=lambda digits: round(float(digits), DECIMALS) + 0.0)


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """Write metrics as JSON with sorted keys and a final newline, whole or not at all."""
    write_json(path, metrics)


def _data(dataset: Dataset) -> dict[str, Any]:
    counts = np.bincount(dataset.labels, minlength=len(dataset.motifs)).tolist()
    return {
        **asdict(dataset.source),
        "drawn": dataset.source.is_drawn,
        "images": len(dataset),
        "per_motif": dict(zip(dataset.motifs, counts, strict=True)),
        "groups": len(np.unique(dataset.groups)),
        "skipped": [{"path": path, "reason": reason} for path, reason in dataset.skipped],
        "fingerprint": dataset.fingerprint,
    }


def _protocols(results: Results, model: str, dataset: Dataset) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if summary := scores.published_summary(results, model):
        fit = summary.median
        columns = zip(summary.seeds, summary.accuracy, summary.loss, summary.macro_f1, strict=True)
        seeds = [{"seed": s, "accuracy": a, "loss": loss, "macro_f1": f1} for s, a, loss, f1 in columns]
        out["published"] = {
            **seeds[summary.seeds.index(fit.fit.seed)],
            "interval": summary.interval,
            "n_test": summary.n_test,
            "per_class": _per_class(scores.classification_table(fit.y_true, fit.y_prob.argmax(axis=1), dataset.motifs)),
            "seeds": seeds,
            "range": (summary.low, summary.high),
            "hyper": fit.fit.hyper,
        }
        if choice := choose(results, model):
            out["search"] = choice
    for protocol in ("grouped", "permuted"):
        if len(results.select(model, protocol)):
            out[protocol] = _folds(results, model, protocol)
    if oof := scores.out_of_fold(results, model):
        # Not for "permuted": there an image has another label in each repeat.
        groups = dict(zip(dataset.paths, dataset.groups.tolist(), strict=True))
        out["grouped"]["per_class"] = _per_class(scores.per_motif(oof, dataset.motifs, groups))
    if curve := {r.fit.protocol for r in results.select(model) if r.fit.protocol.startswith("curve-")}:
        out["curve"] = {p.removeprefix("curve-"): _mean(results, model, p) for p in curve}
    return out


def _folds(results: Results, model: str, protocol: str) -> dict[str, Any]:
    fits = results.select(model, protocol)
    return {
        **{metric: _mean(results, model, protocol, metric) for metric in scores.METRICS},
        "interval": scores.grouped_interval(results, model, "accuracy", protocol),
        "n_test": len({path for r in fits for path in r.paths}),
        "fits": len(fits),
    }


def _mean(results: Results, model: str, protocol: str, metric: str = "accuracy") -> float:
    return float(scores.mean_over_seeds(scores.fold_scores(results, model, protocol, metric)).mean())


def _comparison(study: Study, results: Results, expected: tuple[int, int] | None) -> dict[str, Any]:
    a, b = study.compare
    got, planned = expected or fit_counts(results, study.compare)
    head = next((c for c in compare_with(results, a, [m for m in study.models if m != a]) if c.b == b), None)
    judged = verdict(head, study.models[a].title, study.models[b].title, got, planned)
    grouped = published = None
    if head:
        same = {name: getattr(head, name) for name in OnFolds.model_fields if name != "interval"}
        grouped = same | {"difference": head.difference.value, "interval": head.difference}
    if tests := compare_published(results, a, b):
        published = {"median": tests.median, "seeds": tests.per_seed}
    return {
        "a": a,
        "b": b,
        "verdict": judged.word,
        "sentence": judged.sentence,
        "fits": {"got": got, "planned": planned},
        "grouped": grouped,
        "published": published,
        "power": power_statement(results, a, b),
    }


def _claim(row: ClaimRow) -> dict[str, Any]:
    ours = {"median": row.median, "range": (row.low, row.high), "interval": row.interval}
    return {
        **{name: getattr(row, name) for name in Judged.model_fields if name != "published"},
        "published": None if row.median is None else ours,
        "grouped": row.grouped and {"value": row.grouped.value, "interval": row.grouped},
    }


def _per_class(table: pd.DataFrame) -> dict[str, Any]:
    rows = table[["precision", "recall", "F1", "support"]].rename(columns={"F1": "f1"})
    if "F1_low" in table:
        rows["f1_interval"] = list(zip(table["F1_low"], table["F1_high"], strict=True))
    return {str(motif): row for motif, row in rows.to_dict("index").items()}


if __name__ == "__main__":
    write_json(SCHEMA, schema())
