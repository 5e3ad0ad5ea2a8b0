"""What changed between two metrics.json, in words that a reviewer understands."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from batik_utils import wording as say
from batik_utils.errors import BatikError
from batik_utils.report.metrics import headline, read_metrics, scores_of

PROTOCOLS = {
    "published": "on one split",
    "grouped": "in grouped cross-validation",
    "sources": "with pictures of one source together",
    "others": "on the splits of others",
    "permuted": "with shuffled labels",
}
"""Those whose accuracies are told, in words."""
SMALLEST_TOLD = 0.0005
"""Of an accuracy, 0-1: half of what a reader sees."""


def read(path: Path) -> dict[str, Any]:
    """A metrics.json by its path or its folder's; raises BatikError where there is none, or it has another form."""
    if not path.exists():
        raise BatikError(f"There is no {path}: name a metrics.json, or the folder of a report that has one.")
    return read_metrics(path / "metrics.json" if path.is_dir() else path)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """One sentence per change from one metrics.json to another, the gravest first; none where both say the same."""
    old, new = _facts(before), _facts(after)
    lines = [
        f"The {what} changed from {old[what]} to {new[what]}." for what in old if new.get(what, old[what]) != old[what]
    ]
    if not lines and before["data"]["fingerprint"] != after["data"]["fingerprint"]:
        lines.append("The pictures are as many, but not the same: their files, labels or groups differ.")
    for what in ("motif", "model", "published number"):
        for word, here, there in (("added", after, before), ("removed", before, after)):
            if only := [title for name, title in _members(here)[what].items() if name not in _members(there)[what]]:
                lines.append(f"{say.upper_first(what)}{'s' if len(only) > 1 else ''} {word}: {'; '.join(only)}.")
    lines += [*_differences(before, after), *_accuracies(before, after)]
    if not lines and before != after:
        where = say.listed([key for key in sorted({*before, *after}) if before.get(key) != after.get(key)])
        lines = [f"Only details differ, and no accuracy of a protocol by {say.points(SMALLEST_TOLD)}: {where}."]
    return lines


def _facts(metrics: Mapping[str, Any]) -> dict[str, str]:
    """What is compared word by word, {what: as it is shown}; of what only one of the two has, nothing is said here."""
    verdict, data = metrics["verdict"], metrics["data"]
    facts = {"study": metrics["study"], "comparison": f"{verdict['a']} against {verdict['b']}"}
    facts |= {"verdict": f"“{verdict['word']}”", "source of the pictures": data["description"]}
    facts |= {"number of pictures": f"{data['images']:,}"}
    facts |= {f"number of pictures of {motif}": f"{n:,}" for motif, n in data["per_motif"].items()}
    facts |= {"number of groups of near-duplicates": f"{data['groups']:,}"}
    for name, model in metrics["models"].items():
        size = "unknown" if model["parameters"] is None else f"{model['parameters']:,}"
        facts |= {f"name of {name}": model["title"], f"parameters of {model['title']}": size}
    return facts | {f"verdict on the published number {row['id']}": row["verdict"] for row in metrics["claims"]}


def _members(metrics: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    models = {name: model["title"] for name, model in metrics["models"].items()}
    claims = {row["id"]: row["id"] for row in metrics["claims"]}
    return {"motif": {m: m for m in metrics["data"]["motifs"]}, "model": models, "published number": claims}


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = ((headline(m) or {}).get("difference") for m in (before, after))
    if (old is None) != (new is None):
        yield f"The difference A − B is {'no longer' if new is None else 'now'} known."
    elif old is not None and new is not None and abs(new - old) >= SMALLEST_TOLD:
        yield f"The difference A − B moved from {say.signed_points(old)} to {say.signed_points(new)}."


def _accuracies(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """How far each accuracy moved, and whether its interval still holds the old one."""
    keys, columns = ["model", "protocol"], ["model", "protocol", "value", "low", "high", "fits"]
    frames = (pd.DataFrame(scores_of(m).values(), columns=columns, dtype=object) for m in (before, after))
    both = next(frames).merge(next(frames), on=keys, how="outer", suffixes=("", "_new")).set_index(keys)
    for name in (name for name in before["models"] if name in after["models"]):
        for protocol, where in PROTOCOLS.items():
            if (name, protocol) not in both.index:
                continue
            row, what = both.loc[name, protocol], f"{after['models'][name]['title']} {where}"
            if pd.isna(row["fits"]) or pd.isna(row["fits_new"]):
                yield f"{what}: {'now' if pd.isna(row['fits']) else 'no longer'} measured."
                continue
            if abs(gap := row["value_new"] - row["value"]) >= SMALLEST_TOLD:
                moved = f"{say.signed_points(gap)}, from {say.percent(row['value'])} to {say.percent(row['value_new'])}"
                within = "within" if row["low_new"] <= row["value"] <= row["high_new"] else "outside"
                band = f" ({within} the new 95{say.NBSP}% interval)" if pd.notna(row["low_new"]) else ""
                yield f"{what}: accuracy moved by {moved}{band}."
            if row["fits"] != row["fits_new"]:
                yield f"{what}: {row['fits_new']} fits instead of {row['fits']}."
