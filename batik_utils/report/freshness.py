"""What a report depends on, as digests, and whether it still is what was made of it; nothing heavy is imported."""

import contextlib
import json
import os
import platform
import re
import sysconfig
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from batik_utils.data.obtain import motif_files
from batik_utils.files import digest, digest_file, digest_json, digest_source, read_sealed, write_json, write_sealed
from batik_utils.models.backbones import BACKBONES
from batik_utils.models.weights import places
from batik_utils.motif_notes import load_plates
from batik_utils.study import ROOT, Study

_TEMPLATES = ("math", "pandoc.", "refs.", "report.css", "report.html", "report.lua", "report.typ")
PAGES = ("batik_utils/report/export.py", *(f"batik_utils/report/templates/{name}" for name in _TEMPLATES))
"""What only the pages depend on, not what the notebooks show (a template that is not here is taken for theirs)."""
FIGURES = ("batik_utils/figures/", "batik_utils/report/display.py", "batik_utils/report/templates/report.mplstyle")
"""What draws: notebooks run again, but data and results need not be opened again, as no figure is kept with them."""
FACES = (
    *(f"batik_utils/{name}.py" for name in ("cli", "new_study", "deploy/predict", "deploy/export")),
    "batik_utils/app/",
    *(f"batik_utils/report/templates/{name}" for name in ("index.", "readme.")),
)
"""What changes nothing in a report."""


def sha256(path: Path) -> str:
    """Of a file's bytes; "" where there is none or it cannot be read."""
    with contextlib.suppress(OSError):
        return digest_file(path)
    return ""


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; empty where there is none, or it is damaged."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        raw = json.loads(path.read_text(encoding="utf-8"))
        return raw if isinstance(raw, dict) else {}
    return {}


def notebooks() -> list[Path]:
    """The report's notebooks, in its order."""
    return sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def code() -> dict[str, str]:
    """{path below the project's folder: digest} of the library's files and of the notebooks' cells."""
    found = {p.relative_to(ROOT): p for p in (ROOT / "batik_utils").rglob("*") if p.is_file() and p.name[0] != "."}
    hidden = {"__pycache__", ".ipynb_checkpoints"}
    files = {name.as_posix(): digest_source(path) for name, path in found.items() if not hidden & {*name.parts}}
    return files | {f"notebooks/{path.name}": cells_digest(path) for path in notebooks()}


def words(path: Path) -> set[str]:
    """The words in a notebook's code."""
    code = ["".join(c["source"]) for c in read_json(path).get("cells", []) if c["cell_type"] == "code"]
    return set(re.findall(r"\w+", "\n".join(code)))


def cells_digest(path: Path) -> str:
    """Of a notebook's cells as they are typed, with their tags: outputs and counts do not matter."""
    cells = read_json(path).get("cells", [])
    return digest_json([[c["cell_type"], "".join(c["source"]), c["metadata"].get("tags", [])] for c in cells])


def inputs(study: Study, folder: Path | None, place: str) -> dict[str, str]:
    """{what: digest} of everything that a report is made from; folder and place say where its photographs lie."""
    lock, found = ROOT / "requirements.txt", code()
    found["requirements.txt"] = digest_source(lock) if lock.is_file() else ""
    installed = Path(sysconfig.get_path("purelib")).glob("*.dist-info")
    found["installed packages"] = digest_json(sorted(path.name for path in installed))
    found["Python"] = f"{platform.python_version()} {os.environ.get('KERAS_BACKEND', 'tensorflow')}"
    found["study"] = digest(study.model_dump_json().encode())
    plates = load_plates()
    found["plates"] = digest_json([plates[m].model_dump() for m in study.motifs if m in plates])
    if folder is not None:
        for motif in study.motifs:
            files, skipped = motif_files(folder, motif)
            found[f"pictures of {motif}"] = digest_json([place, [[p.name, sha256(p)] for p in files], skipped])
    named = [part for model in study.models.values() for part in (model, *getattr(model, "parts", {}).values())]
    for backbone in {getattr(part, "backbone", "") for part in named} & {*BACKBONES}:
        # That at hand, "" where there is none: what a network would give is not asked.
        found[f"weights of {backbone}"] = next(filter(None, map(sha256, places(BACKBONES[backbone].weights))), "")
    return found


def without(inputs: Mapping[str, str], *prefixes: str) -> dict[str, str]:
    """The inputs whose names begin with none of these."""
    return {name: value for name, value in inputs.items() if not name.startswith(prefixes)}


def only(inputs: Mapping[str, str], *prefixes: str) -> dict[str, str]:
    """The inputs whose names begin with one of these."""
    return {name: value for name, value in inputs.items() if name.startswith(prefixes)}


def drawing(inputs: Mapping[str, str], words: Collection[str]) -> dict[str, str]:
    """Those of FIGURES that draw what these words name: without the modules all of whose figures have other names.

    This holds as figures' modules import nothing of one another but style.
    """
    modules = {path: path.read_text(encoding="utf-8") for path in (ROOT / FIGURES[0]).glob("*.py")}
    names = {path.name: re.findall(r"^(?:def|class) (\w+)", text, re.M) for path, text in modules.items()}
    idle = [f"{FIGURES[0]}{name}" for name, own in names.items() if own and not {*own, "style"} & {*words, name[:-3]}]
    return without(only(inputs, *FIGURES), *idle)


def code_sha256() -> str:
    """One hash over the library, but for what changes nothing in a report, and the notebooks' cells."""
    return digest_json(without(code(), *FACES))


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
            self.write(sort, key, content := make())
        return content


class Stamp:
    """What was made from what: a small file beside the caches, one for each report."""

    def __init__(self, path: Path) -> None:
        self.path, self.known = path, read_json(path)

    def changed(self, inputs: Mapping[str, str], out: Path) -> list[str]:
        """What is not as it was when the stamp was made, in words; ["everything"] where there is no stamp."""
        before = self.known.get("inputs")
        if not before:
            return ["everything"]
        differ = sorted(name for name in {*before, *inputs} if before.get(name) != inputs.get(name))
        return differ + self.touched(self.known["outputs"], out)

    def touched(self, names: Iterable[str], out: Path) -> list[str]:
        """Those of these outputs that are not as they were written, in words."""
        known, now = self.known.get("outputs", {}), {name: sha256(out / name) for name in names}
        return [f"{n} ({'edited' if sha else 'deleted'})" for n, sha in now.items() if not sha or sha != known.get(n)]

    def write(self, inputs: Mapping[str, str], out: Path, outputs: Iterable[str], **more: Any) -> None:
        """Record the inputs (none: so that nothing is relied on), and the outputs (relative to out) as they are now."""
        made = {name: sha256(out / name) for name in outputs}
        self.known = {"inputs": dict(inputs), "outputs": made, **more}
        write_json(self.path, self.known)
