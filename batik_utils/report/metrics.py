"""metrics.json: a study's numbers as records, of which index, README and cards are made; and `batik diff`."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from batik_utils import wording as say
from batik_utils.cache import rounded
from batik_utils.errors import BatikError
from batik_utils.models.baselines import BASELINES
from batik_utils.stats.compare import Comparison
from batik_utils.stats.table import Score

if TYPE_CHECKING:
    from batik_utils.report.analysis import Analysis

VERSION: Literal[5] = 5  # raised whenever a key changes its name or meaning; an older file is not read
IN_WORDS = {  # those whose accuracies are told
    "published": "on one split",
    "grouped": "in grouped cross-validation",
    "sources": "with pictures of one source together",
    "others": "on the splits of others",
    "permuted": "with shuffled labels",
}


class MetricsFile(BaseModel):
    """The numbers of one study; shares are fractions (0-1), intervals 95 %."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[5]
    study: str
    title: str
    data: dict[str, Any]
    models: dict[str, dict[str, Any]]
    """{model or baseline: title, kind, parameters, milliseconds (a decoded picture), seconds (to train it once),
    both by one core, variant_of (the model that it is but for one mistake)}; null where it was never built or timed."""
    scores: list[Score]  # stats.table.score_table says what protocols and metrics there are
    verdict: dict[str, Any]
    """On a against b in grouped cross-validation: word (of stats.compare.Word), fits got and planned, and detectable,
    the smallest true difference that the design finds with 80 % power."""
    comparisons: list[dict[str, Any]]
    """a against b under a protocol, differences a - b: difference, low, high, p, p_holm (over the protocol's
    comparisons that are not primary, of several), word, and the rest of stats.compare.Comparison."""
    claims: list[dict[str, Any]]  # stats.claims.ClaimRow
    classifier: dict[str, Any] | None  # what is measured of the classifier that is given out; null where none was made
    trios: dict[str, Any] | None = None  # report.findings.trio_numbers, where the study asks for them
    # {model of the verdict: what training seeds saw per epoch on the one split} of those that learn in epochs.
    history: dict[str, list[dict[str, list[float]]]] = {}
    # {model of the verdict: pictures [true motif, predicted one] of an average grouped fit, out of fold}
    confusion: dict[str, list[list[float]]] = {}


def build_metrics(analysis: "Analysis") -> dict[str, Any]:
    """All numbers of a study as plain JSON values (see MetricsFile), rounded to 6 decimals."""
    from batik_utils.report.findings import trio_numbers

    study, dataset, scores = analysis.study, analysis.dataset, analysis.scores
    (a, b), (got, planned) = study.compare, analysis.counted(study.compare)
    counts = np.bincount(dataset.labels, minlength=len(dataset.motifs)).tolist()
    head, fitted = analysis.head, set(scores["model"])
    tested = {"grouped": analysis.comparisons, "sources": analysis.comparisons_by_source}
    shown = {m: analysis.summaries[m].fits for m in study.compare if m in analysis.summaries}
    histories = {m: [fit.history for fit in fits if fit.history] for m, fits in shown.items()}
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
            | _chosen(model)
            for name, model in (study.models | {name: m for name, m in BASELINES.items() if name in fitted}).items()
        },
        "scores": scores.astype(object).where(scores.notna(), None).to_dict("records"),
        "verdict": {"a": a, "b": b, "word": analysis.word, "got": got, "planned": planned}
        | {"detectable": head and head.detectable},
        "comparisons": [_compared(c, protocol) for protocol, family in tested.items() for c in family],
        "claims": [row.model_dump(mode="json") for row in analysis.claims],
        "classifier": analysis.deployed,
        "trios": trio_numbers(analysis),
        "history": {m: fits for m, fits in histories.items() if fits},
        "confusion": {m: analysis.oofs[m].confusion.tolist() for m in study.compare if m in analysis.oofs},
    }
    return json.loads(json.dumps(raw, ensure_ascii=False).replace(say.NBSP, " "), parse_float=rounded)


def _chosen(model: Any) -> dict[str, Any]:
    """What a recipe is, and among how many candidates, on how many trios of how many motifs it was chosen."""
    if not (chosen := getattr(model, "chosen", None)):
        return {}
    counts = {"candidates": chosen.settings, "trios": chosen.trios, "motifs": len(chosen.motifs)}
    return {"recipe": {"words": model.words} | counts}


def _compared(c: Comparison, protocol: str) -> dict[str, Any]:
    ends = {"difference": c.difference.value, "low": c.difference.low, "high": c.difference.high}
    plain = {name: value for name, value in asdict(c).items() if name not in ("p_value", "p_adjusted")}
    return plain | ends | {"p": c.p_value, "p_holm": c.p_adjusted, "protocol": protocol, "word": c.word}


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


def read_report(path: Path) -> dict[str, Any]:
    """A metrics.json by its path or its folder's; raises BatikError where there is none, or it has another form."""
    if not path.exists():
        raise BatikError(f"There is no {path}: name a metrics.json, or the folder of a report that has one.")
    return read_metrics(path / "metrics.json" if path.is_dir() else path)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """One sentence per change from one metrics.json to another, the gravest first; none where both say the same."""
    old, new = _facts(before), _facts(after)
    both = [what for what in old if what in new]
    lines = [f"The {what} changed from {old[what]} to {new[what]}." for what in both if old[what] != new[what]]
    for word, here, there in (("added", new, old), ("removed", old, new)):
        lines += [f"The {what} was {word}: {value}." for what, value in here.items() if what not in there]
    if before["data"]["fingerprint"] != after["data"]["fingerprint"]:
        lines.append("The pictures are not the same: their files, labels or groups differ.")
    if not lines and before != after:
        where = say.listed([key for key in sorted({*before, *after}) if before.get(key) != after.get(key)])
        lines = [f"Only details differ, and no accuracy of a protocol as it is shown: {where}."]
    return lines


def _facts(metrics: Mapping[str, Any]) -> dict[str, str]:
    """What is compared word by word, {what: as it is shown}."""
    verdict, data, head = metrics["verdict"], metrics["data"], headline(metrics)
    titles = {name: model["title"] for name, model in metrics["models"].items()}
    facts = {"study": metrics["study"], "comparison": f"{verdict['a']} against {verdict['b']}"}
    facts["verdict"] = f"“{verdict['word']}”"
    facts |= {"difference A − B": say.signed_points(head["difference"])} if head else {}
    facts |= {"source of the pictures": data["description"], "number of pictures": f"{data['images']:,}"}
    facts |= {f"number of pictures of {motif}": f"{n:,}" for motif, n in data["per_motif"].items()}
    facts["number of groups of near-duplicates"] = f"{data['groups']:,}"
    for name, model in metrics["models"].items():
        size = "of unknown size" if model["parameters"] is None else say.count(model["parameters"], "parameter")
        facts[f"model {name}"] = f"{model['title']}, {size}"
    for (name, protocol), score in scores_of(metrics).items():
        if protocol in IN_WORDS:
            band = "" if score["low"] is None else f" ({say.percent_range(say.Band(score['low'], score['high']))})"
            what = f"accuracy of {titles.get(name, name)} {IN_WORDS[protocol]}"
            facts[what] = f"{say.percent(score['value'])}{band} of {say.count(score['fits'], 'fit')}"
    return facts | {f"verdict on the published number {row['id']}": f"“{row['verdict']}”" for row in metrics["claims"]}
