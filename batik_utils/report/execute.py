"""Run a notebook with parameters, in memory, by papermill; a failure is one clear message."""

from __future__ import annotations

import ast
import difflib
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode

from batik_utils.errors import BatikError

KERNEL_ENVIRONMENT = {
    "MPLBACKEND": "agg",
    "PYTHONHASHSEED": "0",
    # A third party's warning would land in the output of one machine and not in another's.
    "PYTHONWARNINGS": "ignore",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
ONLY = "only-"


def load_notebook(path: Path) -> NotebookNode:
    """Read a notebook; raises BatikError where it is not there or not a notebook."""
    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise BatikError(f"There is no notebook {path.name} in {path.parent.name}/.") from None
    except Exception as error:
        raise BatikError(f"{path.name} is not a notebook: {' '.join(str(error).split())[:200]}") from None


def drop_cells(notebook: NotebookNode, keep: set[str]) -> NotebookNode:
    """The notebook without the cells that are tagged only-X where X is not in keep."""
    kept = nbformat.from_dict(notebook)
    name = notebook.metadata.get("batik", {}).get("name", "")
    kept.cells = []
    for number, cell in enumerate(notebook.cells, 1):
        wanted = {tag.removeprefix(ONLY) for tag in cell.metadata.get("tags", []) if tag.startswith(ONLY)}
        if wanted <= keep:
            cell = nbformat.from_dict(cell)
            cell.metadata.setdefault("batik", {"notebook": name, "cell": number})
            kept.cells.append(cell)
    return kept


def check_parameters(notebook: NotebookNode, parameters: dict[str, Any], name: str) -> None:
    """Raise BatikError for a parameter that the notebook's parameters cell does not have, or of another type."""
    cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise BatikError(f"{name} needs exactly one cell tagged 'parameters', it has {len(cells)}.")
    defaults: dict[str, Any] = {}
    for statement in ast.parse(cells[0].source).body:
        if isinstance(statement, ast.AnnAssign):
            targets, value = [statement.target], statement.value
        elif isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and value is not None:
                defaults[target.id] = ast.literal_eval(value)
    for key, value in parameters.items():
        if key not in defaults:
            near = difflib.get_close_matches(key.upper(), defaults, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(sorted(defaults))}."
            raise BatikError(f"{name} has no parameter {key!r}, {hint}")
        expected = type(defaults[key])
        good = isinstance(value, expected) and (expected is bool) == isinstance(value, bool)
        if not (good or defaults[key] is None or (expected is float and type(value) is int)):
            raise BatikError(
                f"{name}: the parameter {key!r} is {value!r} ({type(value).__name__}), it must be "
                f"{expected.__name__} like its default {defaults[key]!r}."
            )


def run_notebook(
    path: Path, parameters: dict[str, Any], cwd: Path | None = None, keep: set[str] | None = None
) -> NotebookNode:
    """Execute a notebook and return it, free of times, machine paths and stderr.

    cwd is its working folder (by default its own). keep says which only-X cells are run (None: all of them).
    Raises BatikError for a wrong parameter, and for a cell that fails: a BatikError's own text with the cell's
    number; any other exception in one line, with the file in which the executed notebook was kept.
    """
    import papermill

    path = Path(path)
    notebook = load_notebook(path)
    check_parameters(notebook, parameters, path.name)
    notebook.metadata["batik"] = {"name": path.name}
    everything = {t.removeprefix(ONLY) for c in notebook.cells for t in c.metadata.get("tags", [])}
    notebook = drop_cells(notebook, everything if keep is None else keep)
    folder = Path(tempfile.mkdtemp(prefix="batik-", dir=_short_folder()))
    try:
        executed = papermill.execute_notebook(
            notebook,
            str(folder / "executed.ipynb"),
            parameters=parameters,
            cwd=str(cwd or path.parent),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            start_timeout=180,
            request_save_on_cell_execute=False,
            kernel_manager_class=_manager(folder),
        )
    except (DeadKernelError, RuntimeError) as error:
        log = folder / "kernel.log"
        said = log.read_text(encoding="utf-8", errors="replace").strip() if log.is_file() else str(error)
        last = said.splitlines()[-1] if said else "it said nothing; was there too little memory?"
        raise BatikError(f"{path.name}: its kernel died: {last}") from None
    except papermill.PapermillExecutionError as error:
        raise _explained(error, folder / "executed.ipynb", path) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _clean(executed)


def _short_folder() -> str:
    """Where a kernel's sockets go: a Unix socket's path has at most about 100 characters."""
    usual = tempfile.gettempdir()
    return usual if len(usual) < 60 or not os.path.isdir("/tmp") else "/tmp"


def _manager(folder: Path) -> type[AsyncKernelManager]:
    """A kernel manager that starts this very Python, whatever kernels the machine has, quiet and repeatable."""
    # A person's own IPython start-up files have no say in a report.
    environment = {**KERNEL_ENVIRONMENT, "IPYTHONDIR": str(folder / "ipython")}
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = KernelSpec(argv=argv, display_name="Python 3", language="python", env=environment)
    # IPC (sockets in a folder of our own) never finds its address in use, and needs no network; Windows has none.
    ipc = {} if sys.platform == "win32" else {"transport": "ipc", "ip": str(folder / "k")}

    class Manager(AsyncKernelManager):
        kernel_spec = spec

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**{**kwargs, **ipc, "connection_file": str(folder / "kernel.json")})

        async def start_kernel(self, **kwargs: Any) -> None:
            # What a kernel says to nobody in particular belongs in no terminal; it is read where the kernel dies.
            with (folder / "kernel.log").open("wb") as log:
                await super().start_kernel(**{**kwargs, "stderr": log})

    return Manager


def _explained(error: Any, executed: Path, path: Path) -> BatikError:
    from batik_utils.data.obtain import cache_dir

    # Papermill puts a notice in front of the notebook and one before the cell that failed.
    kept = load_notebook(executed)
    failed = next((c for c in kept.cells if any(o.output_type == "error" for o in c.get("outputs", []))), None)
    number = (failed.metadata.get("batik", {}) if failed else {}).get("cell", "?")
    text = re.sub(r"\x1b\[[0-9;]*m", "", error.evalue).strip()
    place = f"{path.name}, cell {number}"
    if error.ename in _user_errors(BatikError):
        return BatikError(f"{text} ({place})")
    failed_folder = cache_dir() / "failed"
    failed_folder.mkdir(parents=True, exist_ok=True)
    os.replace(shutil.copy(executed, failed_folder / f".{path.name}.part"), failed_folder / path.name)
    return BatikError(
        f"{place} failed: {error.ename}: {text.splitlines()[0] if text else ''}\n"
        f"The executed notebook, with the whole error, is {failed_folder / path.name}."
    )


def _user_errors(kind: type[BaseException]) -> set[str]:
    names = {kind.__name__}
    for sub in kind.__subclasses__():
        names |= _user_errors(sub)
    return names


def _clean(notebook: NotebookNode) -> NotebookNode:
    notebook.metadata.pop("papermill", None)
    for number, cell in enumerate(notebook.cells, 1):
        cell["id"] = f"cell-{number}"  # papermill and nbformat draw them at random
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        cell.metadata.setdefault("batik", {"notebook": notebook.metadata.batik.name, "cell": number})
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if not (o.output_type == "stream" and o.name == "stderr")]
    # The cell that papermill injected is not the author's, and may hold a path of this machine.
    notebook.cells = [c for c in notebook.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    return notebook
