"""Run a notebook with parameters by papermill, in a kernel of its own; a failure is one clear message."""

import logging
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from batik_utils.cache import write_text
from batik_utils.data.obtain import cache_dir
from batik_utils.errors import BatikError

_RUNNING: list[AsyncKernelManager] = []
_INTERRUPTED = threading.Event()
KERNEL_ENVIRONMENT = {
    "MPLBACKEND": "agg",
    # Sums on several threads round otherwise; a build that has just done fits would hand down one thread anyway.
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "PYTHONHASHSEED": "0",
    # A third party's warning would land in the output of one machine and not in another's.
    "PYTHONWARNINGS": "ignore",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def load_notebook(path: Path, keep: Collection[str]) -> NotebookNode:
    """Read a notebook without cells tagged only-X, X not in keep, and "shown" ones as text; raises BatikError."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:
        raise BatikError(f"{path.name} is not a notebook: {' '.join(str(error).split())[:200]}") from None
    cells, notebook.cells, notebook.metadata["batik"] = notebook.cells, [], {"name": path.name}
    for number, cell in enumerate(cells, 1):
        cell.id = f"cell-{number}"  # nbformat draws them at random
        cell.metadata["batik"] = {"notebook": path.name, "cell": number}
        tags = cell.metadata.get("tags", [])
        if "shown" in tags:
            cell = new_markdown_cell(f"```python\n{cell.source}\n```", id=cell.id, metadata=cell.metadata)
        if {tag for tag in tags if tag.startswith("only-")} <= {f"only-{fact}" for fact in keep}:
            notebook.cells.append(cell)
    return notebook


def run_notebook(
    path: Path, parameters: Mapping[str, Any], keep: Collection[str], environment: Mapping[str, str]
) -> NotebookNode:
    """Execute a notebook in its own folder and return it, free of times, machine paths and stderr.

    keep says which only-X cells are run; environment is added to the kernel's. Raises BatikError for a cell that
    fails: a BatikError's own text, any other exception with the file in which the executed notebook was kept.
    """
    import papermill

    # A Unix socket's path has at most about 100 characters.
    folder = Path(tempfile.mkdtemp(prefix="batik-", dir="/tmp" if len(tempfile.gettempdir()) > 60 else None))
    try:
        executed = papermill.execute_notebook(
            load_notebook(path, keep),
            str(folder / "executed.ipynb"),
            parameters=dict(parameters),
            cwd=str(path.parent),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            start_timeout=180,
            request_save_on_cell_execute=False,
            kernel_manager_class=_manager(folder, {**KERNEL_ENVIRONMENT, **environment}),
        )
    except papermill.PapermillExecutionError as error:
        raise _explained(error, nbformat.read(folder / "executed.ipynb", as_version=4), path) from None
    except (DeadKernelError, RuntimeError) as error:
        log = folder / "kernel.log"
        said = log.read_text(encoding="utf-8", errors="replace").strip() if log.is_file() else str(error)
        last = said.splitlines()[-1] if said else "it said nothing; was there too little memory?"
        raise BatikError(f"{path.name}: its kernel died: {last}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        ensure_event_loop().close()  # this thread's own, which nbclient leaves open
    executed.metadata.pop("papermill", None)
    # The cell of given parameters may hold a path of this machine.
    executed.cells = [c for c in executed.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    for cell in executed.cells:
        for stamp in ("papermill", "execution"):  # they hold times
            cell.metadata.pop(stamp, None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    return executed


def end_kernels() -> None:
    """Kill the kernels of all notebooks for good, so that the threads that wait for them end within a second."""
    _INTERRUPTED.set()
    logging.disable()  # nobody need be told that they died
    for manager in _RUNNING:
        if process := getattr(manager.provisioner, "process", None):  # none where the kernel has ended by itself
            process.kill()


def _manager(folder: Path, environment: Mapping[str, str]) -> type[AsyncKernelManager]:
    """A kernel manager that starts this very Python, whatever kernels the machine has, quiet and repeatable."""
    # A person's own IPython start-up files have no say in a report.
    own = {**environment, "IPYTHONDIR": str(folder / "ipython")}
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    # IPC (sockets in a folder of our own) never finds its address in use, and needs no network; Windows has none.
    ipc = {} if sys.platform == "win32" else {"transport": "ipc", "ip": str(folder / "k")}

    class Manager(AsyncKernelManager):
        kernel_spec = KernelSpec(argv=argv, display_name="Python 3", language="python", env=own)

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**{**kwargs, **ipc, "connection_file": str(folder / "kernel.json")})

        async def start_kernel(self, **kwargs: Any) -> None:  # type: ignore[override]  # (the base class is a mixture)
            # What a kernel says to nobody in particular belongs in no terminal; it is read where the kernel dies.
            with (folder / "kernel.log").open("wb") as log:
                await super().start_kernel(**{**kwargs, "stderr": log})
            _RUNNING.append(self)
            if _INTERRUPTED.is_set():
                end_kernels()

    return Manager


def _explained(error: Any, notebook: NotebookNode, path: Path) -> BatikError:
    failed = next(c for c in notebook.cells if any(o.output_type == "error" for o in c.get("outputs", [])))
    text = re.sub(r"\x1b\[[0-9;]*m", "", error.evalue).strip()
    place = f"{path.name}, cell {failed.metadata.get('batik', {}).get('cell', '?')}"
    if error.ename in {"BatikError", *(kind.__name__ for kind in BatikError.__subclasses__())}:
        return BatikError(f"{text} ({place})")
    kept, first = cache_dir() / "failed" / path.name, text.partition("\n")[0]
    write_text(kept, nbformat.writes(notebook))
    whole = f"The executed notebook, with the whole error, is {kept}."
    return BatikError(f"{place} failed: {error.ename}: {first}\n{whole}")
