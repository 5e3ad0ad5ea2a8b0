"""`batik predict`: answers to many pictures as they are read, in words, CSV or JSON; for people and for programs."""

import csv
import json
import os
import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from batik_utils.data.decode import NotAnImage
from batik_utils.data.obtain import shown
from batik_utils.deploy import CLASSIFIER
from batik_utils.deploy.answers import Classifier
from batik_utils.deploy.bundle import About, read_bundle
from batik_utils.errors import BatikError, printable
from batik_utils.progress import Progress
from batik_utils.wording import count, harmless, listed, motif_names, percent, percent_range

Form = Literal["words", "csv", "json"]
_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}


def newest_classifier(reports: Path) -> Path:
    """The classifier that was saved last in a folder of reports; raises BatikError where there is none."""
    found = list(reports.glob(f"*/{CLASSIFIER}"))
    if not found:
        raise BatikError("There is no classifier yet: make one with `make report`, or name one with --model.")
    return max(found, key=lambda path: path.stat().st_mtime)


def files_of(given: Iterable[str]) -> list[Path]:
    """The files that these name: themselves, or all in a folder and below it; - is a list on the standard input.

    A folder's are in lexicographic order, without hidden ones; links to folders are not followed.
    """
    found: list[Path] = []
    lines = (line.rstrip("\r\n") for line in sys.stdin)  # a list may come from Windows
    for name in (one for n in given for one in (lines if n == "-" else [n]) if one):
        if not os.path.isdir(name):  # Path.is_dir raises for a name that no file can have
            found.append(Path(name))
        for folder, folders, files in os.walk(name):
            folders[:] = sorted(filter(shown, folders))
            found += [Path(folder) / f for f in sorted(filter(shown, files))]
    return found


def predict(model: Path, given: Sequence[str], form: Form, top: int | None) -> int:
    """Answer every picture on the standard output; how many could not be read.

    What is no picture is told at the end, on the standard error, and does not stop the others. Raises BatikError if
    the model cannot be used, or nothing is given.
    """
    classifier = Classifier(read_bundle(model))
    about, files, out = classifier.about, files_of(given), sys.stdout
    unread: list[NotAnImage] = []
    if not files:
        raise BatikError("There are no pictures to look at.")
    gate = ["looks_like_batik", "distance"] * bool(about.gate)
    columns = ["file", "answer", *gate, "one_of", "remarks", "error", *about.motifs]
    table = csv.DictWriter(out, columns, restval="", extrasaction="ignore", lineterminator="\n")
    # A terminal that shows the answers needs no bar; the bar would take the standard output from us.
    with Progress(not out.isatty()) as bar:
        if form == "json":
            told = {"study", "model", "motifs", "accuracy", "sources_accuracy", "gate", "sets", "limits"}
            out.write(json.dumps(about.model_dump(include=told)) + "\n")
        else:
            (out if form == "words" else sys.stderr).write(f"{named(about)}.\n")
        if form == "csv":
            table.writerow({name: harmless(name) for name in columns})
        bar.stage("Looking", len(files), "pictures")
        for path in bar.watch(files):
            found: dict[str, Any] = {"file": str(path)}
            try:
                picture, found["remarks"] = classifier.read(path)
                found |= classifier.ask(picture)
            except NotAnImage as error:
                unread.append(NotAnImage(str(path), error.reason))
                found["error"] = error.reason
            shares = found.get("probabilities", {})
            if form == "csv":
                row = shares | found
                if "looks_like_batik" in found:
                    row["looks_like_batik"] = "yes" if found["looks_like_batik"] else "no"
                row |= {name: "|".join(found.get(name, ())) for name in ("one_of", "remarks")}
                table.writerow({name: harmless(cell) for name, cell in row.items()})
            elif form == "json":
                best = {"probabilities": dict(islice(shares.items(), top))} if shares else {}
                out.write(json.dumps(found | best) + "\n")
            elif shares:
                remarks = f" ({listed(found['remarks'])})" if found["remarks"] else ""
                out.write(printable(f"{path}: {_in_words(about, found, top)}{remarks}") + "\n")
    if unread:
        sys.stderr.write("\n  ".join([f"{count(len(unread), 'file')} could not be read:", *map(str, unread)]) + "\n")
    return len(unread)


def named(about: About) -> str:
    """The classifier in a sentence: its model, motifs, and how often it is right."""
    measured = about.sources_accuracy or about.accuracy
    right = "how often it is right was not measured"
    if measured:
        band = percent_range(measured)
        whose = "of pictures of other sources" if about.sources_accuracy else "of unseen pictures"
        right = f"{percent(measured.value)} {whose} right in cross-validation (95 % interval {band})"
        if measured.balanced is not None:
            rows = [row.motif for row in about.training.rows]
            most = percent(max(map(rows.count, range(len(about.motifs)))) / len(rows))
            right += f"; naming the commonest motif is right for {most}, and with every motif weighing alike "
            right += f"it is {percent(measured.balanced)}, by chance {percent(1 / len(about.motifs))}"
    drawn = ", drawn by a program, not batik" if about.drawn else ""
    return printable(
        f"{about.model.title}, trained on {count(len(about.training.rows), 'picture')}{drawn}; "
        f"its motifs are {listed(motif_names(about.motifs))} and no other; {right}"
    )


def _in_words(about: About, answer: dict[str, Any], top: int | None) -> str:
    """An answer for people, with the three (or top) most probable motifs or all that cannot be ruled out."""
    titles = dict(zip(about.motifs, motif_names(about.motifs), strict=True))
    said = [f"{titles[motif]} {percent(p)}" for motif, p in answer["probabilities"].items()]
    several = len(answer["one_of"])
    if answer.get("looks_like_batik") is False:
        return f"this does not look like {'batik' if about.batik else 'its training pictures'}"
    if several == 1:
        return "; ".join(said[: top or 3])
    return f"one of these {_NUMBERS.get(several, several)}: {', '.join(said[: max(several, top or 0)])}"
