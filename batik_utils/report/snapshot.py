"""A report's data and results opened once: the build writes them down, and its notebooks' kernels read them."""

import contextlib
import copy
import os
import pickle
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from batik_utils.cache import digest_file, read_kept
from batik_utils.errors import BatikError

VARIABLE = "BATIK_SNAPSHOT"
"""The environment variable that tells a notebook's kernel where the snapshot is."""


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
        name = str(images.filename)
        place = name, images.offset, images.shape, digest_file(Path(name))
        kept.dataset = replace(analysis.dataset, images=np.asarray(images[:0]))
    return pickle.dumps((kept, place, classifier), protocol=5)


def load(path: Path) -> tuple[Any, str]:
    """What was dumped: (analysis, classifier); raises BatikError where the file is not what this user's build wrote."""
    # A pickle of somebody else's is never opened.
    own = path.is_file() and (not hasattr(os, "getuid") or path.stat().st_uid == os.getuid())
    content = read_kept(path, lambda kept: kept.tobytes()) if own else None
    if content is None:
        raise BatikError(f"{path.name} is not there or damaged; run `make report` again.")
    analysis, place, classifier = pickle.loads(content)
    if place is not None:
        name, offset, shape, sha = place
        if not Path(name).is_file() or digest_file(Path(name)) != sha:
            raise BatikError("The cache has lost its decoded pictures; run `make report` again.")
        analysis.dataset = replace(analysis.dataset, images=np.memmap(name, np.uint8, "r", offset, shape))
    return analysis, classifier
