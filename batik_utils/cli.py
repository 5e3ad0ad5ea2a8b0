"""The `batik` command; each subcommand imports what it needs, so that a quick answer stays quick."""

import importlib.metadata
import os
import re
import shutil
import socket
import sys
import webbrowser
from collections import Counter, defaultdict
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from batik_utils.deploy import CLASSIFIER, PRIVATE
from batik_utils.errors import BatikError, printable
from batik_utils.network import short
from batik_utils.study import ROOT
from batik_utils.study_file import load_study

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
out = Console(highlight=False, soft_wrap=True, markup=False)
err = Console(highlight=False, soft_wrap=True, markup=False, stderr=True)


@app.callback(invoke_without_command=True)
def options(version: Annotated[bool, typer.Option("--version", help="Print it.")] = False) -> None:
    """How well can a computer tell batik motifs apart from few photographs?"""
    if version:
        out.print(importlib.metadata.version("batik-utils"))
        raise typer.Exit


STATES = ("done", "missing", "stale", "failed")
FIRST = "bali-betawi-celup"


def _folder(text: str) -> Path:
    return Path(os.path.expanduser(text))  # few shells do so behind DATA=


def _scheduler(address: str | None) -> str | None:
    if address:
        host, _, port = address.rpartition("://")[2].rstrip("/").rpartition(":")
        try:  # now, not when all pictures are decoded
            socket.create_connection((host.strip("[]"), int(port)), 5.0).close()
        except (OSError, OverflowError, ValueError) as error:
            why = "it is not tcp://host:port" if isinstance(error, ValueError) else short(error)
            raise BatikError(f"No Dask scheduler answers at {address}: {why}.") from None
    return address


