"""A study's files: which there are, and how they compare with the published data set by MD5.

The list, published_files.csv (path, md5, bytes; the 982 files of Kaggle's dionisiusdh/indonesian-batik-motifs), was
made from the data folder's MANIFEST.csv: its columns path, published_md5 and published_bytes.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from batik_utils.errors import BatikError, printable
from batik_utils.files import digest_file

Status = Literal["identical", "altered", "unlisted", "drawn"]
LIST = Path(__file__).with_name("published_files.csv")


@dataclass(frozen=True)
class Listed:
    """One file of a study."""

    path: str
    """Posix, relative to the data folder."""
    sha256: str
    status: Status
    """Against the published file of this path."""

    @property
    def motif(self) -> str:
        """The folder that it lies in."""
        return self.path.partition("/")[0]


@cache
def published_files() -> dict[str, tuple[str, int]]:
    """The published list: {posix path: (MD5 as 32 hex digits, bytes)}."""
    with LIST.open(encoding="utf-8", newline="") as file:
        return {row["path"]: (row["md5"], int(row["bytes"])) for row in csv.DictReader(file)}


def hash_files(
    folder: Path, motifs: Iterable[str], paths: Iterable[Path]
) -> tuple[list[Listed], list[tuple[str, str]], int]:
    """Files compared with the list, (posix path, reason) of unreadable ones, and how many listed ones are missing."""
    published, motifs = published_files(), set(motifs)
    rows: list[Listed] = []
    skipped: list[tuple[str, str]] = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            status: Status = "unlisted"
            if name in published:
                status = "identical" if digest_file(path, "md5") == published[name][0] else "altered"
            rows.append(Listed(name, digest_file(path), status))
        except OSError as error:
            skipped.append((name, f"it cannot be read ({error.strerror})"))
    seen = {row.path for row in rows} | {name for name, _ in skipped}
    missing = sum(path.partition("/")[0] in motifs and path not in seen for path in published)
    return rows, skipped, missing


def motif_files(folder: Path, motif: str) -> tuple[list[Path], list[tuple[str, str]]]:
    """The regular files of one motif's folder in the lexicographic order that Keras uses, and what is skipped.

    Skipped are (posix path relative to `folder`, reason) subfolders, links that lead out of `folder`, and names that
    cannot be shown; hidden files without a word. Raises BatikError when the motif's folder leads out of `folder`.
    """
    root, place = folder.resolve(), folder / motif
    if not place.resolve().is_relative_to(root):
        raise BatikError(f"The folder {motif} is a link out of the data folder; put the files themselves there.")
    files, skipped = [], []
    for name in sorted(n for n in os.listdir(place) if not n.startswith(".")):
        if reason := _unfit(place / name, root):
            skipped.append((printable(f"{motif}/{name}"), reason))
        else:
            files.append(place / name)
    return files, skipped


def _unfit(path: Path, root: Path) -> str:
    if printable(path.name) != path.name:
        return "its name has characters that cannot be shown"
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "a link that leads nowhere"
    if not target.is_relative_to(root):
        return "a link that leads out of the data folder"
    if target.is_dir():
        return "a folder"
    return "" if target.is_file() else "not a regular file"
