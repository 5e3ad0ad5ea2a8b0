"""A report's data and results opened once: the build writes them down, and its notebooks' kernels read them."""

import io
import mmap
import os
import pickle
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batik_utils.errors import BatikError
from batik_utils.files import read_sealed

VARIABLE = "BATIK_SNAPSHOT"
"""The environment variable that tells a notebook's kernel where the snapshot is."""
DRAWN = ("flow", "augmented")
"""What only figures are made of: not kept, as their code may change (and moving pictures needs TensorFlow)."""


class _Pickler(pickle.Pickler):
    mapped: set[str]

    def persistent_id(self, value: Any) -> Any:
        # Images are in a file of their own, which several processes read without copies.
        if isinstance(value, np.memmap) and isinstance(value.base, mmap.mmap):
            self.mapped.add(str(value.filename))
            return str(value.filename), value.dtype.str, value.offset, value.shape
        return None


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, place: Any) -> Any:
        name, kind, offset, shape = place
        try:
            return np.memmap(name, kind, "r", offset, shape)
        except (OSError, ValueError):
            raise BatikError("The cache has lost its decoded pictures; run `make report` again.") from None


def dump(analysis: Any) -> tuple[bytes, list[str]]:
    """An analysis with all that it derives, as bytes, and the files of images that it needs besides."""
    derived = (n for n, what in vars(type(analysis)).items() if isinstance(what, cached_property) and n not in DRAWN)
    for name in derived:  # once here rather than once in every kernel
        getattr(analysis, name)
    if analysis.clean_features is not None:
        features = {model: _features(analysis.clean_features, model) for model in analysis.models}
        analysis.clean_features = partial(_kept, features)
    room = io.BytesIO()
    pickler = _Pickler(room, protocol=5)
    pickler.mapped = set()
    pickler.dump(analysis)
    return room.getvalue(), sorted(pickler.mapped)


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
    content = read_sealed(path) if own else None
    if content is None:
        raise BatikError(f"{path.name} is not there or damaged; run `make report` again.")
    return _Unpickler(io.BytesIO(content)).load()
