"""What one study's run says of itself in given forms: data card (Croissant), model card, and checklist (REFORMS)."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import mlcroissant as mlc
import numpy as np
import yaml

from batik_utils.deploy import CLASSIFIER
from batik_utils.models.kinds import KINDS
from batik_utils.report.pages import JINJA
from batik_utils.report.provenance import repetitions
from batik_utils.study import Augmentation, Study
from batik_utils.values import Dataset
from batik_utils.wording import motif_names, percent

FACTS = ("published", "folder", "drawn", "seed", "search", "claims", "sources", "corruptions")
"""What a template may ask: where the pictures are from (one of the first three), and what the study has."""
SOURCES = yaml.safe_load(Path(__file__).with_name("cards.yaml").read_text(encoding="utf-8"))
"""What is said of the pictures, by the first three of FACTS."""
CHECKLIST = yaml.safe_load(Path(__file__).with_name("reforms.yaml").read_text(encoding="utf-8"))
"""The REFORMS checklist (Kapoor et al. 2024), 32 items."""
_MIME = {"JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "GIF": "image/gif", "WEBP": "image/webp"}


def fill(template: str, facts: Collection[str], **values: Any) -> str:
    """The text of a template, given FACTS as true or false, the published collection, and these values."""
    known = {fact: fact in facts for fact in FACTS} | {"collection": SOURCES["published"]}
    return JINJA.from_string(template).render(known | values)


def picture_values(dataset: Dataset) -> dict[str, Any]:
    """What texts say of a data set in numbers."""
    motifs, counts = motif_names(dataset.motifs), np.bincount(dataset.labels, minlength=len(dataset.motifs))
    return {
        "source": dataset.source,
        "motifs": motifs,
        "images": len(dataset),
        "counts": [f"{name} {n}" for name, n in zip(motifs, counts, strict=True)],
        "groups": len(np.unique(dataset.groups)),
        "skipped": [f"`{path}`" for path, _ in dataset.skipped],
        "balanced": counts.max() <= 1.5 * counts.min(),
        "chance": float(counts.max() / counts.sum()),
    }


def croissant(study: Study, dataset: Dataset, facts: Collection[str]) -> dict[str, Any]:
    """Croissant 1.0 metadata (JSON-LD, schema.org and mlcommons.org/croissant) of a study's data.

    Every file with its sha256 and size, and path, motif, group of near-duplicates and hash of each image. The same
    data give the same dictionary. No archive is named: its hash would not be known.
    """
    about = next(SOURCES[fact] for fact in FACTS if fact in facts)
    fields = {
        "path": (mlc.DataType.TEXT, "Path of the image, relative to the data folder."),
        "motif": (mlc.DataType.TEXT, f"The label. {about['label']}"),
        "group": (mlc.DataType.INTEGER, "Images with one number are copies of one another, as the audit finds."),
        "sha256": (mlc.DataType.TEXT, about["sha256"]),
    }
    images = mlc.RecordSet(
        id="images",
        name="images",
        description=f"The {len(dataset)} images in label order.",
        fields=[mlc.Field(id=f"images/{n}", name=n, description=d, data_types=[t]) for n, (t, d) in fields.items()],
        data=[
            dict(zip((f"images/{name}" for name in fields), (path, path.split("/")[0], group, sha256), strict=True))
            for path, group, sha256 in zip(dataset.paths, dataset.groups.tolist(), dataset.sha256, strict=True)
        ],
    )
    files = zip(dataset.paths, dataset.sha256, dataset.facts or ({},) * len(dataset), strict=True)
    distribution = [
        mlc.FileObject(
            id=path,
            name=path,
            content_url=path,
            content_size=f"{fact['bytes']} B" if "bytes" in fact else None,
            encoding_formats=[_MIME.get(fact.get("format", ""), "application/octet-stream")],
            sha256=sha256,
        )
        for path, sha256, fact in files
        if "drawn" not in facts
    ]
    return mlc.Metadata(
        name=f"batik-report-{study.name}",
        description=" ".join(fill(about["description"], facts, study=study, **picture_values(dataset)).split()),
        url=about["url"],
        license=[about["licence"]],
        creators=[mlc.Person(**person) for person in about["creators"]],
        version="1.0.0",
        cite_as=about["citation"],
        keywords=about["keywords"],
        distribution=distribution,
        record_sets=[images],
    ).to_json()


def model_card(
    study: Study, model: str, info: Mapping[str, Any], metrics: Mapping[str, Any], facts: Collection[str]
) -> str:
    """A Markdown card for one saved model of the study.

    info holds plain values about the saved file, each shown as a row; metrics is what metrics.json holds, and
    what it lacks is said to be missing.
    """
    spec, measured = study.models[model], metrics.get("models", {}).get(model, {})
    values = {"study": study, "motifs": motif_names(study.motifs), "images": metrics.get("data", {}).get("images")}
    values |= {"spec": spec, "about": KINDS[spec.kind].describe(spec), "measured": measured, "info": info}
    return fill("{% include 'model-card.md.j2' %}", facts, **values) + "\n"


def card_rows(deployed: Mapping[str, Any]) -> dict[str, Any]:
    """What a model card says of the file, from the part "deployed" of metrics.json."""
    rows = {"file": CLASSIFIER, "format": f"LiteRT, {deployed['precision']}, {deployed['bytes'] / 1e6:.1f} MB"}
    rows |= {"parameters": f"{deployed['parameters']:,}"} | ({"chosen": said} if (said := deployed["variant"]) else {})
    rows |= {"temperature": deployed["temperature"], "evidence": deployed["evidence"]}
    if gate := deployed["gate"]:
        rows["ordinary pictures turned away"] = percent(gate["ordinary_turned_away"])
        rows["own pictures turned away"] = percent(gate["own_turned_away"])
    return rows


def reforms_table(
    study: Study, dataset: Dataset, metrics: Mapping[str, Any], facts: Collection[str]
) -> list[tuple[str, str, str, str, str]]:
    """(number, module, item, answer, section id) of all 32 items, in the checklist's order.

    metrics is what metrics.json holds; what it lacks is left out of an answer, never made up. facts choose among an
    item's answers (see reforms.yaml): the first whose key is a fact, else "answer".
    """
    scores = metrics.get("models", {})
    # A model whose weights could not be had is named in the metrics, with no protocol's figures.
    measured = {name for name, model in scores.items() if "grouped" in model or "published" in model}
    fitted = {name: model for name, model in study.models.items() if not measured or name in measured}
    titles = {name: model.title for name, model in study.models.items()}
    grouped = {titles[name]: scores.get(name, {}).get("grouped") or {} for name in study.compare}
    permuted = {titles[name]: found["permuted"] for name, found in scores.items() if found.get("permuted")}
    values = picture_values(dataset) | {
        "study": study,
        "models": [model.title for model in fitted.values()],
        "often": repetitions(study, fitted),
        "chosen": [f"{model.title} among {model.settings}" for model in fitted.values() if model.kind == "recipe"],
        "tuned": [model.title for model in fitted.values() if getattr(model, "tuned", None)],
        "frozen": study.models[study.compare[0]].kind != "recipe",
        "searched": [model.title for model in fitted.values() if model.search is not None],
        "augmented": any(model.augmentation != Augmentation() for model in fitted.values()),
        "stand_ins": any(getattr(model, "stand_in", None) for model in study.models.values()),
        "compare": list(grouped),
        "intervals": [(title, found["interval"]) for title, found in grouped.items() if found.get("interval")],
        "baselines": [(name, found["accuracy"]) for name, found in sorted(metrics.get("baselines", {}).items())],
        "permuted": [(title, found["accuracy"]) for title, found in sorted(permuted.items())],
    }

    def filled(template: str) -> str:
        # Ordinary spaces only: no-break spaces in numbers stay.
        return re.sub("[ \n]+", " ", fill(template, facts, **values)).strip()

    rows = []
    for module, item in ((part["module"], item) for part in CHECKLIST for item in part["items"]):
        answer = next((text for key, text in item.items() if key in facts), item.get("answer", ""))
        rows.append((item["number"], module, item["item"], filled(answer), filled(item["section"])))
    return rows
