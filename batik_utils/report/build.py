"""From a study's name to its report, in two editions; what is made already is not made again.

Importing this imports nothing heavy: whether anything changed is answered before TensorFlow or pandas are needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batik_utils.data.obtain import NoPhotographs, cache_dir, find_photographs
from batik_utils.errors import BatikError
from batik_utils.files import digest, digest_json, write_bytes, write_json
from batik_utils.progress import Stages
from batik_utils.report.freshness import FACES, FIGURES, PAGES, Digests, Kept, Stamp, inputs, without
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


def build_report(
    study: str | Path,
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
    build = Build(study, data, settings, out, notebooks, Stages(progress))
    changed = build.stamp.changed(build.found, out)
    try:
        if not changed:
            build.stages.say(f"Nothing has changed since {out.name}/{build.study.name}/ was made.")
        else:
            if build.stamp.known:
                build.stages.say(f"Changed: {', '.join(changed[:4])}{' …' if changed[4:] else ''}")
            build.make(dask, jobs)
        build.index()
    finally:
        build.digests.keep()
    return out / build.study.name


class Build:
    """One study's build: what it is made from, and its steps."""

    def __init__(
        self, study: str | Path, data: Path | None, settings: Sequence[str], out: Path, notebooks: Path, stages: Stages
    ) -> None:
        self.notebooks = sorted(p for p in notebooks.glob("*.ipynb") if p.name[:1].isdigit())
        if not self.notebooks:
            raise BatikError(f"There are no notebooks in {notebooks.name}/ (their names begin with a number).")
        self.study, self.data, self.settings, self.out, self.stages = (
            load_study(study, settings),
            data,
            settings,
            out,
            stages,
        )
        # Notebooks run in their own folder: a path must not depend on where the command was given.
        self.chosen = str(Path(study).resolve() if Path(study).suffix in {".yaml", ".yml"} else study)
        folder, place = None, ""
        if self.study.data != "sample":
            try:
                folder, place = find_photographs(data, self.study.motifs)
            except NoPhotographs as error:
                stages.say(f"{error}\nMaking the procedural sample's report instead, in {out.name}/sample/.")
                self.study, self.chosen, self.data = load_study("sample", settings), "sample", None
        self.parameters = {
            "STUDY": self.chosen,
            "DATA": str(self.data.resolve()) if self.data else "",
            "SET": " ".join(settings),
        }
        self.digests = Digests()
        self.found = inputs(self.study, folder, place, self.notebooks, self.digests)
        self.builds = cache_dir() / "builds"
        self.kept = Kept(self.builds / self.study.name)
        self.stamp = self._stamp(self.study.name)
        self.plan: Plan | None = None

    def _stamp(self, name: str) -> Stamp:
        where = digest(str(self.out.resolve()).encode())[:8]
        return Stamp(self.builds / f"{name}-{where}.json", self.digests)

    @cached_property
    def content(self) -> str:
        """Names the opened data and results: all inputs but notebooks, figures and what only pages show."""
        return digest_json([without(self.found, *PAGES, *FACES, *FIGURES, "notebooks/"), self.parameters])

    def make(self, dask: str | None = None, jobs: int | None = None) -> None:
        """Make what has changed: open, run notebooks, export two editions, place them, save the model, stamp."""
        name, private = self.study.name, f"{PRIVATE}/{self.study.name}"
        opened = self._reopened() or self._open(dask, jobs)
        figures = {key: value for key, value in self.found.items() if key.startswith(FIGURES)}
        shown = digest_json([self.content, opened["results"], figures])
        runs = self._run_notebooks(shown, set(opened["facts"]))
        files = {f"{name}/{file}": text.encode() for file, text in opened["files"].items()}
        files[f"{name}/verdict.svg"] = self.kept.made("verdict", shown, self._verdict_figure)
        with self.stages("pages"):
            for place in (name,) if opened["about"]["drawn"] else (name, private):
                page, pdf = self._pages(runs, opened["about"], photos=place == private)
                files |= {f"{place}/report.html": page, f"{place}/report.pdf": pdf}
        for file, content in files.items():
            write_bytes(self.out / file, content)
        model = f"{private}/model.keras"
        made_from = digest_json([opened["results"], self.found.get("batik_utils/models/saved.py")])
        same = self.stamp.known.get("model") == made_from and not self.stamp.touched([model], self.out)
        complete = (same or self._save_model(self.out / model, opened)) and not opened["missing"]
        if self.plan is not None:
            from batik_utils.report.provenance import run_record

            record = run_record(self.study, self.plan.dataset, self.stages.seconds, settings=list(self.settings))
            write_json(self.out / private / "run.json", record)
        # What failed is tried again the next time.
        self.stamp.write(self.found if complete else {}, self.out, [*files, model], model=made_from if complete else "")

    def _reopened(self) -> dict[str, Any] | None:
        """What an earlier build opened, where all of it is still there."""
        content = self.kept.read("opened", self.content)
        if content is None or self.kept.read("snapshot", self.content) is None:
            return None
        opened: dict[str, Any] = json.loads(content)
        whole = all(self.digests(Path(name)) == sha for name, sha in opened["mapped"].items())
        return opened if whole and not opened["missing"] else None

    def _open(self, dask: str | None, jobs: int | None) -> dict[str, Any]:
        """Open data and results, do the fits that are missing, and write down what notebooks and pages need."""
        from batik_utils.report import snapshot
        from batik_utils.report.cards import croissant, model_card
        from batik_utils.report.deploy import best_info

        self.plan, analysis = self._analyse(dask, jobs)
        with self.stages("analysis"), tempfile.TemporaryDirectory(prefix="batik-") as room:
            numbers = Path(room) / "metrics.json"
            write_json(numbers, analysis.metrics)
            card = json.dumps(croissant(self.study, analysis.dataset, analysis.facts), indent=1, ensure_ascii=False)
            files = {numbers.name: numbers.read_text(encoding="utf-8"), "croissant.json": card + "\n"}
            with contextlib.suppress(BatikError):  # there is no best model, and saving it will say why
                best = best_info(self.study, analysis.metrics)
                files["model-card.md"] = model_card(self.study, *best, analysis.metrics, analysis.facts)
            content, mapped = snapshot.dump(analysis)
            self.kept.write("snapshot", self.content, content)
        opened = {
            "about": about(self.study, analysis.dataset),
            "facts": sorted(analysis.facts),
            "files": files,
            "mapped": {name: self.digests(Path(name)) for name in mapped},
            "missing": len(analysis.results.missing),
            "results": fingerprint(self.plan, analysis.results),
        }
        self.kept.write("opened", self.content, json.dumps(opened).encode())
        return opened

    def _analyse(self, dask: str | None, jobs: int | None) -> tuple[Plan, Analysis]:
        from batik_utils.data.load import load_dataset
        from batik_utils.experiment import make_plan, run_plan
        from batik_utils.experiment.workers import release_workers
        from batik_utils.report.analysis import analyse

        with self.stages("data", quiet=True):
            dataset = load_dataset(self.study, self.data, progress=self.stages.shown)
        self.stages.say(f"{self.study.title}\n  {len(dataset)} images, {dataset.source.description}")
        with self.stages("fits", quiet=True):
            plan = make_plan(self.study, dataset)
            results = run_plan(plan, jobs=jobs, executor=dask or "processes", progress=self.stages.shown)
            if not dask:
                release_workers()
        for model in self.study.compare:
            if all(r.missing for r in results if r.fit.model == model):
                reasons = sorted({r.missing for r in results if r.fit.model == model})
                why = "; ".join(reasons)[:500] or "none was planned"
                title = self.study.models[model].title
                raise BatikError(f"No fit of {title} in {self.study.name} succeeded: {why}.")
        return plan, analyse(plan, results)

    def _run_notebooks(self, shown: str, facts: set[str]) -> list[NotebookNode]:
        """Every notebook executed: those whose cells, code and results are as they were come out of the cache."""
        import nbformat

        from batik_utils.report.execute import run_notebook
        from batik_utils.report.provenance import code_sha256
        from batik_utils.report.snapshot import VARIABLE

        code = code_sha256()
        keys = {path: digest_json([shown, self.found[f"notebooks/{path.name}"]]) for path in self.notebooks}
        texts = {path: self.kept.read(f"run-{path.stem}", key) for path, key in keys.items()}
        environment = {VARIABLE: str(self.kept.path("snapshot", self.content))}

        async def run(path: Path) -> None:
            executed = await run_notebook(path, self.parameters, facts, environment)
            text = f"{code}\n{nbformat.writes(executed)}".encode()
            self.kept.write(f"run-{path.stem}", keys[path], text)
            texts[path] = text

        async def run_missing() -> None:
            # They only read results, so one need not wait for another.
            async with asyncio.TaskGroup() as group:
                for path in (path for path, text in texts.items() if text is None):
                    group.create_task(run(path))

        if None in texts.values():
            with self.stages("notebooks"):
                try:
                    asyncio.run(run_missing())
                except* BatikError as errors:
                    raise errors.exceptions[0] from None
        runs = []
        for path in self.notebooks:
            # The last page names one digest of all code and notebooks, which may have changed since this one ran.
            then, text = (texts[path] or b"").decode().split("\n", 1)
            runs.append(nbformat.reads(text.replace(then, code), as_version=4))
        return runs

    def _pages(self, runs: list[NotebookNode], about: Mapping[str, Any], photos: bool) -> tuple[bytes, bytes]:
        """HTML and PDF of one edition; the one without photographs is made of notebooks that hold none."""
        from batik_utils.report.export import export

        if not photos and not about["drawn"]:
            runs = copy.deepcopy(runs)
            for cell in (cell for run in runs for cell in run.cells):
                for output in cell.get("outputs", []):
                    for kind in ("image/jpeg", "image/png"):
                        output.get("data", {}).pop(kind, None)
        style = {name: value for name, value in self.found.items() if name.startswith(PAGES)}

        def both() -> bytes:
            page, pdf = export(runs, dict(about), photos)
            return page.encode() + b"\0" + pdf

        key = digest_json([runs, about, photos, style])
        page, _, pdf = self.kept.made(f"pages-{PRIVATE if photos else 'public'}", key, both).partition(b"\0")
        return page, pdf

    def _verdict_figure(self) -> bytes:
        """The fold scores as an SVG file, for a README or a slide."""
        from batik_utils.figures import fold_dots
        from batik_utils.report.display import render, use_report_style
        from batik_utils.report.snapshot import load

        analysis = load(self.kept.path("snapshot", self.content))
        use_report_style()
        bars = {title: (i.low, i.high) for title, i in analysis.grouped_intervals.items()}
        scores = {title: analysis.fold_accuracies[title] for title in bars}
        return render(fold_dots(scores, bars, analysis.chance), "verdict", "svg")

    def _save_model(self, path: Path, opened: Mapping[str, Any]) -> bool:
        """Save the study's best model; False, said in one line, where it cannot be: a report is one without it too."""
        from batik_utils.experiment import open_plan
        from batik_utils.report.deploy import save_best

        with self.stages("model"):
            try:
                plan = self.plan or open_plan(self.chosen, self.data, self.settings)
                save_best(plan, json.loads(opened["files"]["metrics.json"]), path)
            except BatikError as error:
                old = "; the one that is there is an older run's" if path.is_file() else ""
                self.stages.say(f"No model is saved{old}: {error}")
                return False
        return True

    def index(self) -> None:
        """Make out/index.html anew where any study's numbers or pages came or went, or the page was touched."""
        made = {f"{p.parent.name}/{p.name}": self.digests(p) for p in self.out.glob("*/*") if p.name in INDEXED}
        made = {name: sha if name.endswith("metrics.json") else "there" for name, sha in made.items()}
        made |= {n: value for n, value in self.found.items() if "index" in n or n.endswith("report.css")}
        stamp = self._stamp("index")
        if stamp.changed(made, self.out):
            from batik_utils.report.index import write_index

            write_index(self.out)
            stamp.write(made, self.out, ["index.html"])


def fingerprint(plan: Plan, results: Results) -> str:
    """One digest of the results with the keys of their fits: a fit that failed may succeed under the same key."""
    rows = sorted((r.fit.name, r.missing, digest(r.y_prob.tobytes())) for r in results)
    return digest_json([sorted(task.key for task in plan.tasks), rows])


def about(study: Study, dataset: Dataset) -> dict[str, Any]:
    """The report's title page and running lines."""
    drawn, seed, credit = dataset.source.is_drawn, study.seed_study, []
    if seed is not None:
        authors = " and ".join(part for part in (", ".join(seed.authors[:-1]), *seed.authors[-1:]) if part)
        made = ", ".join(str(part) for part in (seed.institution, seed.year) if part)
        credit = [line for line in (f"Takes up “{seed.title}”", f"by {authors}" if authors else "", made) if line]
    line = DRAWN_LINE if drawn else ""
    out = {"title": study.title, "subtitle": study.question, "credit": credit, "drawn": drawn}
    return out | {"header": line, "caption_prefix": line}
