"""What a report depends on, as digests, and what its builds keep by them; nothing heavy is imported."""

import contextlib
import copy
import json
import os
import pickle
import platform
import sysconfig
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from batik_utils.cache import digest, digest_file, digest_json, digest_source, read_kept, write_kept
from batik_utils.data.obtain import motif_files, motifs_apart, other_motifs
from batik_utils.errors import BatikError
from batik_utils.models.backbones import BACKBONES
from batik_utils.models.weights import places
from batik_utils.study import ROOT, Study
from batik_utils.study_file import load_plates

TEMPLATES = "batik_utils/report/templates/"
# What changes nothing in a report: how it is asked for, and what is made of it.
FACES = tuple(f"batik_utils/{name}" for name in ("cli.py", "new_study", "app/", "deploy/predict.py"))
FACES += (f"{TEMPLATES}index.", f"{TEMPLATES}readme.")
# What only notebooks draw with: no figure is kept with the results.
FIGURES = ("batik_utils/figures/", f"{TEMPLATES}report.mplstyle")
# What only pages depend on, not what the notebooks show (a template that is not here is taken for theirs).
PAGES = tuple(f"{TEMPLATES}{name}" for name in ("math", "model-card.", "pandoc.", "reforms.", "refs.", "report."))
PAGES += ("batik_utils/report/export.py",)
NOTEBOOKS = "notebooks/"
VARIABLE = "BATIK_SNAPSHOT"  # the environment variable that tells a notebook's kernel where the snapshot is


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
    return sorted((ROOT / NOTEBOOKS).glob("[0-9]*.ipynb"))


def cells(path: Path) -> list[tuple[str, str, list[str]]]:
    """A notebook's cells as they are typed, with their tags: outputs and counts do not matter."""
    found = read_json(path).get("cells", [])
    return [(c["cell_type"], "".join(c["source"]), c["metadata"].get("tags", [])) for c in found]


def code() -> dict[str, str]:
    """{path below the project's folder: digest} of the library's files and of the notebooks' cells."""
    found = {p.relative_to(ROOT): p for p in (ROOT / "batik_utils").rglob("*") if p.is_file() and p.name[0] != "."}
    hidden = {"__pycache__", ".ipynb_checkpoints"}
    files = {name.as_posix(): digest_source(path) for name, path in found.items() if not hidden & {*name.parts}}
    return files | {f"{NOTEBOOKS}{path.name}": digest_json(cells(path)) for path in notebooks()}


def inputs(study: Study, folder: Path | None, place: str) -> dict[str, str]:
    """{what: digest} of everything that a report is made from; folder and place say where its photographs lie."""
    lock, found = ROOT / "requirements.txt", code()
    found["requirements.txt"] = digest_source(lock) if lock.is_file() else ""
    installed = Path(sysconfig.get_path("purelib")).glob("*.dist-info")
    found["installed packages"] = digest_json(sorted(path.name for path in installed))
    found["Python"] = f"{platform.python_version()} {os.environ.get('KERAS_BACKEND', 'tensorflow')}"
    found["study"] = digest(study.model_dump_json().encode())
    found |= {p.relative_to(ROOT).as_posix(): digest_source(p) for p in ROOT.glob("studies/*/*.csv")}
    plates = load_plates()
    found["plates"] = digest_json([plates[m].model_dump() for m in study.motifs if m in plates])
    if folder is not None:
        for motif in study.motifs:
            files, skipped = motif_files(folder, motif)
            held = [[path.relative_to(folder).as_posix(), sha256(path)] for path in files]
            found[f"pictures of {motif}"] = digest_json([place, held, skipped])
        found["pictures of other motifs"] = digest_json(other_motifs(study.motifs, folder))
        if any(getattr(model, "metric", None) for model in study.models.values()):
            sources = [source.pictures for source in study.sources]
            apart = motifs_apart(study.motifs, sources, folder)
            found["pictures that a metric is learnt from"] = digest_json(apart[1] if apart else [])
    for backbone in {name for model in study.models.values() for name in model.backbones} & {*BACKBONES}:
        # That at hand, "" where there is none: what a network would give is not asked.
        found[f"weights of {backbone}"] = next(filter(None, map(sha256, places(BACKBONES[backbone].weights))), "")
    return found


def code_sha256() -> str:
    """One hash over the library, but for what changes nothing in a report, and the notebooks' cells."""
    return digest_json(part(code(), but=FACES))


def part(inputs: Mapping[str, str], only: tuple[str, ...] = ("",), but: tuple[str, ...] = ()) -> dict[str, str]:
    """The inputs whose names begin with one of these, but not with one of those."""
    return {name: value for name, value in inputs.items() if name.startswith(only) and not name.startswith(but)}


class Kept:
    """Files of one study's builds, each named by what it depends on; a damaged one counts as none."""

    most = 3  # of each sort: the ones used last stay

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sort: str, key: str) -> Path:
        """Where a file of this sort is kept, or would be."""
        return self.folder / f"{sort}.{key[:20]}"

    def read(self, sort: str, key: str) -> Any:
        """What was written, bytes as arrays of them; None where there is none or it is damaged."""
        with contextlib.suppress(OSError):
            os.utime(self.path(sort, key))
        return read_kept(self.path(sort, key))

    def write(self, sort: str, key: str, value: Any) -> None:
        """Keep a plain value, and let the oldest of its sort go."""
        write_kept(self.path(sort, key), value)
        for path in sorted(self.folder.glob(f"{sort}.*"), key=lambda p: -p.stat().st_mtime_ns)[self.most :]:
            path.unlink(missing_ok=True)


def dump(analysis: Any, classifier: str = "") -> bytes:
    """An analysis with all that it derives; classifier names what was made of it. Its images stay in their file."""
    for name, what in vars(type(analysis)).items():  # once here rather than once in every kernel
        if isinstance(what, cached_property):
            getattr(analysis, name)
    kept, images, place = copy.copy(analysis), analysis.dataset.images, None
    kept.deploy = None  # what it measures is among what was derived
    if analysis.clean_features is not None:
        found = {}
        for model in analysis.models:
            with contextlib.suppress(BatikError):  # it is trained from scratch, or its features were removed
                found[model] = analysis.clean_features(model)
        kept.clean_features = found.__getitem__
    if isinstance(images, np.memmap):  # several processes read its file without copies
        place = str(images.filename), images.offset, images.shape, digest_file(Path(str(images.filename)))
        kept.dataset = replace(analysis.dataset, images=np.asarray(images[:0]))
    return pickle.dumps((kept, place, classifier), protocol=5)


def load(path: Path) -> tuple[Any, str]:
    """What was dumped and kept: (analysis, classifier); raises BatikError where this user's build did not write it."""
    # A pickle of somebody else's is never opened.
    own = path.is_file() and (not hasattr(os, "getuid") or path.stat().st_uid == os.getuid())
    content = read_kept(path) if own else None
    if content is None:
        raise BatikError(f"{path.name} is not there or damaged; run `make report` again.")
    analysis, place, classifier = pickle.loads(content.tobytes())
    if place is not None:
        name, offset, shape, sha = place
        if not Path(name).is_file() or digest_file(Path(name)) != sha:
            raise BatikError("The cache has lost its decoded pictures; run `make report` again.")
        analysis.dataset = replace(analysis.dataset, images=np.memmap(name, np.uint8, "r", offset, shape))
    return analysis, classifier
