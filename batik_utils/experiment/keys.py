"""What a result depends on, as a hash that names its file and as parts that explain why it went stale.

Of code, that is what runs: comments, docstrings and layout make nothing stale. Which files of models/ count is read
off their imports, from those that a kind of model names.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.metadata
import json
import os
import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import batik_utils.backend
from batik_utils.cache import digest, digest_json
from batik_utils.models.features import FeatureSpec
from batik_utils.models.kinds import KINDS
from batik_utils.study import ROOT
from batik_utils.study_models import Image
from batik_utils.values import Dataset

PACKAGE = Path(batik_utils.backend.__file__).parent
FEATURES = "models/features.py"
APART = {"models/kinds.py", "models/weights.py"}
"""Files of models/ that change no number: words; and how weights are had, which are in a key by their own hash."""
NUMERIC = {
    *("h5py", "keras", "ml-dtypes", "numpy", "opencv-python-headless", "opt-einsum"),
    *("scikit-image", "scikit-learn", "scipy", "tensorflow", "tensorflow-cpu", "threadpoolctl"),
}
"""The distributions that can change a number: what the code that is in a key imports, and what that computes with."""


class _Bare(ast.NodeTransformer):
    """Takes away what does not run: docstrings, and imports for types alone."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


@cache
def _file(name: str) -> tuple[str, frozenset[str]]:
    """A file's digest, and the files of models/ that it imports to run."""
    tree = _Bare().visit(ast.parse((PACKAGE / name).read_text(encoding="utf-8")))
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    dotted = {f"{node.module}.{part.name}" for node in froms for part in node.names} | {str(n.module) for n in froms}
    places = [d.replace(".", "/").removeprefix("batik_utils/") for d in dotted if d.startswith("batik_utils.")]
    files = {path for place in places for path in (f"{place}.py", f"{place}/__init__.py")}
    imported = (path for path in files - APART if path.startswith("models/") and (PACKAGE / path).is_file())
    return digest(ast.unparse(tree).encode())[:16], frozenset(imported)


def code(*names: str) -> dict[str, str]:
    """{file: digest of what it does} of the backend, files and folders of batik_utils, and all they need of models/."""
    found: dict[str, str] = {}
    waiting = ["backend.py", *names]
    while waiting:
        name = waiting.pop()
        if (PACKAGE / name).is_dir():
            waiting += sorted(f"{name}/{path.name}" for path in (PACKAGE / name).glob("*.py"))
        elif name not in found:
            found[name], imported = _file(name)
            waiting += imported
    return dict(sorted(found.items()))


@cache
def lock() -> dict[str, str]:
    """The locked version of each distribution in NUMERIC, or versions; {} where the package has no checkout."""
    path, found = ROOT / "requirements.txt", defaultdict(list)
    for name, version in re.findall(r"^(\S+)==(\S+)", path.read_text("utf-8") if path.is_file() else "", re.MULTILINE):
        if name in NUMERIC:
            found[name].append(version)
    return {name: " or ".join(versions) for name, versions in found.items()}


@cache
def _versions() -> dict[str, str]:
    found = {"batik_utils": digest_json(code(FEATURES, *(name for kind in KINDS.values() for name in kind.code)))[:16]}
    for package in ("keras", "numpy", os.environ["KERAS_BACKEND"]):
        for name in (package, f"{package}-cpu"):
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                found[package] = importlib.metadata.version(name)
    return found


def identity() -> dict[str, str]:
    """What a worker must have in common with its caller: code, backend and the versions of what computes."""
    return _versions() | {"backend": os.environ["KERAS_BACKEND"]}


def task_parts(data: str, parameters: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Everything a task's results depend on: {"code": {file: sha}, "parameters": {...}, "data": ..., "lock": {...}}.

    data is the picture_key of what it is given: pixels count, not the code that made them.
    """
    return {
        "code": code(*names),
        # Through JSON, so that a tuple equals the list that it is read back as.
        "parameters": json.loads(json.dumps({**parameters, "backend": os.environ["KERAS_BACKEND"]})),
        "data": data,
        "lock": lock(),
    }


def feature_key(spec: FeatureSpec) -> str:
    """Names the folder of a backbone's features; each file in it is named by its image's own content."""
    parts = [
        code(FEATURES),
        [spec.backbone.name, spec.backbone.weights_sha256(), spec.image.size, spec.views, list(spec.corruptions)],
        [spec.augmentation.model_dump(), os.environ["KERAS_BACKEND"], lock()],
    ]
    return f"{spec.backbone.name}-{spec.image.size}-{digest_json(parts)[:16]}"


def image_keys(dataset: Dataset, image: Image) -> list[str]:
    """[n] sha256 over each image's file hash (which seeds its views) and its pixels, made in this way."""
    return [
        hashlib.sha256(sha.encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()
        for sha, pixels in zip(dataset.sha256, dataset.pictures(image), strict=True)
    ]


def picture_key(dataset: Dataset, image: Image) -> str:
    """A sha256 over a dataset's fingerprint, its files' facts (but for remarks) and its pictures, made in this way."""
    facts = [{name: fact[name] for name in fact if name != "remarks"} for fact in dataset.facts]
    return digest_json([dataset.fingerprint, facts, image_keys(dataset, image)])


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