StudyName = Annotated[str, typer.Argument(help="A study's name, or a path to its YAML file.")]
Data = Annotated[
    Path | None, typer.Option(parser=_folder, metavar="FOLDER", help="Folder with one folder of pictures per motif.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="A field of the study for this run: models.scratch.epochs=10.")
]
DaskAddress = Annotated[
    str | None, typer.Option(callback=_scheduler, help="Address of a Dask scheduler, tcp://host:port.")
]
Jobs = Annotated[int | None, typer.Option(min=1, help="Local processes; as many as there are cores if not given.")]
Reports = Annotated[Path, typer.Option(help="Where reports go.", show_default="reports/")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV, one row a picture.")]


def _form(as_json: bool, as_csv: bool) -> Literal["json", "csv", "words"]:
    if as_json and as_csv:
        raise BatikError("Either --json or --csv, not both.")
    return "json" if as_json else "csv" if as_csv else "words"


@app.command()
def report(
    study: StudyName = FIRST,
    data: Data = None,
    settings: Settings = None,
    dask: DaskAddress = None,
    jobs: Jobs = None,
    reports: Reports = ROOT / "reports",
) -> None:
    """Build a study's report, where anything changed: HTML, PDF and metrics.json."""
    from batik_utils.report.build import build_report

    folder = build_report(study, data, settings or (), dask, jobs, reports)
    for place in (folder, folder.parent / PRIVATE / folder.name):
        for path in sorted(place.glob("report.*")):  # HTML and PDF
            out.print(str(path))


@app.command()
def paper(reports: Reports = ROOT / "reports") -> None:
    """Make the paper from the studies' metrics.json, where a number or its text changed."""
    from batik_utils.report.build import build_paper

    made = build_paper(reports)
    out.print(str(reports / "paper" / "report.html") if made else "Nothing has changed since it was made.")


@app.command("app")
def page(study: StudyName = FIRST, reports: Reports = ROOT / "reports") -> None:
    """Build a study's classifier as one HTML file that opens anywhere, and open it."""
    from batik_utils.app.build import PAGE, make_page

    chosen = load_study(study)
    path = reports / chosen.name / PAGE
    make_page(chosen, reports / PRIVATE / chosen.name / CLASSIFIER, path)
    out.print(str(path))
    if sys.stdout.isatty():
        webbrowser.open(path.resolve().as_uri())


@app.command()
def plan(study: StudyName = FIRST, data: Data = None, settings: Settings = None) -> None:
    """Count the fits that are done, missing or stale, and say why they are stale."""
    from batik_utils.experiment import Store, open_plan

    opened = open_plan(study, data, settings or ())
    groups: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    reasons: dict[tuple[str, str], set[str]] = defaultdict(set)
    for task, row in zip(opened.tasks, Store(opened.study.name).status(opened.tasks), strict=True):
        group = task.fits[0].model, task.fits[0].protocol
        groups[group][row["state"]] += row["fits"]
        reasons[group] |= {row["why"]} - {""}
    totals = sum(groups.values(), Counter())
    out.print(", ".join(f"{totals[state]:,} fits {state}" for state in STATES))
    table = Table("model", "protocol", *STATES, "why", box=None, header_style="bold")
    for group, counts in groups.items():
        why = sorted(reasons[group])
        told = [*why[:1], f"and {len(why) - 1} more reasons"][: len(why)]
        table.add_row(*group, *(str(counts[s] or "") for s in STATES), "; ".join(told))
    out.print(table)


@app.command()
def run(
    study: StudyName = FIRST,
    data: Data = None,
    settings: Settings = None,
    dask: DaskAddress = None,
    jobs: Jobs = None,
    shard: Annotated[str | None, typer.Option(help="i/n: do only every n-th task, for any scheduler.")] = None,
) -> None:
    """Do the missing fits, without a report."""
    from batik_utils.experiment import open_plan, run_plan
    from batik_utils.experiment.run import own_tasks

    given = re.fullmatch(r"(\d+)/(\d+)", shard or "1/1")
    part = (int(given[1]), int(given[2])) if given else (0, 0)
    if not 1 <= part[0] <= part[1]:  # now, not when all pictures are decoded
        raise BatikError(f"A shard is i/n with 1 ≤ i ≤ n, such as 2/8, not {shard}.")
    opened = open_plan(study, data, settings or ())
    results = run_plan(opened, jobs=jobs, executor=dask or "processes", shard=part)
    mine = {fit for task in own_tasks(opened, part) for fit in task.fits}
    failed = [r for r in results.missing if r.fit in mine]
    for result in failed:
        err.print(f"{result.fit.name}: {result.missing}")
    done = sum(r.fit in mine for r in results) - len(failed)
    out.print(f"{done:,} of {len(mine):,} fits done, {len(failed)} failed")
    if failed:
        raise typer.Exit(1)


@app.command()
def audit(
    study: Annotated[str | None, typer.Argument(help="Without one, every folder of --data is a motif.")] = None,
    data: Data = None,
) -> None:
    """List near-duplicates, altered files, and files that are not images."""
    from batik_utils.audit import oddities
    from batik_utils.dataset import load_dataset
    from batik_utils.new_study import draft

    data, chosen = draft("audit", data) if study is None and data else (data, load_study(study or FIRST))
    for title, lines in oddities(load_dataset(chosen, data)).items():
        out.print("\n  ".join([f"{title}: {len(lines):,}", *lines]))


@app.command()
def sources(study: StudyName = FIRST, data: Data = None) -> None:
    """Propose which pictures come from one source: contact sheets to look at, YAML to keep what they confirm."""
    from batik_utils.audit.sources import contact_sheet, propose_sources
    from batik_utils.data.obtain import cache_dir, find_photographs
    from batik_utils.dataset import load_dataset

    chosen = load_study(study)
    if chosen.data == "sample":
        raise BatikError(f"The study {chosen.name} draws its own pictures: they have no sources.")
    dataset, folder = load_dataset(chosen, data), find_photographs(data, chosen.motifs)[0]
    proposals = propose_sources(folder, dataset.paths)
    sheets = {f"source-{i:03d}": pictures for i, (pictures, _) in enumerate(proposals, 1)}
    lone = sorted(set(dataset.paths).difference(*sheets.values()))
    sheets |= {f"lone-{i // 25 + 1:03d}": tuple(lone[i : i + 25]) for i in range(0, len(lone), 25)}
    place = cache_dir() / "sources" / chosen.name
    shutil.rmtree(place, ignore_errors=True)
    for name, pictures in sheets.items():
        contact_sheet(folder, pictures, place / f"{name}.png")
    for name, (pictures, reasons) in zip(sheets, proposals, strict=False):
        why = "; ".join(f"{reason} ({count})" for reason, count in reasons.items())
        out.print(f'- name: {name}\n  why: "{why}"\n  pictures: [{", ".join(pictures)}]')
    err.print(f"{len(proposals)} proposals, {len(lone)} lone pictures; look at the sheets in {place}")


@app.command()
def predict(
    pictures: Annotated[list[str], typer.Argument(help="Pictures of cloth, folders of them, or - for names to read.")],
    model: Annotated[Path | None, typer.Option(help="A classifier.tflite; the newest report's if not given.")] = None,
    top: Annotated[int | None, typer.Option(min=1, help="How many motifs to name for each picture.")] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Say which motif each picture shows, with probabilities, or that it does not look like batik."""
    from batik_utils.deploy.predict import newest_classifier
    from batik_utils.deploy.predict import predict as answer

    form, known = _form(as_json, as_csv), model or newest_classifier(ROOT / "reports" / PRIVATE)
    if answer(known, pictures, form, top):
        raise typer.Exit(1)


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="A classifier.tflite.")],
    folder: Annotated[Path, typer.Argument(help="Folder with one folder of pictures per motif, named like it.")],
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Judge a classifier on labelled pictures of your own; copies of its training pictures are left out."""
    from batik_utils.deploy.evaluate import evaluate as judge

    if judge(model, folder, _form(as_json, as_csv)):
        raise typer.Exit(1)


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(help="A metrics.json, or the folder of a report that has one.")],
    b: Annotated[Path, typer.Argument(help="Another, such as a newer one.")],
) -> None:
    """Say what changed between two reports' metrics.json; exits with 1 where anything did."""
    from batik_utils.report.metrics import changes, read_report

    lines = changes(read_report(a), read_report(b))
    out.print("\n".join(lines or ["Nothing has changed."]))
    if lines:
        raise typer.Exit(1)


@app.command()
def export(
    study: StudyName = FIRST,
    to: Annotated[Path | None, typer.Option(help="The .keras file to write; STUDY.keras if not given.")] = None,
    data: Data = None,
    settings: Settings = None,
) -> None:
    """Write the recommended model, trained on every picture, for other programs: a Keras file."""
    place = to or Path(f"{load_study(study).name}.keras")
    if place.suffix != ".keras":
        raise BatikError(f"A Keras file's name ends in .keras, not as {place} does.")
    if place.exists():
        raise BatikError(f"{place} is there already; name another place with --to.")
    from batik_utils.deploy.make import spread, train_recommended
    from batik_utils.experiment import open_plan, run_plan

    plan = open_plan(study, data, settings or ())
    results = run_plan(plan, retry=False)
    model, temperature, network = train_recommended(plan, results)
    from batik_utils.deploy.convert import write_keras  # which starts Keras, as training does more quietly

    write_keras(network, spread(plan.dataset.images), place)
    out.print(f"{place}: {model}; divide its logits by {temperature:.3f} to calibrate it")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The study's name: small letters, digits, hyphens.")],
    data: Annotated[str, typer.Argument(help="Folder with one folder of pictures per motif.")] = "",
) -> None:
    """Write a study of your own pictures, and say what it will cost."""
    from batik_utils.new_study import new_study

    if not data:  # as "$(DATA)" is where it is forgotten; a path of "" would be the project's own folder
        raise BatikError("DATA is missing: make new NAME=my-cloth DATA=folder, with one folder of pictures per class.")
    for line in new_study(name, _folder(data)):
        out.print(line)


def main() -> None:
    """Entry point: what a BatikError or the system says is printed without a stack trace, and exits with 2."""
    sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]  # names of files, in any encoding
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal may know ASCII only
    try:
        app()
    except BrokenPipeError:  # whoever reads what is printed has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (BatikError, OSError) as error:
        if isinstance(error, OSError):
            error = BatikError(printable(f"{error.filename or 'A file'} cannot be used: {error.strerror or error}."))
        err.print(str(error), style="bold red")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
