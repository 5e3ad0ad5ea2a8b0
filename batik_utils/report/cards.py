"""Cards: Croissant metadata of the data set actually used, and a Markdown card for a saved model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlcroissant as mlc
import numpy as np

from batik_utils.study import PretrainedModel, Study
from batik_utils.values import Dataset
from batik_utils.wording import Band, percent, percent_range

KAGGLE = "https://www.kaggle.com/datasets/dionisiusdh/indonesian-batik-motifs"
LICENCE = "unverified"
"""Of the photographs: the publisher collected them from the web, and many carry watermarks."""

_MIME = {"JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "GIF": "image/gif", "WEBP": "image/webp"}


def croissant(study: Study, dataset: Dataset) -> dict[str, Any]:
    """Croissant 1.0 metadata (JSON-LD, schema.org and mlcommons.org/croissant) of a study's data.

    Every file with its sha256 and size; a record set with path, motif, group of near-duplicates and hash of
    each image. Deterministic: it knows no clock, and the same data give the same dictionary. Kaggle publishes
    one archive whose hash is not known here, so the files are described as they lie in the data folder.
    """
    sample = dataset.source.is_drawn
    files = [] if sample else _files(dataset)
    rows = [
        {"images/path": path, "images/motif": path.split("/")[0], "images/group": int(group), "images/sha256": sha256}
        for path, group, sha256 in zip(dataset.paths, dataset.groups, dataset.sha256, strict=True)
    ]
    fields = [
        ("path", mlc.DataType.TEXT, "Path of the image, relative to the data folder."),
        ("motif", mlc.DataType.TEXT, "The label: the folder that the publisher put the image in."),
        (
            "group",
            mlc.DataType.INTEGER,
            "Images with one number are copies of one another, as this project's audit finds.",
        ),
        ("sha256", mlc.DataType.TEXT, "Hash of the drawn pixels." if sample else "Hash of the file's bytes."),
    ]
    metadata = mlc.Metadata(
        name=f"batik-{study.name}",
        description=_description(study, dataset),
        url=None if sample else KAGGLE,
        license=["MIT"] if sample else [f"{LICENCE}: see {KAGGLE}"],
        creators=[] if sample else [mlc.Person(name="dionisiusdh", url="https://www.kaggle.com/dionisiusdh")],
        version="1.0.0",
        cite_as=None if sample else f"dionisiusdh, Indonesian Batik Motifs, Kaggle, {KAGGLE}",
        keywords=["batik", "Indonesia", "image classification"],
        distribution=files,
        record_sets=[
            mlc.RecordSet(
                id="images",
                name="images",
                description=f"The {len(dataset)} images in label order.",
                fields=[
                    mlc.Field(id=f"images/{name}", name=name, description=text, data_types=[kind])
                    for name, kind, text in fields
                ],
                data=rows,
            )
        ],
    )
    return metadata.to_json()


def model_card(study: Study, model: str, info: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """A Markdown card for one saved model of the study.

    info holds plain values about the saved file, each shown as a row; metrics is what metrics.json holds, and
    what it lacks is said to be missing.
    """
    spec = study.models[model]
    found = metrics.get("models", {}).get(model, {})
    pretrained = isinstance(spec, PretrainedModel)
    sample = study.data == "sample"
    kind = (
        f"{spec.backbone} with frozen ImageNet weights, global average pooling and a trained classification head"
        if pretrained
        else f"{spec.architecture}, a convolutional network trained from random weights"
    )
    parameters = found.get("parameters")
    motifs = ", ".join(m.split("-", 1)[-1].capitalize() for m in study.motifs)
    data = (
        "Pictures that this project draws itself (the procedural sample); no batik photograph was seen in training."
        if sample
        else f"Photographs from {KAGGLE}, collected from the web by its publisher; their licence is {LICENCE}."
    )
    lines = [
        f"# {spec.title} ({study.name})",
        "",
        f"A classifier of {len(study.motifs)} motifs ({motifs}): {kind}"
        + (f"; {parameters:,} parameters in all." if parameters else "."),
        "",
        "## Training data",
        "",
        data,
        f"{metrics.get('data', {}).get('images', 'An unknown number of')} images; each file's hash is in the Croissant "
        "metadata of the study's report.",
        "",
        "## Intended use",
        "",
        "Teaching, and reproducing the study that it belongs to. It takes one RGB picture (0–255) of "
        f"{study.image.size} × {study.image.size} pixels and answers with one probability per motif.",
        "",
        "## Limits",
        "",
        "- It always names one of its motifs, also for a picture that shows none of them.",
        *(
            ["- It has never seen batik: it knows pictures that this project draws, and nothing else."]
            if sample
            else [
                "- It knows few photographs of each motif, from few sources; another camera, cloth or shop is another "
                "population.",
                "- Labels are the publisher's folders and were not checked by a batik expert.",
            ]
        ),
        "- Not for judging authenticity, origin, value or ownership of a cloth.",
        "",
        "## Figures",
        "",
        "| protocol | accuracy | 95 % interval | macro F1 | images |",
        "|---|---|---|---|---|",
        *_figures(found),
        "",
        "The published protocol is one split of few images; the grouped one is repeated stratified cross-validation in "
        "which near-duplicates stay on one side, and is the figure to quote. The saved model is one fit: the figures "
        "are of the recipe, not of this file.",
        "",
    ]
    if info:
        lines += ["## The file", "", "| what | value |", "|---|---|"]
        lines += [f"| {key} | {_cell(value)} |" for key, value in sorted(info.items())]
        lines.append("")
    lines += ["## Licence", "", "Code and what was trained here: MIT." + _licence(pretrained, sample), ""]
    return "\n".join(lines)


def _files(dataset: Dataset) -> list[mlc.FileObject]:
    facts = dataset.facts or ({},) * len(dataset)
    return [
        mlc.FileObject(
            id=path,
            name=path,
            content_url=path,
            content_size=f"{fact['bytes']} B" if "bytes" in fact else None,
            encoding_formats=[_MIME.get(fact.get("format", ""), "application/octet-stream")],
            sha256=sha256,
        )
        for path, sha256, fact in zip(dataset.paths, dataset.sha256, facts, strict=True)
    ]


def _description(study: Study, dataset: Dataset) -> str:
    counts = np.bincount(dataset.labels, minlength=len(dataset.motifs))
    listed = ", ".join(f"{motif} ({count})" for motif, count in zip(dataset.motifs, counts, strict=True))
    if dataset.source.is_drawn:
        return f"A procedural sample that this project draws itself, not batik photographs: {listed}."
    return (
        f"The part of “Indonesian Batik Motifs” that the study {study.name} uses: {listed}. Photographs that "
        f"the publisher collected from the web; the licence is {LICENCE}, many carry watermarks, and they are not part "
        f"of this project. Against the published list {dataset.source.identical} files are identical, "
        f"{dataset.source.altered} altered, {dataset.source.missing} missing; {len(dataset.skipped)} could not be used."
    )


def _figures(found: Mapping[str, Any]) -> list[str]:
    out = []
    for protocol in ("published", "grouped"):
        got = found.get(protocol)
        if not got:
            out.append(f"| {protocol} | not measured | | | |")
            continue
        low, high = got.get("interval") or (None, None)
        band = "not known" if low is None else f"{percent_range(Band(low, high))}"
        out.append(f"| {protocol} | {percent(got['accuracy'])} | {band} | {got['macro_f1']:.3f} | {got['n_test']} |")
    return out


def _licence(pretrained: bool, sample: bool) -> str:
    out = " The backbone's ImageNet weights keep the licence of their own publisher." if pretrained else ""
    return out + ("" if sample else f" The training photographs' licence is {LICENCE}; none is in this file.")


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
