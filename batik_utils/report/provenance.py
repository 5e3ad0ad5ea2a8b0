"""What a report was made from: the same for the same inputs."""

import contextlib
import importlib.metadata
import platform

from batik_utils.cache import digest, digest_source
from batik_utils.errors import BatikError
from batik_utils.models.kinds import KINDS, repetition
from batik_utils.report import freshness
from batik_utils.study import ROOT, Study
from batik_utils.values import Dataset
from batik_utils.wording import count, listed

PACKAGES = ("keras", "numpy", "scikit-learn", "scipy", "pandas", "matplotlib", "pillow", "pypandoc-binary", "typst")


def provenance(study: Study, dataset: Dataset) -> list[tuple[str, str]]:
    """(what, value) for the last page: hashes of data, study, code, lock and weights; versions; seeds.

    Nothing of the machine, the day or the commit is in it: the same inputs give the same rows.
    """
    code = "the notebooks and all that they and the pages are made with (not set-up and command line)"
    seeds = "training seed 0" if study.published.seeds == 1 else f"training seeds 0–{study.published.seeds - 1}"
    weights, versions = [], []
    for model in study.models.values():
        try:
            found = KINDS[model.kind].weights_sha256(model)
            weights += [(f"Weights, {model.title}", f"sha256 `{found}`")] if found else []
        except BatikError:
            weights.append((f"Weights, {model.title}", "not to be had"))
    # Read without importing any of it; on most machines TensorFlow's package for processors alone is installed.
    for name in ("tensorflow", "tensorflow-cpu", *PACKAGES):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name.removesuffix('-cpu')} {importlib.metadata.version(name)}")
    return [
        ("Data", f"{len(dataset)} images, {len(dataset.motifs)} motifs; sha256 `{dataset.fingerprint}`"),
        ("Study", f"{study.name}; sha256 `{digest(study.model_dump_json().encode())}`"),
        ("Code and notebooks", f"{code}; sha256 `{freshness.code_sha256()}`"),
        ("Lock (requirements.txt)", f"sha256 `{digest_source(ROOT / 'requirements.txt')}`"),
        *weights,
        ("Python", platform.python_version()),
        ("Packages", ", ".join(versions)),
        ("Seeds", f"single split: {seeds}; grouped cross-validation: {repetitions(study)}"),
    ]


def repetitions(study: Study) -> str:
    """How often grouped cross-validation is repeated for each model, as words."""
    often: dict[str, list[str]] = {}
    for model in study.models.values():
        t = repetition(model, study)
        words = f"{count(t.repeats, 'repeat')} × {count(t.seeds, 'training seed')}"
        often.setdefault(words, []).append(model.title)
    return "; ".join(f"{words} of {listed(titles)}" for words, titles in often.items())
