"""Index and README of all studies (made anew by running this), model card, checklist and provenance of one."""

import contextlib
import importlib.metadata
import platform
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from batik_utils.cache import digest, digest_source, write_text
from batik_utils.deploy import PRIVATE
from batik_utils.errors import BatikError
from batik_utils.models.kinds import KINDS, repetition
from batik_utils.report import freshness
from batik_utils.report.display import JINJA
from batik_utils.report.metrics import headline, read_metrics, scores_of
from batik_utils.stats.compare import uneven
from batik_utils.study import ROOT, Study
from batik_utils.study_file import load_study, read_yaml, study_names
from batik_utils.values import Dataset
from batik_utils.wording import NBSP, count, listed, markdown, motif_names

# What the index links to, where it is there; not the classifier, whose runtime is not ours to commit.
FILES = {
    "report.html": "Read the report",
    "report.pdf": "PDF",
    "metrics.json": "Numbers",
    "model-card.md": "Model card",
    "reforms.md": "Checklist",
    "verdict.svg": "Figure",
}
MARKS = re.compile(r"(<!-- results: (.+?) -->\n).*?(<!-- end of results -->)", re.DOTALL)
# What a template may ask: where the pictures are from (one of the first three), and what the study has.
FACTS = ("published", "folder", "drawn", "seed", "claims", "sources", "corruptions")
COLLECTION = {  # where published pictures are from
    "name": "Indonesian Batik Motifs",
    "url": "https://www.kaggle.com/datasets/dionisiusdh/indonesian-batik-motifs",
}


def write_index(reports: Path) -> list[str]:
    """Write reports/index.html and, of one's own pictures, reports/photographs/index.html; returns who is left out."""
    studies, left_out = [], []
    for path in sorted(reports.glob("*/metrics.json")):
        try:
            metrics = read_metrics(path)
        except BatikError as error:
            left_out.append(f"Not in index.html: {error}")
            continue
        studies.append(_rows(path.parent, metrics))
    studies.sort(key=lambda study: study["data"]["drawn"])
    citation = read_yaml((ROOT / "CITATION.cff").read_bytes(), "CITATION.cff")
    paper, template = (reports / "paper" / "report.html").is_file(), JINJA.overlay(autoescape=True, finalize=None)
    for path, up in (reports / "index.html", ""), (reports / PRIVATE / "index.html", "../"):
        shown = [study for study in studies if (study["data"]["kind"] == "folder") == bool(up)]
        page = template.get_template("index.html").render(studies=shown, citation=citation, paper=paper, up=up) + "\n"
        if (shown or not up) and not (path.is_file() and path.read_bytes() == page.encode()):
            write_text(path, page)
    return left_out


def _rows(folder: Path, metrics: dict[str, Any]) -> dict[str, Any]:
    """What index and README tell of a study: its metrics, files, minutes, and models, best first."""
    scores, verdict = scores_of(metrics), metrics["verdict"]
    models = {
        name: model | {protocol: scores.get((name, protocol)) for protocol in ("published", "grouped", "sources")}
        for name, model in metrics["models"].items()
        if model["kind"] != "baseline"
    }
    # Best in cross-validation first, those without results last.
    ranked = sorted(models.values(), key=lambda m: (-(m["grouped"] or {"value": 0})["value"], m["title"]))
    rows: dict[str, Any] = {"compared": [models[verdict["a"]], models[verdict["b"]]], "ranked": ranked}
    rows |= {"head": headline(metrics), "name": folder.name}
    rows |= {"files": {name: title for name, title in FILES.items() if (folder / name).is_file()}}
    return metrics | rows | {"minutes": load_study(folder.name).minutes if folder.name in study_names() else ""}


def update_readme(path: Path = ROOT / "README.md", reports: Path = ROOT / "reports") -> None:
    """Make the tables between README's marks anew; the first of them names the studies. Raises BatikError without."""
    text = path.read_text(encoding="utf-8")
    if not MARKS.search(text):
        raise BatikError(f"{path.name} has no table of results: it stands between <!-- results: … --> and an end mark.")
    write_text(path, MARKS.sub(lambda found: found[1] + readme_table(reports, found[2].split()) + found[3], text))


def readme_table(reports: Path, studies: Sequence[str]) -> str:
    """A Markdown table, a row for each model of a study's verdict: accuracy with copies together, by source, files."""
    rows = [_rows(reports / name, read_metrics(reports / name / "metrics.json")) for name in studies]
    return JINJA.get_template("readme.md.j2").render(reports=reports.name, studies=rows).replace(NBSP, " ")


def model_card(
    study: Study, model: str, deployed: Mapping[str, Any], metrics: Mapping[str, Any], facts: Collection[str]
) -> str:
    """A Markdown card for a model of the study; deployed is the part "classifier" of its metrics, or empty."""
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
    """(what, Markdown) for the last page: hashes, versions, seeds; nothing of the machine, the day or the commit."""
    seeds = "training seed 0" if study.published.seeds == 1 else f"training seeds 0–{study.published.seeds - 1}"
    weights, versions = [], []
    often: dict[str, list[str]] = defaultdict(list)
    for model in study.models.values():
        if found := KINDS[model.kind].weights_sha256(model):
            weights.append((f"Weights, {model.title}", f"sha256 `{found}`"))
        t = repetition(model, study)
        often[f"{count(t.repeats, 'repeat')} × {count(t.seeds, 'training seed')}"].append(model.title)
    # Read without importing any of it; on most machines TensorFlow's package for processors alone is installed.
    for name in ("tensorflow", "tensorflow-cpu", "keras", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name.removesuffix('-cpu')} {importlib.metadata.version(name)}")
    repeated = "; ".join(f"{words} of {markdown(listed(titles))}" for words, titles in often.items())
    return [
        ("Data", f"{len(dataset)} images, {len(dataset.motifs)} motifs; sha256 `{dataset.fingerprint}`"),
        ("Study", f"{study.name}; sha256 `{digest(study.model_dump_json().encode())}`"),
        ("Code and notebooks", f"sha256 `{freshness.code_sha256()}`"),
        ("Lock (requirements.txt)", f"sha256 `{digest_source(ROOT / 'requirements.txt')}`"),
        *weights,
        ("Versions", ", ".join([f"Python {platform.python_version()}", *versions])),
        ("Seeds", f"single split: {seeds}; grouped cross-validation: {repeated}"),
    ]


if __name__ == "__main__":
    update_readme()
