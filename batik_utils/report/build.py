"""From a study's name to its report: data, fits, notebooks, metrics.json, HTML, PDF, index; all of it or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_event_loop
from nbformat import NotebookNode
from rich.console import Console

from batik_utils.data.load import load_dataset
from batik_utils.data.obtain import NoPhotographs
from batik_utils.errors import BatikError
from batik_utils.experiment import Plan, make_plan, run_plan
from batik_utils.experiment.workers import release_workers
from batik_utils.figures import fold_dots
from batik_utils.files import write_text
from batik_utils.report import deploy
from batik_utils.report.analysis import Analysis
from batik_utils.report.cards import croissant, model_card
from batik_utils.report.display import render, use_report_style
from batik_utils.report.execute import run_notebook
from batik_utils.report.export import export
from batik_utils.report.index import write_index
from batik_utils.report.metrics_json import write_metrics
from batik_utils.report.provenance import run_record
from batik_utils.study import ROOT, Study, load_study
from batik_utils.values import Dataset, Results

SAMPLE_LINE = "Procedural sample, not batik photographs"


class Stages:
    """Times the stages of a run and says so, one line each."""

    def __init__(self, show: bool) -> None:
        self.console = Console(stderr=True, quiet=not show, highlight=False)
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def __call__(self, name: str, spinner: bool = True) -> Iterator[None]:
        """One stage; without spinner where the stage shows a progress bar of its own."""
        start = time.perf_counter()
        shown = self.console.status(f"{name} …") if spinner and self.console.is_terminal else contextlib.nullcontext()
        with shown:
            yield
        self.seconds[name] = time.perf_counter() - start
        self.console.print(f"  {name:<10} {self.seconds[name]:7.1f} s")


def build_report(
    study_name: str | Path,
    data: Path | None = None,
    full: bool = False,
    photos: bool = True,
    dask: str | None = None,
    jobs: int | None = None,
    precision: str = "float32",
    out: Path = ROOT / "reports",
    progress: bool = True,
    notebooks: Path = ROOT / "notebooks",
) -> Path:
    """Build one study's report and return its folder, out/STUDY.

    The folder gets metrics.json, report.html, report.pdf and run.json, and out gets index.html; files appear only
    when all of them were made. Where a study's photographs cannot be found, the procedural sample's report is made
    instead (out/sample), and one line says so. Raises BatikError with one clear message when anything is wrong.
    """
    stages = Stages(progress)
    study = load_study(study_name)
    chosen = str(study_name)
    with stages("data", spinner=False):
        try:
            dataset = load_dataset(study, data, progress=progress)
        except NoPhotographs as error:
            stages.console.print(f"{error}\nMaking the procedural sample's report instead, in {out.name}/sample/.")
            study, chosen, data = load_study("sample"), "sample", None
            dataset = load_dataset(study, None, progress=progress)
    stages.console.print(f"{study.title}\n  {len(dataset)} images, {dataset.source.description}")
    with stages("fits", spinner=False):
        plan, results = _results(study, dataset, full, dask, jobs, precision)
    parameters = {"STUDY": _portable(chosen), "DATA": str(data.resolve()) if data else "", "FULL": full}
    parameters |= {"PHOTOS": photos, "PRECISION": precision}
    with stages("notebooks"):
        executed = run_notebooks(notebooks, parameters, tags(study, dataset, photos))
    target = out / study.name
    with _together(target) as folder:
        with stages("metrics"):
            analysis = Analysis(study, dataset, results, full, plan.left_out, precision)
            write_metrics(folder / "metrics.json", analysis.metrics)
            (folder / "verdict.svg").write_bytes(verdict_figure(analysis))
            card = json.dumps(croissant(study, dataset, analysis.facts), indent=1, ensure_ascii=False) + "\n"
            (folder / "croissant.json").write_text(card, encoding="utf-8", newline="\n")
        with stages("model"):
            try:
                _save_model(plan, results, analysis.metrics, folder, target)
                name, info = deploy.best_info(study, analysis.metrics)
                write_text(folder / "model-card.md", model_card(study, name, info, analysis.metrics, analysis.facts))
            except BatikError as error:
                # A report without a model is still a report, and its fits took minutes.
                old = "; the one that is there is an older run's" if (target / "model.keras").is_file() else ""
                stages.console.print(f"No model is saved{old}: {error}", markup=False, soft_wrap=True)
        with stages("pages"):
            page, pdf = export(executed, about(study, dataset), photos)
            (folder / "report.html").write_text(page, encoding="utf-8", newline="\n")
            (folder / "report.pdf").write_bytes(pdf)
        record = run_record(
            study, dataset, stages.seconds, full=full, photos=photos, precision=precision, fits=len(results)
        )
        (folder / "run.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    write_index(out)
    return target


def _results(
    study: Study, dataset: Dataset, full: bool, dask: str | None, jobs: int | None, precision: str
) -> tuple[Plan, Results]:
    """The plan, and the results of all its fits; the ones that are in the cache are not done again."""
    plan = make_plan(study, dataset, full, precision=precision)
    results = run_plan(plan, jobs=jobs, executor=dask or "processes")
    if not dask:
        release_workers()
    for model in study.compare:
        if all(r.missing for r in results if r.fit.model == model):
            reasons = sorted({r.missing for r in results if r.fit.model == model})
            why = "; ".join(reasons)[:500] or "none was planned"
            raise BatikError(f"No fit of {study.models[model].title} in {study.name} succeeded: {why}.")
    return plan, results


def _save_model(plan: Plan, results: Results, metrics: dict[str, Any], folder: Path, target: Path) -> None:
    """Save the best model, unless the one that is there was made from the very same results."""
    made_from = _fingerprint(plan, results)
    stamp = "model.keras.from"
    old = target / stamp
    if old.is_file() and (target / "model.keras").is_file() and old.read_text(encoding="utf-8") == made_from:
        return
    deploy.save_best(plan, metrics, folder / "model.keras")
    (folder / stamp).write_text(made_from, encoding="utf-8")


def _fingerprint(plan: Plan, results: Results) -> str:
    # Keys alone would not do: they stay the same when a fit that had failed succeeds, and the best may then be another.
    digest = hashlib.sha256("".join(sorted(t.key for t in plan.tasks)).encode())
    for result in sorted(results, key=lambda r: r.fit.name):
        digest.update(f"{result.fit.name}\n{result.missing}\n".encode() + result.y_prob.tobytes())
    return digest.hexdigest()


def verdict_figure(analysis: Analysis) -> bytes:
    """The fold scores as an SVG file, for a README or a slide."""
    use_report_style()
    bars = {label: (i.low, i.high) for label, i in analysis.grouped_intervals.items()}
    scores = {label: analysis.fold_accuracies[label] for label in bars}
    return render(fold_dots(scores, bars, analysis.chance), "verdict", "svg")


def run_notebooks(folder: Path, parameters: dict[str, Any], keep: set[str]) -> list[NotebookNode]:
    """Execute a folder's notebooks, side by side, and return them in the order of their names."""
    paths = sorted(p for p in folder.glob("*.ipynb") if p.name[:1].isdigit())
    if not paths:
        raise BatikError(f"There are no notebooks in {folder.name}/ (their names begin with a number).")

    def run(path: Path) -> NotebookNode:
        try:
            return run_notebook(path, parameters, keep=keep)
        finally:
            ensure_event_loop().close()  # this thread's own, which nbclient leaves open

    # They only read results, so one need not wait for another.
    with ThreadPoolExecutor(max_workers=min(len(paths), os.cpu_count() or 1)) as pool:
        return list(pool.map(run, paths))


