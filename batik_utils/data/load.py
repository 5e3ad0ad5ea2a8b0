"""A study's pictures as one Dataset: listed, hashed, compared with the published list, decoded once, grouped."""

from __future__ import annotations

import hashlib
import importlib.util
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batik_utils.audit.grouping import grouping
from batik_utils.data import decode
from batik_utils.data.decode import NotAnImage, read_image
from batik_utils.data.listing import check_files
from batik_utils.data.obtain import NoPhotographs, find_photographs, motif_files
from batik_utils.data.pixels import Outcome, cached_pictures, file_sha256
from batik_utils.errors import BatikError
from batik_utils.study import Study
from batik_utils.values import Dataset, Source

SAMPLE_PER_MOTIF = 50
"""Pictures drawn for each motif of the procedural sample, as many as the published data set has photographs."""

SAMPLE_DESCRIPTION = "procedural sample drawn by this project, not batik photographs"


def load_dataset(study: Study, data: Path | None = None, progress: bool = False) -> Dataset:
    """Load a study's pictures: motif by motif in label order, within a motif in lexicographic order of names.

    `data` is a folder of photographs that overrides every other source (see find_photographs). Pictures are
    decoded (or drawn) once and memory-mapped from the cache afterwards; `progress` shows a bar on the standard
    error when that takes over two seconds. Near-duplicates share a group.

    Raises NoPhotographs when no source has the study's photographs, and BatikError when a motif has fewer than
    two usable images or when `data` is given to a study whose pictures are drawn.
    """
    if study.data == "sample":
        if data is not None:
            raise BatikError(f"The study {study.name} draws its own pictures; leave out DATA={data}.")
        return _with_groups(study, _sample(study, progress), None, progress)
    folder, kind, description = find_photographs(data, study.motifs)
    if folder is None:
        raise NoPhotographs(
            f"The photographs of {study.name} were not found. Looked at: {description}. "
            "Put the folders of the motifs into data/, or name the folder that has them with DATA=."
        )
    dataset = _photographs(study, folder, Source(kind, description), progress)
    return _with_groups(study, dataset, folder, progress)


def _photographs(study: Study, folder: Path, source: Source, progress: bool) -> Dataset:
    statuses = dict(check_files(folder, study.motifs))
    skipped: list[tuple[str, str]] = []
    rows: list[tuple[str, str]] = []  # (path relative to the folder, sha256)
    for motif in study.motifs:
        files, refused = motif_files(folder, motif)
        skipped += refused
        for path in files:
            try:
                rows.append((f"{motif}/{path.name}", file_sha256(path)))
            except OSError as error:
                skipped.append((f"{motif}/{path.name}", f"it cannot be read ({error.strerror})"))
    owners = [path.split("/")[0] for path, _ in rows]
    _demand_two(study.motifs, owners, skipped)

    size, resize = study.image.size, study.image.resize
    code = file_sha256(Path(decode.__file__))

    def accept(outcomes: list[Outcome]) -> None:
        usable = [o for o, outcome in zip(owners, outcomes, strict=True) if isinstance(outcome, dict)]
        refused = [(r[0], o) for r, o in zip(rows, outcomes, strict=True) if isinstance(o, str)]
        _demand_two(study.motifs, usable, [*skipped, *refused])

    images, outcomes = cached_pictures(
        key=["photographs", code, size, resize, rows],
        size=size,
        work=_read,
        tasks=[(folder / path, size, resize) for path, _ in rows],
        accept=accept,
        title="Decoding photographs",
        progress=progress,
    )
    kept = [i for i, outcome in enumerate(outcomes) if isinstance(outcome, dict)]
    skipped += [(rows[i][0], o) for i, o in enumerate(outcomes) if isinstance(o, str)]
    counts = Counter(statuses.values())
    return Dataset(
        motifs=study.motifs,
        images=images,
        labels=np.array([study.motifs.index(owners[i]) for i in kept], dtype=np.int64),
        paths=tuple(rows[i][0] for i in kept),
        sha256=tuple(rows[i][1] for i in kept),
        groups=np.arange(len(kept), dtype=np.int64),
        source=replace(source, **{s: counts[s] for s in ("identical", "altered", "missing", "unlisted")}),
        skipped=tuple(sorted(skipped)),
        facts=tuple({**outcomes[i], "status": statuses[rows[i][0]]} for i in kept),
    )


def _read(path: Path, size: int, resize: str) -> tuple[NDArray[np.uint8] | None, Outcome]:
    try:
        return read_image(path, size, resize)
    except NotAnImage as error:
        return None, error.reason


def _demand_two(motifs: tuple[str, ...], owners: list[str], skipped: list[tuple[str, str]]) -> None:
    counts = Counter(owners)
    for motif in motifs:
        if counts[motif] < 2:
            got = "no usable image" if counts[motif] == 0 else "only one usable image"
            left = [f"{path}: {reason}" for path, reason in skipped if path.startswith(f"{motif}/")]
            why = f" (skipped {left[0]}{f', and {len(left) - 1} more' if left[1:] else ''})" if left else ""
            raise BatikError(f"The folder {motif} has {got}{why}; a motif needs at least two.")


def _sample(study: Study, progress: bool) -> Dataset:
    from batik_utils.sample import SAMPLE_MOTIFS

    if unknown := [m for m in study.motifs if m not in SAMPLE_MOTIFS]:
        raise BatikError(f"The sample has no motif {unknown[0]!r}; known are: {', '.join(SAMPLE_MOTIFS)}.")
    size = study.image.size
    tasks = [(motif, i, size) for motif in study.motifs for i in range(SAMPLE_PER_MOTIF)]
    images, outcomes = cached_pictures(
        key=["sample", _sample_code(), tasks],
        size=size,
        work=_draw,
        tasks=tasks,
        accept=lambda outcomes: None,
        title="Drawing the sample",
        progress=progress,
    )
    return Dataset(
        motifs=study.motifs,
        images=images,
        labels=np.repeat(np.arange(len(study.motifs), dtype=np.int64), SAMPLE_PER_MOTIF),
        paths=tuple(f"{motif}/{i + 1:02d}.png" for motif, i, _ in tasks),
        sha256=tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in images),
        groups=np.arange(len(tasks), dtype=np.int64),
        source=Source("drawn", SAMPLE_DESCRIPTION),
        facts=tuple(o for o in outcomes if isinstance(o, dict)),
    )


def _draw(motif: str, index: int, size: int) -> tuple[NDArray[np.uint8], Outcome]:
    from batik_utils.sample import draw

    facts: dict[str, Any] = {"format": "drawn", "mode": "RGB", "width": size, "height": size}
    facts |= {"bytes": size * size * 3, "orientation": 1, "extension_agrees": True, "status": "drawn"}
    return draw(motif, index, size), facts


def _sample_code() -> list[str]:
    """The sha256 of each source file of the sample, so that a picture is drawn again when its code changes."""
    spec = importlib.util.find_spec("batik_utils.sample")
    assert spec is not None and spec.origin is not None  # it has been imported
    origin = Path(spec.origin)
    files = sorted(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]
    return [file_sha256(file) for file in files]


def _with_groups(study: Study, dataset: Dataset, folder: Path | None, progress: bool) -> Dataset:
    groups, pairs = grouping(study, dataset, folder, progress)
    return replace(dataset, groups=groups, pairs=pairs)
