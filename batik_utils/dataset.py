"""A study's pictures as one Dataset: listed, hashed, compared with the published list, decoded once, grouped."""

import importlib.metadata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet

from batik_utils import sample
from batik_utils.audit import grouping
from batik_utils.cache import atomic, digest, digest_file, digest_json, digest_source, read_kept, write_kept
from batik_utils.data import decode, obtain
from batik_utils.data.decode import NotAnImage, read_image
from batik_utils.data.obtain import Listed, cache_dir, motif_of
from batik_utils.errors import BatikError
from batik_utils.progress import Progress
from batik_utils.study import Study
from batik_utils.study_models import Image
from batik_utils.values import Dataset, Source

SAMPLE_PER_MOTIF = 50  # as many as the published data set has photographs

_SERIAL = 64  # up to this many pictures one process is done before two have started

Outcome = dict[str, Any] | str  # what became of one picture: its facts, or the reason why there is none
_Made = tuple[NDArray[np.uint8], list[Outcome]]
"""The pictures that there are, uint8 [n, size, size, 3], memory-mapped and read-only; and every file's outcome."""
_Make = Callable[[Image, Progress], _Made]
_Work = Callable[..., tuple[NDArray[np.uint8] | None, Outcome]]
_Pictures = tuple[Source, _Make, _Made, list[Listed], list[tuple[str, str]]]
"""A source, how its pictures are made, those of the study, every file's row, and what is skipped with reasons."""


def load_dataset(study: Study, data: Path | None = None, progress: bool = True) -> Dataset:
    """Load a study's pictures: motif by motif in label order, within a motif in lexicographic order of names.

    `data` is a folder that overrides every other source (see find_photographs); `progress` tells the standard error of
    long work. Raises NoPhotographs when no place has folders of pictures, and BatikError when a motif has fewer than
    two usable images or when `data` is given to a study whose pictures are drawn.
    """
    with Progress(progress) as bar:
        if study.data != "sample":
            folder, place = obtain.find_photographs(data, study.motifs)
            source, make, (images, outcomes), rows, skipped = _photographs(study, folder, place, bar)
        elif data is None:
            folder, (source, make, (images, outcomes), rows, skipped) = None, _drawn(study, bar)
        else:
            raise BatikError(f"The study {study.name} draws its own pictures; leave out DATA={data}.")
        kept = [(row, facts) for row, facts in zip(rows, outcomes, strict=True) if isinstance(facts, dict)]
        dataset = replace(
            _dataset(study.motifs, [row for row, _ in kept], images, source, make, progress),
            skipped=tuple(skipped),
            facts=tuple({**facts, "status": row.status} for row, facts in kept),
            made=study.image,
        )
        groups, pairs = grouping(dataset, folder, bar)
        others = _others(study, dataset, folder, progress) if folder else None
    return replace(dataset, groups=groups, sources=unite(study, dataset, groups), pairs=pairs, others=others)


def _dataset(
    motifs: tuple[str, ...], rows: list[Listed], images: NDArray[np.uint8], source: Source, make: _Make, progress: bool
) -> Dataset:
    return Dataset(
        motifs=motifs,
        images=images,
        labels=np.array([motifs.index(motif_of(row.path)) for row in rows], np.int64),
        paths=tuple(row.path for row in rows),
        sha256=tuple(row.sha256 for row in rows),
        groups=np.arange(len(rows), dtype=np.int64),
        source=source,
        decode=partial(_on_demand, make, progress),
    )


def _on_demand(make: _Make, progress: bool, image: Image) -> NDArray[np.uint8]:
    with Progress(progress) as bar:
        return make(image, bar)[0]


def _others(study: Study, dataset: Dataset, folder: Path, progress: bool) -> Dataset | None:
    """The published pictures from which a metric may be learnt (obtain.motifs_apart), where a model asks for them."""
    if not any(getattr(model, "metric", None) for model in study.models.values()):
        return None
    found = obtain.motifs_apart(study.motifs, [source.pictures for source in study.sources], folder)
    if found is None:
        return None
    rows = [row for row in found[1] if row.sha256 not in dataset.sha256]  # of one's own by their bytes alone
    source = Source("published", "other motifs of the published collection", identical=len(rows))
    motifs, none = tuple(sorted({motif_of(row.path) for row in rows})), np.zeros((0, 1, 1, 3), np.uint8)
    return _dataset(motifs, rows, none, source, partial(_decoded, found[0], rows), progress)


