"""The `batik` command says what is wrong in one line without a stack trace, and how long the rest will take."""

import importlib.metadata
import subprocess
import sys

import numpy as np
import pytest
import tiny
from PIL import Image
from typer.testing import CliRunner

from batik_utils import cli
from batik_utils.progress import Progress


def batik(*words):
    command = [sys.executable, "-c", "from batik_utils.cli import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True)


def said(monkeypatch, *words):
    """What a command prints, in this process (which has the heavy imports already)."""
    monkeypatch.setattr(cli.out, "width", 200)
    with cli.out.capture() as capture:
        result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 0, result.output
    return capture.get() + result.output


@pytest.fixture
def cloth(tmp_path, monkeypatch):
    """A folder of two classes of noise, eight pictures each; one is a copy, one no picture."""
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path / "cache"))
    draw = np.random.default_rng(0)
    for name in ("plain", "twill"):
        (tmp_path / "cloth" / name).mkdir(parents=True)
        for i in range(8):
            pixels = draw.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "cloth" / name / f"{i}.png")
    (tmp_path / "cloth/plain/copy.jpg").write_bytes((tmp_path / "cloth/plain/0.png").read_bytes())
    (tmp_path / "cloth/twill/page.jpg").write_text("<html>")
    return tmp_path / "cloth"


def test_help_names_every_command_and_it_says_its_version():
    commands = {"report", "app", "plan", "run", "audit", "sources", "predict", "evaluate", "export", "new", "diff"}
    assert commands <= set(batik().stdout.split())
    assert batik("--version").stdout.strip() == importlib.metadata.version("batik-utils")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "bali-betawi-cellup"], "did you mean 'bali-betawi-celup'"),
        (["report", "minimal", "--set", "models.scratch.epoch=1"], "did you mean 'epochs'"),
        (["report", "minimal", "--set", "models.scratch.epochs=many"], "not 'many'"),
        (["run", "minimal", "--shard", "2"], "A shard is i/n with 1 ≤ i ≤ n, such as 2/8, not 2"),
        (["run", "minimal", "--shard", "3/2"], "A shard is i/n with 1 ≤ i ≤ n, such as 2/8, not 3/2"),
        (["audit", "bali-betawi-celup", "--data", "no-such-folder"], "no-such-folder"),
        (["export", "minimal", "--to", "model.onnx"], "A Keras file's name ends in .keras, not as model.onnx does."),
        (["predict", "a.jpg", "--csv", "--json"], "Either --json or --csv, not both."),
        (["predict", "a.jpg", "--model", "absent.tflite"], "There is no model file absent.tflite"),
        (["new", "my-cloth", "no-such-folder"], "There is no folder no-such-folder"),
        (["new", "my-cloth", ""], "DATA is missing: make new NAME=my-cloth DATA=folder"),
        # The address is tried before anything else is done.
        (["run", "no-such-study", "--dask", "tcp://127.0.0.1:1"], "No Dask scheduler answers at tcp://127.0.0.1:1"),
    ],
)
def test_a_mistake_is_named_in_one_line(words, message):
    done = tiny.batik(*words)
    assert done.returncode == 2 and message in done.stderr.splitlines()[-1] and not done.stdout


def test_a_mistyped_motif_names_the_nearest_folder_and_stops(cloth, tmp_path):
    text = (cli.ROOT / "studies" / "minimal.yaml").read_text().replace("data: sample\n", "")
    study = tmp_path / "typo.yaml"
    study.write_text(text.replace("[sample-megamendung, sample-celup]", "[plain, twil]"))
    done = batik("report", str(study), "--data", str(cloth), "--reports", str(tmp_path / "reports"))
    assert done.returncode == 2 and "did you mean 'twill'?" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "reports").exists()


