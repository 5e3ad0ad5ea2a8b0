"""A report's data and results opened once: the build writes them down, and its notebooks' kernels read them."""

from __future__ import annotations

import io
import mmap
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batik_utils.errors import BatikError
from batik_utils.files import read_sealed

VARIABLE = "BATIK_SNAPSHOT"
"""The environment variable that tells a notebook's kernel where the snapshot is."""


@dataclass(frozen=True)
class KeptFeatures:
    """Frozen features [n, d] by model, in the place of the plan that computed them."""

    features: Mapping[str, NDArray[np.float32]]

    def __call__(self, model: str) -> NDArray[np.float32]:
        """The features of one model; raises BatikError where there are none."""
        if model not in self.features:
            raise BatikError(f"There are no frozen features of {model}.")
        return self.features[model]


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
    for name, attribute in vars(type(analysis)).items():
        if isinstance(attribute, cached_property):
            getattr(analysis, name)  # once here rather than once in every kernel
    ask, features = analysis.clean_features, {}
    if ask is not None and not isinstance(ask, KeptFeatures):
        for model in analysis.models:
            try:
                features[model] = ask(model)
            except BatikError:
                continue  # it has none: it is trained from scratch, or its features were removed
        analysis.clean_features = KeptFeatures(features)
    room = io.BytesIO()
    pickler = _Pickler(room, protocol=5)
    pickler.mapped = set()
    pickler.dump(analysis)
    return room.getvalue(), sorted(pickler.mapped)


def load(path: Path) -> Any:
    """The analysis; raises BatikError where the file is not what this user's own build wrote."""
    content = read_sealed(path) if is_own(path) else None
    if content is None:
        raise BatikError(f"{path.name} is not there or damaged; run `make report` again.")
    return _Unpickler(io.BytesIO(content)).load()


def is_own(path: Path) -> bool:
    """Whether the file is there and this user's: a pickle of somebody else's is never opened."""
    try:
        return not hasattr(os, "getuid") or path.stat().st_uid == os.getuid()
    except OSError:
        return False