def unite(study: Study, dataset: Dataset, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sources [n]: the groups [n], joined wherever the study confirms that pictures are of one source.

    Pictures of other motifs are passed over, and published ones that are not here. Raises BatikError for any other
    path that there is no picture of.
    """
    group, published = dict(zip(dataset.paths, groups.tolist(), strict=True)), set(obtain.published_files())
    known = published | {path for path, _ in dataset.skipped}
    # A folder of one's own may have other pictures under the published names.
    here = set(group) - (set() if dataset.source.kind == "published" else published)
    joined = DisjointSet(sorted(set(group.values())))
    for source in study.sources:
        own = [path for path in source.pictures if motif_of(path) in dataset.motifs]
        if wrong := [path for path in own if path not in here | known]:
            raise BatikError(f"The source {source.name!r} names {wrong[0]}, which there is no picture of; correct it.")
        rows = [group[path] for path in own if path in here]
        for number in rows[1:]:
            joined.merge(rows[0], number)
    return np.array([joined[number] for number in group.values()], dtype=np.int64)


def _photographs(study: Study, folder: Path, place: str, bar: Progress) -> _Pictures:
    listed = [obtain.motif_files(folder, motif) for motif in study.motifs]
    files = [path for some, _ in listed for path in some]
    bar.stage("Reading", len(files), "files")
    rows, skipped, missing = obtain.hash_files(folder, study.motifs, bar.watch(files))
    skipped += [refused for _, some in listed for refused in some]
    made = _decoded(folder, rows, study.image, bar)
    skipped += [(row.path, why) for row, why in zip(rows, made[1], strict=True) if isinstance(why, str)]
    skipped.sort()
    used = [row for row, outcome in zip(rows, made[1], strict=True) if isinstance(outcome, dict)]
    counts = Counter(motif_of(row.path) for row in used)
    wrong = []
    for motif in (m for m in study.motifs if counts[m] < 2):
        got = "only one usable image" if counts[motif] else "no usable image"
        left = [f"{path}: {reason}" for path, reason in skipped if motif_of(path) == motif]
        why = f" (skipped {left[0]}{f', and {len(left) - 1} more' if left[1:] else ''})" if left else ""
        wrong.append(f"The folder {motif} has {got}{why}; a motif needs at least two.")
    if wrong:
        raise BatikError("\n".join(wrong))
    published = 2 * sum(row.status == "identical" for row in used) >= len(used)
    source = Source("published", place) if published else Source("folder", "a folder of the reader's own")
    statuses: dict[str, Any] = Counter(row.status for row in rows)
    return replace(source, missing=missing, **statuses), partial(_decoded, folder, rows), made, rows, skipped


def _decoded(folder: Path, rows: Sequence[Listed], image: Image, bar: Progress) -> _Made:
    code = digest_source(Path(decode.__file__)), importlib.metadata.version("pillow")
    key = ["photographs", code, image.model_dump(), [(row.path, row.sha256) for row in rows]]
    bar.stage("Decoding", len(rows), "images")
    return _computed(key, image.size, _read, [(folder / row.path, image) for row in rows], bar)


def _read(path: Path, image: Image) -> tuple[NDArray[np.uint8] | None, Outcome]:
    try:
        return read_image(path, **dict(image))
    except NotAnImage as error:
        return None, error.reason


def _drawn(study: Study, bar: Progress) -> _Pictures:
    numbered = [(motif, i) for motif in study.motifs for i in range(SAMPLE_PER_MOTIF)]
    make = partial(_draw_all, numbered)
    made = make(study.image, bar)
    named = zip(numbered, made[0], strict=True)
    rows = [Listed(f"{motif}/{i + 1:02d}.png", digest(image.tobytes()), "drawn") for (motif, i), image in named]
    return Source("drawn", "procedural sample drawn by this project, not batik photographs"), make, made, rows, []


def _draw_all(numbered: Sequence[tuple[str, int]], image: Image, bar: Progress) -> _Made:
    tasks = [(motif, i, image.size) for motif, i in numbered]
    code = [digest_source(file) for file in sorted(Path(sample.__file__).parent.glob("*.py"))]
    bar.stage("Drawing", len(tasks), "images")
    return _computed(["sample", code, tasks], image.size, _draw, tasks, bar)


def _draw(motif: str, index: int, size: int) -> tuple[NDArray[np.uint8], Outcome]:
    facts = {"format": "drawn", "mode": "RGB", "width": size, "height": size, "bytes": size * size * 3}
    return sample.draw(motif, index, size), facts | {"orientation": 1, "extension_agrees": True}


def _computed(key: Any, size: int, work: _Work, tasks: Sequence[tuple[Any, ...]], bar: Progress) -> _Made:
    """Run work(*task) for each task, side by side in processes, once for each key: all that the result depends on."""
    pixels = cache_dir() / "images" / f"{digest_json(key)}.rgb"
    notes = pixels.with_suffix(".npz")
    said = read_kept(notes)
    if not (said and pixels.is_file() and said["sha256"] == digest_file(pixels)):
        # Each process may hold a few hundred megabytes of one large photograph. Processes, not threads: Pillow's
        # warnings are silenced through a filter that threads would share.
        jobs = min(4, joblib.cpu_count()) if len(tasks) > _SERIAL else 1
        made = joblib.Parallel(jobs, return_as="generator")(joblib.delayed(work)(*task) for task in tasks)
        outcomes: list[Outcome] = []
        try:
            with atomic(pixels) as part, part.open("wb") as file:
                for image, outcome in bar.watch(made):
                    outcomes.append(outcome)
                    file.write(b"" if image is None else image.tobytes())
        except BrokenProcessPool:
            raise BatikError(f"{bar.title}: a process was killed, most often for want of memory.") from None
        if jobs > 1:
            get_reusable_executor().shutdown()  # idle workers would keep their memory while models train
        said = {"outcomes": outcomes, "sha256": digest_file(pixels)}
        write_kept(notes, said)
    count = sum(isinstance(outcome, dict) for outcome in said["outcomes"])
    shape = (count, size, size, 3)  # an empty file cannot be mapped
    return np.memmap(pixels, np.uint8, "r", shape=shape) if count else np.zeros(shape, np.uint8), said["outcomes"]
