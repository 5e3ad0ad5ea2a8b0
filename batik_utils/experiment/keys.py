"""What a result depends on, as a hash that names its file and as parts that explain why it went stale."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import batik_utils.backend
from batik_utils.models.features import FeatureSpec
from batik_utils.study import ROOT
from batik_utils.values import Dataset

PACKAGE = Path(batik_utils.backend.__file__).parent

PIXELS = ("data/decode.py",)
SAMPLE = ("sample",)
TASKS = ("experiment/tasks.py", "values.py")
FEATURES = (
    "backend.py",
    "models/features.py",
    "models/backbones.py",
    "models/efficientnet_lite.py",
    "models/pth.py",
    "models/folding.py",
    "models/augment.py",
    "models/corruptions.py",
)
CODE = {
    "heads": (*FEATURES, "models/heads.py", *TASKS),
    "scratch": (
        "backend.py",
        "models/train_scratch.py",
        "models/scratch.py",
        "models/fast/pool.py",
        "models/fast/adam.py",
        "models/augment.py",
        "models/corruptions.py",
        *TASKS,
    ),
    "baseline": ("backend.py", "models/baselines.py", *TASKS),
}
"""The source files, or folders of them, that can change the numbers of each kind of task."""


def digest(value: Any) -> str:
    """sha256 of a plain JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@cache
def _source(name: str) -> str:
    path = PACKAGE / name
    files = sorted(path.glob("*.py")) if path.is_dir() else [path]
    # Line ends by themselves change nothing, and differ between checkouts.
    return digest([f.read_bytes().replace(b"\r\n", b"\n").decode() for f in files if f.is_file()])


@cache
def lock_sha256() -> str:
    """sha256 of requirements.txt, or "" where the package is installed without its checkout."""
    path = ROOT / "requirements.txt"
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest() if path.is_file() else ""


@cache
def code_sha256() -> str:
    """One hash over all code that can change numbers: a worker's must equal the caller's."""
    return digest({name: _source(name) for names in CODE.values() for name in names})


def identity() -> dict[str, str]:
    """What a worker must have in common with its caller: code, backend and the versions of what computes."""
    packages = ("keras", "numpy", os.environ["KERAS_BACKEND"])
    return {"batik_utils": code_sha256()[:16], "backend": packages[-1]} | {p: _version(p) for p in packages}


def _version(package: str) -> str:
    for name in (package, f"{package}-cpu"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return "none"


def sources(names: Iterable[str], dataset: Dataset) -> dict[str, str]:
    """{file: sha256} of these files and of those that make this dataset's pixels."""
    pixels = SAMPLE if dataset.source.is_drawn else PIXELS
    return {name: _source(name)[:16] for name in (*names, *pixels)}


def task_parts(kind: str, dataset: Dataset, parameters: Mapping[str, Any], more: Iterable[str] = ()) -> dict[str, Any]:
    """Everything a task's results depend on: {"code": {file: sha}, "parameters": {...}, "data": ..., "lock": ...}."""
    backend = {"backend": os.environ["KERAS_BACKEND"]}
    return {
        "code": sources((*CODE[kind], *more), dataset),
        # Through JSON, so that a tuple equals the list that it is read back as.
        "parameters": json.loads(json.dumps({**parameters, **backend})),
        "data": dataset.fingerprint,
        "lock": lock_sha256(),
    }


def feature_key(spec: FeatureSpec) -> str:
    """Names the folder of a backbone's features; each file in it is named by its image's own content."""
    parts = [
        {name: _source(name) for name in FEATURES},
        [spec.backbone.name, spec.backbone.weights_sha256(), spec.size, spec.views, list(spec.corruptions)],
        [spec.augmentation.model_dump(), os.environ["KERAS_BACKEND"], lock_sha256()],
    ]
    return f"{spec.backbone.name}-{spec.size}-{digest(parts)[:16]}"


def image_keys(dataset: Dataset) -> list[str]:
    """[n] sha256 over each image's file hash (which seeds its views) and its decoded pixels."""
    return [
        hashlib.sha256(sha.encode() + np.ascontiguousarray(image).tobytes()).hexdigest()
        for sha, image in zip(dataset.sha256, dataset.images, strict=True)
    ]


def explain(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Why a result with the old parts no longer holds: "code models/heads.py; parameters epochs 20 → 30; data"."""
    reasons = []
    changed = _changed(old.get("code", {}), new["code"])
    if changed:
        reasons.append("code " + ", ".join(changed))
    before, after = old.get("parameters", {}), new["parameters"]
    if changed := _changed(before, after):
        reasons.append("parameters " + ", ".join(_told(name, before.get(name), after.get(name)) for name in changed))
    reasons += [name for name in ("data", "lock") if old.get(name) != new[name]]
    return "; ".join(reasons)


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def _told(name: str, old: Any, new: Any) -> str:
    short = all(isinstance(value, int | float | None) for value in (old, new))
    return f"{name} {old} → {new}" if short else name
