"""From a study's name to its report, in two editions; what is made already is not made again.

Importing this imports nothing heavy: whether anything changed is answered before TensorFlow or pandas are needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batik_utils.data.obtain import NoPhotographs, cache_dir, find_photographs
from batik_utils.errors import BatikError
from batik_utils.files import digest, digest_json, read_sealed, write_json, write_sealed
from batik_utils.progress import Stages
from batik_utils.report.freshness import FACES, PAGES, Digests, Stamp, inputs, without
from batik_utils.study import ROOT, Study, load_study

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from batik_utils.experiment import Plan
    from batik_utils.report.analysis import Analysis
    from batik_utils.values import Dataset, Results

DRAWN_LINE = "Procedural sample, not batik photographs"
PRIVATE = "photographs"
"""The folder beside the studies' that is never committed: editions with photographs, models, records of runs."""
INDEXED = {"metrics.json", "report.html", "report.pdf"}
"""What the index tells of a study, or links."""
KEEP = 8
"""Kept files of each sort: the newest stay."""


@dataclass(frozen=True)
class Order:
    """What is to be built, and from what."""

    study: Study
    chosen: str
    """The study's name, or the whole path of its file: a kernel's working folder is another."""
    data: Path | None
    settings: tuple[str, ...]
    folder: Path | None
    """Where the photographs lie; None for drawn pictures."""
    place: str
    out: Path
    notebooks: tuple[Path, ...]

    @property
    def parameters(self) -> dict[str, str]:
        """The notebooks' parameters."""
        data = str(self.data.resolve()) if self.data else ""
        return {"STUDY": self.chosen, "DATA": data, "SET": " ".join(self.settings)}


@dataclass(frozen=True)
class Opened:
    """A study's data and results, opened: what the notebooks and the pages need of them."""

    about: dict[str, Any]
    facts: list[str]
    files: dict[str, str]
    """Committed beside the pages: {name: text}."""
    mapped: dict[str, str]
    """{file of images: sha256} that the snapshot needs."""
    results: str
    """One digest over the results and the keys of their fits."""


def build_report(
    study_name: str | Path,
    data: Path | None = None,
    settings: Sequence[str] = (),
    dask: str | None = None,
    jobs: int | None = None,
    out: Path = ROOT / "reports",
    progress: bool = True,
    notebooks: Path = ROOT / "notebooks",
) -> Path:
    """Build one study's report, where anything has changed, and return its folder, out/STUDY.

    out/STUDY gets the edition without photographs, out/photographs/STUDY (where there are any) the one with them,
    and out gets index.html; files appear only when all of them were made. Where no photographs can be found, the
    procedural sample's report is made instead, and one line says so. Raises BatikError with one clear message.
    """
    stages = Stages(progress)
    order = _order(study_name, data, settings, out, notebooks, stages)
    digests = Digests()
    found = inputs(order.study, order.folder, order.place, order.notebooks, digests)
    name = f"{order.study.name}-{digest(str(out.resolve()).encode())[:8]}"
    stamp = Stamp(cache_dir() / "builds" / f"{name}.json", digests)
    try:
        changed = stamp.changed(found, out)
        if changed:
            if stamp.known:
                stages.say(f"Changed: {', '.join(changed[:4])}{' …' if changed[4:] else ''}")
            _build(order, found, stamp, Kept(cache_dir() / "builds" / order.study.name), stages, dask, jobs)
        else:
            stages.say(f"Nothing has changed since {out.name}/{order.study.name}/ was made.")
        _index(out, found, digests)
    finally:
        digests.keep()
    return out / order.study.name


def _order(
    name: str | Path, data: Path | None, settings: Sequence[str], out: Path, notebooks: Path, stages: Stages
) -> Order:
    paths = tuple(sorted(p for p in notebooks.glob("*.ipynb") if p.name[:1].isdigit()))
    if not paths:
        raise BatikError(f"There are no notebooks in {notebooks.name}/ (their names begin with a number).")
    study, chosen = load_study(name, settings), str(name)
    if chosen.endswith((".yaml", ".yml")):
        chosen = str(Path(name).resolve())
    folder, place = None, "drawn"
    if study.data != "sample":
        try:
            folder, place = find_photographs(data, study.motifs)
        except NoPhotographs as error:
            stages.say(f"{error}\nMaking the procedural sample's report instead, in {out.name}/sample/.")
            study, chosen, data = load_study("sample", settings), "sample", None
    return Order(study, chosen, data, tuple(settings), folder, place, out, paths)


