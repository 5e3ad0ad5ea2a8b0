"""What changed between two metrics.json, in words that a reviewer understands."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from batik_utils import wording as say
from batik_utils.errors import BatikError
from batik_utils.report.metrics_file import MetricsFile
from batik_utils.report.pages import read_metrics

PROTOCOLS = {
    "published": "on one split",
    "grouped": "in grouped cross-validation",
    "sources": "with pictures of one source together",
    "others": "on the splits of others",
    "permuted": "with shuffled labels",
}
"""The parts of a model that hold an accuracy, in words."""
SMALLEST = 0.0005
"""Of an accuracy, 0-1: half of what a reader sees."""


def read(path: Path) -> dict[str, Any]:
    """A metrics.json by its path or its folder's; raises BatikError where there is none, or it has another form."""
    if not path.exists():
        raise BatikError(f"There is no {path}: name a metrics.json, or the folder of a report that has one.")
    metrics = read_metrics(path / "metrics.json" if path.is_dir() else path)
    try:
        MetricsFile.model_validate(metrics)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BatikError(f"{path} is not as a report writes it: {place}: {first['msg']}.") from None
    return metrics


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """One sentence per change from one metrics.json to another, the gravest first; none where both say the same."""
    found = [
        *_named("study", before["study"], after["study"]),
        *_verdict(before["comparison"], after["comparison"]),
        *_pictures(before["data"], after["data"]),
        *_members("motif", dict.fromkeys(before["motifs"]), dict.fromkeys(after["motifs"]), str),
        *_members("model", before["models"], after["models"], lambda name: _title(before, after, name)),
    ]
    for name in [name for name in before["models"] if name in after["models"]]:
        old, new, title = before["models"][name], after["models"][name], _title(before, after, name)
        found += _named(f"name of {old['title']}", old["title"], new["title"])
        found += _parameters(title, old["parameters"], new["parameters"])
        for protocol, where in PROTOCOLS.items():
            found += _accuracy(f"{title} {where}", old.get(protocol), new.get(protocol))
    found += _members("baseline", before["baselines"], after["baselines"], str)
    for name in [name for name in before["baselines"] if name in after["baselines"]]:
        found += _accuracy(f"The baseline {name}", before["baselines"][name], after["baselines"][name])
    found += _members("published number", before["claims"], after["claims"], str)
    for name in [name for name in before["claims"] if name in after["claims"]]:
        verdicts = (before["claims"][name]["verdict"], after["claims"][name]["verdict"])
        found += _named(f"verdict on the published number {name}", *verdicts)
    if not found and before != after:
        found = [
            f"Only details differ, and no accuracy of a protocol by {say.points(SMALLEST)}: {_where(before, after)}."
        ]
    return found


def _named(what: str, old: Any, new: Any) -> Iterator[str]:
    if old != new:
        yield f"The {what} changed from {old!s} to {new!s}."


def _verdict(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    yield from _named("comparison", f"{old['a']} against {old['b']}", f"{new['a']} against {new['b']}")
    yield from _named("verdict", f"“{old['verdict']}”", f"“{new['verdict']}”")
    if old["grouped"] and new["grouped"]:
        gaps = [part["grouped"]["difference"] for part in (old, new)]
        if abs(gaps[1] - gaps[0]) >= SMALLEST:
            yield f"The difference A − B moved from {say.signed_points(gaps[0])} to {say.signed_points(gaps[1])}."
    elif old["grouped"] or new["grouped"]:
        yield f"The difference A − B is {'now' if new['grouped'] else 'no longer'} known."


def _pictures(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Whether the pictures are the same: their number, their source, their near-duplicates, their very bytes."""
    yield from _named("source of the pictures", old["description"], new["description"])
    yield from _named("number of pictures", f"{old['images']:,}", f"{new['images']:,}")
    for motif in sorted({*old["per_motif"]} & {*new["per_motif"]}):
        yield from _named(f"number of pictures of {motif}", old["per_motif"][motif], new["per_motif"][motif])
    yield from _named("number of groups of near-duplicates", f"{old['groups']:,}", f"{new['groups']:,}")
    same = all(old[key] == new[key] for key in ("images", "per_motif", "groups"))
    if same and old["fingerprint"] != new["fingerprint"]:
        yield "The pictures are as many, but not the same: their files, labels or groups differ."


def _members(what: str, old: Mapping[str, Any], new: Mapping[str, Any], name: Callable[[str], str]) -> Iterator[str]:
    for word, here, there in (("added", new, old), ("removed", old, new)):
        if only := [name(key) for key in here if key not in there]:
            yield f"{say.upper_first(what)}{'s' if len(only) > 1 else ''} {word}: {'; '.join(only)}."


def _parameters(title: str, old: int | None, new: int | None) -> Iterator[str]:
    if old != new:
        words = [f"{n:,}" if n is not None else "unknown" for n in (old, new)]
        yield f"The parameters of {title} changed from {words[0]} to {words[1]}."


def _accuracy(what: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Iterator[str]:
    """How far an accuracy moved, and whether its interval still holds the old one."""
    if not old and not new:
        return
    if not old or not new:
        yield f"{what}: {'no longer measured' if old else 'now measured'}."
        return
    gap = new["accuracy"] - old["accuracy"]
    if abs(gap) >= SMALLEST:
        moved = f"{what}: accuracy moved by {say.signed_points(gap)}"
        moved += f", from {say.percent(old['accuracy'])} to {say.percent(new['accuracy'])}"
        if band := new.get("interval"):
            within = band[0] <= old["accuracy"] <= band[1]
            moved += f" ({'within' if within else 'outside'} the new 95{say.NBSP}% interval)"
        yield f"{moved}."
    if old.get("fits") != new.get("fits"):
        yield f"{what}: {new.get('fits')} fits instead of {old.get('fits')}."


def _title(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> str:
    return str((after["models"].get(name) or before["models"][name])["title"])


def _where(before: Any, after: Any) -> str:
    """The first place at which two JSON values differ, as keys joined by points."""
    if isinstance(before, dict) and isinstance(after, dict):
        key = next(key for key in sorted({*before, *after}) if before.get(key, ...) != after.get(key, ...))
        deeper = _where(before.get(key), after.get(key))
        return f"{key}.{deeper}" if deeper else key
    return ""
