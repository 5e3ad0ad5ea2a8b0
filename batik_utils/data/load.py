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
from batik_utils.data.listing import Listed, hash_files, motif_files
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

    `data` is a folder that overrides every other source (see find_photographs). Pictures are decoded or drawn once
    and memory-mapped from the cache afterwards; `progress` tells of work of over two seconds on the standard error.
    Raises NoPhotographs when no place has folders of pictures, and BatikError when a motif has fewer than two usable
    images or when `data` is given to a study whose pictures are drawn.
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
    bar.stage("Reading", len(files), "files")
    rows, unread, missing = hash_files(folder, study.motifs, bar.watch(files))
    skipped += unread
    _demand_two(study.motifs, rows, skipped)

    def sort(outcomes: list[Outcome]) -> tuple[list[tuple[Listed, dict[str, Any]]], list[tuple[str, str]]]:
        told = list(zip(rows, outcomes, strict=True))
        kept = [(row, facts) for row, facts in told if isinstance(facts, dict)]
        refused = [(row.path, reason) for row, reason in told if isinstance(reason, str)]
        _demand_two(study.motifs, [row for row, _ in kept], skipped + refused)
        return kept, refused

    size, resize = study.image.size, study.image.resize
    code = digest_source(Path(decode.__file__))
    key = ["photographs", code, size, resize, [(row.path, row.sha256) for row in rows]]
    tasks = [(folder / row.path, size, resize) for row in rows]
    bar.stage("Decoding", len(rows), "images")
    images, outcomes = cached_pictures(key, size, _read, tasks, sort, bar)
    kept, refused = sort(outcomes)
    published = 2 * sum(row.status == "identical" for row, _ in kept) >= len(kept)
    source = Source("published", place) if published else Source("folder", OWN_DESCRIPTION)
    counts: dict[str, Any] = Counter(row.status for row in rows)
    return _dataset(study, images, kept, replace(source, missing=missing, **counts), sorted(skipped + refused))


def _read(path: Path, size: int, resize: Literal["nearest", "bilinear"]) -> tuple[NDArray[np.uint8] | None, Outcome]:
    try:
        return read_image(path, size, resize)
    except NotAnImage as error:
        return None, error.reason


def _demand_two(motifs: tuple[str, ...], rows: Sequence[Listed], skipped: Sequence[tuple[str, str]]) -> None:
    counts = Counter(row.motif for row in rows)
    for motif in (m for m in motifs if counts[m] < 2):
        got = "only one usable image" if counts[motif] else "no usable image"
        left = [f"{path}: {reason}" for path, reason in skipped if path.startswith(f"{motif}/")]
        why = f" (skipped {left[0]}{f', and {len(left) - 1} more' if left[1:] else ''})" if left else ""
        raise BatikError(f"The folder {motif} has {got}{why}; a motif needs at least two.")


def _drawn(study: Study, bar: Progress) -> Dataset:
    from batik_utils import sample

    size = study.image.size
    tasks = [(motif, i, size) for motif in study.motifs for i in range(SAMPLE_PER_MOTIF)]
    code = [digest_source(file) for file in sorted(Path(sample.__file__).parent.glob("*.py"))]
    bar.stage("Drawing", len(tasks), "images")
    images, outcomes = cached_pictures(["sample", code, tasks], size, _draw, tasks, lambda outcomes: None, bar)
    facts = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    rows = [
        Listed(f"{motif}/{i + 1:02d}.png", digest(image.tobytes()), "drawn")
        for (motif, i, _), image in zip(tasks, images, strict=True)
    ]
    return _dataset(study, images, list(zip(rows, facts, strict=True)), Source("drawn", SAMPLE_DESCRIPTION))


def _draw(motif: str, index: int, size: int) -> tuple[NDArray[np.uint8], Outcome]:
    from batik_utils.sample import draw

    facts = {"format": "drawn", "mode": "RGB", "width": size, "height": size, "bytes": size * size * 3}
    return draw(motif, index, size), facts | {"orientation": 1, "extension_agrees": True}


def _dataset(
    study: Study,
    images: NDArray[np.uint8],
    rows: Sequence[tuple[Listed, dict[str, Any]]],
    source: Source,
    skipped: Sequence[tuple[str, str]] = (),
) -> Dataset:
    """Row i of everything is one image; groups are to follow."""
    return Dataset(
        motifs=study.motifs,
        images=images,
        labels=np.array([study.motifs.index(row.motif) for row, _ in rows], dtype=np.int64),
        paths=tuple(row.path for row, _ in rows),
        sha256=tuple(row.sha256 for row, _ in rows),
        groups=np.arange(len(rows), dtype=np.int64),
        source=source,
        skipped=tuple(skipped),
        facts=tuple({**facts, "status": row.status} for row, facts in rows),
    )
