"""A report's data and results opened once: the build writes them down, and its notebooks' kernels read them."""

import copy
import os
import pickle
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batik_utils.cache import read_kept
from batik_utils.errors import BatikError

VARIABLE = "BATIK_SNAPSHOT"
"""The environment variable that tells a notebook's kernel where the snapshot is."""
DRAWN = {"layers"}
"""What only a figure or table is made of: not kept, as its code may change (and TensorFlow would be needed)."""


def dump(analysis: Any) -> tuple[bytes, list[str]]:
    """An analysis with all that it derives, as bytes, and the files of images that it needs besides."""
    for name, what in vars(type(analysis)).items():  # once here rather than once in every kernel
        if isinstance(what, cached_property) and name not in DRAWN:
            getattr(analysis, name)
    kept, images = copy.copy(analysis), analysis.dataset.images
    kept.deploy = None  # what it measures is among what was derived
    if analysis.clean_features is not None:
        kept.clean_features = partial(_kept, {m: _features(analysis.clean_features, m) for m in analysis.models})
    place = None
    if isinstance(images, np.memmap):  # several processes read its file without copies
        place = str(images.filename), images.offset, images.shape
        kept.dataset = replace(analysis.dataset, images=np.asarray(images[:0]))
    return pickle.dumps((kept, place), protocol=5), [place[0]] if place else []


def _features(ask: Any, model: str) -> NDArray[np.float32] | None:
    try:
        return ask(model)
    except BatikError:
        return None  # it is trained from scratch, or its features were removed


def _kept(features: Mapping[str, NDArray[np.float32] | None], model: str) -> NDArray[np.float32]:
    """Frozen features [n, d] of a model, in the place of the plan that computed them."""
    found = features.get(model)
    if found is None:
        raise BatikError(f"There are no frozen features of {model}.")
    return found


def load(path: Path) -> Any:
    """The analysis; raises BatikError where the file is not what this user's own build wrote."""
    # A pickle of somebody else's is never opened.
    own = path.is_file() and (not hasattr(os, "getuid") or path.stat().st_uid == os.getuid())
    content = read_kept(path, lambda kept: kept.tobytes()) if own else None
    if content is None:
        raise BatikError(f"{path.name} is not there or damaged; run `make report` again.")
    analysis, place = pickle.loads(content)
    if place is not None:
        name, offset, shape = place
        try:
            analysis.dataset = replace(analysis.dataset, images=np.memmap(name, np.uint8, "r", offset, shape))
        except (OSError, ValueError):
            raise BatikError("The cache has lost its decoded pictures; run `make report` again.") from None
    return analysis
