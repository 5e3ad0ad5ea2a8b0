"""A study's pairs and groups, found once and kept in the cache; and what `batik audit` says."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batik_utils.audit.pairs import Pair, find_pairs, groups_from_pairs
from batik_utils.data.obtain import cache_dir
from batik_utils.errors import BatikError
from batik_utils.study import Study
from batik_utils.values import Dataset

_LIBRARIES = ("imagehash", "numpy", "opencv-python-headless", "pillow", "scipy")


def grouping(
    study: Study, dataset: Dataset, folder: Path | None, progress: bool = True
) -> tuple[NDArray[np.int64], tuple[Pair, ...]]:
    """Groups [n] of a study's pictures, with the pairs that they come from.

    folder is where dataset.paths are; without one (the sample) the arrays themselves are looked at. The pairs
    are cached by the files' hashes, the audit's code and its libraries' versions; study.groups is applied after.
    Raises BatikError when study.groups names a path that does not exist or when the cache cannot be written.
    """
    kept = cache_dir() / "audit" / f"{_key(dataset, folder)}.json"
    pairs = _load(kept)
    if pairs is None:
        sources = list(dataset.images) if folder is None else [folder / path for path in dataset.paths]
        pairs = find_pairs(sources, dataset.paths, dataset.sha256, progress)
        _save(kept, pairs)
    groups = groups_from_pairs(dataset.paths, pairs, study.groups.together, study.groups.apart)
    return groups, pairs


def audit_report(study: Study, folder: Path | None = None) -> dict[str, Any]:
    """What the audit found, as plain JSON values; every path is relative to the data folder.

    pairs: [{a, b, kind, labels_differ, reason}]; groups: the paths of each group of two or more; images;
    skipped: [{path, reason}] of files that are not usable pictures; integrity: counts against the published
    list (identical, altered, missing, unlisted) and of formats, modes and EXIF orientations, the smallest and
    largest picture [width, height], and the files whose extension belongs to another format.
    """
    from batik_utils.data.load import load_dataset
    from batik_utils.data.obtain import find_photographs

    dataset = load_dataset(study, folder)
    where = folder
    if study.data != "sample":
        where = find_photographs(folder, study.motifs)[0]
    groups, pairs = grouping(study, dataset, where)
    facts = dataset.facts
    sizes = sorted(((f["width"], f["height"]) for f in facts), key=lambda s: s[0] * s[1])
    members = [np.flatnonzero(groups == g) for g in range(int(groups.max()) + 1)]
    return {
        "study": study.name,
        "source": {"kind": dataset.source.kind, "description": dataset.source.description},
        "images": len(dataset),
        "pairs": [asdict(pair) for pair in pairs],
        "groups": [[dataset.paths[row] for row in rows] for rows in members if len(rows) > 1],
        "skipped": [{"path": path, "reason": reason} for path, reason in dataset.skipped],
        "integrity": {
            **{s: getattr(dataset.source, s) for s in ("identical", "altered", "missing", "unlisted")},
            **{
                f"{k}s": dict(sorted(Counter(str(f[k]) for f in facts).items()))
                for k in ("format", "mode", "orientation")
            },
            "smallest": list(sizes[0]) if sizes else None,
            "largest": list(sizes[-1]) if sizes else None,
            "wrong_extension": [path for path, f in zip(dataset.paths, facts, strict=True) if not f["extension_agrees"]]
            if facts
            else [],
        },
    }


def _key(dataset: Dataset, folder: Path | None) -> str:
    code = [hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(Path(__file__).parent.glob("*.py"))]
    versions = [importlib.metadata.version(name) for name in _LIBRARIES]
    rows = [dataset.paths, dataset.sha256, folder is None, code, versions]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _load(path: Path) -> tuple[Pair, ...] | None:
    try:
        return tuple(Pair(**pair) for pair in json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _save(path: Path, pairs: tuple[Pair, ...]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump([asdict(pair) for pair in pairs], file, indent=1)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise BatikError(
            f"The cache folder cannot be written ({error.strerror}); make room in it, "
            "or set BATIK_CACHE to another folder."
        ) from None
