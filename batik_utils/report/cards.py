"""What one study's run says of itself in given forms: model card, checklist (REFORMS), and what it was made from."""

import contextlib
import importlib.metadata
import platform
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from batik_utils.cache import digest, digest_source
from batik_utils.errors import BatikError
from batik_utils.models.kinds import KINDS, repetition
from batik_utils.report import freshness
from batik_utils.report.metrics import scores_of
from batik_utils.report.say import JINJA
from batik_utils.stats.rules import uneven
from batik_utils.study import ROOT, Study
from batik_utils.values import Dataset
from batik_utils.wording import count, listed, markdown, motif_names

FACTS = ("published", "folder", "drawn", "seed", "claims", "sources", "corruptions")
"""What a template may ask: where the pictures are from (one of the first three), and what the study has."""
COLLECTION = {
    "name": "Indonesian Batik Motifs",
    "url": "https://www.kaggle.com/datasets/dionisiusdh/indonesian-batik-motifs",
}
"""Where published pictures are from."""
PACKAGES = ("keras", "numpy", "scikit-learn", "scipy", "pandas", "matplotlib", "pillow", "pypandoc-binary", "typst")


def model_card(
    study: Study, model: str, deployed: Mapping[str, Any], metrics: Mapping[str, Any], facts: Collection[str]
) -> str:
    """A Markdown card for one model of the study.

    deployed is the part "classifier" of metrics.json, or empty where no file is told of; metrics is what metrics.json
    holds, and what it lacks is said to be missing.
    """
    accuracies, f1 = scores_of(metrics), scores_of(metrics, "macro_f1")
    names = {"published" if "seed" in facts else "single split": "published"}
    names |= {"grouped": "grouped", "sources": "sources"}
    rows = {name: (accuracies.get((model, p)), f1.get((model, p))) for name, p in names.items()}
    data, spec = metrics["data"], study.models[model]
    counts = [f"{name} {n}" for name, n in zip(motif_names(data["motifs"]), data["per_motif"].values(), strict=True)]
    even = scores_of(metrics, "balanced").get((model, "grouped"))
    told = {"spec": spec, "about": KINDS[spec.kind].describe(spec), "rows": rows, "file": deployed, "data": data}
    told["even"] = even if uneven(data["per_motif"].values()) else None
    return _filled("model-card.md.j2", study, facts, counts=counts, motifs=motif_names(study.motifs), **told)


def checklist(study: Study, dataset: Dataset, facts: Collection[str]) -> str:
    """The REFORMS checklist (Kapoor et al. 2024), answered for this study, as Markdown."""
    distinct = len(np.unique(dataset.groups))
    return _filled("reforms.md", study, facts, motifs=motif_names(dataset.motifs), images=len(dataset), groups=distinct)


def _filled(template: str, study: Study, facts: Collection[str], **values: Any) -> str:
    known = {fact: fact in facts for fact in FACTS} | {"study": study, "collection": COLLECTION}
    return JINJA.get_template(template).render(known | values) + "\n"


def provenance(study: Study, dataset: Dataset) -> list[tuple[str, str]]:
    """(what, value as Markdown) for the last page: hashes of data, study, code, lock and weights; versions; seeds.

    Nothing of the machine, the day or the commit is in it: the same inputs give the same rows.
    """
    code = "the notebooks and all that they and the pages are made with (not set-up and command line)"
    seeds = "training seed 0" if study.published.seeds == 1 else f"training seeds 0–{study.published.seeds - 1}"
    weights, versions = [], []
    often: dict[str, list[str]] = defaultdict(list)
    for model in study.models.values():
        try:
            found = KINDS[model.kind].weights_sha256(model)
            weights += [(f"Weights, {model.title}", f"sha256 `{found}`")] if found else []
        except BatikError:
            weights.append((f"Weights, {model.title}", "not to be had"))
        t = repetition(model, study)
        often[f"{count(t.repeats, 'repeat')} × {count(t.seeds, 'training seed')}"].append(model.title)
    # Read without importing any of it; on most machines TensorFlow's package for processors alone is installed.
    for name in ("tensorflow", "tensorflow-cpu", *PACKAGES):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name.removesuffix('-cpu')} {importlib.metadata.version(name)}")
    repeated = "; ".join(f"{words} of {markdown(listed(titles))}" for words, titles in often.items())
    return [
        ("Data", f"{len(dataset)} images, {len(dataset.motifs)} motifs; sha256 `{dataset.fingerprint}`"),
        ("Study", f"{study.name}; sha256 `{digest(study.model_dump_json().encode())}`"),
        ("Code and notebooks", f"{code}; sha256 `{freshness.code_sha256()}`"),
        ("Lock (requirements.txt)", f"sha256 `{digest_source(ROOT / 'requirements.txt')}`"),
        *weights,
        ("Python", platform.python_version()),
        ("Packages", ", ".join(versions)),
        ("Seeds", f"single split: {seeds}; grouped cross-validation: {repeated}"),
    ]
