"""What a report was made from (the same for the same inputs), and what a run was like (never the same)."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from batik_utils.study import ROOT, PretrainedModel, Study
from batik_utils.values import Dataset

PACKAGES = ("keras", "numpy", "scikit-learn", "scipy", "pandas", "matplotlib", "pillow", "pypandoc-binary", "typst")
_BINARY = {".woff", ".png"}


def provenance(study: Study, dataset: Dataset) -> list[tuple[str, str]]:
    """(what, value) for the last page: hashes of data, study, code, lock and weights; versions; seeds.

    Nothing of the machine, the day or the commit is in it: the same inputs give the same rows.
    """
    rows = [
        ("Data", f"{len(dataset)} images, {len(dataset.motifs)} motifs; sha256 `{dataset.fingerprint}`"),
        ("Study", f"{study.name}; sha256 `{_sha256(study.model_dump_json().encode())}`"),
        ("Code and notebooks", f"sha256 `{code_sha256()}`"),
        ("Lock (requirements.txt)", f"sha256 `{lock_sha256()}`"),
    ]
    rows += [(f"Weights, {label}", value) for label, value in _weights(study)]
    rows += [
        ("Python", ".".join(str(part) for part in sys.version_info[:3])),
        ("Packages", ", ".join(f"{name} {version}" for name, version in versions())),
        ("Seeds", _seeds(study)),
    ]
    return rows


def code_sha256(root: Path = ROOT) -> str:
    """One hash over batik_utils/ and the notebooks' cells; line ends, outputs and execution counts do not matter."""
    digest = hashlib.sha256()
    for path in _code_files(root):
        raw = path.read_bytes()
        if path.suffix == ".ipynb":
            cells = json.loads(raw)["cells"]
            kept = [[c["cell_type"], "".join(c["source"]), c["metadata"].get("tags", [])] for c in cells]
            raw = json.dumps(kept, ensure_ascii=False).encode()
        elif path.suffix not in _BINARY:
            raw = raw.replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(raw)}\0".encode() + raw)
    return digest.hexdigest()


def lock_sha256(root: Path = ROOT) -> str:
    """Of requirements.txt, whatever its line ends."""
    return _sha256((root / "requirements.txt").read_bytes().replace(b"\r\n", b"\n"))


def versions() -> list[tuple[str, str]]:
    """(package, version) of what numbers and pages depend on, read without importing any of them."""
    out = []
    for name in ("tensorflow", *PACKAGES):
        # On most machines TensorFlow's package for processors alone is installed.
        for installed in (name, f"{name}-cpu") if name == "tensorflow" else (name,):
            try:
                out.append((name, importlib.metadata.version(installed)))
                break
            except importlib.metadata.PackageNotFoundError:
                continue
    return out


def _code_files(root: Path) -> Iterable[Path]:
    found = [p for p in (root / "batik_utils").rglob("*") if p.is_file()]
    found += (root / "notebooks").glob("*.ipynb")
    hidden = {"__pycache__", ".ipynb_checkpoints"}
    kept = [p for p in found if not hidden & set(p.parts) and not p.name.startswith(".")]
    return sorted(kept, key=lambda p: p.relative_to(root).as_posix())


def _weights(study: Study) -> list[tuple[str, str]]:
    from batik_utils.models.backbones import BACKBONES

    out = []
    for model in study.models.values():
        if isinstance(model, PretrainedModel):
            backbone = BACKBONES[model.backbone]
            reason = backbone.unavailable()
            out.append((model.title, "not to be had" if reason else f"sha256 `{backbone.weights_sha256()}`"))
    return out


def _seeds(study: Study) -> str:
    grouped = study.grouped
    return (
        f"published split: training seeds 0–{study.published.seeds - 1}; grouped cross-validation: "
        f"{_times(grouped.pretrained.repeats, 'repeat')} × {_times(grouped.pretrained.seeds, 'seed')} (pretrained), "
        f"{_times(grouped.scratch.repeats, 'repeat')} × {_times(grouped.scratch.seeds, 'seed')} (scratch)"
    )


def _times(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def run_record(study: Study, dataset: Dataset, seconds: Mapping[str, float], **more: Any) -> dict[str, Any]:
    """What differs from run to run, for run.json beside the report: machine, minutes per stage, date, memory.

    seconds maps stages to their wall clock; more is added as it is.
    """
    return {
        "study": study.name,
        "data": dataset.source.description,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "cpu": _cpu(),
            "cores": os.process_cpu_count() if hasattr(os, "process_cpu_count") else len(_affinity()),
            "memory_gb": _memory_gb(),
        },
        "minutes": {stage: round(s / 60, 2) for stage, s in seconds.items()},
        "minutes_total": round(sum(seconds.values()) / 60, 2),
        "peak_memory_mb": _peak_memory_mb(),
        **more,
    }


def _affinity() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, OSError, ValueError):
        return None


def _peak_memory_mb() -> dict[str, float] | None:
    """The main process, and the largest of its children (fits and notebooks run in those)."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # bytes there, kibibytes elsewhere
    who = {"main": resource.RUSAGE_SELF, "largest_child": resource.RUSAGE_CHILDREN}
    return {name: round(resource.getrusage(which).ru_maxrss / unit, 1) for name, which in who.items()}