def tags(study: Study, dataset: Dataset, photos: bool) -> set[str]:
    """Which cells tagged only-X this study's report has."""
    models = study.models.values()
    metrics = {claim.metric for claim in study.claims}
    holds = {
        "sample": dataset.source.is_sample,
        "photographs": not dataset.source.is_sample,
        "photos": photos,
        "placeholders": not photos,
        "search": any(model.search for model in models),
        "claims": bool(study.claims),
        "seed": study.seed_study is not None,
        "mispaired": "paired_wrong_accuracy" in metrics,
    }
    return {name for name, true in holds.items() if true}


def about(study: Study, dataset: Dataset) -> dict[str, Any]:
    """The report's title page and running lines."""
    out: dict[str, Any] = {"title": study.title, "subtitle": study.question, "credit": []}
    if dataset.source.is_sample:
        out |= {"header": SAMPLE_LINE, "caption_prefix": SAMPLE_LINE, "drawn": True}
    seed = study.seed_study
    if seed is not None:
        authors = " and ".join(filter(None, [", ".join(seed.authors[:-1]), seed.authors[-1]])) if seed.authors else ""
        made = ", ".join(str(part) for part in (seed.institution, seed.year) if part)
        out["credit"] = [
            line for line in (f"Takes up “{seed.title}”", f"by {authors}" if authors else "", made) if line
        ]
    return out


def _portable(name: str) -> str:
    # Notebooks run in their own folder: a path to a study's file must not depend on where the command was given.
    return str(Path(name).resolve()) if name.endswith((".yaml", ".yml")) else name


@contextlib.contextmanager
def _together(target: Path) -> Iterator[Path]:
    """A folder for new files, which move into target when the block ends well, and vanish when it does not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield folder
        target.mkdir(exist_ok=True)
        for path in sorted(folder.iterdir()):
            os.replace(path, target / path.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
