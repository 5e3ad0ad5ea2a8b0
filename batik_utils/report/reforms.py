"""The REFORMS checklist (Kapoor et al. 2024), each of its 32 items answered for one study from its run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from batik_utils.report.cards import KAGGLE
from batik_utils.study import Study
from batik_utils.values import Dataset
from batik_utils.wording import Band, count, listed, percent, percent_range

FILE = Path(__file__).with_name("reforms.yaml")
SECTIONS = (
    *("sec-introduction", "sec-data", "sec-audit", "sec-method", "sec-protocols", "sec-published", "sec-mispaired"),
    *("sec-search", "sec-grouped", "sec-baselines", "sec-calibration", "sec-curve", "sec-predictions", "sec-claims"),
    *("sec-limits", "sec-conclusion", "sec-provenance"),
)
"""Every id that an answer may point to."""


def reforms_table(study: Study, dataset: Dataset, metrics: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """(number, module, item, answer, section id) of all 32 items, in the checklist's order.

    metrics is what metrics.json holds; what it lacks is left out of an answer, never made up.
    """
    values = _values(study, dataset, metrics)
    kind = "sample" if dataset.source.is_drawn else "photographs"
    rows = []
    for module in _checklist():
        for item in module["items"]:
            template = item.get(kind) or item["answer"]
            answer = " ".join(template.split()).format_map(values)  # No-break spaces in values stay.
            section = item["section"].format_map(values)
            rows.append((item["number"], module["module"], " ".join(item["item"].split()), answer, section))
    return rows


@cache
def _checklist() -> list[dict[str, Any]]:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def _values(study: Study, dataset: Dataset, metrics: Mapping[str, Any]) -> dict[str, Any]:
    counts = np.bincount(dataset.labels, minlength=len(dataset.motifs))
    names = [m.split("-", 1)[-1].capitalize() for m in dataset.motifs]
    groups = len(np.unique(dataset.groups))
    copies = len(dataset) - groups
    skipped = [path for path, _ in dataset.skipped]
    grouped = study.grouped
    # A model whose weights could not be had is named in the metrics, with no protocol's figures.
    known = {name for name, m in metrics.get("models", {}).items() if "grouped" in m or "published" in m}
    fitted = {name: m for name, m in study.models.items() if not known or name in known}
    searched = [m.title for m in fitted.values() if m.search is not None]
    return {
        "study": study.name,
        "question": " ".join(study.question.split()),
        "seed": f"“{study.seed_study.title}”" if study.seed_study else "the seed study",
        "motifs": listed(names),
        "classes": len(names),
        "images": len(dataset),
        "counts": listed([f"{name} {n}" for name, n in zip(names, counts, strict=True)]),
        "groups": groups,
        "source": dataset.source.description,
        "kaggle": KAGGLE,
        **{k: getattr(dataset.source, k) for k in ("identical", "altered", "missing")},
        "skipped": f"Not usable: {listed(skipped)}." if skipped else "Every file was usable.",
        "size": dataset.size,
        "resize": study.image.resize,
        "models": listed([m.title for m in fitted.values()]),
        "folds": grouped.folds,
        "repeats": (
            f"pretrained models {count(grouped.pretrained.repeats, 'repeat')} of "
            f"{count(grouped.pretrained.seeds, 'training seed')}, scratch models "
            f"{count(grouped.scratch.repeats, 'repeat')} of {count(grouped.scratch.seeds, 'training seed')} "
            "unless all are asked for"
        ),
        "compare": listed([study.models[m].title for m in study.compare]),
        "search_section": "sec-search" if searched else "sec-method",
        "search": (
            f"By a grid in the study's file, on validation images only, for {listed(searched)}; then one look at the "
            "test set. Grouped cross-validation uses the settings of the models' table, fixed beforehand."
            if searched
            else "Fixed beforehand in the study's file, after the seed study where it states them; none was tuned."
        ),
        "chance": percent(float(counts.max() / counts.sum())),
        "baselines": _baselines(metrics),
        "permuted": _permuted(study, metrics),
        "duplicates": (
            f"{len(dataset)} files show {groups} distinct pictures."
            if copies
            else f"none among these {len(dataset)} files."
        ),
        "dependence": (
            "Pictures are drawn independently of one another."
            if dataset.source.is_drawn
            else "Photographs of one cloth, shop or maker may still be on both sides."
        ),
        "interval": _interval(study, metrics),
    }


def _baselines(metrics: Mapping[str, Any]) -> str:
    got = {name: b["accuracy"] for name, b in sorted(metrics.get("baselines", {}).items()) if "accuracy" in b}
    return f" ({', '.join(f'{name} {percent(value)}' for name, value in got.items())})" if got else ""


def _permuted(study: Study, metrics: Mapping[str, Any]) -> str:
    got = {
        study.models[name].title: model["permuted"]["accuracy"]
        for name, model in metrics.get("models", {}).items()
        if name in study.models and "accuracy" in (model.get("permuted") or {})
    }
    return f" ({', '.join(f'{label} {percent(value)}' for label, value in got.items())})" if got else ""


def _interval(study: Study, metrics: Mapping[str, Any]) -> str:
    parts = []
    for name in study.compare:
        band = (metrics.get("models", {}).get(name, {}).get("grouped") or {}).get("interval")
        if band:
            parts.append(f"{study.models[name].title} {percent_range(Band(*band))}")
    return f"; under the grouped protocol {listed(parts)}" if parts else ""
