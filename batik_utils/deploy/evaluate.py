"""`batik evaluate`: a classifier judged on labelled pictures of somebody else, copies of its own left out."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from batik_utils.data.decode import NotAnImage, read_image
from batik_utils.deploy.answers import Answer, Classifier
from batik_utils.deploy.bundle import About, read_bundle
from batik_utils.deploy.copies import SMALL, Copies
from batik_utils.deploy.predict import Form, files_of, named, read_ahead, row_of
from batik_utils.errors import BatikError, printable
from batik_utils.progress import Progress
from batik_utils.stats.calibration import quality
from batik_utils.stats.intervals import wilson
from batik_utils.stats.scores import classification_table, confusion
from batik_utils.wording import count, listed, motif_names, number, percent, percent_range


@dataclass(frozen=True)
class Looked:
    """One file of the folder: an answer, or a training picture's name that it copies, or why it could not be read."""

    file: str
    motif: int
    answer: Answer | None = None
    copy: str | None = None
    error: str = ""


def evaluate(model: Path, folder: Path, form: Form) -> int:
    """Judge a classifier on a folder of folders, each named like a motif, on the standard output; how many are unread.

    Raises BatikError if the model cannot be used, or no folder's name is a motif's.
    """
    classifier = Classifier(read_bundle(model))
    about, (matched, unmatched) = classifier.about, _folders(classifier.about, folder)
    looked = list(_look(classifier, matched, form))
    found = summary(about, looked, unmatched)
    if form == "json":
        print(json.dumps(found))
    elif form == "csv":
        gate = ["looks_like_batik"] * bool(about.gate)
        head = ["file", "motif", "answer", "right", *gate, "one_of", "copy_of", "error", *about.motifs]
        sys.stdout.write("".join(map(row_of, [head, *(_cells(about, one) for one in looked)])))
    else:
        _print(about, found)
    return len(found["unread"])


def plain(name: str) -> str:
    """A folder's or motif's name as names are compared: small letters and digits, without "batik" before them."""
    return re.sub(r"[\W_]+", "", name.casefold()).removeprefix("batik") or name


def _folders(about: About, folder: Path) -> tuple[dict[str, int], list[str]]:
    """{path of a folder: the motif that its name names}, and the names of the others."""
    if not folder.is_dir():
        raise BatikError(printable(f"{folder} is no folder."))
    motifs = {plain(motif): place for place, motif in enumerate(about.motifs)}
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    matched = {str(path): motifs[plain(path.name)] for path in inside if plain(path.name) in motifs}
    unmatched = [path.name for path in inside if str(path) not in matched]
    if not matched:
        here = listed(unmatched[:5]) or "none"
        known = listed(list(about.motifs))
        raise BatikError(printable(f"Folders of {folder}: {here}; none is named like one of the motifs: {known}."))
    return matched, unmatched


def _look(classifier: Classifier, folders: dict[str, int], form: Form) -> Iterator[Looked]:
    files = {path: motif for folder, motif in folders.items() for path in files_of([folder], sys.stdin)}
    copies = Copies(classifier.about)

    def read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        return classifier.read(path), read_image(path, **dict(SMALL))[0]

    with Progress(form == "words" or not sys.stdout.isatty()) as bar:
        bar.stage("Looking", len(files), "pictures")
        for path, found in bar.watch(read_ahead(read, files)):
            if isinstance(found, NotAnImage):
                yield Looked(str(path), files[path], error=found.reason)
            elif name := copies.of(found[1]):
                yield Looked(str(path), files[path], copy=name)
            else:
                yield Looked(str(path), files[path], classifier.ask(found[0]))