class Kept:
    """Files of one study's builds, each named by what it depends on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sort: str, key: str) -> Path:
        """Where a file of this sort is kept, or would be."""
        return self.folder / f"{sort}.{key[:20]}"

    def read(self, sort: str, key: str) -> bytes | None:
        """The content; None where there is none or it is damaged."""
        with contextlib.suppress(OSError):
            os.utime(self.path(sort, key))
        return read_sealed(self.path(sort, key))

    def write(self, sort: str, key: str, content: bytes) -> None:
        """Keep it, and let the oldest of its sort go."""
        write_sealed(self.path(sort, key), content)
        for path in sorted(self.folder.glob(f"{sort}.*"), key=lambda p: -p.stat().st_mtime_ns)[KEEP:]:
            path.unlink(missing_ok=True)


def _build(
    order: Order, found: dict[str, str], stamp: Stamp, kept: Kept, stages: Stages, dask: str | None, jobs: int | None
) -> None:
    study, digests = order.study, stamp.digests
    key = digest_json([without(found, *PAGES, *FACES, "notebooks/"), order.parameters])
    opened, plan, results = _reopened(kept, key, digests), None, None
    if opened is None:
        plan, analysis = _analyse(order, stages, dask, jobs)
        results = analysis.results
        with stages("analysis"):
            opened = _opened(plan, analysis, kept.path("snapshot", key), digests)
        if not results.missing:  # what failed is tried again the next time
            kept.write("opened", key, json.dumps(vars(opened)).encode())
    runs = _run_notebooks(order, found, digest_json([key, opened.results]), kept, key, opened.facts, stages)
    files = {f"{study.name}/{name}": text.encode() for name, text in opened.files.items()}
    editions = {study.name: False} | ({} if "drawn" in opened.facts else {f"{PRIVATE}/{study.name}": True})
    with stages("pages"):
        for place, photos in editions.items():
            page, pdf = _pages(runs, opened.about, photos, found, kept)
            files |= {f"{place}/report.html": page, f"{place}/report.pdf": pdf}
    _place(order.out, files)
    outputs = list(files)
    model = f"{PRIVATE}/{study.name}/model.keras"
    made_from = digest_json([opened.results, found.get("batik_utils/models/saved.py")])
    known = stamp.known.get("outputs", {}).get(model)
    complete = stamp.known.get("model") == made_from and known is not None and digests(order.out / model) == known
    if not complete:
        complete = _save_model(order, plan, order.out / model, stages)
    if plan is not None and results is not None:
        from batik_utils.report.provenance import run_record

        record = run_record(study, plan.dataset, stages.seconds, settings=list(order.settings), fits=len(results))
        write_json(order.out / PRIVATE / study.name / "run.json", record)
    if complete and not (results and results.missing):
        stamp.write(found, order.out, [*outputs, model], model=made_from)
    else:
        stamp.void()


def _analyse(order: Order, stages: Stages, dask: str | None, jobs: int | None) -> tuple[Plan, Analysis]:
    """The plan with its data, and its results; the fits that are in the cache are not done again."""
    from batik_utils.data.load import load_dataset
    from batik_utils.experiment import make_plan, run_plan
    from batik_utils.experiment.workers import release_workers
    from batik_utils.report.analysis import analyse

    study = order.study
    with stages("data", quiet=True):
        dataset = load_dataset(study, order.data, progress=stages.shown)
    stages.say(f"{study.title}\n  {len(dataset)} images, {dataset.source.description}")
    with stages("fits", quiet=True):
        plan = make_plan(study, dataset)
        results = run_plan(plan, jobs=jobs, executor=dask or "processes", progress=stages.shown)
        if not dask:
            release_workers()
    for model in study.compare:
        if all(r.missing for r in results if r.fit.model == model):
            reasons = sorted({r.missing for r in results if r.fit.model == model})
            why = "; ".join(reasons)[:500] or "none was planned"
            raise BatikError(f"No fit of {study.models[model].title} in {study.name} succeeded: {why}.")
    return plan, analyse(plan, results)


def _opened(plan: Plan, analysis: Analysis, snapshot: Path, digests: Digests) -> Opened:
    from batik_utils.report import snapshot as snapshots
    from batik_utils.report.cards import croissant, model_card
    from batik_utils.report.deploy import best_info
    from batik_utils.report.metrics_json import write_metrics

    study, dataset = analysis.study, analysis.dataset
    with tempfile.TemporaryDirectory(prefix="batik-") as room:
        write_metrics(Path(room) / "metrics.json", analysis.metrics)
        numbers = (Path(room) / "metrics.json").read_text(encoding="utf-8")
    files = {
        "metrics.json": numbers,
        "verdict.svg": verdict_figure(analysis),
        "croissant.json": json.dumps(croissant(study, dataset), indent=1, ensure_ascii=False) + "\n",
    }
    with contextlib.suppress(BatikError):  # no model can be saved, and the build will say why
        files["model-card.md"] = model_card(study, *best_info(study, analysis.results), analysis.metrics)
    mapped = {name: digests(Path(name)) for name in snapshots.save(snapshot, analysis)}
    made_from = fingerprint(plan, analysis.results)
    return Opened(about(study, dataset), sorted(analysis.facts), files, mapped, made_from)


def _reopened(kept: Kept, key: str, digests: Digests) -> Opened | None:
    """What an earlier build opened, where all of it is still there."""
    content = kept.read("opened", key)
    if content is None or kept.read("snapshot", key) is None:
        return None
    opened = Opened(**json.loads(content))
    return opened if all(digests(Path(name)) == sha for name, sha in opened.mapped.items()) else None


def _run_notebooks(
    order: Order, found: dict[str, str], made_from: str, kept: Kept, snapshot: str, facts: list[str], stages: Stages
) -> list[NotebookNode]:
    """Every notebook executed: those whose cells, code and results are as they were come out of the cache."""
    import nbformat

    from batik_utils.report.execute import run_notebook
    from batik_utils.report.provenance import code_sha256
    from batik_utils.report.snapshot import VARIABLE

    code = code_sha256()
    keys = {path: digest_json([made_from, found[f"notebooks/{path.name}"]]) for path in order.notebooks}
    texts = {path: kept.read(f"run-{path.stem}", key) for path, key in keys.items()}
    environment = {VARIABLE: str(kept.path("snapshot", snapshot))}

    async def run(path: Path) -> None:
        executed = await run_notebook(path, order.parameters, set(facts), environment)
        texts[path] = f"{code}\n{nbformat.writes(executed)}".encode()
        kept.write(f"run-{path.stem}", keys[path], texts[path])

    async def run_all(paths: list[Path]) -> None:
        # They only read results, so one need not wait for another.
        async with asyncio.TaskGroup() as group:
            for path in paths:
                group.create_task(run(path))

    if missing := [path for path, text in texts.items() if text is None]:
        with stages("notebooks"):
            try:
                asyncio.run(run_all(missing))
            except* BatikError as errors:
                raise errors.exceptions[0] from None
    runs = []
    for path in order.notebooks:
        # The last page names one digest over all code and all notebooks, which may have changed since this one ran.
        then, text = texts[path].decode().split("\n", 1)
        runs.append(nbformat.reads(text.replace(then, code), as_version=4))
    return runs


def _pages(
    runs: list[NotebookNode], about: dict[str, Any], photos: bool, found: Mapping[str, str], kept: Kept
) -> tuple[bytes, bytes]:
    """HTML and PDF of one edition; the one without photographs is made of notebooks that hold none."""
    from batik_utils.report.export import export

    if not photos and not about["drawn"]:
        for cell in (cell for run in runs for cell in run.cells):
            for output in cell.get("outputs", []):
                for kind in ("image/jpeg", "image/png"):
                    output.get("data", {}).pop(kind, None)
    style = {name: value for name, value in found.items() if name.startswith(PAGES)}
    key, sort = digest_json([runs, about, photos, style]), PRIVATE if photos else "public"
    page, pdf = kept.read(f"html-{sort}", key), kept.read(f"pdf-{sort}", key)
    if page is None or pdf is None:
        text, pdf = export(runs, about, photos)
        page = text.encode()
        kept.write(f"html-{sort}", key, page)
        kept.write(f"pdf-{sort}", key, pdf)
    return page, pdf


def _place(out: Path, files: Mapping[str, bytes]) -> None:
    """Put files (relative to out) where they belong, when all of them could be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".batik-", dir=out) as name:
            for number, content in enumerate(files.values()):
                (Path(name) / str(number)).write_bytes(content)
            for number, file in enumerate(files):
                (out / file).parent.mkdir(parents=True, exist_ok=True)
                os.replace(Path(name) / str(number), out / file)
    except OSError as error:
        raise BatikError(f"The report cannot be written in {out.name}/ ({error.strerror or error}).") from None


