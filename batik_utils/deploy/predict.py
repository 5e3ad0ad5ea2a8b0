"""`batik predict`: answers to many pictures as they are read, in words, CSV or JSON; for people and for programs."""

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO

import numpy as np
from numpy.typing import NDArray

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
    files, out = files_of(given, sys.stdin), sys.stdout
    if not files:
        raise BatikError("There are no pictures to look at.")
    unread: list[NotAnImage] = []
    # A terminal that shows the answers needs no bar; the bar would take the standard output from us.
    with Progress(not out.isatty()) as bar:
        writer = WRITERS[form](out, classifier.about, top)
        bar.stage("Looking", len(files), "pictures")
        for path, picture in bar.watch(_read_ahead(classifier, files)):
            if isinstance(picture, NotAnImage):
                unread.append(NotAnImage(str(path), picture.reason))
                writer.unread(path, picture.reason)
            else:
                writer.answer(path, classifier.ask(picture))
    if unread:
        sys.stderr.write("\n  ".join([f"{count(len(unread), 'file')} could not be read:", *map(str, unread)]) + "\n")
    return len(unread)


def _read_ahead(classifier: Classifier, files: Iterable[Path]) -> Iterator[tuple[Path, NDArray[np.uint8] | NotAnImage]]:
    """Each file with its picture or why there is none, in order; another thread, one only, reads while we answer."""

    def read(path: Path) -> NDArray[np.uint8] | NotAnImage:
        try:
            return classifier.read(path)
        except NotAnImage as error:
            return error
        except (OSError, ValueError):  # a name that no file can have
            return NotAnImage(path.name, "there is no such file")

    with ThreadPoolExecutor(1) as reader:
        names = iter(files)
        queue: list[tuple[Path, Future[Any]]] = [(path, reader.submit(read, path)) for path in islice(names, AHEAD)]
        while queue:
            path, picture = queue.pop(0)
            yield path, picture.result()
            queue += [(following, reader.submit(read, following)) for following in islice(names, 1)]


def named(about: About) -> str:
    """The classifier in a sentence: its model, motifs, and how often it is right."""
    measured = about.accuracy
    right = "how often it is right was not measured"
    if measured:
        band = percent_range(Band(measured.low, measured.high))
        right = f"{percent(measured.value)} of unseen pictures right in grouped cross-validation (95 % interval {band})"
    drawn = ", drawn by a program, not batik" if about.drawn else ""
    return printable(
        f"{about.model.title}, trained on {count(len(about.training.rows), 'picture')}{drawn}; "
        f"knows {listed(motif_names(about.motifs))} and no other motif; {right}"
    )


class Writer(Protocol):
    """Says what classifier it is when it is made, then what became of each file."""

    def __init__(self, out: TextIO, about: About, top: int | None) -> None: ...

    def answer(self, path: Path, answer: Answer) -> None: ...

    def unread(self, path: Path, reason: str) -> None: ...


class _Words:
    def __init__(self, out: TextIO, about: About, top: int | None) -> None:
        self._write, self._about, self._top = out.write, about, top
        self._title = dict(zip(about.motifs, motif_names(about.motifs), strict=True))
        self._write(f"{named(about)}.\n")

    def answer(self, path: Path, answer: Answer) -> None:
        said = [f"{self._title[motif]} {percent(p)}" for motif, p in answer.probabilities.items()]
        names = [self._title[motif] for motif in answer.one_of]
        if not answer.looks_like_batik:
            text = f"this does not look like {'batik' if self._about.batik else 'the pictures that it knows'}"
        elif len(names) == 1:
            text = "; ".join(said[: self._top or 3])
        else:
            many = _NUMBERS[len(names)] if len(names) < len(_NUMBERS) else str(len(names))
            text = f"one of these {many}: {', '.join(said[: max(len(names), self._top or 0)])}"
        self._write(f"{printable(str(path))}: {text}\n")

    def unread(self, path: Path, reason: str) -> None:
        """Told at the end."""


class _Csv:
    def __init__(self, out: TextIO, about: About, top: int | None) -> None:
        self._motifs = about.motifs
        sys.stderr.write(f"{named(about)}.\n")
        self._row = csv.writer(out, lineterminator="\n").writerow
        self._row(["file", "answer", "looks_like_batik", "distance", "one_of", "error", *about.motifs])

    def answer(self, path: Path, answer: Answer) -> None:
        distance = "" if answer.distance is None else f"{answer.distance:.6f}"
        shares = [f"{answer.probabilities[motif]:.6f}" for motif in self._motifs]
        looks = "yes" if answer.looks_like_batik else "no"
        self._row([path, next(iter(answer.probabilities)), looks, distance, "|".join(answer.one_of), "", *shares])

    def unread(self, path: Path, reason: str) -> None:
        self._row([path, "", "", "", "", reason, *("" for _ in self._motifs)])


class _Json:
    """One object a line: the classifier's, then one for each file."""

    def __init__(self, out: TextIO, about: About, top: int | None) -> None:
        self._out, self._top = out, top
        self._line(about.model_dump(include={"study", "model", "motifs", "accuracy", "gate", "sets", "limits"}))

    def answer(self, path: Path, answer: Answer) -> None:
        shares = dict(list(answer.probabilities.items())[: self._top])
        raw = vars(answer) | {"probabilities": {motif: round(p, 6) for motif, p in shares.items()}}
        self._line({"file": str(path), "answer": next(iter(answer.probabilities))} | raw)

    def unread(self, path: Path, reason: str) -> None:
        self._line({"file": str(path), "error": reason})

    def _line(self, value: Any) -> None:
        self._out.write(json.dumps(value) + "\n")


WRITERS: dict[Form, type[Writer]] = {"words": _Words, "csv": _Csv, "json": _Json}
"""By what is asked for."""
