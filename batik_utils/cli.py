"""The `batik` command: report, plan, run, audit, predict, studies."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from batik_utils.errors import BatikError
from batik_utils.study import ROOT, Groups

app = typer.Typer(
    help="How well can a computer tell Indonesian batik motifs apart from 50 photographs each?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True)

STATES = ("done", "missing", "stale", "failed")


class Precision(StrEnum):
    """Arithmetic of scratch networks."""

    float32 = "float32"
    bfloat16 = "bfloat16"


StudyName = Annotated[str, typer.Argument(help="A study's name, or a path to its YAML file.")]
Data = Annotated[Path | None, typer.Option(help="Folder with one folder of pictures per motif.")]
Full = Annotated[bool, typer.Option("--full", help="Give scratch models as many fits as pretrained ones.")]
DaskAddress = Annotated[str | None, typer.Option(help="Address of a Dask scheduler, tcp://host:port.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Local processes; as many as there are cores if not given.")]
Arithmetic = Annotated[
    Precision, typer.Option(help="Of scratch networks; bfloat16 is faster on processors that have it, and less exact.")
]


@app.command()
def report(
    study: StudyName = "bali-betawi-celup",
    data: Data = None,
    full: Full = False,
    photos: Annotated[bool, typer.Option(help="Whether the report may show photographs.")] = True,
    dask: DaskAddress = None,
    jobs: Jobs = None,
    precision: Arithmetic = Precision.float32,
    reports: Annotated[Path | None, typer.Option(help="Where reports go; reports/ if not given.")] = None,
) -> None:
    """Build a study's report: HTML, PDF and metrics.json."""
    from batik_utils.report.build import build_report

    options = {"out": reports} if reports else {}
    folder = build_report(
        study, data=data, full=full, photos=photos, dask=dask, jobs=jobs, precision=precision.value, **options
    )
    for name in ("report.html", "report.pdf", "metrics.json"):
        out.print(str(folder / name), soft_wrap=True, highlight=False)


@app.command()
def plan(
    study: StudyName = "bali-betawi-celup",
    data: Data = None,
    full: Full = False,
    precision: Arithmetic = Precision.float32,
) -> None:
    """List the fits that are done, missing or stale, and why they are stale."""
    from batik_utils.experiment import Store, open_plan, status

    opened = open_plan(study, data, full, precision.value)
    rows = status(opened, Store(opened.study.name))
    table = Table("state", "fits", "task", "why", box=None, header_style="bold")
    for row in rows:
        table.add_row(row["state"], str(row["fits"]), row["task"], row["why"])
    out.print(table)
    for model in opened.waiting:
        out.print(f"waiting: the published fits of {model} are planned when its search is done")
    for model, reason in opened.left_out.items():
        out.print(f"left out: {model}: {reason}", highlight=False)
    counts = {state: sum(r["fits"] for r in rows if r["state"] == state) for state in STATES}
    out.print(", ".join(f"{n:,} fits {state}" for state, n in counts.items()))


@app.command()
def run(
    study: StudyName = "bali-betawi-celup",
    data: Data = None,
    full: Full = False,
    dask: DaskAddress = None,
    jobs: Jobs = None,
    precision: Arithmetic = Precision.float32,
    shard: Annotated[str | None, typer.Option(help="i/n: do only every n-th task, for any scheduler.")] = None,
) -> None:
    """Do the missing fits, without a report."""
    from batik_utils.experiment import open_plan, run_plan
    from batik_utils.experiment.run import own_tasks

    part = parse_shard(shard)
    opened = open_plan(study, data, full, precision.value)
    results = run_plan(opened, jobs=jobs, executor=dask or "processes", shard=part)
    after = opened.next(results, settle=True) if opened.waiting else opened
    mine = {fit for task in (own_tasks(after, part) if part else after.tasks) for fit in task.fits}
    failed = [r for r in results.missing if r.fit in mine]
    for result in failed:
        err.print(f"{result.fit.name}: {result.missing}", highlight=False)
    done = sum(r.fit in mine and not r.missing for r in results)
    out.print(f"{done:,} of {len(mine):,} fits done, {len(failed)} failed")
    for model in after.waiting:
        out.print(f"waiting: the published fits of {model} are planned when all shards of its search are done")
    if failed:
        raise typer.Exit(1)


@app.command()
def audit(
    study: Annotated[
        str | None, typer.Argument(help="A study, or none: then every folder of --data is a motif.")
    ] = None,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List near-duplicates and files that are not what they should be."""
    from batik_utils.audit import audit_report
    from batik_utils.data.load import load_dataset
    from batik_utils.study import load_study

    chosen = load_study(study or "bali-betawi-celup")
    if study is None and data is not None:
        folders = sorted(p.name for p in data.iterdir() if p.is_dir()) if data.is_dir() else []
        if len(folders) < 2:
            raise BatikError(f"{data} must be a folder with two or more folders of pictures, one per motif.")
        chosen = chosen.model_copy(update={"name": "audit", "motifs": tuple(folders), "groups": Groups()})
    found = audit_report(chosen, load_dataset(chosen, data))
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
        return
    table = Table("a", "b", "kind", "labels", box=None, header_style="bold")
    for pair in found["pairs"]:
        table.add_row(pair["a"], pair["b"], pair["kind"], "differ" if pair["labels_differ"] else "")
    out.print(table)
    out.print(f"{len(found['pairs'])} pairs")


@app.command()
def predict(
    images: Annotated[list[Path], typer.Argument(help="Pictures of cloth.")],
    model: Annotated[Path | None, typer.Option(help="A saved .keras model; the newest report's if not given.")] = None,
) -> None:
    """Say which motif each picture shows, with probabilities."""
    from batik_utils.models.saved import newest_model
    from batik_utils.models.saved import predict as predict_images

    for answer in predict_images(model or newest_model(ROOT / "reports"), images):
        out.print(f"[bold]{escape(answer['path'])}[/]: {answer['motif']}", highlight=False)
        for motif, probability in answer["probabilities"]:
            out.print(f"  {probability:6.1%}  {motif}", highlight=False)


@app.command()
def studies() -> None:
    """List the studies."""
    from batik_utils.study import load_study, study_names

    for name in study_names():
        out.print(f"[bold]{name}[/]  {load_study(name).title}", highlight=False)


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """ "2/8" is (2, 8); raises BatikError for anything that is not i/n with 1 ≤ i ≤ n."""
    if text is None:
        return None
    first, slash, last = text.partition("/")
    if slash and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last):
        return int(first), int(last)
    raise BatikError(f"--shard wants i/n with 1 ≤ i ≤ n, such as 2/8, not {text!r}.")


def main() -> None:
    """Entry point: a BatikError is printed as it is, without a stack trace, and exits with 2."""
    try:
        app()
    except BatikError as error:
        err.print(str(error), style="bold red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(2)
