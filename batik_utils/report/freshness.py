"""What a report depends on, as digests, and whether it still is what was made of it; nothing heavy is imported."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sysconfig
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from batik_utils.data.obtain import cache_dir, motif_files
from batik_utils.files import digest, digest_file, digest_json, digest_source, read_sealed, write_json, write_sealed
from batik_utils.study import ROOT, Study

PACKAGE = Path(__file__).resolve().parent.parent

TEMPLATES = ("index.", "math", "refs.", "report.css", "report.html", "report.lua", "report.typ")
PAGES = (
    "batik_utils/report/export.py",
    "batik_utils/report/index.py",
    *(f"batik_utils/report/templates/{name}" for name in TEMPLATES),
)
"""What only the pages depend on; a template that is not among these is taken for the notebooks'."""
FIGURES = (
    "batik_utils/report/display.py",
    "batik_utils/report/templates/report.mplstyle",
    *(f"batik_utils/figures/{name}.py" for name in ("__init__", "collection", "grouped", "published", "style")),
)
"""What draws: notebooks run again, but data and results need not be opened again, as a snapshot holds nothing of it."""
FACES = ("batik_utils/cli.py", "batik_utils/bootstrap.py", "batik_utils/newstudy.py", "batik_utils/progress.py")
"""What changes no output (but for the digest of all code, which the pages name)."""

_YOUNG = 2_000_000_000
"""Nanoseconds: a file this young may change again without its time telling; its digest is not remembered."""


class Digests:
    """sha256 of files, computed again only where size, times or inode say that a file is another."""

    def __init__(self) -> None:
        self._path = cache_dir() / "digests.json"
        known = read_json(self._path)
        self._known = {p: s for p, s in known.items() if isinstance(s, list) and len(s) == 5}
        self._new = False

    def __call__(self, path: Path) -> str:
        """The file's sha256, "" where there is none or it cannot be read."""
        try:
            facts = path.stat()
            state = [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino]
            known = self._known.get(str(path))
            if known and known[:4] == state:
                return str(known[4])
            found = digest_file(path)
        except OSError:
            return ""
        if time.time_ns() - max(facts.st_mtime_ns, facts.st_ctime_ns) > _YOUNG:
            self._known[str(path)] = [*state, found]
            self._new = True
        return found

    def keep(self) -> None:
        """Remember them for the next process."""
        if self._new:
            write_json(self._path, {path: state for path, state in self._known.items() if os.path.exists(path)})


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; empty where there is none, or it is damaged."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return raw if isinstance(raw, dict) else {}


def inputs(
    study: Study, folder: Path | None, place: str, notebooks: Iterable[Path], digests: Digests
) -> dict[str, str]:
    """{what: digest} of everything that a report is made from; folder and place say where its photographs lie."""
    found = {f"batik_utils/{p.relative_to(PACKAGE).as_posix()}": digest_source(p) for p in _sources()}
    found |= {f"notebooks/{path.name}": cells_digest(path) for path in notebooks}
    lock = ROOT / "requirements.txt"
    found["requirements.txt"] = digest_source(lock) if lock.is_file() else ""
    installed = Path(sysconfig.get_path("purelib")).glob("*.dist-info")
    found["installed packages"] = digest_json(sorted(path.name for path in installed))
    found["Python"] = f"{platform.python_version()} {os.environ.get('KERAS_BACKEND', 'tensorflow')}"
    found["study"] = digest(study.model_dump_json().encode())
    if folder is not None:
        for motif in study.motifs:
            files, skipped = motif_files(folder, motif)
            rows = [[path.name, digests(path)] for path in files]
            found[f"pictures of {motif}"] = digest_json([place, rows, skipped])
    for model in study.models.values():
        if backbone := getattr(model, "backbone", ""):
            found[f"weights of {backbone}"] = _weights(backbone, digests)
    return found


def cells_digest(path: Path) -> str:
    """Of a notebook's cells as they are typed, with their tags: outputs and counts do not matter."""
    cells = read_json(path).get("cells", [])
    return digest_json([[c["cell_type"], "".join(c["source"]), c["metadata"].get("tags", [])] for c in cells])


def without(inputs: Mapping[str, str], *prefixes: str) -> dict[str, str]:
    """The inputs whose names begin with none of these."""
    return {name: value for name, value in inputs.items() if not name.startswith(prefixes)}


def _sources() -> list[Path]:
    hidden = {"__pycache__", ".ipynb_checkpoints"}
    return sorted(p for p in PACKAGE.rglob("*") if p.is_file() and not hidden & set(p.parts) and p.name[0] != ".")


def _weights(backbone: str, digests: Digests) -> str:
    """Of the weight file that is at hand, "" where there is none (what a network would give is not asked)."""
    from batik_utils.models.backbones import BACKBONES
    from batik_utils.models.weights import WEIGHTS, keras_models_folder

    if backbone not in BACKBONES:
        return ""
    name = WEIGHTS[BACKBONES[backbone].weights].filename
    return digests(keras_models_folder() / name) or digests(ROOT.parent / "shared" / "weights" / name)


class Kept:
    """Files of one study's builds, each named by what it depends on and checked when it is read."""

    most = 3
    """Of each sort: the ones used last stay."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sort: str, key: str) -> Path:
        """Where a file of this sort is kept, or would be."""
        return self.folder / f"{sort}.{key[:20]}"

    def read(self, sort: str, key: str) -> bytes | None:
        """The content; None where there is none or it is damaged."""
        with contextlib.suppress(OSError):
            os.utime(self.path(sort, key))
        return read_sealed(self.path(sort, key))

    def write(self, sort: str, key: str, content: bytes) -> None:
        """Keep it, and let the oldest of its sort go."""
        write_sealed(self.path(sort, key), content)
        for path in sorted(self.folder.glob(f"{sort}.*"), key=lambda p: -p.stat().st_mtime_ns)[self.most :]:
            path.unlink(missing_ok=True)

    def made(self, sort: str, key: str, make: Callable[[], bytes]) -> bytes:
        """The content, made where it is not kept."""
        content = self.read(sort, key)
        if content is None:
            content = make()
            self.write(sort, key, content)
        return content


class Stamp:
    """What was made from what: a small file beside the caches, one for each report."""

    def __init__(self, path: Path, digests: Digests) -> None:
        self.path, self.digests, self.known = path, digests, read_json(path)

    def changed(self, inputs: Mapping[str, str], out: Path) -> list[str]:
        """What is not as it was when the stamp was made, in words; ["everything"] where there is no stamp."""
        if not self.known.get("inputs"):
            return ["everything"]
        before = self.known["inputs"]
        differ = sorted(name for name in {*before, *inputs} if before.get(name) != inputs.get(name))
        return differ + self.touched(self.known["outputs"], out)

    def touched(self, names: Iterable[str], out: Path) -> list[str]:
        """Those of these outputs that are not as they were written, in words."""
        known, now = self.known.get("outputs", {}), {name: self.digests(out / name) for name in names}
        return [f"{n} ({'edited' if sha else 'deleted'})" for n, sha in now.items() if not sha or sha != known.get(n)]

    def write(self, inputs: Mapping[str, str], out: Path, outputs: Iterable[str], **more: Any) -> None:
        """Record the inputs (none: so that nothing is relied on), and the outputs (relative to out) as they are now."""
        made = {name: self.digests(out / name) for name in outputs}
        self.known = {"inputs": dict(inputs), "outputs": made, **more}
        write_json(self.path, self.known)
