"""A change of whatever a report depends on is seen; what is kept is checked; a notebook runs, or says what is wrong."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from results_factory import make_dataset, make_results, make_study

from batik_utils.cache import write_kept
from batik_utils.errors import BatikError
from batik_utils.models.kinds import KINDS
from batik_utils.report import execute, freshness
from batik_utils.report.analysis import Analysis, open_analysis
from batik_utils.report.freshness import FACES, FIGURES, PAGES, inputs
from batik_utils.report.pages import provenance
from batik_utils.study import ROOT

NOTEBOOK = '{"cells": [{"cell_type": "code", "source": ["%s"], "metadata": {}, "outputs": [%s]}]}'


def loaded(code):
    """The modules that are loaded once a Python process has run this code."""
    path = os.pathsep.join(str(folder) for folder in (Path(__file__).parent, Path(__file__).parent.parent))
    command = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {*done.stdout.split()}


def test_what_changes_is_named_and_a_setting_another_place_and_another_python_are_seen(tmp_path, monkeypatch):
    """What else there is, test_build changes."""

    def look(place="data folder", **changes):
        return inputs(make_study(motifs=["one", "two"], **changes), tmp_path / "data", place)

    for name in ("batik_utils/cli.py", "requirements.txt", "data/one/1.jpg", "data/two/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/01.ipynb").write_text(NOTEBOOK % ("1", ""))
    monkeypatch.setattr(freshness, "ROOT", tmp_path)
    before = look()
    (tmp_path / "batik_utils" / "cli.py").write_bytes(b"x = 1\r\n")
    (tmp_path / "notebooks/01.ipynb").write_text(NOTEBOOK % ("1", '{"text": "said"}'))
    assert look() == before, "line ends and outputs are nothing"
    (tmp_path / "data/two/1.jpg").rename(tmp_path / "data/two/0.jpg")
    after = look()
    assert [n for n in {*before, *after} if before.get(n) != after.get(n)] == ["pictures of two"]
    assert look(title="Other")["study"] != before["study"]
    assert look(place="shared folder")["pictures of one"] != before["pictures of one"]
    (tmp_path / "requirements.txt").unlink()  # a folder that is no checkout
    assert look()["requirements.txt"] == ""
    monkeypatch.setattr(freshness.platform, "python_version", lambda: "3.99.0")
    assert look()["Python"] != before["Python"]


def test_whether_anything_changed_is_answered_without_anything_heavy_and_an_analysis_opened_without_tensorflow():
    heavy = {"tensorflow", "keras", "jax", "torch"}
    quick = loaded("import batik_utils.cli, batik_utils.report.build, batik_utils.models.backbones")
    assert not (heavy | {"pandas", "sklearn", "matplotlib", "nbformat"}) & quick
    assert not heavy & loaded("import test_build; test_build.freshness.dump(test_build.whole())")


def test_nothing_that_a_notebook_or_page_is_made_with_is_left_out_of_the_code_hash_and_what_is_named_is_there():
    cells = "".join(path.read_text(encoding="utf-8") for path in freshness.notebooks())
    lines = re.findall(r'"((?:from [\w.]+ )?import [\w., ]+?)(?:\\n)?"', cells)
    names = loaded("\n".join(["import batik_utils.report.export", *lines]))
    used = {f"{name.replace('.', '/')}.py" for name in names if name.startswith("batik_utils.")}
    assert {"batik_utils/report/analysis.py", "batik_utils/stats/scores.py", "batik_utils/models/kinds.py"} <= used
    assert not {name for name in used if name.startswith(FACES)}
    for named in (*PAGES, *FACES, *FIGURES):
        assert list((ROOT / named).parent.glob(f"{Path(named).name}*")), named


def test_provenance_is_repeatable_knows_no_machine_and_names_weights(monkeypatch):
    monkeypatch.setattr(KINDS["pretrained"], "weights_sha256", lambda model: "5" * 64)
    rows, again = (dict(provenance(make_study(), make_dataset())) for _ in range(2))
    assert rows == again and str(Path.home()) not in str(rows) and "tensorflow 2" in rows["Versions"]
    other = dict(provenance(make_study(title="Another"), make_dataset(per_class=49)))
    assert other["Study"] != rows["Study"] and other["Data"] != rows["Data"]
    assert rows["Weights, EfficientNet-Lite2"] == f"sha256 `{'5' * 64}`"


@pytest.fixture
def kept(tmp_path):
    """(path of a snapshot, the analysis that it is of, its bytes)."""
    dataset = make_dataset()
    images = np.memmap(tmp_path / "images.rgb", np.uint8, "w+", shape=dataset.images.shape)
    images[5] = 7
    images.flush()
    images = np.memmap(tmp_path / "images.rgb", np.uint8, "r", shape=images.shape)
    results = make_results({"scratch": 0.6, "efficientnet_lite2": 0.9}, published={"scratch": [15]})
    analysis = Analysis(make_study(), replace(dataset, images=images), results)
    analysis.clean_features = {"efficientnet_lite2": np.ones((2, 3), np.float32)}.__getitem__
    analysis.models = ["efficientnet_lite2"]
    content = freshness.dump(analysis, "made")
    write_kept(tmp_path / "snapshot", content)
    return tmp_path / "snapshot", analysis, content


def test_an_analysis_comes_back_with_all_derived_without_code_that_draws_and_images_in_a_file(kept, monkeypatch):
    path, analysis, content = kept
    monkeypatch.setenv(freshness.VARIABLE, str(path))
    again = open_analysis("no-such-study")
    assert again.study == analysis.study and again.comparisons == analysis.comparisons
    assert {"comparisons", "oofs", "scores", "word"} <= set(vars(again))
    assert again.clean_features("efficientnet_lite2").shape == (2, 3)
    assert freshness.load(path)[1] == "made" and (again.dataset.images[5] == 7).all()
    assert isinstance(again.dataset.images, np.memmap) and not again.dataset.images.flags.writeable
    assert b"batik_utils.report.analysis" in content and b"batik_utils.figures" not in content


def test_a_damaged_a_foreign_and_a_bereft_one_are_refused(kept, tmp_path, monkeypatch):
    path, _, content = kept
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(BatikError, match="snapshot is not there or damaged; run `make report` again"):
        freshness.load(path)
    monkeypatch.undo()
    (tmp_path / "images.rgb").write_bytes((tmp_path / "images.rgb").read_bytes()[::-1])
    with pytest.raises(BatikError, match="has lost its decoded pictures"):
        freshness.load(path)
    path.write_bytes(content)
    with pytest.raises(BatikError, match="damaged"):
        freshness.load(path)


def test_what_is_kept_is_checked_and_the_oldest_goes(tmp_path):
    kept = freshness.Kept(tmp_path)
    for number in range(kept.most + 1):
        kept.write("run", str(number), {"text": "said"})
        os.utime(kept.path("run", str(number)), ns=(number, number))
    kept.write("run", "last", {"text": "said", "file": b"bytes"})
    assert kept.read("run", "last")["file"].tobytes() == b"bytes" and kept.read("run", "0") is None
    kept.path("run", "last").write_bytes(kept.path("run", "last").read_bytes().replace(b"said", b"sAid"))
    assert kept.read("run", "last") is None


NOTEBOOK_BY_COMMAND = """
from pathlib import Path
from batik_utils import cli
from batik_utils.report import build, execute

