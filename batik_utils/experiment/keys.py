"""What a result depends on, as a hash that names its file and as parts that explain why it went stale."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import batik_utils.backend
from batik_utils.files import digest_json, digest_source
from batik_utils.models.features import FeatureSpec
from batik_utils.models.kinds import FEATURES, KINDS
from batik_utils.study import ROOT
from batik_utils.values import Dataset

PACKAGE = Path(batik_utils.backend.__file__).parent
PIXELS = {True: "sample", False: "data/decode.py"}
"""What makes a dataset's pixels, where it is drawn and where it is not."""
TASKS = "experiment/tasks.py"
NUMERIC = {
    *("h5py", "keras", "ml-dtypes", "numpy", "opencv-python-headless", "opt-einsum", "pillow"),
    *("scikit-image", "scikit-learn", "scipy", "tensorflow", "tensorflow-cpu", "threadpoolctl"),
}
"""The distributions that can change a number: what the code that is in a key imports, and what that computes with."""


@cache
def _source(name: str) -> str:
    path = PACKAGE / name
    files = sorted(path.glob("*.py")) if path.is_dir() else [path]
    return digest_json([digest_source(f) for f in files if f.is_file()])[:16]


@cache
def lock() -> dict[str, str]:
    """The locked version of each distribution in NUMERIC, or versions; {} where the package has no checkout."""
    path, found = ROOT / "requirements.txt", defaultdict(list)
    for name, version in re.findall(r"^(\S+)==(\S+)", path.read_text("utf-8") if path.is_file() else "", re.MULTILINE):
        if name in NUMERIC:
            found[name].append(version)
    return {name: " or ".join(versions) for name, versions in found.items()}


@cache
def code_sha256() -> str:
    """One hash over all code that can change numbers: a worker's must equal the caller's."""
    return digest_json({name: _source(name) for kind in KINDS.values() for name in (*kind.code, *FEATURES, TASKS)})


def identity() -> dict[str, str]:
    """What a worker must have in common with its caller: code, backend and the versions of what computes."""
    packages = ("keras", "numpy", os.environ["KERAS_BACKEND"])
    return {"batik_utils": code_sha256()[:16], "backend": os.environ["KERAS_BACKEND"]} | {
        p: _version(p) for p in packages
    }


def _version(package: str) -> str:
    for name in (package, f"{package}-cpu"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return "none"


def task_parts(code: Iterable[str], dataset: Dataset, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Everything a task's results depend on: {"code": {file: sha}, "parameters": {...}, "data": ..., "lock": {...}}."""
    return {
        "code": {name: _source(name) for name in (*code, TASKS, PIXELS[dataset.source.is_drawn])},
        # Through JSON, so that a tuple equals the list that it is read back as.
        "parameters": json.loads(json.dumps({**parameters, "backend": os.environ["KERAS_BACKEND"]})),
        "data": dataset.fingerprint,
        "lock": lock(),
    }


def feature_key(spec: FeatureSpec) -> str:
    """Names the folder of a backbone's features; each file in it is named by its image's own content."""
    parts = [
        {name: _source(name) for name in ("backend.py", *FEATURES)},
        [spec.backbone.name, spec.backbone.weights_sha256(), spec.size, spec.views, list(spec.corruptions)],
        [spec.augmentation.model_dump(), os.environ["KERAS_BACKEND"], lock()],
    ]
    return f"{spec.backbone.name}-{spec.size}-{digest_json(parts)[:16]}"


def image_keys(dataset: Dataset) -> list[str]:
    """[n] sha256 over each image's file hash (which seeds its views) and its decoded pixels."""
    return [
        hashlib.sha256(sha.encode() + np.ascontiguousarray(image).tobytes()).hexdigest()
        for sha, image in zip(dataset.sha256, dataset.images, strict=True)
    ]


def explain(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Why a result with the old parts no longer holds: "code models/heads.py; parameters epochs 20 → 30; data"."""
    reasons = []
    for part, after in new.items():
        before = old.get(part)
        if isinstance(before, dict) and isinstance(after, dict):
            changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
            told = [_told(part, name, before.get(name), after.get(name)) for name in changed]
            reasons += [f"{part} {', '.join(told)}"] if told else []
        elif before != after:
            reasons.append(part)
    return "; ".join(reasons)


def _told(part: str, name: str, old: Any, new: Any) -> str:
    short = part == "lock" or all(isinstance(value, int | float | None) for value in (old, new))
    return f"{name} {old} → {new}" if short else name