def summary(about: About, looked: list[Looked], unmatched: list[str]) -> dict[str, Any]:
    """What was found, as plain values; shares are fractions, the interval of accuracy is Wilson's, 95 %."""
    judged = [(one.motif, one.answer) for one in looked if one.answer]
    out: dict[str, Any] = {
        "model": about.model.model_dump() | {"study": about.study.name},
        "motifs": about.motifs,
        "unmatched": unmatched,
        "copies": [{"file": one.file, "of": one.copy} for one in looked if one.copy],
        "unread": [{"file": one.file, "error": one.error} for one in looked if one.error],
        "pictures": len(judged),
    }
    if not judged:
        return out
    y_true = np.array([motif for motif, _ in judged])
    y_prob = np.array([[answer.probabilities[m] for m in about.motifs] for _, answer in judged])
    band, sure = wilson(int((y_prob.argmax(1) == y_true).sum()), len(judged)), quality(y_true, y_prob)
    table = classification_table(y_true, y_prob.argmax(1), about.motifs).rename(columns={"support": "pictures"})
    there = table[table["pictures"] > 0].rename(columns=str.lower)
    turned = [answer.looks_like_batik is False for _, answer in judged]
    held = [about.motifs[motif] in answer.one_of for motif, answer in judged]
    return out | {
        "accuracy": {"value": band.value, "low": band.low, "high": band.high},
        "per_motif": there.to_dict("index"),
        "confusion": confusion(y_true, y_prob).tolist(),
        "calibration": {"error": sure.ece, "confidence": sure.confidence, "bins": sure.reliability.to_dict("records")},
        "sets": about.sets and {"coverage": float(np.mean(held))},
        "turned_away": sum(turned) if about.gate else None,
    }


def _cells(about: About, one: Looked) -> list[Any]:
    gate, motif = bool(about.gate), about.motifs[one.motif]
    if one.answer is None:
        return [one.file, motif, "", "", *[""] * gate, "", one.copy or "", one.error, *("" for _ in about.motifs)]
    answer, best = one.answer, next(iter(one.answer.probabilities))
    looks = ["yes" if answer.looks_like_batik else "no"] * gate
    shares = [f"{answer.probabilities[m]:.6f}" for m in about.motifs]
    return [one.file, motif, best, "yes" if best == motif else "no", *looks, "|".join(answer.one_of), "", "", *shares]


def _print(about: About, found: dict[str, Any]) -> None:
    """The summary in words and tables."""
    out, names, n = Console(highlight=False), motif_names(about.motifs), found["pictures"]
    lines = [f"{named(about)}."]
    lines += [f"Folders named like no motif, and left out: {listed(names)}." for names in [found["unmatched"]] if names]
    if copies := found["copies"]:
        lines.append(f"{count(len(copies), 'picture')} left out as copies of the model's own: {copies[0]['file']} …")
    lines += [f"Not read: {one['file']}: {one['error']}." for one in found["unread"]]
    lines += [] if n else ["No picture is left to judge by."]
    tables: list[Table] = []
    if n:
        band = wilson(found["accuracy"]["value"] * n, n)
        interval = f"95 % interval of Wilson {percent_range(band)}"
        lines.append(f"{percent(band.value)} of {count(n, 'picture')} right ({interval}).")
        if about.gate:
            lines.append(f"{found['turned_away']} of them are turned away as unlike what it knows, and counted here.")
        if about.sets:
            aim = percent(about.sets.coverage, 0)
            lines.append(f"The sets hold the true motif {percent(found['sets']['coverage'])} of the time; aim: {aim}.")
        gap = percent(found["calibration"]["error"])
        lines.append(f"Mean gap between how sure it is and how often it is right: {gap}.")
        tables = [Table("motif", "pictures", "precision", "recall", "F1"), Table("true \\ named", *map(escape, names))]
        for motif, row in found["per_motif"].items():
            cells = [number(row[score], 2) for score in ("precision", "recall", "f1")]
            tables[0].add_row(escape(names[about.motifs.index(motif)]), str(row["pictures"]), *cells)
        for name, counts in zip(names, found["confusion"], strict=True):
            tables[1].add_row(escape(name), *map(str, counts))
        tables.append(Table("how sure", "how often right", "pictures"))
        for row in found["calibration"]["bins"]:
            tables[2].add_row(percent(row["confidence"], 0), percent(row["accuracy"], 0), f"{row['count']:.0f}")
    out.print(escape("\n".join(map(printable, lines))), soft_wrap=True)
    for table in tables:
        out.print(table)
