"""The `batik` command says what is wrong in one line and never shows a stack trace for a user's mistake."""

import importlib.metadata
import subprocess
import sys

import numpy as np
import pytest
import tiny
from PIL import Image
from typer.testing import CliRunner

from batik_utils import cli


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


def test_help_names_every_command():
    commands = {"report", "app", "plan", "run", "audit", "sources", "predict", "evaluate", "export", "new", "diff"}
    assert commands <= set(batik().stdout.split())


def test_it_says_its_version():
    assert batik("--version").stdout.strip() == importlib.metadata.version("batik-utils")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "bali-betawi-cellup"], "did you mean 'bali-betawi-celup'"),
        (["report", "minimal", "--set", "models.scratch.epoch=1"], "did you mean 'epochs'"),
        (["report", "minimal", "--set", "models.scratch.epochs=many"], "not 'many'"),
        (["run", "minimal", "--shard", "2"], "--shard wants i/n, such as 2/8, not '2'"),
        (["run", "minimal", "--shard", "3/2"], "A shard is i/n with 1 ≤ i ≤ n, such as 2/8, not 3/2"),
        (["audit", "bali-betawi-celup", "--data", "no-such-folder"], "no-such-folder"),
        (["export", "minimal", "--to", "model.onnx"], "A Keras file's name ends in .keras, not as model.onnx does."),
        (["predict", "a.jpg", "--csv", "--json"], "Either --json or --csv, not both."),
        (["new", "my-cloth", "no-such-folder"], "There is no folder no-such-folder"),
        (["new", "my-cloth", ""], "DATA is missing: make new NAME=my-cloth DATA=folder"),
        # The address is tried before anything else is done.
        (["run", "no-such-study", "--dask", "tcp://127.0.0.1:1"], "No Dask scheduler answers at tcp://127.0.0.1:1"),
    ],
)
def test_a_mistake_is_named_without_a_stack_trace(words, message):
    done = batik(*words)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr


def test_a_mistyped_motif_names_the_nearest_folder_and_stops(cloth, tmp_path):
    text = (cli.ROOT / "studies" / "minimal.yaml").read_text().replace("data: sample\n", "")
    study = tmp_path / "typo.yaml"
    study.write_text(text.replace("[sample-megamendung, sample-celup]", "[plain, twil]"))
    done = batik("report", str(study), "--data", str(cloth), "--reports", str(tmp_path / "reports"))
    assert done.returncode == 2 and "did you mean 'twill'?" in done.stderr
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
