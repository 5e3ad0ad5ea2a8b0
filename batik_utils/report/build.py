"""From a study's name to its report, in two editions; whether anything changed is answered without heavy imports."""

import contextlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batik_utils.cache import atomic, digest, digest_json, json_text, write_bytes, write_json
from batik_utils.data.obtain import NoPhotographs, cache_dir, find_photographs, other_motifs
from batik_utils.deploy import CLASSIFIER, PRIVATE
from batik_utils.errors import BatikError
from batik_utils.progress import Stages
from batik_utils.report import PAPER_STUDIES, freshness
from batik_utils.report.freshness import FACES, FIGURES, NOTEBOOKS, PAGES, part, read_json, sha256
from batik_utils.study import ROOT, Study
from batik_utils.study_file import load_study
from batik_utils.wording import listed

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from batik_utils.experiment import Plan
    from batik_utils.report.analysis import Analysis
    from batik_utils.values import Dataset

TRIOS = "trios.csv"
PAPER_ABOUT = {
    "title": "How well can a computer tell Indonesian batik motifs apart from 50 photographs each?",
    "subtitle": "And does a pretrained network beat one trained from scratch? Two student projects, repeated",
}

# Fields of a study that its classifier has nothing of.
TOLD = {"question", "seed_study", "claims", "others", "tried", "milliseconds", "seconds", "trios", "command", "minutes"}


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

    out/STUDY gets the edition without photographs, out/photographs/STUDY the one with them, out index.html; files
    appear only when all of them were made. Where no photographs can be found, it is the procedural sample's report.
    With settings all of it goes below out/photographs/with-settings/. Raises BatikError with one clear message, where
    no PDF can be set when all else is written.
    """
    build = Build(study, data, settings, out, Stages(progress))
    out = build.out
    if changed := build.changed():
        if build.stamp:
            build.stages.say(f"Changed: {', '.join(changed[:4])}{' …' if changed[4:] else ''}")
        build.make(dask, jobs)
    else:
        build.stages.say(f"Nothing has changed since {out.name}/{build.study.name}/ was made.")
    from batik_utils.app.build import PAGE, renew_page

    folder = out / build.study.name
    if renew_page(build.study, out / PRIVATE / build.study.name / CLASSIFIER, folder / PAGE):
        build.stages.say(f"The classifier's page: {out.name}/{build.study.name}/{PAGE}")
    read = [out / name / "metrics.json" for name in PAPER_STUDIES]
    if not settings and build.study.name in PAPER_STUDIES and all(path.is_file() for path in read):
        try:
            if build_paper(out):
                build.stages.say(f"The paper: {out.name}/paper/")
        except BatikError as error:  # the report is made all the same
            build.stages.say(f"The paper is not made: {error}")
    # The index, where a study's numbers, a study or the code is not as it was when it was written.
    stamp, pages = cache_dir() / "builds" / "index.json", (out / "index.html", out / PRIVATE / "index.html")
    numbers = {str(p): sha256(p) for p in (*out.glob("*/metrics.json"), *(ROOT / "studies").glob("*.yaml"))}
    numbers |= part(build.found, ("batik_utils/",))
    if read_json(stamp) != numbers | {"index": [*map(sha256, pages)]}:
        from batik_utils.report.pages import write_index  # it needs pandas and scikit-learn

        for line in write_index(out):
            build.stages.say(line)
        write_json(stamp, numbers | {"index": [*map(sha256, pages)]})
    if build.lacks:
        raise BatikError(build.lacks)
    return folder


def build_paper(out: Path = ROOT / "reports") -> bool:
    """Make out/paper/ where what it is made of has changed; whether it was. Raises BatikError where numbers lack."""
    path, folder = ROOT / NOTEBOOKS / "paper.ipynb", out / "paper"
    stamp = cache_dir() / "builds" / f"paper-{digest(str(out.resolve()).encode())[:8]}.json"
    read = [*(f"{study}/metrics.json" for study in PAPER_STUDIES), f"{PAPER_STUDIES[-1]}/{TRIOS}"]
    made_of = [sha256(out / name) for name in read]
    key = digest_json([made_of, part(freshness.code(), but=FACES), freshness.cells(path)])
    outputs = {name: sha256(folder / name) for name in ("report.html", "report.pdf")}
    if read_json(stamp) == {"key": key, **outputs}:
        return False
    from batik_utils.report.execute import run_notebook
    from batik_utils.report.export import export

    runs = _side_by_side(lambda path: run_notebook(path, {"REPORTS": str(out.resolve())}, set(), {}), [path])
    page, pdf = export(runs, PAPER_ABOUT, photos=False)
    if isinstance(pdf, BatikError):
        raise pdf
    for name, content in (("report.html", page.encode()), ("report.pdf", pdf)):
        write_bytes(folder / name, content)
        outputs[name] = sha256(folder / name)
    write_json(stamp, {"key": key, **outputs})
    return True


class Build:
    """One study's build: what it is made from, and its steps."""

    def __init__(
        self, study: str | Path, data: Path | None, settings: Sequence[str], out: Path, stages: Stages
    ) -> None:
        self.notebooks = freshness.notebooks()
        if not self.notebooks:
            raise BatikError("There are no notebooks in notebooks/ (their names begin with a number).")
        # A run with settings is not the study: it has a place of its own, which is not committed.
        self.out, self.settings = (out / PRIVATE / "with-settings" if settings else out), " ".join(settings)
        self.stages, self.study = stages, load_study(study, settings)
        # Notebooks run in their own folder: a path must not depend on where the command was given.
        chosen = str(Path(study).resolve() if Path(study).suffix in {".yaml", ".yml"} else study)
        self.photographs: tuple[Path | None, str] = None, ""
        if self.study.data != "sample":
            try:
                self.photographs = find_photographs(data, self.study.motifs)
            except NoPhotographs as error:
                stages.say(f"{error}\nMaking the procedural sample's report instead, in {out.name}/sample/.")
                self.study, chosen, data = load_study("sample", settings), "sample", None
        self.data = data.resolve() if data else None
        self.parameters = {"STUDY": chosen, "DATA": str(self.data or ""), "SET": self.settings}
        self.lacks = ""  # what the report that was made is without, in one line
        self.found = freshness.inputs(self.study, *self.photographs)
        self.kept = freshness.Kept(cache_dir() / "builds" / self.study.name)
        where = digest(str(self.out.resolve()).encode())[:8]
        self.stamp_file = cache_dir() / "builds" / f"{self.study.name}-{where}.json"
        # {what: digest} of inputs and outputs when the report was made; empty where something failed or is missing.
        self.stamp = read_json(self.stamp_file)

    def look(self) -> None:
        """Take what was not there before (fetched weights); what is edited during a build keeps its old digest."""
        now = freshness.inputs(self.study, *self.photographs)
        self.found = {name: then or now.get(name, "") for name, then in self.found.items()}

    def changed(self) -> list[str]:
        """What is not as it was when the report was made; ["everything"] where it never was."""
        if not self.stamp:
            return ["everything"]
        outputs = [name for name in self.stamp if name.startswith(f"{self.out.name}/")]
        now = part(self.found, but=FACES) | {name: sha256(self.out.parent / name) for name in outputs}
        return sorted(name for name in {*self.stamp, *now} if self.stamp.get(name) != now.get(name))

    @property
    def results_key(self) -> str:
        """Names the opened data and results: all inputs but notebooks, figures and what only pages show."""
        return digest_json([part(self.found, but=(*PAGES, *FACES, *FIGURES, NOTEBOOKS)), self.parameters])

    def make(self, dask: str | None = None, jobs: int | None = None) -> None:
        """Make what has changed: open, run notebooks, export two editions, place them with the classifier, stamp."""
        from batik_utils.app.build import PAGE
        from batik_utils.report.export import export
        from batik_utils.report.findings import trio_frame
        from batik_utils.report.metrics import build_metrics
        from batik_utils.report.pages import checklist, model_card

        name, private = self.study.name, f"{PRIVATE}/{self.study.name}"
        analysis, made = self._opened(dask, jobs)
        runs = self._run_notebooks(analysis, made)
        metrics = build_metrics(analysis)
        files = {f"{name}/metrics.json": json_text(metrics).encode()}
        files[f"{name}/reforms.md"] = checklist(self.study, analysis.dataset, analysis.facts).encode()
        if analysis.trios:
            files[f"{name}/{TRIOS}"] = trio_frame(analysis).to_csv(index=False, float_format="%.6f").encode()
        for data in (o.get("data", {}) for run in runs for c in run.cells for o in c.get("outputs", [])):
            if data.get("text/plain", "").startswith("Figure fig-folds:"):  # for a README or a slide
                files[f"{name}/verdict.svg"] = "".join(data["image/svg+xml"]).encode()
        title_page = about(self.study, analysis.dataset, self.settings)
        without = set()
        with self.stages("pages"):
            for place in (name,) if title_page["drawn"] else (name, private):
                page, pdf = export(runs, title_page, photos=place == private)
                files[f"{place}/report.html"] = page.encode()
                if isinstance(pdf, bytes):
                    files[f"{place}/report.pdf"] = pdf
                else:
                    self.lacks = f"The report has pages (HTML), but no PDF: {pdf}"
                    without.add(f"{place}/report.pdf")
        classifier = self.kept.read("classifier", made)
        if classifier and analysis.deployed:
            card = model_card(self.study, analysis.deployed["model"], analysis.deployed, metrics, analysis.facts)
            files |= {f"{private}/{CLASSIFIER}": classifier["file"].tobytes(), f"{name}/model-card.md": card.encode()}
        with contextlib.ExitStack() as together:  # they appear when all of them could be written
            for file, content in files.items():
                together.enter_context(atomic(self.out / file)).write_bytes(content)
        # An older classifier, with its card and its page, would not be this report's; nor would other trios.
        pages = (f"{private}/{CLASSIFIER}", f"{name}/model-card.md", f"{name}/{PAGE}") if classifier is None else ()
        for stale in {*pages, *without, f"{name}/{TRIOS}"} - {*files}:
            (self.out / stale).unlink(missing_ok=True)
        self.look()
        # What failed is tried again the next time.
        complete = classifier is not None and not analysis.results.missing and not self.lacks
        outputs = {f"{self.out.name}/{file}": sha256(self.out / file) for file in files}
        write_json(self.stamp_file, part(self.found, but=FACES) | outputs if complete else {})

    def _opened(self, dask: str | None, jobs: int | None) -> "tuple[Analysis, str]":
        """Data and results with what names the classifier, as an earlier build opened them where nothing failed."""
        with contextlib.suppress(BatikError):
            analysis, made = freshness.load(self.kept.path("snapshot", self.results_key))
            if self.kept.read("classifier", made) and not analysis.results.missing:
                return analysis, made
        plan, analysis = self._analyse(dask, jobs)
        made = self._deploy(plan, analysis)
        self.look()
        with self.stages("analysis"):
            self.kept.write("snapshot", self.results_key, freshness.dump(analysis, made))
        return analysis, made

    def _analyse(self, dask: str | None, jobs: int | None) -> "tuple[Plan, Analysis]":
        from batik_utils.dataset import load_dataset
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

    def _deploy(self, plan: "Plan", analysis: "Analysis") -> str:
        """Give the analysis its classifier's numbers; returns what names it in what is kept, "" without one."""
        from batik_utils.deploy.make import make_classifier

        rooms = (f"batik_utils/{room}" for room in ("deploy", "stats", "models", "data", "experiment"))
        made_of = part(self.found, (*rooms, "requirements.txt", "installed packages"), FACES)
        own = self.study.model_dump(mode="json", exclude=TOLD)
        fits = sorted((r.fit.name, r.missing, digest(r.y_prob.tobytes())) for r in analysis.results)
        key = digest_json([made_of, own, fits, sorted(task.key for task in plan.tasks)])
        kept = self.kept.read("classifier", key)
        if kept is None:
            with self.stages("model"):
                try:
                    made = make_classifier(plan, analysis.results, self.data)
                except BatikError as error:
                    self.stages.say(f"No classifier is made: {error}")
                    analysis.deployed = None
                    return ""
            kept = {"numbers": json.loads(json_text(made.numbers)), "file": made.bundle.to_bytes()}
            self.kept.write("classifier", key, kept)
        analysis.deployed = kept["numbers"]
        folder, published = self.photographs[0], analysis.dataset.source.kind == "published"
        untried = folder if published and not analysis.deployed["unseen"] else None
        if untried and other_motifs(self.study.motifs, untried)[1]:
            self.stages.say("Other motifs are not tried: not all of the listed pictures are in the data folder.")
        return key

    def _run_notebooks(self, analysis: "Analysis", made: str) -> "list[NotebookNode]":
        """Every notebook executed; those whose cells, figures and results are as they were come out of the cache."""
        import nbformat

        from batik_utils.report.execute import run_notebook

        failed = [r.fit.name + r.missing for r in analysis.results if r.missing]
        shown, code = [self.results_key, made, failed], freshness.code_sha256()
        keys = {p: digest_json([shown, part(self.found, (*FIGURES, f"{NOTEBOOKS}{p.name}"))]) for p in self.notebooks}
        runs = {path: self.kept.read(f"run-{path.stem}", key) for path, key in keys.items()}
        environment = {freshness.VARIABLE: str(self.kept.path("snapshot", self.results_key))}

        def run(path: Path) -> None:
            executed = run_notebook(path, self.parameters, analysis.facts, environment)
            runs[path] = {"code": code, "notebook": nbformat.writes(executed)}
            self.kept.write(f"run-{path.stem}", keys[path], runs[path])

        if missing := [path for path, kept in runs.items() if kept is None]:
            with self.stages("notebooks"):  # they only read results: one need not wait for another
                _side_by_side(run, missing)
        # The last page names one digest of all code and notebooks, which may have changed since a notebook ran.
        texts = (kept["notebook"].replace(kept["code"], code) for kept in runs.values())
        return [nbformat.reads(text, as_version=4) for text in texts]


def _side_by_side(run: Callable[[Path], Any], notebooks: Sequence[Path]) -> list[Any]:
    """Run notebooks in threads, whose kernels an interrupt ends, too: in sessions of their own they hear of none."""
    from batik_utils.report.execute import end_kernels

    with ThreadPoolExecutor(len(notebooks)) as threads:
        try:
            return list(threads.map(run, notebooks))
        except KeyboardInterrupt:
            end_kernels()
            raise


def about(study: Study, dataset: "Dataset", settings: str = "") -> dict[str, Any]:
    """The report's title page and running lines; settings are the fields that were set for this run."""
    seed, drawn, credit = study.seed_study, dataset.source.is_drawn, []
    if seed is not None:
        made = ", ".join(str(part) for part in (seed.institution, seed.year) if part)
        lines = f"Takes up “{seed.title}”", f"by {listed(seed.authors)}" if seed.authors else "", made
        credit = [line for line in lines if line]
    sample, other = "Procedural sample, not batik photographs" if drawn else "", f"Not the study as it is: {settings}"
    header = "; ".join(filter(None, (sample, settings and other)))
    return {"title": study.title, "subtitle": study.question, "header": header, "credit": credit, "drawn": drawn}
