"""`batik evaluate`: a classifier judged on labelled pictures of somebody else, copies of its own left out."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from batik_utils.data.decode import NotAnImage, read_image
from batik_utils.data.obtain import shown
from batik_utils.deploy.answers import Classifier
from batik_utils.deploy.bundle import About, read_bundle
from batik_utils.deploy.gate import SMALL, copy_of
from batik_utils.deploy.predict import Form, files_of, named
from batik_utils.errors import BatikError, printable
from batik_utils.progress import Progress
from batik_utils.stats.calibration import quality
from batik_utils.stats.intervals import wilson
from batik_utils.stats.scores import classification_table, confusion
from batik_utils.wording import Band, count, harmless, listed, motif_names, percent, percent_range


def evaluate(model: Path, folder: Path, form: Form) -> int:
    """Judge a classifier on a folder of folders, each named like a motif; returns how many files are no pictures.

    Raises BatikError if the model cannot be used, or no folder's name is a motif's.
    """
    classifier = Classifier(read_bundle(model))
    about = classifier.about
    matched, unmatched = _folders(about, folder)
    files = [(path, motif) for place, motif in matched.items() for path in files_of([place])]
    rows = []
    with Progress(form == "words" or not sys.stdout.isatty()) as bar:
        bar.stage("Looking", len(files), "pictures")
        for path, motif in bar.watch(files):
            row: dict[str, Any] = {"file": str(path), "motif": motif}
            try:
                picture, _ = classifier.read(path)
                copied = copy_of(read_image(path, **dict(SMALL))[0], about)
                row |= {"copy_of": copied} if copied else classifier.ask(picture)
            except NotAnImage as error:
                row["error"] = error.reason
            rows.append(row)
    found = summary(about, rows) | {"unmatched": unmatched}
    if form == "csv":
        yes_no = ["right", *["looks_like_batik"] * bool(about.gate)]
        columns = ["file", "motif", "answer", *yes_no, "one_of", "copy_of", "error", *about.motifs]
        for row in (row for row in rows if "answer" in row):
            row |= row["probabilities"] | {"right": row["answer"] == row["motif"], "one_of": "|".join(row["one_of"])}
            row |= {name: "yes" if row[name] else "no" for name in yes_no}
        table = pd.DataFrame(rows).reindex(columns=columns).rename(columns=harmless)
        sys.stdout.write(table.map(harmless).to_csv(index=False))
    else:
        print(json.dumps(found) if form == "json" else _in_words(about, found))
    return len(found["unread"])


def plain(name: str) -> str:
    """A folder's or motif's name as names are compared: small letters and digits, without "batik" before them."""
    return re.sub(r"[\W_]+", "", name.casefold()).removeprefix("batik") or name


def _folders(about: About, folder: Path) -> tuple[dict[str, str], list[str]]:
    """{path of a folder: the motif that its name names}, and the names of the others."""
    if not folder.is_dir():
        raise BatikError(printable(f"{folder} is no folder."))
    motifs = {plain(motif): motif for motif in about.motifs}
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and shown(path.name))
    matched = {str(path): motifs[plain(path.name)] for path in inside if plain(path.name) in motifs}
    unmatched = [path.name for path in inside if str(path) not in matched]
    if not matched:
        here, known = listed(unmatched[:5]) or "none", listed(about.motifs)
        raise BatikError(printable(f"Folders of {folder}: {here}; none is named like one of the motifs: {known}."))
    return matched, unmatched


def summary(about: About, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What was found, as plain values; shares are fractions, the interval of accuracy is Wilson's, 95 %."""
    judged = [row for row in rows if "answer" in row]
    out: dict[str, Any] = {
        "model": about.model.model_dump() | {"study": about.study.name},
        "motifs": about.motifs,
        "copies": [{"file": row["file"], "of": row["copy_of"]} for row in rows if "copy_of" in row],
        "unread": [{"file": row["file"], "error": row["error"]} for row in rows if "error" in row],
        "pictures": len(judged),
    }
    if not judged:
        return out
    y_true = np.array([about.motifs.index(row["motif"]) for row in judged])
    y_prob = np.array([[row["probabilities"][motif] for motif in about.motifs] for row in judged])
    band, sure = wilson(int((y_prob.argmax(1) == y_true).sum()), len(judged)), quality(y_true, y_prob)
    table = classification_table(y_true, y_prob.argmax(1), about.motifs).rename(columns={"support": "pictures"})
    held = float(np.mean([row["motif"] in row["one_of"] for row in judged]))
    return out | {
        "accuracy": {"value": band.value, "low": band.low, "high": band.high},
        "per_motif": table[table["pictures"] > 0].rename(columns=str.lower).to_dict("index"),
        "confusion": confusion(y_true, y_prob).tolist(),
        "calibration": {"error": sure.ece, "confidence": sure.confidence, "bins": sure.reliability.to_dict("records")},
        "sets": about.sets and {"coverage": held},
        "turned_away": sum(not row["looks_like_batik"] for row in judged) if about.gate else None,
    }


def _in_words(about: About, found: dict[str, Any]) -> str:
    """The summary in sentences and tables."""
    names, n, copies = [*map(printable, motif_names(about.motifs))], found["pictures"], found["copies"]
    lines = [f"{named(about)}."]
    if found["unmatched"]:
        lines.append(f"Folders named like no motif, and left out: {listed(found['unmatched'])}.")
    if copies:
        lines.append(f"{count(len(copies), 'picture')} left out as copies of the model's own: {copies[0]['file']} …")
    lines += [f"Not read: {one['file']}: {one['error']}." for one in found["unread"]]
    if not n:
        return "\n".join(map(printable, [*lines, "No picture is left to judge by."]))
    right, gap = found["accuracy"], percent(found["calibration"]["error"])
    interval = f"95 % interval of Wilson {percent_range(Band(right['low'], right['high']))}"
    even = percent(float(np.mean([one["recall"] for one in found["per_motif"].values()])))
    lines.append(f"{percent(right['value'])} of {count(n, 'picture')} right ({interval}).")
    lines.append(f"Balanced accuracy, every motif weighing alike: {even}.")
    if about.gate:
        lines.append(f"{found['turned_away']} of them are rejected as unlike its training pictures, and counted here.")
    if about.sets:
        aim = percent(about.sets.coverage, 0)
        lines.append(f"The sets hold the true motif {percent(found['sets']['coverage'])} of the time; aim: {aim}.")
    lines.append(f"Calibration error (mean gap between confidence and accuracy): {gap}.")
    motifs = pd.DataFrame(found["per_motif"]).T.astype({"pictures": int})
    counts = pd.DataFrame(found["confusion"], names, names).rename_axis("true \\ named", axis=1)
    bins = pd.DataFrame(found["calibration"]["bins"]).astype({"count": int})
    tables = (motifs.rename(index=dict(zip(about.motifs, names, strict=True))), counts, bins)
    said = [table.to_string(float_format="{:.2f}".format) for table in tables]
    return "\n\n".join(["\n".join(map(printable, lines)), *said])
