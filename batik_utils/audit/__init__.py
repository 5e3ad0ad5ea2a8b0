"""Which files show one picture: exact copies, and re-encoded, resized, mirrored, turned and cropped ones."""

import importlib.metadata
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet

from batik_utils.audit.find import find_pairs
from batik_utils.cache import digest_json, digest_source, read_kept, write_kept
from batik_utils.data import decode
from batik_utils.data.obtain import cache_dir
from batik_utils.progress import Progress
from batik_utils.values import Dataset, Pair


def grouping(
    dataset: Dataset, folder: Path | None, bar: Progress | None = None
) -> tuple[NDArray[np.int64], tuple[Pair, ...]]:
    """Groups [n] of the pictures, with the pairs that they come from; BatikError when their cache cannot be written.

    folder is where dataset.paths are; without one (the sample) the arrays themselves are looked at.
    """
    own = sorted(path for path in Path(__file__).parent.glob("*.py") if path.stem != "sources")
    code = [digest_source(path) for path in (*own, Path(decode.__file__))]
    versions = [importlib.metadata.version(name) for name in ("numpy", "opencv-python-headless", "pillow")]
    key = digest_json([dataset.paths, dataset.sha256, folder is None, code, versions])
    kept = cache_dir() / "audit" / f"{key}.npz"
    known = read_kept(kept)
    if known is None:
        pictures = list(dataset.images) if folder is None else [folder / path for path in dataset.paths]
        known = [asdict(pair) for pair in find_pairs(pictures, dataset.paths, bar)]
        write_kept(kept, known)
    pairs = tuple(Pair(**pair) for pair in known)
    return groups_from_pairs(dataset.paths, pairs), pairs


def groups_from_pairs(paths: Sequence[str], pairs: Iterable[Pair]) -> NDArray[np.int64]:
    """[n], numbered from 0 in order of first appearance: pictures joined by pairs share a number."""
    joined, numbers = DisjointSet(paths), dict[str, int]()
    for pair in pairs:
        joined.merge(pair.a, pair.b)
    return np.array([numbers.setdefault(joined[path], len(numbers)) for path in paths], dtype=np.int64)


def oddities(dataset: Dataset) -> dict[str, list[str]]:
    """What is odd about a study's files, {title: lines}; every path is relative to the data folder."""
    copies = [f"{p.a} and {p.b}: {p.kind}{', in two folders' if p.labels_differ else ''}" for p in dataset.pairs]
    named = list(zip(dataset.paths, dataset.facts, strict=True))
    found = {"Pairs of near-duplicates": copies}
    if dataset.source.identical or dataset.source.altered:
        found["Files altered since they were published"] = [path for path, f in named if f["status"] == "altered"]
    found["Files whose name ends like another format's"] = [path for path, f in named if not f["extension_agrees"]]
    found["Files that are not used"] = [f"{path}: {reason}" for path, reason in dataset.skipped]
    return found