def test_a_plan_gives_totals_first_then_models_and_protocols(cloth, monkeypatch):
    monkeypatch.setattr("batik_utils.experiment.open_plan", lambda *given: tiny.plan())
    lines = said(monkeypatch, "plan", "tiny").splitlines()
    assert lines[0].startswith("0 fits done, ") and lines[0].endswith(" missing, 0 fits stale, 0 fits failed")
    rows = [line.split() for line in lines[2:]]
    assert ["scratch", "published", "2"] in rows and ["tiny", "curve-2", "4"] in rows
    assert sum(int(row[2]) for row in rows) == int(lines[0].split()[3])


def test_an_audit_tells_copies_and_what_is_no_image(cloth, monkeypatch):
    monkeypatch.setenv("HOME", str(cloth.parent))
    text = said(monkeypatch, "audit", "--data", "~/cloth")
    assert "Pairs of near-duplicates: 1\n" in text and "plain/copy.jpg" in text
    assert "published" not in text  # nor were these pictures ever
    assert "Files whose name ends like another format's: 1\n  plain/copy.jpg" in text
    assert "Files that are not used: 1\n  twill/page.jpg" in text


@pytest.fixture
def clock(monkeypatch):
    """clock(seconds) lets time pass, for Progress and for rich."""
    now = [0.0]
    monkeypatch.setattr("batik_utils.progress.time.monotonic", lambda: now[0])
    monkeypatch.setattr("rich.console.monotonic", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


def said_after(clock, capsys, jobs, total=None, cost=100.0):
    """What a stage of `total` jobs says once jobs (seconds, how many, their cost) are done."""
    with Progress(True) as bar:
        bar.stage("fits", total or len(jobs), "fits", cost)
        for seconds, done, spent in jobs:
            clock(seconds)
            bar.advance(done, spent)
    return capsys.readouterr().err


@pytest.mark.parametrize("terminal", [False, True], ids=["lines", "a bar"])
def test_the_time_left_goes_by_cost_and_each_stage_has_its_own(clock, monkeypatch, capsys, terminal):
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")  # what rich takes for a terminal
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.delenv("NO_COLOR", raising=False)
    with Progress(True) as bar:
        bar.stage("features", 4, "images")
        for _ in bar.watch(range(4)):
            clock(31)
    assert terminal or "features: 50% (2 of 4 images), about 62 s left" in capsys.readouterr().err
    jobs = [(35, 1, 800), (35, 1, 200), (35, 50, 500)]
    for count, said in ((2, "50% (2 of 101 fits), about 70 s left"), (3, "75% (52 of 101 fits), about 35 s left")):
        assert said in said_after(clock, capsys, jobs[:count], 101, cost=2000)


@pytest.mark.parametrize(
    ("jobs", "told"),
    [
        ([(300, 1, 10)], False),  # the first job compiled its network
        ([(300, 1, 10), (31, 1, 10)], True),
        ([(300, 1, 2), (31, 1, 2.9)], False),  # 4.9 %
        ([(300, 1, 2), (31, 1, 3)], True),  # 5 %
        ([(1, 1, 20), (1.1, 1, 20)], False),  # two seconds
        ([(2.1, 1, 20), (31, 1, 20)], True),
    ],
)
def test_no_time_left_is_told_before_it_means_something(clock, capsys, jobs, told):
    assert ("left" in said_after(clock, capsys, jobs, total=200).splitlines()[-1]) == told


@pytest.mark.parametrize("cost", [None, 100.0])
def test_a_hundred_per_cent_is_the_end_and_no_sooner(clock, capsys, cost):
    lines = said_after(clock, capsys, [(40, 1, 60.0), (40, 1, 60.0), (40, 1, 0.0)], cost=cost).splitlines()
    assert [line[: line.index(" (")] for line in lines][1:] == ["fits: 99%", "fits: 100%"]
    assert "left" not in lines[-1]


def test_what_is_soon_done_and_who_is_not_shown_hear_nothing(clock, capsys):
    for shown, seconds in ((True, 0.2), (False, 100)):
        with Progress(shown) as bar:
            bar.stage("fits", 2)
            clock(seconds)
            bar.advance()
    bar.say("a line")
    assert capsys.readouterr().err == ""
