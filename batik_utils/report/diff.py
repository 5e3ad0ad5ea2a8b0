"""What changed between two metrics.json, in words that a reviewer understands."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def read(path: Path) -> dict[str, Any]:
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
    facts |= {"verdict": f"“{verdict['word']}”"}
    facts |= {"difference A − B": say.signed_points(head["difference"])} if head else {}
    facts |= {"source of the pictures": data["description"], "number of pictures": f"{data['images']:,}"}
    facts |= {f"number of pictures of {motif}": f"{n:,}" for motif, n in data["per_motif"].items()}
    facts |= {"number of groups of near-duplicates": f"{data['groups']:,}"}
    for name, model in metrics["models"].items():
        size = "of unknown size" if model["parameters"] is None else say.count(model["parameters"], "parameter")
        facts[f"model {name}"] = f"{model['title']}, {size}"
    for (name, protocol), score in scores_of(metrics).items():
        if protocol in PROTOCOLS:
            band = "" if score["low"] is None else f" ({say.percent_range(say.Band(score['low'], score['high']))})"
            what = f"accuracy of {titles.get(name, name)} {PROTOCOLS[protocol]}"
            facts[what] = f"{say.percent(score['value'])}{band} of {say.count(score['fits'], 'fit')}"
    return facts | {f"verdict on the published number {row['id']}": f"“{row['verdict']}”" for row in metrics["claims"]}
