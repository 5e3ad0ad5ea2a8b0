"""metrics.json: a study's numbers for machines, as records; index, README, cards and `batik diff` are made of them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from batik_utils.cache import rounded
from batik_utils.errors import BatikError
from batik_utils.models.baselines import BASELINES
from batik_utils.stats.compare import Comparison, McNemar
from batik_utils.stats.table import Score
from batik_utils.wording import NBSP

if TYPE_CHECKING:
    from batik_utils.report.analysis import Analysis

VERSION: Literal[5] = 5
"""Raised whenever a key changes its name or meaning; an older file is not read."""


class Part(BaseModel):
    """Base of every part of the file: no unknown keys."""

    model_config = ConfigDict(extra="forbid")


class Model(Part):
    """A model of the study or a baseline; numbers are null where it was never built, or never timed."""

    title: str
    kind: str
    parameters: int | None
    milliseconds: float | None
    """A decoded picture, by one core: measured once."""
    seconds: float | None = None
    """To train it once on one core, features included: measured once."""
    variant_of: str | None = None
    """The model that it is but for one mistake."""


class Verdict(Part):
    """The verdict on A against B in grouped cross-validation, with their fits, got and planned."""

    a: str
    b: str
    word: Literal["better", "worse", "same", "open", "too few fits"]
    got: int
    planned: int
    detectable: float | None
    """The smallest true difference that the design finds with 80 % power."""


class Compared(BaseModel):
    """A against B, differences A minus B; beside these the numbers of stats.compare.Comparison or McNemar."""

    a: str
    b: str
    protocol: str
    primary: bool
    """Whether it was planned beforehand, so that its p stands by itself."""
    difference: float
    low: float | None
    high: float | None
    folds: int | None
    p: float
    p_holm: float | None
    """Over the family of its protocol's comparisons that are not primary; null of a primary or a lone one."""
    word: str


class MetricsFile(Part):
    """The numbers of one study; shares are fractions (0-1), intervals 95 %."""

    version: Literal[5]
    study: str
    title: str
    data: dict[str, Any]
    models: dict[str, Model]
    scores: list[Score]
    """stats.table.score_table says what protocols and metrics there are."""
    verdict: Verdict
    comparisons: list[Compared]
    claims: list[dict[str, Any]]
    """stats.claims.ClaimRow."""
    classifier: dict[str, Any] | None
    """What is measured of the classifier that is given out; null where none was made."""
    trios: dict[str, Any] | None = None
    """report.trio_tables.trio_numbers: every three of the motifs, where the study asks for them."""
    history: dict[str, list[dict[str, list[float]]]] = {}
    """{model of the verdict: what training seeds saw per epoch on the one split} of those that learn in epochs."""
    confusion: dict[str, list[list[float]]] = {}
    """{model of the verdict: pictures [true motif, predicted one] of an average grouped fit, out of fold}"""


def build_metrics(analysis: "Analysis") -> dict[str, Any]:
    """All numbers of a study as plain JSON values (see MetricsFile), rounded to 6 decimals."""
    from batik_utils.report.trio_tables import trio_numbers

    study, dataset, scores = analysis.study, analysis.dataset, analysis.scores
    (a, b), (got, planned) = study.compare, analysis.counted(study.compare)
    counts = np.bincount(dataset.labels, minlength=len(dataset.motifs)).tolist()
    head, fitted = analysis.head, set(scores["model"])
    raw = {
        "version": VERSION,
        "study": study.name,
        "title": study.title,
        "data": {
            **asdict(dataset.source),
            "drawn": dataset.source.is_drawn,
            "images": len(dataset),
            "motifs": dataset.motifs,
            "per_motif": dict(zip(dataset.motifs, counts, strict=True)),
            "groups": len(np.unique(dataset.groups)),
            "skipped": [{"path": path, "reason": reason} for path, reason in dataset.skipped],
            "fingerprint": dataset.fingerprint,
            "sources": [row._asdict() for row in analysis.large_sources],
        },
        "models": {
            name: {
                "title": model.title,
                "kind": model.kind,
                "parameters": analysis.parameters(name) if name in fitted else None,
                "milliseconds": study.milliseconds.get(name),
                "seconds": study.seconds.get(name),
                "variant_of": getattr(model, "variant_of", None) or None,
            }
            for name, model in (study.models | {name: m for name, m in BASELINES.items() if name in fitted}).items()
        },
        "scores": scores.astype(object).where(scores.notna(), None).to_dict("records"),
        "verdict": {"a": a, "b": b, "word": analysis.word, "got": got, "planned": planned}
        | {"detectable": head and head.detectable},
        "comparisons": list(_comparisons(analysis)),
        "claims": [row.model_dump(mode="json") for row in analysis.claims],
        "classifier": analysis.deployed,
        "trios": trio_numbers(analysis),
        "history": {m: fits for m in study.compare if (fits := _histories(analysis, m))},
        "confusion": {m: analysis.oofs[m].confusion.tolist() for m in study.compare if m in analysis.oofs},
    }
    return json.loads(json.dumps(raw, ensure_ascii=False).replace(NBSP, " "), parse_float=rounded)


def _histories(analysis: "Analysis", model: str) -> list[dict[str, list[float]]]:
    fits = analysis.summaries[model].fits if model in analysis.summaries else ()
    return [{name: list(values) for name, values in fit.history.items()} for fit in fits if fit.history]


def _comparisons(analysis: "Analysis") -> Iterator[dict[str, Any]]:
    for protocol, family in (("grouped", analysis.comparisons), ("sources", analysis.comparisons_by_source)):
        for c in family:
            ends = {"difference": c.difference.value, "low": c.difference.low, "high": c.difference.high}
            yield _compared(c, protocol, **ends)
    for test in analysis.published_comparisons:
        gap = (test.only_a - test.only_b) / test.n
        yield _compared(test, "published", primary=False, difference=gap, low=None, high=None, folds=None)


def _compared(test: Comparison | McNemar, protocol: str, **more: Any) -> dict[str, Any]:
    plain = asdict(test)
    p = {"p": plain.pop("p_value"), "p_holm": plain.pop("p_adjusted")}
    return plain | p | {"protocol": protocol, "word": test.word} | more


def read_metrics(path: Path) -> dict[str, Any]:
    """A metrics.json; raises BatikError where there is none, or it is damaged, of another version or another form."""
    name = path.parent.name
    try:
        metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BatikError(f"There is no {name}/{path.name} yet; run `make report STUDY={name}` first.") from None
    except (ValueError, RecursionError):
        raise BatikError(f"{name}/{path.name} is not JSON; build that report again.") from None
    if not isinstance(metrics, dict) or metrics.get("version") != VERSION:
        raise BatikError(f"{name}/{path.name} is of another version; build that report again.")
    try:
        MetricsFile.model_validate(metrics)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BatikError(f"{name}/{path.name} is not as a report writes it: {place}: {first['msg']}.") from None
    return metrics


def scores_of(metrics: Mapping[str, Any], metric: str = "accuracy") -> dict[tuple[str, str], dict[str, Any]]:
    """{(model, protocol): record} of one metric, out of what metrics.json holds."""
    return {(s["model"], s["protocol"]): s for s in metrics["scores"] if s["metric"] == metric}


def headline(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """The grouped comparison of the verdict, a record; None where there is none."""
    want = ("grouped", metrics["verdict"]["a"], metrics["verdict"]["b"])
    return next((c for c in metrics["comparisons"] if (c["protocol"], c["a"], c["b"]) == want), None)
