"""A study's pictures as one Dataset: listed, hashed, compared with the published list, decoded once, grouped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from batik_utils.audit import grouping
from batik_utils.data import decode
from batik_utils.data.decode import NotAnImage, read_image
from batik_utils.data.listing import hash_files, motif_files
from batik_utils.data.obtain import find_photographs
from batik_utils.data.pixels import Outcome, cached_pictures
from batik_utils.errors import BatikError
from batik_utils.files import digest, digest_source
from batik_utils.progress import Progress
from batik_utils.study import Study
from batik_utils.values import Dataset, Source

SAMPLE_PER_MOTIF = 50
"""Pictures drawn for each motif of the procedural sample, as many as the published data set has photographs."""

SAMPLE_DESCRIPTION = "procedural sample drawn by this project, not batik photographs"
OWN_DESCRIPTION = "a folder of the reader's own"


def load_dataset(study: Study, data: Path | None = None, progress: bool = True) -> Dataset:
    """Load a study's pictures: motif by motif in label order, within a motif in lexicographic order of names.

    `data` is a folder of photographs that overrides every other source (see find_photographs). Pictures are
    decoded (or drawn) once and memory-mapped from the cache afterwards; `progress` tells of work of over two seconds
    on the standard error. Near-duplicates share a group.

    Raises NoPhotographs when no place has any folders of pictures, and BatikError when a motif has fewer than
    two usable images or when `data` is given to a study whose pictures are drawn.
    """
    with Progress(progress) as bar:
        if study.data == "sample":
            if data is not None:
                raise BatikError(f"The study {study.name} draws its own pictures; leave out DATA={data}.")
            folder, dataset = None, _drawn(study, bar)
        else:
            folder, place = find_photographs(data, study.motifs)
            dataset = _photographs(study, folder, place, bar)
        groups, pairs = grouping(study, dataset, folder, bar)
    return replace(dataset, groups=groups, pairs=pairs)


def _photographs(study: Study, folder: Path, place: str, bar: Progress) -> Dataset:
    listed = [motif_files(folder, motif) for motif in study.motifs]
    skipped = [refused for _, some in listed for refused in some]
    files = [path for some, _ in listed for path in some]
    bar.stage("Reading files", len(files), "files")
    rows, unread, missing = hash_files(folder, study.motifs, bar.watch(files))
    skipped += unread
    _demand_two(study.motifs, [row.motif for row in rows], skipped)

    def refused(outcomes: list[Outcome]) -> list[tuple[str, str]]:
        return [(row.path, o) for row, o in zip(rows, outcomes, strict=True) if isinstance(o, str)]

    def accept(outcomes: list[Outcome]) -> None:
        usable = [row.motif for row, o in zip(rows, outcomes, strict=True) if isinstance(o, dict)]
        _demand_two(study.motifs, usable, skipped + refused(outcomes))

    size, resize = study.image.size, study.image.resize
    code = digest_source(Path(decode.__file__))
    key = ["photographs", code, size, resize, [(row.path, row.sha256) for row in rows]]
    bar.stage("Decoding", len(rows), "images")
    tasks = [(folder / row.path, size, resize) for row in rows]
    images, outcomes = cached_pictures(key, size, _read, tasks, accept, bar)
    kept = [(row, facts) for row, facts in zip(rows, outcomes, strict=True) if isinstance(facts, dict)]
    published = 2 * sum(row.status == "identical" for row, _ in kept) >= len(kept)
    counts: dict[str, int] = Counter(row.status for row in rows)
    return Dataset(
        motifs=study.motifs,
        images=images,
        labels=np.array([study.motifs.index(row.motif) for row, _ in kept], dtype=np.int64),
        paths=tuple(row.path for row, _ in kept),
        sha256=tuple(row.sha256 for row, _ in kept),
        groups=np.arange(len(kept), dtype=np.int64),
        source=Source(
            "published" if published else "folder", place if published else OWN_DESCRIPTION, missing=missing, **counts
        ),
        skipped=tuple(sorted(skipped + refused(outcomes))),
        facts=tuple({**facts, "status": row.status} for row, facts in kept),
    )


def _read(path: Path, size: int, resize: Literal["nearest", "bilinear"]) -> tuple[NDArray[np.uint8] | None, Outcome]:
    try:
        return read_image(path, size, resize)
    except NotAnImage as error:
        return None, error.reason


def _demand_two(motifs: tuple[str, ...], owners: Sequence[str], skipped: Sequence[tuple[str, str]]) -> None:
    counts = Counter(owners)
    for motif in motifs:
        if counts[motif] < 2:
            got = "no usable image" if counts[motif] == 0 else "only one usable image"
            left = [f"{path}: {reason}" for path, reason in skipped if path.startswith(f"{motif}/")]
            why = f" (skipped {left[0]}{f', and {len(left) - 1} more' if left[1:] else ''})" if left else ""
            raise BatikError(f"The folder {motif} has {got}{why}; a motif needs at least two.")


def _drawn(study: Study, bar: Progress) -> Dataset:
    from batik_utils import sample

    if unknown := [m for m in study.motifs if m not in sample.SAMPLE_MOTIFS]:
        raise BatikError(f"The sample has no motif {unknown[0]!r}; known are: {', '.join(sample.SAMPLE_MOTIFS)}.")
    size = study.image.size
    tasks = [(motif, i, size) for motif in study.motifs for i in range(SAMPLE_PER_MOTIF)]
    code = [digest_source(file) for file in sorted(Path(sample.__file__).parent.glob("*.py"))]
    bar.stage("Drawing", len(tasks), "images")
    images, outcomes = cached_pictures(["sample", code, tasks], size, _draw, tasks, lambda outcomes: None, bar)
    return Dataset(
        motifs=study.motifs,
        images=images,
        labels=np.repeat(np.arange(len(study.motifs), dtype=np.int64), SAMPLE_PER_MOTIF),
        paths=tuple(f"{motif}/{i + 1:02d}.png" for motif, i, _ in tasks),
        sha256=tuple(digest(image.tobytes()) for image in images),
        groups=np.arange(len(tasks), dtype=np.int64),
        source=Source("drawn", SAMPLE_DESCRIPTION),
        facts=tuple(outcome for outcome in outcomes if isinstance(outcome, dict)),
    )


def _draw(motif: str, index: int, size: int) -> tuple[NDArray[np.uint8], Outcome]:
    from batik_utils.sample import draw

    facts: dict[str, Any] = {"format": "drawn", "mode": "RGB", "width": size, "height": size}
    facts |= {"bytes": size * size * 3, "orientation": 1, "extension_agrees": True, "status": "drawn"}
    return draw(motif, index, size), facts
