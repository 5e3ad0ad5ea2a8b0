"""From a study's name to its report, in two editions; what is made already is not made again.

Importing this imports nothing heavy: whether anything changed is answered before TensorFlow or pandas are needed.
"""

import contextlib
import copy
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batik_utils.cache import atomic, digest, digest_json, json_text, write_json
from batik_utils.data.obtain import NoPhotographs, cache_dir, find_photographs
from batik_utils.deploy import CLASSIFIER
from batik_utils.errors import BatikError
from batik_utils.progress import Stages
from batik_utils.report import freshness
from batik_utils.report.freshness import FACES, FIGURES, PAGES, Kept, Stamp, only, sha256, without
from batik_utils.study import ROOT, Study
from batik_utils.study_file import load_study

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from batik_utils.experiment import Plan
    from batik_utils.report.analysis import Analysis
    from batik_utils.values import Dataset, Results

DRAWN_LINE = "Procedural sample, not batik photographs"
TOLD = ("command", "milliseconds", "minutes", "tried")
"""Fields of a study that its report tells of and its classifier does not depend on."""
PRIVATE = "photographs"
"""The folder beside the studies' that is never committed: editions with photographs, models, records of runs."""


def build_report(
    study: str | Path,
    data: Path | None = None,
    settings: Sequence[str] = (),
    dask: str | None = None,
    jobs: int | None = None,
    out: Path = ROOT / "reports",
    progress: bool = True,
) -> Path:
    """Build one study's report, where anything has changed, and return its folder, out/STUDY.

    out/STUDY gets the edition without photographs, out/photographs/STUDY (where there are any) the one with them,
    and out gets index.html; files appear only when all of them were made. Where no photographs can be found, the
    procedural sample's report is made instead, and one line says so. Raises BatikError with one clear message.
    """
    build = Build(study, data, settings, out, Stages(progress))
    changed = build.stamp.changed(build.found, out)
    if not changed:
        build.stages.say(f"Nothing has changed since {out.name}/{build.study.name}/ was made.")
    else:
        if build.stamp.known:
            build.stages.say(f"Changed: {', '.join(changed[:4])}{' …' if changed[4:] else ''}")
        build.make(dask, jobs)
    from batik_utils.app.make import PAGE, renew_page
    from batik_utils.report.pages import write_index

    page = out / build.study.name / PAGE
    if renew_page(build.study, out / PRIVATE / build.study.name / CLASSIFIER, page):
        build.stages.say(f"The classifier's page: {out.name}/{build.study.name}/{PAGE}")

    for line in write_index(out):
        build.stages.say(line)
    return out / build.study.name


