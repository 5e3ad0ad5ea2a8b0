"""What a study's builds keep: results of their steps by key, and data with results as notebooks' kernels open them."""

import contextlib
import copy
import os
import pickle
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from batik_utils.cache import digest_file, read_kept, write_kept
from batik_utils.errors import BatikError

VARIABLE = "BATIK_SNAPSHOT"
"""The environment variable that tells a notebook's kernel where the snapshot is."""


class Kept:
    """Files of one study's builds, each named by what it depends on; a damaged one counts as none."""

    most = 3
    """Of each sort: the ones used last stay."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sort: str, key: str) -> Path:
        """Where a file of this sort is kept, or would be."""
        return self.folder / f"{sort}.{key[:20]}"

    def read(self, sort: str, key: str) -> Any:
        """What was written, bytes as arrays of them; None where there is none or it is damaged."""
        with contextlib.suppress(OSError):
            os.utime(self.path(sort, key))
        return read_kept(self.path(sort, key))

    def write(self, sort: str, key: str, value: Any) -> None:
        """Keep a plain value, and let the oldest of its sort go."""
        write_kept(self.path(sort, key), value)
        for path in sorted(self.folder.glob(f"{sort}.*"), key=lambda p: -p.stat().st_mtime_ns)[self.most :]:
            path.unlink(missing_ok=True)


def dump(analysis: Any, classifier: str = "") -> bytes:
    """An analysis with all that it derives; classifier names what was made of it. Its images stay in their file."""
    for name, what in vars(type(analysis)).items():  # once here rather than once in every kernel
        if isinstance(what, cached_property):
            getattr(analysis, name)
    kept, images, place = copy.copy(analysis), analysis.dataset.images, None
    kept.deploy = None  # what it measures is among what was derived
    if analysis.clean_features is not None:
        found = {}
        for model in analysis.models:
            with contextlib.suppress(BatikError):  # it is trained from scratch, or its features were removed
                found[model] = analysis.clean_features(model)
        kept.clean_features = found.__getitem__
    if isinstance(images, np.memmap):  # several processes read its file without copies
        place = str(images.filename), images.offset, images.shape, digest_file(Path(str(images.filename)))
        kept.dataset = replace(analysis.dataset, images=np.asarray(images[:0]))
    return pickle.dumps((kept, place, classifier), protocol=5)


def load(path: Path) -> tuple[Any, str]:
    """What was dumped and kept: (analysis, classifier); raises BatikError where this user's build did not write it."""
    # A pickle of somebody else's is never opened.
    own = path.is_file() and (not hasattr(os, "getuid") or path.stat().st_uid == os.getuid())
    content = read_kept(path) if own else None
    if content is None:
        raise BatikError(f"{path.name} is not there or damaged; run `make report` again.")
    analysis, place, classifier = pickle.loads(content.tobytes())
    if place is not None:
        name, offset, shape, sha = place
        if not Path(name).is_file() or digest_file(Path(name)) != sha:
            raise BatikError("The cache has lost its decoded pictures; run `make report` again.")
        analysis.dataset = replace(analysis.dataset, images=np.memmap(name, np.uint8, "r", offset, shape))
    return analysis, classifier
