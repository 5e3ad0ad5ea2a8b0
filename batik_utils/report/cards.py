"""What one study's run says of itself in given forms: model card, checklist (REFORMS), and what it was made from."""

import contextlib
import importlib.metadata
import platform
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from batik_utils.cache import digest, digest_source
from batik_utils.deploy import CLASSIFIER
from batik_utils.errors import BatikError
from batik_utils.models.kinds import KINDS, repetition
from batik_utils.report import freshness
from batik_utils.report.metrics import scores_of
from batik_utils.report.pages import JINJA
from batik_utils.study import ROOT, Study
from batik_utils.values import Dataset
from batik_utils.wording import Band, count, listed, motif_names, percent, percent_range

FACTS = ("published", "folder", "drawn", "seed", "claims", "sources", "corruptions")
"""What a template may ask: where the pictures are from (one of the first three), and what the study has."""
COLLECTION = {
    "name": "Indonesian Batik Motifs",
    "url": "https://www.kaggle.com/datasets/dionisiusdh/indonesian-batik-motifs",
}
"""Where published pictures are from."""
PACKAGES = ("keras", "numpy", "scikit-learn", "scipy", "pandas", "matplotlib", "pillow", "pypandoc-binary", "typst")


def model_card(
    study: Study, model: str, info: Mapping[str, Any], metrics: Mapping[str, Any], facts: Collection[str]
) -> str:
    """A Markdown card for one saved model of the study.

    info holds plain values about the saved file, each shown as a row; metrics is what metrics.json holds, and
    what it lacks is said to be missing.
    """
    spec, data = study.models[model], metrics["data"]
    names = {
        "published": "published" if "seed" in facts else "single split",
        "grouped": "grouped",
        "sources": "sources",
    }
    accuracies, f1 = scores_of(metrics), scores_of(metrics, "macro_f1")
    rows = {name: (accuracies.get((model, p)), f1.get((model, p))) for p, name in names.items()}
    counts = [f"{name} {n}" for name, n in zip(motif_names(data["motifs"]), data["per_motif"].values(), strict=True)]
    about = {"spec": spec, "about": KINDS[spec.kind].describe(spec), "rows": rows, "info": info, "data": data}
    return _filled("model-card.md.j2", study, facts, motifs=motif_names(study.motifs), counts=counts, **about)


def card_rows(deployed: Mapping[str, Any]) -> dict[str, Any]:
    """What a model card says of the file, from the part "classifier" of metrics.json."""
    rows = {"file": CLASSIFIER, "format": f"LiteRT, {deployed['precision']}, {deployed['bytes'] / 1e6:.1f} MB"}
    rows |= {"parameters": f"{deployed['parameters']:,}"}
    rows |= {"temperature": deployed["temperature"], "evidence": deployed["evidence"]}
    rows["kept on one side to measure"] = "whole sources" if deployed["protocol"] == "sources" else "near-duplicates"
    if found := deployed["calibration"]:
        rows["calibration error"] = f"{percent(found['error'])} ({found['n']} pictures)"
    if sets := deployed["sets"]:
        rows |= {"sets hold the true motif": _held(sets["measured"])}
        names = motif_names(list(sets["per_motif"]))
        rows |= {f"sets hold {name}": _held(part) for name, part in zip(names, sets["per_motif"].values(), strict=True)}
    if gate := deployed["gate"]:
        rows["ordinary pictures turned away"] = f"{percent(gate['ordinary_turned_away'])} of {gate['n_ordinary']}"
        rows["own pictures turned away"] = f"{percent(gate['own_turned_away'])} of {gate['n_own']}"
        if gate["n_others"]:
            rows["other motifs turned away"] = f"{percent(gate['others_turned_away'])} of {gate['n_others']}"
    return rows


def _held(part: Mapping[str, Any]) -> str:
    band = percent_range(Band(part["low"], part["high"]))
    return f"{percent(part['value'])} of {part['n']} pictures ({band})"


def checklist(study: Study, dataset: Dataset, facts: Collection[str]) -> str:
    """The REFORMS checklist (Kapoor et al. 2024), answered for this study, as Markdown."""
    distinct = len(np.unique(dataset.groups))
    return _filled("reforms.md", study, facts, motifs=motif_names(dataset.motifs), images=len(dataset), groups=distinct)


def _filled(template: str, study: Study, facts: Collection[str], **values: Any) -> str:
    known = {fact: fact in facts for fact in FACTS} | {"study": study, "collection": COLLECTION}
    return JINJA.get_template(template).render(known | values) + "\n"


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
