"""The REFORMS checklist (Kapoor et al. 2024), each of its 32 items answered for one study from its run."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from batik_utils.report.cards import fill, picture_values
from batik_utils.study import Augmentation, Study
from batik_utils.values import Dataset

CHECKLIST = yaml.safe_load(Path(__file__).with_name("reforms.yaml").read_text(encoding="utf-8"))


def reforms_table(
    study: Study, dataset: Dataset, metrics: Mapping[str, Any], facts: Collection[str]
) -> list[tuple[str, str, str, str, str]]:
    """(number, module, item, answer, section id) of all 32 items, in the checklist's order.

    metrics is what metrics.json holds; what it lacks is left out of an answer, never made up. facts choose among an
    item's answers (see reforms.yaml): the first whose key is a fact, else "answer".
    """
    values = picture_values(dataset) | _values(study, metrics)

    def filled(template: str) -> str:
        # Ordinary spaces only: no-break spaces in numbers stay.
        return re.sub("[ \n]+", " ", fill(template, facts, **values)).strip()

    rows = []
    for module in CHECKLIST:
        for item in module["items"]:
            answer = next((text for key, text in item.items() if key in facts), item.get("answer", ""))
            rows.append((item["number"], module["module"], item["item"], filled(answer), filled(item["section"])))
    return rows


def _values(study: Study, metrics: Mapping[str, Any]) -> dict[str, Any]:
    scores = metrics.get("models", {})
    # A model whose weights could not be had is named in the metrics, with no protocol's figures.
    measured = {name for name, model in scores.items() if "grouped" in model or "published" in model}
    fitted = {name: model for name, model in study.models.items() if not measured or name in measured}
    grouped = {study.models[name].title: scores.get(name, {}).get("grouped") or {} for name in study.compare}
    permuted = {study.models[m].title: found["permuted"] for m, found in scores.items() if found.get("permuted")}
    return {
        "study": study,
        "models": [model.title for model in fitted.values()],
        "searched": [model.title for model in fitted.values() if model.search is not None],
        "augmented": any(model.augmentation != Augmentation() for model in fitted.values()),
        "stand_ins": any(getattr(model, "stand_in", None) for model in study.models.values()),
        "compare": list(grouped),
        "intervals": [(title, found["interval"]) for title, found in grouped.items() if found.get("interval")],
        "baselines": [(name, found["accuracy"]) for name, found in sorted(metrics.get("baselines", {}).items())],
        "permuted": [(title, found["accuracy"]) for title, found in sorted(permuted.items())],
    }
