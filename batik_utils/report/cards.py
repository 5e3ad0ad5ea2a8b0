"""What one study's run says of itself in given forms: model card, with its data section, and checklist (REFORMS)."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from batik_utils.deploy import CLASSIFIER
from batik_utils.models.kinds import KINDS
from batik_utils.report.metrics import scores_of
from batik_utils.report.pages import JINJA
from batik_utils.study import Study
from batik_utils.values import Dataset
from batik_utils.wording import Band, motif_names, percent, percent_range

FACTS = ("published", "folder", "drawn", "seed", "search", "claims", "sources", "corruptions")
"""What a template may ask: where the pictures are from (one of the first three), and what the study has."""
COLLECTION = {
    "name": "Indonesian Batik Motifs",
    "url": "https://www.kaggle.com/datasets/dionisiusdh/indonesian-batik-motifs",
}
"""Where published pictures are from."""


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
    rows |= {"chosen": deployed["variant"]} if deployed["variant"] else {}
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
