"""A study's pairs and groups, found once and kept in the cache; and what `batik audit` says."""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batik_utils.audit.pairs import find_pairs, groups_from_pairs
from batik_utils.cache import digest_json, digest_source, read_kept, write_kept
from batik_utils.data import decode
from batik_utils.data.obtain import cache_dir
from batik_utils.progress import Progress
from batik_utils.study import Study
from batik_utils.values import Dataset, Pair

_LIBRARIES = ("numpy", "opencv-python-headless", "pillow", "scipy")


def grouping(
    study: Study, dataset: Dataset, folder: Path | None, bar: Progress | None = None
) -> tuple[NDArray[np.int64], tuple[Pair, ...]]:
    """Groups [n] of a study's pictures, with the pairs that they come from.

    folder is where dataset.paths are; without one (the sample) the arrays themselves are looked at. The pairs
    are cached by the files' hashes, the audit's code and its libraries' versions; study.groups is applied after.
    Raises BatikError when study.groups names a path that does not exist or when the cache cannot be written.
    """
    own = sorted(path for path in Path(__file__).parent.glob("*.py") if path.stem != "sources")
    code = [digest_source(path) for path in (*own, Path(decode.__file__))]
    versions = [importlib.metadata.version(name) for name in _LIBRARIES]
    key = digest_json([dataset.paths, dataset.sha256, folder is None, code, versions])
    kept = cache_dir() / "audit" / f"{key}.npz"
    known = read_kept(kept)
    if known is not None:
        pairs = tuple(Pair(**pair) for pair in known)
    else:
        sources = list(dataset.images) if folder is None else [folder / path for path in dataset.paths]
        pairs = find_pairs(sources, dataset.paths, dataset.sha256, bar)
        write_kept(kept, pairs)
    return groups_from_pairs(dataset.paths, pairs, study.groups.together, study.groups.apart), pairs


def audit_report(study: Study, dataset: Dataset) -> dict[str, Any]:
    """What the audit found, as plain JSON values; every path is relative to the data folder.

    pairs: [{a, b, kind, labels_differ, reason}]; groups: the paths of each group of two or more; images;
    skipped: [{path, reason}] of files that are not usable pictures; integrity: counts against the published
    list (identical, altered, missing, unlisted) and of formats, modes and EXIF orientations, the smallest and
    largest picture [width, height], and the files that are altered or whose extension belongs to another format.
    """
    facts, source = dataset.facts, dataset.source
    sizes = sorted(([f["width"], f["height"]] for f in facts), key=np.prod)
    members = [np.flatnonzero(dataset.groups == g) for g in np.unique(dataset.groups)]
    named = list(zip(dataset.paths, facts, strict=True)) if facts else []
    return {
        "study": study.name,
        "source": {"kind": source.kind, "description": source.description},
        "images": len(dataset),
        "pairs": [asdict(pair) for pair in dataset.pairs],
        "groups": [[dataset.paths[row] for row in rows] for rows in members if len(rows) > 1],
        "skipped": [{"path": path, "reason": reason} for path, reason in dataset.skipped],
        "integrity": {s: getattr(source, s) for s in ("identical", "altered", "missing", "unlisted")}
        | {f"{k}s": dict(sorted(Counter(str(f[k]) for f in facts).items())) for k in ("format", "mode", "orientation")}
        | {
            "smallest": sizes[0] if sizes else None,
            "largest": sizes[-1] if sizes else None,
            "altered_files": [path for path, f in named if f["status"] == "altered"],
            "wrong_extension": [path for path, f in named if not f["extension_agrees"]],
        },
    }