def _save_model(order: Order, plan: Plan | None, path: Path, stages: Stages) -> bool:
    """Save the study's best model; False, said in one line, where it cannot be: a report is one without it too."""
    from batik_utils.experiment import Store, open_plan
    from batik_utils.report.deploy import save_best

    with stages("model"):
        plan = plan or open_plan(order.chosen, order.data, order.settings)
        try:
            save_best(plan, Store(plan.study.name).load(plan), path)
        except BatikError as error:
            old = "; the one that is there is an older run's" if path.is_file() else ""
            stages.say(f"No model is saved{old}: {error}")
            return False
    return True


def _index(out: Path, found: Mapping[str, str], digests: Digests) -> None:
    """Make out/index.html anew where any study's numbers or pages came or went, or the page was touched."""
    own = {name: value for name, value in found.items() if "index" in name or name.endswith("report.css")}
    made = {f"{p.parent.name}/{p.name}": digests(p) for p in out.glob("*/*") if p.name in INDEXED}
    made = {name: sha if name.endswith("metrics.json") else "there" for name, sha in made.items()}
    stamp = Stamp(cache_dir() / "builds" / f"index-{digest(str(out.resolve()).encode())[:8]}.json", digests)
    if stamp.changed(own | made, out):
        from batik_utils.report.index import write_index

        write_index(out)
        stamp.write(own | made, out, ["index.html"])


