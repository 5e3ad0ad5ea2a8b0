"""A study of one's own pictures: `batik new` looks at a folder and writes a commented YAML that fits what is there."""

import contextlib
import csv
import io
import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from batik_utils.cache import write_text
from batik_utils.data.obtain import PARTS, levels, motif_of, motifs_apart, motifs_in, parts
from batik_utils.errors import BatikError, printable
from batik_utils.study import ROOT, Grouped, Published, Study
from batik_utils.study_file import parse_study, study_names
from batik_utils.values import Dataset
from batik_utils.wording import count, drawable, few, listed, motif_names

LEAST = 6  # different pictures that a class needs: two folds of three
MINUTES = 15.0  # what a new study may take; the first of CHOICES that is estimated to keep to it is taken, or the last
SIZES = (224, 160, 128, 96, 64)
CHOICES = [(size, epochs, often) for epochs, often in ((20, 5), (20, 2), (10, 1), (5, 1)) for size in SIZES]
"""(side in pixels, epochs of the scratch network, repeats of the recipe), the dearest first."""
CURVE = (2, 5, 10, 20, 40, 80, 160, 320, 640, 1280)

# Seconds on one core of a machine of 2024, both cores at work, as measured in the studies of 150 and 300 pictures.
SCRATCH_SECONDS, FEATURE_SECONDS = 0.012, 0.05
"""One picture in an epoch of a scratch fit at 224 pixels; one version of it through EfficientNet-Lite0 at 448."""
VERSIONS = 5  # a picture as it is, and tampered with in four ways
REST_SECONDS = 100.0  # heads, notebooks, pages and the classifier


def new_study(name: str, data: Path, root: Path = ROOT) -> list[str]:
    """Write studies/NAME.yaml for a folder of folders of pictures; returns lines on what was found and comes next.

    Raises BatikError for a name that is taken or malformed, and for a folder in which fewer than two classes have
    pictures, or one has fewer than LEAST different ones.
    """
    from batik_utils.dataset import load_dataset

    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name) or name in {"photographs", "motifs"}:
        raise BatikError(f"A study's name is of small letters, digits and hyphens, such as my-cloth, not {name!r}.")
    split = root / "studies" / "splits" / f"{name}.csv"
    if name in study_names(root) or split.exists():
        there = f"studies/{'splits/' * split.exists()}{name}"
        raise BatikError(f"There is a study {name} already: choose another name, or remove {there}.*")
    place, sketch = draft(name, data)
    dataset = load_dataset(sketch, place)
    counts = np.bincount(dataset.labels)
    different = [len(set(dataset.groups[dataset.labels == label])) for label in range(len(dataset.motifs))]
    if scarce := [f"{m} ({n})" for m, n in zip(dataset.motifs, different, strict=True) if n < LEAST]:
        needed = f"A class needs {LEAST} usable pictures that are no copies of each other; too few are in "
        raise BatikError(f"{needed}{', '.join(scarce)}. Add pictures, or move these folders away.")
    apart = motifs_apart(dataset.motifs, (), data)
    others = len(apart[1]) if apart else 0
    divided = [folder.name for folder in parts(place)]
    own = _own_split(dataset) if divided else {}
    values = _protocols(sketch, dataset, min(different), bool(own)) | _affordable(len(dataset), dataset.facts, others)
    classes = listed(motif_names(dataset.motifs)) if len(counts) <= 6 else f"{len(counts)} classes"
    motifs = [(json.dumps(m, ensure_ascii=False), n) for m, n in zip(dataset.motifs, counts, strict=True)]
    template = Path(__file__).with_name("new_study.yaml.j2").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    known = {"name": name, "others": others, "motifs": motifs, "classes": classes}
    text = environment.from_string(template).render(values | known)
    if own:
        rows = io.StringIO()
        csv.writer(rows, lineterminator="\n").writerows([("path", "part"), *own.items()])
        write_text(split, rows.getvalue())
    write_text(root / "studies" / f"{name}.yaml", text)
    each = f"{counts.min():,}" + (f" to {counts.max():,}" if counts.min() < counts.max() else "")
    left_out = len(dataset.skipped)
    unused = f"; {count(left_out, 'file')} cannot be used (`batik audit` says why)" if left_out else ""
    kept = f"kept as the study's own, studies/splits/{name}.csv" if own else "not kept: one of them lacks a class"
    joined = f"{listed(divided)} in {place} are read as one; their split is {kept}." if divided else ""
    lie = f"They lie in {place}." if place != data else ""
    names = dict.fromkeys([*dataset.motifs, *(path.partition("/")[2] for path in dataset.paths)])
    replaced = [f"{name} as {drawable(name)}" for name in names if drawable(name) != name]
    fonts = "The fonts of PDF and figures lack letters of some names, which show as code points: "
    return [
        f"{len(dataset):,} pictures in {len(counts)} classes of {each}{unused}.",
        *([joined or lie] if joined or lie else []),
        *([f"{fonts}{listed(few(replaced))}."] if replaced else []),
        f"studies/{name}.yaml is written: {values['folds']} folds, pictures of {values['size']} pixels.",
        f"The report will take about {values['here']} minutes on {count(os.cpu_count() or 1, 'core')}, "
        "estimated from what a picture cost on a core of 2024 (`make plan` counts the fits).",
        f"Next: make report STUDY={name} DATA={shlex.quote(str(data))}",
    ]


