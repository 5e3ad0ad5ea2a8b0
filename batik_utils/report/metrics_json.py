"""metrics.json: a study's numbers for machines, in the stable form that metrics_schema.json documents."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from batik_utils.report.verdicts import fit_counts, verdict
from batik_utils.stats.claims import ClaimRow, claims_table
from batik_utils.stats.compare import compare_published, compare_with
from batik_utils.stats.intervals import Interval
from batik_utils.stats.metrics import (
    METRICS,
    classification_table,
    fold_scores,
    grouped_interval,
    mean_over_seeds,
    out_of_fold,
    per_motif,
    published_summary,
)
from batik_utils.stats.power import power_statement
from batik_utils.stats.search import choose
from batik_utils.study import Study
from batik_utils.values import Dataset, Results
from batik_utils.wording import NBSP

VERSION = 1
"""Raised whenever a key of metrics.json changes its name or meaning."""
SCHEMA = Path(__file__).with_name("metrics_schema.json")
DECIMALS = 6
BASELINE = "baseline_"
"""How the names of baselines begin in fits."""


def build_metrics(
    study: Study,
    dataset: Dataset,
    results: Results,
    parameters: Mapping[str, int] | None = None,
    expected: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """All numbers of a study as plain JSON values (see metrics_schema.json), rounded to 6 decimals.

    parameters maps models to their number of parameters (default: what the fits say);
    expected is (got, planned) grouped fits of the two compared models (default: counted in results).
    """
    groups = dict(zip(dataset.paths, dataset.groups.tolist(), strict=True))
    counted = {r.fit.model: r.parameters for r in results.select()} | dict(parameters or {})
    return _plain(
        {
            "version": VERSION,
            "study": study.name,
            "title": study.title,
            "motifs": dataset.motifs,
            "data": _data(dataset),
            "models": {
                name: {
                    "title": model.title,
                    "kind": model.kind,
                    "parameters": counted.get(name),
                    **_protocols(results, name, dataset.motifs, groups),
                }
                for name, model in study.models.items()
            },
            "comparison": _comparison(study, results, expected),
            "baselines": _baselines(results),
            "claims": {row.id: _claim(row) for row in claims_table(study, results)},
            "published": {
                c.id: {"model": c.model, "metric": c.metric, "value": c.value, "n": c.n, "where": c.where}
                for c in study.claims
            },
        }
    )


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """Write metrics as JSON with sorted keys and a final newline, whole or not at all."""
    text = json.dumps(metrics, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _data(dataset: Dataset) -> dict[str, Any]:
    source = dataset.source
    counts = np.bincount(dataset.labels, minlength=len(dataset.motifs))
    return {
        **{k: v for k, v in asdict(source).items()},
        "sample": source.is_drawn,
        "images": len(dataset),
        "per_motif": dict(zip(dataset.motifs, counts.tolist(), strict=True)),
        "groups": len(np.unique(dataset.groups)),
        "skipped": [{"path": path, "reason": reason} for path, reason in dataset.skipped],
        "fingerprint": dataset.fingerprint,
    }


def _protocols(results: Results, model: str, motifs: tuple[str, ...], groups: Mapping[str, int]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    summary = published_summary(results, model)
    if summary is not None:
        fit = summary.median
        place = summary.seeds.index(fit.fit.seed)
        out["published"] = {
            "accuracy": summary.median_accuracy,
            "interval": _band(summary.interval),
            "loss": summary.loss[place],
            "macro_f1": summary.macro_f1[place],
            "n_test": summary.n_test,
            "per_class": _per_class(classification_table(fit.y_true, fit.y_prob.argmax(axis=1), motifs)),
            "seed": fit.fit.seed,
            "seeds": [
                {"seed": s, "accuracy": a, "loss": loss, "macro_f1": f1}
                for s, a, loss, f1 in zip(summary.seeds, summary.accuracy, summary.loss, summary.macro_f1, strict=True)
            ],
            "range": [summary.low, summary.high],
            "hyper": asdict(fit.fit.hyper),
        }
        choice = choose(results, model)
        if choice is not None:
            out["search"] = asdict(choice)
    for protocol in ("grouped", "permuted"):
        if len(results.select(model, protocol)):
            out[protocol] = _folds(results, model, protocol)
    oof = out_of_fold(results, model)
    if oof is not None:
        # Not for "permuted": there an image has another label in each repeat.
        out["grouped"]["per_class"] = _per_class(per_motif(oof, motifs, groups))
    curve = sorted(
        {r.fit.protocol for r in results.select(model=model) if r.fit.protocol.startswith("curve-")},
        key=lambda p: int(p.split("-")[1]),
    )
    if curve:
        out["curve"] = {p.split("-")[1]: float(mean_over_seeds(fold_scores(results, model, p)).mean()) for p in curve}
    return out


def _folds(results: Results, model: str, protocol: str) -> dict[str, Any]:
    fits = results.select(model, protocol)
    means = {m: mean_over_seeds(fold_scores(results, model, protocol, m)) for m in METRICS}
    return {
        **{m: float(v.mean()) for m, v in means.items()},
        "interval": _band(grouped_interval(results, model, "accuracy", protocol)),
        "n_test": len({p for r in fits for p in r.paths}),
        "fits": len(fits),
    }


def _baselines(results: Results) -> dict[str, Any]:
    names = sorted({r.fit.model for r in results.select(protocol="grouped")})
    return {n.removeprefix(BASELINE): _folds(results, n, "grouped") for n in names if n.startswith(BASELINE)}


def _comparison(study: Study, results: Results, expected: tuple[int, int] | None) -> dict[str, Any]:
    a, b = study.compare
    got, planned = expected or fit_counts(results, study.compare)
    others = [m for m in study.models if m != a]
    found = next((c for c in compare_with(results, a, others) if c.b == b), None)
    judged = verdict(found, study.models[a].title, study.models[b].title, got, planned)
    published = compare_published(results, a, b)
    power = power_statement(results, a, b)
    return {
        "a": a,
        "b": b,
        "verdict": judged.word,
        "sentence": judged.sentence,
        "fits": {"got": got, "planned": planned},
        "grouped": None
        if found is None
        else {
            **{k: v for k, v in asdict(found).items() if k not in {"a", "b", "protocol", "difference"}},
            "difference": found.difference.value,
            "interval": _band(found.difference),
        },
        "published": None
        if published is None
        else {"median": asdict(published.median), "seeds": [asdict(t) for t in published.per_seed]},
        "power": None if power is None else {k: v for k, v in asdict(power).items() if k not in {"a", "b"}},
    }


def _claim(row: ClaimRow) -> dict[str, Any]:
    return {
        "model": row.model,
        "metric": row.metric,
        "value": row.value,
        "n": row.n,
        "value_interval": _band(row.value_interval),
        "published": None
        if row.median is None
        else {"median": row.median, "range": [row.low, row.high], "interval": _band(row.interval)},
        "grouped": None if row.grouped is None else {"value": row.grouped.value, "interval": _band(row.grouped)},
        "verdict": row.verdict,
        "reason": row.reason,
    }


def _band(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _per_class(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    out: dict[str, dict[str, Any]] = {}
    for motif, row in table.iterrows():
        scores = {"precision": row["precision"], "recall": row["recall"], "f1": row["F1"]}
        if "F1_low" in table:
            scores["f1_interval"] = [row["F1_low"], row["F1_high"]]
        out[str(motif)] = {**scores, "support": int(row["support"])}
    return out


def _plain(value: Any) -> Any:
    """JSON values only: numpy scalars unpacked, floats rounded, NaN and infinity as null, plain spaces."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(v) for v in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        # Adding zero turns -0.0 into 0.0.
        return round(float(value), DECIMALS) + 0.0 if math.isfinite(value) else None
    return value.replace(NBSP, " ") if isinstance(value, str) else value
