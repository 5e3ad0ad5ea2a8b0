"""`batik predict`: answers to many pictures as they are read, in words, CSV or JSON; for people and for programs."""

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TextIO, TypeVar

from batik_utils.data.decode import NotAnImage
from batik_utils.deploy import CLASSIFIER
from batik_utils.deploy.answers import Answer, Classifier
from batik_utils.deploy.bundle import About, read_bundle
from batik_utils.errors import BatikError, printable
from batik_utils.progress import Progress
from batik_utils.wording import Band, count, listed, motif_names, percent, percent_range

Form = Literal["words", "csv", "json"]
AHEAD = 8
"""Pictures that are read while others are answered."""
T = TypeVar("T")
_NUMBERS = ("", "", "two", "three", "four", "five")


def newest_classifier(reports: Path) -> Path:
    """The classifier that was saved last in a folder of reports; raises BatikError where there is none."""
    found = list(reports.glob(f"*/{CLASSIFIER}"))
    if not found:
        raise BatikError("There is no classifier yet: make one with `make report`, or name one with --model.")
    return max(found, key=lambda path: path.stat().st_mtime)


def files_of(given: Iterable[str], standard_input: TextIO) -> list[Path]:
    """The files that these name: themselves, all in a folder and below it, or ("-") those named on standard input.

    A folder's are in lexicographic order, without hidden ones; links to folders are not followed.
    """
    found: list[Path] = []
    for name in given:
        if name == "-":
            lines = (line.rstrip("\n") for line in standard_input)
            found += files_of((line for line in lines if line not in {"", "-"}), standard_input)
        elif os.path.isdir(name):  # Path.is_dir raises for a name that no file can have
            for folder, folders, files in os.walk(name):
                folders[:] = sorted(f for f in folders if not f.startswith("."))
                found += [Path(folder) / file for file in sorted(files) if not file.startswith(".")]
        else:
            found.append(Path(name))
    return found


def predict(model: Path, given: Sequence[str], form: Form, top: int | None) -> int:
    """Answer every picture on the standard output; how many could not be read.

    What is no picture is told at the end, on the standard error, and does not stop the others. Raises BatikError if
    the model cannot be used, or nothing is given.
    """
    classifier = Classifier(read_bundle(model))
    about, files, out = classifier.about, files_of(given, sys.stdin), sys.stdout
    if not files:
        raise BatikError("There are no pictures to look at.")
    unread: list[NotAnImage] = []
    # A terminal that shows the answers needs no bar; the bar would take the standard output from us.
    with Progress(not out.isatty()) as bar:
        if form == "json":
            told = {"study", "model", "motifs", "accuracy", "sources_accuracy", "gate", "sets", "limits"}
            out.write(_line(about.model_dump(include=told)))
        else:
            (out if form == "words" else sys.stderr).write(f"{named(about)}.\n")
        if form == "csv":
            gate = ["looks_like_batik", "distance"] * bool(about.gate)
            out.write(row_of(["file", "answer", *gate, "one_of", "error", *about.motifs]))
        bar.stage("Looking", len(files), "pictures")
        for path, picture in bar.watch(read_ahead(classifier.read, files)):
            if isinstance(picture, NotAnImage):
                unread.append(NotAnImage(str(path), picture.reason))
                if form == "json":
                    out.write(_line({"file": str(path), "error": picture.reason}))
                elif form == "csv":
                    out.write(row_of([path, "", *("" for _ in gate), "", picture.reason, *("" for _ in about.motifs)]))
            else:
                out.write(SAID[form](about, path, classifier.ask(picture), top))
    if unread:
        sys.stderr.write("\n  ".join([f"{count(len(unread), 'file')} could not be read:", *map(str, unread)]) + "\n")
    return len(unread)


def read_ahead(reader: Callable[[Path], T], files: Iterable[Path]) -> Iterator[tuple[Path, T | NotAnImage]]:
    """Each file with what is read of it or why it cannot be, in order; another thread, one only, reads meanwhile."""

    def read(path: Path) -> T | NotAnImage:
        try:
            return reader(path)
        except NotAnImage as error:
            return error
        except (OSError, ValueError):  # a name that no file can have
            return NotAnImage(path.name, "there is no such file")

    with ThreadPoolExecutor(1) as thread:
        names = iter(files)
        queue: list[tuple[Path, Future[Any]]] = [(path, thread.submit(read, path)) for path in islice(names, AHEAD)]
        while queue:
            path, picture = queue.pop(0)
            yield path, picture.result()
            queue += [(following, thread.submit(read, following)) for following in islice(names, 1)]


def named(about: About) -> str:
    """The classifier in a sentence: its model, motifs, and how often it is right."""
    measured = about.sources_accuracy or about.accuracy
    right = "how often it is right was not measured"
    if measured:
        band = percent_range(Band(measured.low, measured.high))
        whose = "of pictures of other sources" if about.sources_accuracy else "of unseen pictures"
        right = f"{percent(measured.value)} {whose} right in cross-validation (95 % interval {band})"
    drawn = ", drawn by a program, not batik" if about.drawn else ""
    return printable(
        f"{about.model.title}, trained on {count(len(about.training.rows), 'picture')}{drawn}; "
        f"knows {listed(motif_names(about.motifs))} and no other motif; {right}"
    )


def _in_words(about: About, path: Path, answer: Answer, top: int | None) -> str:
    titles = dict(zip(about.motifs, motif_names(about.motifs), strict=True))
    said, several = [f"{titles[motif]} {percent(p)}" for motif, p in answer.probabilities.items()], len(answer.one_of)
    if answer.looks_like_batik is False:
        text = f"this does not look like {'batik' if about.batik else 'the pictures that it knows'}"
    elif several == 1:
        text = "; ".join(said[: top or 3])
    else:
        many = _NUMBERS[several] if several < len(_NUMBERS) else str(several)
        text = f"one of these {many}: {', '.join(said[: max(several, top or 0)])}"
    return f"{printable(str(path))}: {text}\n"


def _as_csv(about: About, path: Path, answer: Answer, top: int | None) -> str:
    shares = [f"{answer.probabilities[motif]:.6f}" for motif in about.motifs]
    looks = [] if answer.distance is None else ["yes" if answer.looks_like_batik else "no", f"{answer.distance:.6f}"]
    return row_of([path, next(iter(answer.probabilities)), *looks, "|".join(answer.one_of), "", *shares])


def _as_json(about: About, path: Path, answer: Answer, top: int | None) -> str:
    shares = {motif: round(p, 6) for motif, p in list(answer.probabilities.items())[:top]}
    first = {"file": str(path), "answer": next(iter(answer.probabilities))}
    asked = {name: value for name, value in vars(answer).items() if value is not None}  # without a gate nothing of it
    return _line(first | asked | {"probabilities": shares})


def row_of(values: Sequence[Any]) -> str:
    """Values as a line of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def _line(value: Any) -> str:
    return json.dumps(value) + "\n"


SAID: dict[Form, Callable[[About, Path, Answer, int | None], str]] = {
    "words": _in_words,
    "csv": _as_csv,
    "json": _as_json,
}
"""What is said of a picture, by the form that is asked for."""
