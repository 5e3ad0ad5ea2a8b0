"""What a report depends on, as digests, and whether it is still what was made of it. Quick: nothing heavy is imported."""

from __future__ import annotations

import json
import os
import platform
import sysconfig
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batik_utils.data.listing import motif_files
from batik_utils.data.obtain import cache_dir
from batik_utils.files import digest, digest_file, digest_json, digest_source, write_json
from batik_utils.study import ROOT, Study

PACKAGE = Path(__file__).resolve().parent.parent

PAGES = ("batik_utils/report/export.py", "batik_utils/report/nbconvert.py", "batik_utils/report/templates/")
"""What only the pages depend on, not what the notebooks show."""
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


def inputs(study: Study, folder: Path | None, place: str, notebooks: Iterable[Path], digests: Digests) -> dict[str, str]:
    """{what: digest} of everything that a report is made from; folder and place say where its photographs lie."""
    found = {f"batik_utils/{p.relative_to(PACKAGE).as_posix()}": digest_source(p) for p in _sources()}
    found |= {f"notebooks/{path.name}": cells_digest(path) for path in notebooks}
    lock = ROOT / "requirements.txt"
    found["requirements.txt"] = digest_source(lock) if lock.is_file() else ""
    installed = Path(sysconfig.get_path("purelib")).glob("*.dist-info")
    found["installed packages"] = digest_json(sorted(path.name for path in installed))
    found["Python"] = f"{platform.python_version()} {os.environ.get('KERAS_BACKEND', 'tensorflow')}"
    found["study"] = digest(study.model_dump_json().encode())
    for motif in study.motifs if folder else ():
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


@dataclass
class Stamp:
    """What was made from what: a small file beside the caches, one for each report."""

    path: Path
    digests: Digests
    known: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known = read_json(self.path)

    def changed(self, inputs: Mapping[str, str], out: Path) -> list[str]:
        """What is not as it was when the stamp was made, in words; ["everything"] where there is no stamp."""
        if not self.known.get("outputs"):
            return ["everything"]
        before = self.known["inputs"]
        found = sorted(name for name in {*before, *inputs} if before.get(name) != inputs.get(name))
        for name, was in self.known["outputs"].items():
            now = self.digests(out / name)
            if now != was:
                found.append(f"{name} ({'edited' if now else 'deleted'})")
        return found

    def write(self, inputs: Mapping[str, str], out: Path, outputs: Iterable[str], **more: Any) -> None:
        """Record the inputs, and the outputs (relative to out) as they are now."""
        made = {name: self.digests(out / name) for name in outputs}
        self.known = {"inputs": dict(inputs), "outputs": made, **more}
        write_json(self.path, self.known)

    def void(self) -> None:
        """Say that nothing can be relied on."""
        self.path.unlink(missing_ok=True)
        self.known = {}