def verdict_figure(analysis: Analysis) -> str:
    """The fold scores as an SVG file, for a README or a slide."""
    from batik_utils.figures import fold_dots
    from batik_utils.report.display import render, use_report_style

    use_report_style()
    bars = {title: (i.low, i.high) for title, i in analysis.grouped_intervals.items()}
    scores = {title: analysis.fold_accuracies[title] for title in bars}
    return render(fold_dots(scores, bars, analysis.chance), "verdict", "svg").decode()


def fingerprint(plan: Plan, results: Results) -> str:
    """One digest over the results with the keys of their fits: a fit that failed may succeed under the same key."""
    rows = sorted((r.fit.name, r.missing, digest(r.y_prob.tobytes())) for r in results)
    return digest_json([sorted(task.key for task in plan.tasks), rows])


def about(study: Study, dataset: Dataset) -> dict[str, Any]:
    """The report's title page and running lines."""
    drawn, seed = dataset.source.is_drawn, study.seed_study
    credit = []
    if seed is not None:
        authors = " and ".join(part for part in (", ".join(seed.authors[:-1]), *seed.authors[-1:]) if part)
        made = ", ".join(str(part) for part in (seed.institution, seed.year) if part)
        credit = [line for line in (f"Takes up “{seed.title}”", f"by {authors}" if authors else "", made) if line]
    line = DRAWN_LINE if drawn else ""
    out = {"title": study.title, "subtitle": study.question, "credit": credit, "drawn": drawn}
    return out | {"header": line, "caption_prefix": line}

