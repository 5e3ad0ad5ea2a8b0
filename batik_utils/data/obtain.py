"""Where photographs come from: a folder given, data/, ../shared/data/, Kaggle; and how a folder is walked safely."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from batik_utils.errors import BatikError
from batik_utils.study import ROOT

KAGGLE_DATASET = "dionisiusdh/indonesian-batik-motifs"
KAGGLE_HOST = "https://www.kaggle.com"
KAGGLE_TIMEOUT = 4.0
"""Seconds after which an unanswered knock at Kaggle's door counts as offline (name look-up included)."""

_DEPTH = 3


class NoPhotographs(BatikError):
    """No source has the photographs of a study; a face may then turn to the procedural sample."""


def cache_dir() -> Path:
    """The folder of everything that can be computed again: BATIK_CACHE, or .batik in the project's folder."""
    given = os.environ.get("BATIK_CACHE")
    return Path(given).expanduser().resolve() if given else ROOT / ".batik"


def find_photographs(data: Path | None = None, motifs: Sequence[str] = ()) -> tuple[Path | None, str, str]:
    """Find the folder that directly contains the motifs' folders.

    Looked at in this order, each to a depth of three: `data` (if given, nothing else), data/, ../shared/data/,
    Kaggle through kagglehub (its local cache first; BATIK_OFFLINE=1 stays away from the network). A place
    that lacks one of `motifs` is passed over; without motifs, any of the published ones will do.

    Returns (folder, kind, description): kind is "folder" or "kaggle", the description one line for people that
    names no machine path. When nothing is found: (None, "sample", where was looked and why each place fails).
    Raises BatikError when `data` was given and does not exist or lacks a motif's folder.
    """
    for motif in motifs:
        if Path(motif).name != motif or motif in {"", ".", ".."}:
            raise BatikError(f"The motif {motif!r} is not a folder's name; use a plain name such as batik-bali.")
    if data is not None:
        folder, complaint = _motif_root(Path(data).expanduser(), motifs)
        if folder is None:
            raise BatikError(f"DATA={data}: {complaint}; give the folder that holds one folder per motif.")
        return folder, "folder", "data folder given by DATA"
    looked = []
    for place, name in ((ROOT / "data", "data folder"), (ROOT.parent / "shared" / "data", "shared folder")):
        folder, complaint = _motif_root(place, motifs)
        if folder is not None:
            return folder, "folder", name
        looked.append(f"{name} ({complaint})")
    folder, complaint = _from_kaggle(motifs)
    if folder is not None:
        return folder, "kaggle", f"Kaggle ({KAGGLE_DATASET})"
    return None, "sample", ", ".join([*looked, f"Kaggle ({complaint})"])


def motif_files(folder: Path, motif: str) -> tuple[list[Path], list[tuple[str, str]]]:
    """List the regular files of one motif's folder, in the lexicographic order that Keras uses.

    Returns (files, skipped); skipped holds (posix path relative to `folder`, reason) for subfolders, links
    that lead out of `folder`, and names that are not Unicode. Hidden files are left out without a word.
    Raises BatikError when the motif's folder is missing or itself leads out of `folder`.
    """
    root, place = folder.resolve(), folder / motif
    if not place.is_dir():
        raise BatikError(f"There is no folder {motif} in the data folder; give one with DATA= that has it.")
    if not place.resolve().is_relative_to(root):
        raise BatikError(f"The folder {motif} is a link out of the data folder; put the files themselves there.")
    files, skipped = [], []
    for name in sorted(os.listdir(place)):
        path = place / name
        if name.startswith("."):
            continue
        if reason := _unfit(path, root):
            shown = name.encode("utf-8", "backslashreplace").decode()
            skipped.append((f"{motif}/{shown}", reason))
        else:
            files.append(path)
    return files, skipped


def _unfit(path: Path, root: Path) -> str:
    try:
        path.name.encode()
    except UnicodeEncodeError:
        return "its name is not valid Unicode"
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "a link that leads nowhere"
    if not target.is_relative_to(root):
        return "a link that leads out of the data folder"
    if target.is_dir():
        return "a folder"
    return "" if target.is_file() else "not a regular file"


def _motif_root(base: Path, motifs: Sequence[str]) -> tuple[Path | None, str]:
    """The shallowest folder at or under base that has all motifs, or (None, what is wrong)."""
    if not base.is_dir():
        return None, "there is no such folder"
    wanted = set(motifs)
    best: set[str] = set()
    for folder, names in _folders(base):
        if wanted:
            if wanted <= names:
                return folder, ""
            best = max(best, wanted & names, key=len)
        elif names & _published_motifs():
            return folder, ""
    if not wanted:
        return None, "no motif's folder in it"
    lacking = [motif for motif in motifs if motif not in best]
    return None, f"no folder {', '.join(lacking)} in it"


def _folders(base: Path) -> Iterator[tuple[Path, set[str]]]:
    """Folders from base to a depth of three below it, breadth first, with the names of their subfolders."""
    level = [base]
    for depth in range(_DEPTH + 1):
        below = []
        for folder in level:
            try:
                children = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
            except OSError:
                continue
            yield folder, {p.name for p in children}
            # Links are not followed downwards: they may lead anywhere, or in a circle.
            below += [p for p in children if not p.is_symlink()]
        if depth < _DEPTH:
            level = below


def _published_motifs() -> set[str]:
    from batik_utils.data.listing import published_files

    return {path.split("/")[0] for path in published_files()}


def _from_kaggle(motifs: Sequence[str]) -> tuple[Path | None, str]:
    for copy in _kaggle_copies():
        folder, _ = _motif_root(copy, motifs)
        if folder is not None:
            return folder, ""
    if os.environ.get("BATIK_OFFLINE", "") not in {"", "0"}:
        return None, "not asked, as BATIK_OFFLINE is set"
    if complaint := _kaggle_silence():
        return None, complaint
    try:
        # kagglehub prints to the standard output; only its progress bar (standard error) is of use to people.
        with contextlib.redirect_stdout(io.StringIO()):
            import kagglehub

            logging.getLogger("kagglehub").setLevel(logging.ERROR)
            got = kagglehub.dataset_download(KAGGLE_DATASET)
    except Exception as error:
        # Network, sign-in, quota, disk: kagglehub and requests have no common type, and none may stop a report.
        return None, f"the download failed with {type(error).__name__}"
    return _motif_root(Path(got), motifs)


def _kaggle_copies() -> list[Path]:
    """Complete downloads in kagglehub's own cache, newest version first; finding them needs no network."""
    home = os.environ.get("KAGGLEHUB_CACHE")
    cache = Path(home) if home else Path.home() / ".cache" / "kagglehub"
    owner, name = KAGGLE_DATASET.split("/")
    marks = (cache / "datasets" / owner / name).glob("*.complete")
    versions = sorted((int(m.stem) for m in marks if m.stem.isdigit()), reverse=True)
    return [cache / "datasets" / owner / name / "versions" / str(v) for v in versions]


def _kaggle_silence() -> str:
    """Why Kaggle cannot be reached, or "" if something answers, within KAGGLE_TIMEOUT seconds."""
    answer: list[str] = []

    def knock() -> None:
        import requests

        try:
            requests.head(KAGGLE_HOST, timeout=KAGGLE_TIMEOUT, allow_redirects=False)
            answer.append("")
        except requests.RequestException:
            answer.append("it cannot be reached from here")

    # requests' timeout does not cover looking up the name, which can hang; a thread left behind does no harm.
    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    thread.join(KAGGLE_TIMEOUT + 1)
    return answer[0] if answer else "it does not answer"
