"""A notebook runs with its parameters, or says in one message what is wrong with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from batik_utils.errors import BatikError
from batik_utils.report import execute
from batik_utils.report.execute import load_notebook

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


def test_cells_of_other_studies_are_dropped(saved):
    path = saved(*(new_markdown_cell(of, metadata={"tags": [f"only-{of}"]}) for of in ("search", "drawn")))
    assert [c.source for c in load_notebook(path, {"drawn"}).cells][1:] == ["drawn"]
    assert len(load_notebook(path, {"drawn", "search"}).cells) == 3


def test_a_run_takes_parameters_and_leaves_no_trace_of_the_machine(saved, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # of several threads, sums would round otherwise
    asked = "import os, sys\nprint(STUDY, SET, *map(os.environ.get, ('BATIK_SNAPSHOT', 'OMP_NUM_THREADS')))"
    noise = "import warnings; warnings.warn('loud'); print('noise', file=sys.stderr); print(os.getcwd() == HERE)"
    path = saved(code(asked), code(f"HERE = {str(tmp_path)!r}"), code(noise))
    executed = run_notebook(path, {"STUDY": "sample", "SET": "a=1"}, environment={"BATIK_SNAPSHOT": "file"})
    said = "".join(o.text for c in executed.cells for o in c.get("outputs", []))
    assert said == "sample a=1 file 1\nTrue\n"
    assert "execution" not in nbformat.writes(executed).replace("execution_count", "")
    assert [c.metadata.batik["cell"] for c in executed.cells] == [1, 2, 3, 4]


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