def draft(name: str, data: Path) -> tuple[Path, Study]:
    """The folder, at most three below one, that has folders of pictures, and a study of all of them.

    Raises BatikError where there are fewer than two, or several such folders.
    """
    if not data.is_dir():
        raise BatikError(f"There is no folder {data}.")
    walked: list[Path] = []
    for level in levels(data):
        walked += level
        if places := [folder for folder in level if len(motifs_in(folder)) > 1]:
            break
    if len(places) > 1:
        raise BatikError(f"Folders of pictures lie in {listed([*map(str, places[:5])])}: give one of these as DATA.")
    place = places[0] if places else data
    motifs = next(filter(None, map(motifs_in, [place, *walked])), [])
    if odd := [m for m in motifs if printable(m) != m]:
        raise BatikError(f"Names with characters that cannot be shown: {', '.join(odd)}; rename these folders.")
    if len(motifs) < 2:
        found = f"only {motifs[0]}" if motifs else "none"
        raise BatikError(f"{data} must hold two or more folders of pictures, one for each class; it has {found}.")
    scratch = {"kind": "scratch", "title": "Scratch", "architecture": "pooled_cnn", "epochs": 1}
    pretrained = {"kind": "pretrained", "title": "Pretrained", "backbone": "mobilenet_v2", "epochs": 1}
    raw: dict[str, Any] = {"name": name, "title": name, "question": name, "motifs": motifs}
    raw |= {"models": {"scratch": scratch, "pretrained": pretrained}, "compare": ["pretrained", "scratch"]}
    return place, parse_study(raw | {"published": {"split": "keras-validation-split"}})


def _own_split(dataset: Dataset) -> dict[str, str]:
    """{path: part} as pictures lay in train/, valid/, test/; {} where a part lacks a class. Without test, val tests."""
    own = {path: PARTS[path.partition("/")[0].casefold()] for path in dataset.paths}
    if "test" not in own.values():
        own = {path: part.replace("val", "test") for path, part in own.items()}
    filled = {(part, motif_of(path)) for path, part in own.items()}
    return own if len(filled) == len({*own.values()}) * len(dataset.motifs) else {}


def _protocols(sketch: Study, dataset: Dataset, fewest: int, own: bool) -> dict[str, Any]:
    """The split, folds and learning curve that these pictures allow, tried with the protocols themselves."""
    from batik_utils.data.split import PROTOCOLS, published_split

    study = sketch if own else None
    for split in () if own else ("keras-validation-split", "stratified-80-10-10"):  # the latter where both are possible
        with contextlib.suppress(BatikError):
            published = Published.model_validate({"split": split, "seeds": 1})
            tried = sketch.model_copy(update={"published": published})
            published_split(tried, dataset)
            study = tried
    if study is None:
        raise BatikError(f"Too few pictures to test on: a class needs ten, or {LEAST} that are all PNG or JPEG.")
    for folds in range(min(5, fewest // 2), 1, -1):
        training = fewest * (folds - 1) // folds
        points = [k for k in CURVE if k < training]
        # One point is no curve.
        curve = tuple(points[:: -(-len(points) // 5)]) if len(points) > 1 else ()
        study = study.model_copy(update={"grouped": Grouped(folds=folds, curve=curve)})
        try:
            for protocol in (protocol for name, protocol in PROTOCOLS.items() if name not in {"runs", "published"}):
                list(protocol(study, dataset, study.grouped.pretrained))
            break
        except BatikError:
            if folds == 2:
                raise
    split = f"listed, files: {sketch.name}" if own else study.published.split
    found = {"split": split, "folds": folds, "fewest": fewest, "training": training}
    return found | {"curve": list(curve)}


def _affordable(pictures: int, facts: Sequence[Mapping[str, Any]], others: int = 0) -> dict[str, Any]:
    """Size, epochs and repeats that keep to MINUTES for so many pictures; and the minutes, here and on two cores."""
    # No larger than half of the pictures are.
    sides = sorted(min(fact["width"], fact["height"]) for fact in facts)
    largest = max(96, next((s for s in SIZES[::-1] if s >= sides[len(sides) // 2]), SIZES[0]))
    for size, epochs, often in (choice for choice in CHOICES if choice[0] <= largest):
        fits = 3 + 5 * min(2, often)
        seconds = 0.8 * pictures * fits * epochs * SCRATCH_SECONDS + (pictures * VERSIONS + others) * FEATURE_SECONDS
        seconds *= (size / 224) ** 2
        here, on_two = ((seconds / cores + REST_SECONDS) / 60 for cores in (os.cpu_count() or 1, 2))
        if here <= MINUTES:
            break
    chosen = {"size": size, "epochs": epochs, "repeats": often, "scratch_repeats": min(2, often), "seeds": 3}
    return chosen | {"here": max(2, round(here)), "minutes": max(2, round(on_two))}