@cli.app.command()
def show(path: Path):
    build._side_by_side(lambda path: execute.run_notebook(path, {}, (), {}), [path])

cli.main()
"""
PARAMETERS = 'STUDY = "bali"\nDATA = ""\nSET = ""'
USERS_ERROR = "from batik_utils.errors import BatikError\nraise BatikError('There is no study x.')"
DEATH = "import os, sys; print('bye', file=sys.stderr); os._exit(3)"


def run_notebook(path, parameters=None, keep=(), environment=None):
    return execute.run_notebook(path, parameters or {}, keep, environment or {})


def code(source, *tags):
    return new_code_cell(source, metadata={"tags": list(tags)})


@pytest.fixture
def saved(tmp_path):
    def save(*cells):
        nbformat.write(new_notebook(cells=[code(PARAMETERS, "parameters"), *cells]), tmp_path / "01-try.ipynb")
        return tmp_path / "01-try.ipynb"

    return save


def test_a_run_takes_parameters_and_its_studys_cells_and_leaves_no_trace_of_the_machine(saved, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # of several threads, sums would round otherwise
    asked = "import os, sys\nprint(STUDY, SET, *map(os.environ.get, ('BATIK_SNAPSHOT', 'OMP_NUM_THREADS')))"
    noise = "import warnings; warnings.warn('loud'); print('noise', file=sys.stderr); print(os.getcwd() == HERE)"
    only = [code(f"print({of!r})", f"only-{of}") for of in ("search", "drawn")]
    path = saved(code(asked), *only, code(f"HERE = {str(tmp_path)!r}"), code(noise))
    executed = run_notebook(path, {"STUDY": "sample", "SET": "a=1"}, {"drawn"}, {"BATIK_SNAPSHOT": "file"})
    said = "".join(o.text for c in executed.cells for o in c.get("outputs", []))
    assert said == "sample a=1 file 1\ndrawn\nTrue\n"
    assert "execution" not in nbformat.writes(executed).replace("execution_count", "")
    assert [c.metadata.batik["cell"] for c in executed.cells] == [1, 2, 4, 5, 6]


@pytest.mark.parametrize(
    ("source", "message"),
    [(USERS_ERROR, r"^There is no study x\. \(01-try\.ipynb, cell 3\)$"), (DEATH, r"01-try\.ipynb: its kernel died")],
    ids=["a user's error", "a dead kernel"],
)
def test_an_error_is_shown_as_it_is_and_a_kernel_that_dies_is_named(saved, source, message):
    with pytest.raises(BatikError, match=message):
        run_notebook(saved(new_markdown_cell("prose"), code(source)))


def test_any_other_failure_names_cell_and_exception_and_keeps_the_notebook(saved, tmp_path, monkeypatch):
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path / "cache"))
    path = saved(code("0", "only-claims"), code("print('before')"), code("1 / 0"))
    with pytest.raises(BatikError, match=r"01-try\.ipynb, cell 4 failed: ZeroDivisionError: division by zero") as error:
        run_notebook(path)
    kept = Path(str(error.value).rsplit("notebook, with the whole error, is ")[-1].rstrip("."))
    assert kept.parent.name == "failed" and os.listdir(kept.parent) == [kept.name]
    assert "before" in kept.read_text()
    path.write_text("hello")
    with pytest.raises(BatikError, match=r"01-try\.ipynb is not a notebook"):
        run_notebook(path)


def test_an_interrupt_ends_the_kernels_too_and_shows_no_stack_trace(saved, tmp_path):
    begun = "import os, pathlib, time\npathlib.Path('kernel').write_text(str(os.getpid()))\ntime.sleep(600)"
    path = str(saved(code(begun)))
    command = [sys.executable, "-c", NOTEBOOK_BY_COMMAND, "show", path]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        while not (tmp_path / "kernel").is_file() and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[1].strip() == "" and process.returncode == 130
    finally:
        process.kill()
    assert not psutil.pid_exists(int((tmp_path / "kernel").read_text()))
