"""Where photographs come from: a folder given, data/, ../shared/data/, Kaggle."""

from __future__ import annotations

import contextlib
import difflib
import io
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from batik_utils.data.decode import EXTENSIONS
from batik_utils.data.listing import published_files
from batik_utils.errors import BatikError
from batik_utils.study import ROOT

KAGGLE_DATASET = "dionisiusdh/indonesian-batik-motifs"
KAGGLE_HOST = "https://www.kaggle.com"
KAGGLE_TIMEOUT = 4.0
"""Seconds after which an unanswered knock at Kaggle's door counts as offline (name look-up included)."""

_DEPTH = 3


class NoPhotographs(BatikError):
    """No place has any folders of pictures; a face may then turn to the procedural sample."""


def cache_dir() -> Path:
    """The folder of everything that can be computed again: BATIK_CACHE, or .batik in the project's folder."""
    given = os.environ.get("BATIK_CACHE")
    return Path(given).expanduser().resolve() if given else ROOT / ".batik"


def find_photographs(data: Path | None, motifs: Sequence[str]) -> tuple[Path, str]:
    """The folder that directly contains the motifs' folders, and one line on where it is (no machine path).

    Looked at, each to a depth of three: `data` (if given, nothing else), data/, ../shared/data/, Kaggle (not with
    BATIK_OFFLINE=1). Raises BatikError, naming the nearest, where a motif's folder is lacking among others;
    NoPhotographs where no place has any.
    """
    for motif in motifs:
        if Path(motif).name != motif or motif in {"", ".", ".."}:
            raise BatikError(f"The motif {motif!r} is not a folder's name; use a plain name such as batik-bali.")
    if data is not None:
        try:
            return _search(Path(data).expanduser(), motifs, f"folder DATA={data}"), "data folder given by DATA"
        except NoPhotographs as error:
            raise BatikError(f"DATA={data}: {error}; give the folder that holds one folder per motif.") from None
    places = {"data folder": ROOT / "data", "shared folder": ROOT.parent / "shared" / "data", "Kaggle": None}
    failed: dict[str, BatikError] = {}
    for name, place in places.items():
        try:
            if place is None:
                return _from_kaggle(motifs), f"Kaggle ({KAGGLE_DATASET})"
            return _search(place, motifs, name), name
        except BatikError as error:
            failed[name] = error
    if lacking := [error for error in failed.values() if not isinstance(error, NoPhotographs)]:
        raise lacking[0]
    looked = ", ".join(f"{name} ({error})" for name, error in failed.items())
    raise NoPhotographs(
        f"The photographs of {', '.join(motifs)} were not found. Looked at: {looked}. "
        "Put the folders of the motifs into data/, or name the folder that has them with DATA=."
    )


def _search(base: Path, motifs: Sequence[str], place: str) -> Path:
    """The shallowest folder at or under base that has all motifs; raises as find_photographs does."""
    if not base.is_dir():
        raise NoPhotographs("there is no such folder")
    best: set[str] = set()
    for folder, names in _folders(base):
        if names.issuperset(motifs):
            return folder
        pictured = {name for name in names if _has_pictures(folder / name)}
        best = max(best, pictured, key=lambda found: (len(found.intersection(motifs)), len(found)))
    if not best:
        raise NoPhotographs("no folders of pictures in it")
    complaints = []
    for motif in (m for m in motifs if m not in best):
        near = difflib.get_close_matches(motif, sorted(best), n=1)
        there = f"; did you mean {near[0]}?" if near else f", which has {', '.join(sorted(best)[:5])}."
        complaints.append(f"{motif} is not in the {place}{there}")
    raise BatikError(" ".join(complaints))


def _folders(base: Path) -> list[tuple[Path, set[str]]]:
    """Folders from base to a depth of three below it, the shallowest first, with the names of their subfolders."""
    found = []
    for here, names, _ in os.walk(base):  # links are not followed: they may lead anywhere, or in a circle
        depth = len(Path(here).relative_to(base).parts)
        names[:] = sorted(name for name in names if not name.startswith("."))
        found.append((depth, here, set(names)))
        if depth == _DEPTH:
            names.clear()
    return [(Path(here), names) for _, here, names in sorted(found, key=lambda row: row[:2])]


def _has_pictures(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return any(path.suffix.lower() in EXTENSIONS for path in folder.iterdir())
    return False


def _from_kaggle(motifs: Sequence[str]) -> Path:
    for copy in _kaggle_copies():
        with contextlib.suppress(BatikError):
            return _search(copy, motifs, "copy from Kaggle")
    if absent := set(motifs).difference(path.partition("/")[0] for path in published_files()):
        raise NoPhotographs(f"it has no {', '.join(sorted(absent))}")
    if os.environ.get("BATIK_OFFLINE", "") not in {"", "0"}:
        raise NoPhotographs("not asked, as BATIK_OFFLINE is set")
    if not _kaggle_answers():
        raise NoPhotographs("it cannot be reached from here")
    try:
        # kagglehub prints to the standard output; only its progress bar (standard error) is of use to people.
        with contextlib.redirect_stdout(io.StringIO()):
            import kagglehub

            logging.getLogger("kagglehub").setLevel(logging.ERROR)
            got = kagglehub.dataset_download(KAGGLE_DATASET)
    except Exception as error:
        # Network, sign-in, quota, disk: kagglehub and requests have no common type, and none may stop a report.
        raise NoPhotographs(f"the download failed with {type(error).__name__}") from None
    return _search(Path(got), motifs, "download from Kaggle")


def _kaggle_copies() -> list[Path]:
    """Complete downloads in kagglehub's own cache, newest first; finding them needs no network."""
    home = os.environ.get("KAGGLEHUB_CACHE")
    place = (Path(home) if home else Path.home() / ".cache" / "kagglehub") / "datasets" / KAGGLE_DATASET
    versions = sorted((int(m.stem) for m in place.glob("*.complete") if m.stem.isdigit()), reverse=True)
    return [place / "versions" / str(v) for v in versions]


def _kaggle_answers() -> bool:
    """Whether anything answers within about KAGGLE_TIMEOUT seconds."""
    answers: list[bool] = []

    def knock() -> None:
        import requests

        with contextlib.suppress(requests.RequestException):
            requests.head(KAGGLE_HOST, timeout=KAGGLE_TIMEOUT, allow_redirects=False)
            answers.append(True)

    # requests' timeout does not cover looking up the name, which can hang; a thread left behind does no harm.
    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    thread.join(KAGGLE_TIMEOUT + 1)
    return bool(answers)