class Build:
    """One study's build: what it is made from, and its steps."""

    def __init__(
        self, study: str | Path, data: Path | None, settings: Sequence[str], out: Path, stages: Stages
    ) -> None:
        self.notebooks = freshness.notebooks()
        if not self.notebooks:
            raise BatikError("There are no notebooks in notebooks/ (their names begin with a number).")
        self.settings, self.out, self.stages, self.study = settings, out, stages, load_study(study, settings)
        # Notebooks run in their own folder: a path must not depend on where the command was given.
        chosen = str(Path(study).resolve() if Path(study).suffix in {".yaml", ".yml"} else study)
        folder, place = None, ""
        if self.study.data != "sample":
            try:
                folder, place = find_photographs(data, self.study.motifs)
            except NoPhotographs as error:
                stages.say(f"{error}\nMaking the procedural sample's report instead, in {out.name}/sample/.")
                self.study, chosen, data = load_study("sample", settings), "sample", None
        self.chosen, self.data = chosen, data.resolve() if data else None
        self.parameters = {"STUDY": chosen, "DATA": str(self.data or ""), "SET": " ".join(settings)}
        self.found = freshness.inputs(self.study, folder, place)
        self.kept = Kept(cache_dir() / "builds" / self.study.name)
        where = digest(str(out.resolve()).encode())[:8]
        self.stamp = Stamp(cache_dir() / "builds" / f"{self.study.name}-{where}.json")
        self.plan: Plan | None = None

    @cached_property
    def content(self) -> str:
        """Names the opened data and results: all inputs but notebooks, figures and what only pages show."""
        return digest_json([without(self.found, *PAGES, *FACES, *FIGURES, "notebooks/"), self.parameters])

    def make(self, dask: str | None = None, jobs: int | None = None) -> None:
        """Make what has changed: open, run notebooks, export two editions, place them with the classifier, stamp."""
        name, private = self.study.name, f"{PRIVATE}/{self.study.name}"
        opened = self._reopened() or self._open(dask, jobs)
        runs = self._run_notebooks([self.content, opened["results"]], set(opened["facts"]))
        files = {f"{name}/{file}": text.encode() for file, text in opened["files"].items()}
        for data in (o.get("data", {}) for run in runs for c in run.cells for o in c.get("outputs", [])):
            if data.get("text/plain", "").startswith("Figure fig-folds:"):  # for a README or a slide
                files[f"{name}/verdict.svg"] = "".join(data["image/svg+xml"]).encode()
        with self.stages("pages"):
            for place in (name,) if opened["about"]["drawn"] else (name, private):
                page, pdf = self._pages(runs, opened["about"], photos=place == private)
                files |= {f"{place}/report.html": page, f"{place}/report.pdf": pdf}
        if classifier := self._classifier(opened):
            files[f"{private}/{CLASSIFIER}"] = classifier
        with contextlib.ExitStack() as together:  # they appear when all of them could be written
            for file, content in files.items():
                together.enter_context(atomic(self.out / file)).write_bytes(content)
        if classifier is None:  # an older one, with its card and its page, would not be this report's
            from batik_utils.app.make import PAGE

            for stale in (f"{private}/{CLASSIFIER}", f"{name}/model-card.md", f"{name}/{PAGE}"):
                (self.out / stale).unlink(missing_ok=True)
        if self.plan is not None:
            from batik_utils.report.provenance import run_record

            record = run_record(self.study, self.plan.dataset, self.stages.seconds, settings=list(self.settings))
            write_json(self.out / private / "run.json", record)
        # What failed is tried again the next time.
        complete = classifier is not None and not opened["missing"]
        self.stamp.write(self.found if complete else {}, self.out, files)

    def _reopened(self) -> dict[str, Any] | None:
        """What an earlier build opened, where all of it is still there."""
        content = self.kept.read("opened", self.content)
        if content is None or self.kept.read("snapshot", self.content) is None:
            return None
        opened: dict[str, Any] = json.loads(content)
        if self._classifier(opened) is None:
            return None
        return opened if all(sha256(Path(name)) == sha for name, sha in opened["mapped"].items()) else None

    def _open(self, dask: str | None, jobs: int | None) -> dict[str, Any]:
        """Open data and results, do the fits that are missing, and write down what notebooks and pages need."""
        from batik_utils.report import snapshot
        from batik_utils.report.cards import card_rows, croissant, model_card

        self.plan, analysis = self._analyse(dask, jobs)
        made_from = self._deploy(analysis)
        with self.stages("analysis"):
            files = {"metrics.json": json_text(analysis.metrics | {"deployed": analysis.deployed})}
            card = croissant(self.study, analysis.dataset, analysis.facts)
            files["croissant.json"] = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
            if analysis.deployed:
                told = analysis.deployed["model"], card_rows(analysis.deployed)
                files["model-card.md"] = model_card(self.study, *told, analysis.metrics, analysis.facts)
            content, mapped = snapshot.dump(analysis)
            self.kept.write("snapshot", self.content, content)
        opened = {
            "about": about(self.study, analysis.dataset),
            "facts": sorted(analysis.facts),
            "files": files,
            "mapped": {name: sha256(Path(name)) for name in mapped},
            "missing": len(analysis.results.missing),
            "results": fingerprint(self.plan, analysis.results),
            "classifier": made_from,
        }
        if not opened["missing"] and made_from:  # what failed is tried again the next time
            self.kept.write("opened", self.content, json.dumps(opened).encode())
        return opened

    def _analyse(self, dask: str | None, jobs: int | None) -> "tuple[Plan, Analysis]":
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
            reasons = [r.missing for r in results if r.fit.model == model]
            if all(reasons):
                why = "; ".join(sorted({*reasons}))[:500] or "none was planned"
                raise BatikError(f"No fit of {self.study.models[model].title} in {self.study.name} succeeded: {why}.")
        return plan, analyse(plan, results, self.data)

    def _run_notebooks(self, shown: list[str], facts: set[str]) -> "list[NotebookNode]":
        """Every notebook executed: those whose cells, figures and results are as they were come out of the cache."""
        import nbformat

        from batik_utils.report.execute import run_notebook
        from batik_utils.report.snapshot import VARIABLE

        code = freshness.code_sha256()
        cells = {path: self.found[f"notebooks/{path.name}"] for path in self.notebooks}
        figures = {path: freshness.drawing(self.found, freshness.words(path)) for path in self.notebooks}
        keys = {path: digest_json([shown, cells[path], figures[path]]) for path in self.notebooks}
        texts = {path: self.kept.read(f"run-{path.stem}", key) for path, key in keys.items()}
        environment = {VARIABLE: str(self.kept.path("snapshot", self.content))}

        def run(path: Path) -> None:
            executed = run_notebook(path, self.parameters, facts, environment)
            texts[path] = text = f"{code}\n{nbformat.writes(executed)}".encode()
            self.kept.write(f"run-{path.stem}", keys[path], text)

        if missing := [path for path, text in texts.items() if text is None]:
            # They only read results, so one need not wait for another.
            with self.stages("notebooks"), ThreadPoolExecutor(len(missing)) as threads:
                list(threads.map(run, missing))
        # The last page names one digest of all code and notebooks, which may have changed since a notebook ran.
        parts = [(texts[path] or b"").decode().split("\n", 1) for path in self.notebooks]
        return [nbformat.reads(text.replace(then, code), as_version=4) for then, text in parts]

    def _pages(self, runs: "list[NotebookNode]", about: Mapping[str, Any], photos: bool) -> list[bytes]:
        """HTML and PDF of one edition; the one without photographs is made of notebooks that hold none."""
        if not photos and not about["drawn"]:
            runs = copy.deepcopy(runs)
            for output in (o for run in runs for cell in run.cells for o in cell.get("outputs", [])):
                for kind in ("image/jpeg", "image/png"):
                    output.get("data", {}).pop(kind, None)

        def make() -> bytes:
            from batik_utils.report.export import export

            page, pdf = export(runs, dict(about), photos)
            return page.encode() + b"\0" + pdf

        key = digest_json([runs, about, photos, only(self.found, *PAGES)])
        return self.kept.made(f"pages-{PRIVATE if photos else 'public'}", key, make).split(b"\0", 1)

    def _deploy(self, analysis: "Analysis") -> str:
        """Make the study's classifier, where that of these results is not kept, and give the analysis its numbers.

        Returns what names it among what is kept; "", said in one line, where there is none: a report is one without
        it too.
        """
        from batik_utils.deploy.make import make_classifier

        assert self.plan is not None
        rooms = (
            f"batik_utils/{room}" for room in ("deploy/", "stats/", "models/", "data/", "experiment/", "palette.py")
        )
        made_of = only(without(self.found, *FACES), *rooms, "requirements.txt", "installed packages")
        study = self.study.model_dump(mode="json", exclude=set(TOLD))
        key = digest_json([fingerprint(self.plan, analysis.results), made_of, study])
        numbers = self.kept.read("deployed", key)
        if numbers is None or self.kept.read("classifier", key) is None:
            with self.stages("model"):
                try:
                    made = make_classifier(self.plan, analysis.results, analysis.metrics, self.data)
                except BatikError as error:
                    self.stages.say(f"No classifier is made: {error}")
                    analysis.deployed = None
                    return ""
            numbers = json_text(made.numbers).encode()
            self.kept.write("classifier", key, made.bundle.to_bytes())
            self.kept.write("deployed", key, numbers)
        analysis.deployed = json.loads(numbers)
        return key

    def _classifier(self, opened: Mapping[str, Any]) -> bytes | None:
        """The classifier's file, where one was made and is still kept."""
        return self.kept.read("classifier", opened["classifier"]) if opened["classifier"] else None


def fingerprint(plan: "Plan", results: "Results") -> str:
    """One digest of the results with the keys of their fits: a fit that failed may succeed under the same key."""
    rows = sorted((r.fit.name, r.missing, digest(r.y_prob.tobytes())) for r in results)
    return digest_json([sorted(task.key for task in plan.tasks), rows])


def about(study: Study, dataset: "Dataset") -> dict[str, Any]:
    """The report's title page and running lines."""
    seed, credit, line = study.seed_study, [], DRAWN_LINE if dataset.source.is_drawn else ""
    if seed is not None:
        authors = " and ".join(part for part in (", ".join(seed.authors[:-1]), *seed.authors[-1:]) if part)
        made = ", ".join(str(part) for part in (seed.institution, seed.year) if part)
        credit = [text for text in (f"Takes up “{seed.title}”", f"by {authors}" if authors else "", made) if text]
    out = {"title": study.title, "subtitle": study.question, "header": line, "credit": credit}
    return out | {"drawn": dataset.source.is_drawn}
