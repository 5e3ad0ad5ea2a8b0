"""Where photographs come from (a folder given, data/, ../shared/data/, Kaggle), and which files a study has."""

import contextlib
import csv
import io
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

from batik_utils.cache import digest_file
from batik_utils.data.decode import EXTENSIONS
from batik_utils.errors import BatikError, printable
from batik_utils.network import unreachable
from batik_utils.study import ROOT
from batik_utils.study_models import nearest
from batik_utils.wording import listed

KAGGLE_DATASET = "dionisiusdh/indonesian-batik-motifs"  # its 982 files: published_files.csv, of the data's MANIFEST.csv
KAGGLE_HOST = "https://www.kaggle.com"
KAGGLE_INPUT = Path("/kaggle/input")  # where a notebook on Kaggle has the data sets that are added to it
OTHERS = 10  # pictures of each motif that a study does not have
MODEST = 1_000_000  # bytes; copies of the collection often hold larger files reduced
KAGGLE_TIMEOUT = 4.0  # seconds after which a knock at its door counts as unanswered (name look-up included)


class NoPhotographs(BatikError):
    """No place has any folders of pictures; a face may then turn to the procedural sample."""


Status = Literal["identical", "altered", "unlisted", "drawn"]


class Listed(NamedTuple):
    """One file of a study, and how it compares with the published file of its path."""

    path: str  # posix, relative to the data folder
    sha256: str
    status: Status


PARTS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val"}
PARTS |= {"test": "test", "testing": "test"}
"""Names, in small letters, of folders that part pictures before motifs do (then read as one); a listed split's part."""
LEFT_BEHIND = {"Thumbs.db", "desktop.ini", "__MACOSX"}  # by file managers and archives: as hidden as .names


def shown(name: str) -> bool:
    """Whether a file or folder of this name counts at all."""
    return not name.startswith(".") and name not in LEFT_BEHIND


def motif_of(path: str) -> str:
    """The folder that a picture of this posix path lies in, which is its motif: of train/Kawung/1.jpg, Kawung."""
    return path.rpartition("/")[0].rpartition("/")[2]


def cache_dir() -> Path:
    """The folder of everything that can be computed again: BATIK_CACHE, or .batik in the project's folder."""
    given = os.environ.get("BATIK_CACHE")
    return Path(given).expanduser().resolve() if given else ROOT / ".batik"


@cache
def published_files(most: int | None = None) -> dict[str, str]:
    """The published list, of files of at most so many bytes: {posix path: MD5 as 32 hex digits}."""
    with Path(__file__).with_name("published_files.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return {row["path"]: row["md5"] for row in rows if most is None or int(row["bytes"]) <= most}


@cache
def published_copies() -> dict[str, str]:
    """{path: name of its group of near-duplicates, or "no image"}, as benchmarks.trials copies found them."""
    with Path(__file__).with_name("published_copies.csv").open(encoding="utf-8", newline="") as file:
        return {row["path"]: row["group"] for row in csv.DictReader(file)}


def hash_files(
    folder: Path, motifs: Iterable[str], paths: Iterable[Path]
) -> tuple[list[Listed], list[tuple[str, str]], int]:
    """Files compared with the list, (posix path, reason) of unreadable ones, and how many listed ones are missing."""
    listed = published_files()
    missing = {path for path in listed if path.partition("/")[0] in set(motifs)}
    rows: list[Listed] = []
    skipped: list[tuple[str, str]] = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        status: Status = "unlisted"
        missing.discard(name)
        try:
            if name in listed:
                status = "identical" if digest_file(path, "md5") == listed[name] else "altered"
            rows.append(Listed(name, digest_file(path), status))
        except OSError as error:
            skipped.append((name, f"it cannot be read ({error.strerror})"))
    return rows, skipped, len(missing)


def other_motifs(motifs: Sequence[str], folder: Path) -> tuple[list[str], list[str]]:
    """Pictures of the published motifs that are not among these, and those of them that the folder lacks or altered.

    Named by the list alone: posix paths, OTHERS of each motif, evenly spread over its images of at most MODEST
    bytes, without copies of these motifs' own.
    """
    own = {md5 for path, md5 in published_files().items() if path.partition("/")[0] in motifs}
    others: dict[str, list[str]] = {}
    for path, md5 in sorted(published_files(MODEST).items()):
        readable = published_copies().get(path) != "no image"
        if path.partition("/")[0] not in motifs and md5 not in own and readable:
            others.setdefault(path.partition("/")[0], []).append(path)
    named = [path for paths in others.values() for path in paths[:: max(1, len(paths) // OTHERS)][:OTHERS]]
    return named, sorted({*named} - {row.path for row in _identical(folder, named)})


def motifs_apart(
    motifs: Sequence[str], sources: Iterable[Iterable[str]], folder: Path
) -> tuple[Path, list[Listed]] | None:
    """All published pictures of other motifs that have nothing in common with these, and the folder that has them.

    Left out are files that are no image or of more than MODEST bytes, copies of pictures of these motifs
    (published_copies.csv) and pictures of one source with them; sources that share a picture, or pictures that are
    copies, count as one. They are looked for in a study's own folder, then in this project's; None where no place has
    them all as they were published.
    """
    from scipy.cluster.hierarchy import DisjointSet  # what only asks a classifier needs no scipy

    copies, listed = published_copies(), published_files()
    joined = DisjointSet(listed)
    first: dict[str, str] = {}
    for path, md5 in listed.items():
        for same in filter(None, (md5, copies.get(path, ""))):
            joined.merge(path, first.setdefault(same, path))
    for pictures in sources:
        here = [path for path in pictures if path in listed]
        for path in here[1:]:
            joined.merge(here[0], path)
    own = {joined[path] for path in listed if path.partition("/")[0] in motifs}
    modest = sorted(published_files(MODEST))
    named = [path for path in modest if joined[path] not in own and copies.get(path) != "no image"]
    places = [folder]
    for base in (ROOT / "data", ROOT.parent / "shared" / "data"):
        with contextlib.suppress(BatikError):
            places.append(_search(base, [next(iter(listed)).partition("/")[0]], ""))
    for place in places if named else ():
        if len(rows := _identical(place, named)) == len(named):
            return place, rows
    return None


def _identical(folder: Path, names: Sequence[str]) -> list[Listed]:
    """The files of these names that are as the published list has them."""
    return [row for row in hash_files(folder, (), [folder / name for name in names])[0] if row.status == "identical"]


def motif_files(folder: Path, motif: str) -> tuple[list[Path], list[tuple[str, str]]]:
    """The regular files of one motif's folder, or of those in each part, in the lexicographic order that Keras uses.

    Skipped are (posix path relative to `folder`, reason) subfolders, links that lead out of `folder` and names that
    cannot be shown; what is not `shown` without a word. Raises BatikError when the motif's folder leads out.
    """
    root, places = folder.resolve(), [part / motif for part in parts(folder) if (part / motif).is_dir()]
    places = places or [folder / motif]
    if not all(place.resolve().is_relative_to(root) for place in places):
        raise BatikError(f"The folder {motif} is a link out of the data folder; put the files themselves there.")
    found = {place / n: _unfit(place / n, root) for place in places for n in sorted(os.listdir(place)) if shown(n)}
    skipped = [(printable(path.relative_to(folder).as_posix()), reason) for path, reason in found.items() if reason]
    return [path for path, reason in found.items() if not reason], skipped


def _unfit(path: Path, root: Path) -> str:
    if printable(path.name) != path.name:
        return "its name has characters that cannot be shown"
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "a link that leads nowhere"
    if not target.is_relative_to(root):
        return "a link that leads out of the data folder"
    return "" if target.is_file() else "a folder" if target.is_dir() else "not a regular file"


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
    lacking = [error for error in failed.values() if not isinstance(error, NoPhotographs)]
    if not {*motifs} & {path.partition("/")[0] for path in published_files()}:
        near = next((str(error) for error in lacking if "known are" not in str(error)), "")
        said = near or f"The pictures of {listed(motifs[:3])} were not found{' …' if motifs[3:] else '.'}"
        raise BatikError(f"{said} Pictures of your own are found with DATA=folder.")
    if lacking:
        raise lacking[0]
    looked = ", ".join(f"{name} ({error})" for name, error in failed.items())
    raise NoPhotographs(
        f"The photographs of {', '.join(motifs)} were not found. Looked at: {looked}. "
        "Put the folders of the motifs into data/, or name the folder that has them with DATA=."
    )


def _search(base: Path, motifs: Sequence[str], place: str) -> Path:
    """The shallowest folder, at most three below base, that has all motifs; raises as find_photographs does."""
    if not base.is_dir():
        raise NoPhotographs("there is no such folder")
    best: set[str] = set()
    for folder in chain.from_iterable(levels(base)):
        inside = [_folders(folder), [p for part in parts(folder) for p in _folders(part)]]
        if any({p.name for p in inner}.issuperset(motifs) for inner in inside):
            return folder
        best = max(best, {*motifs_in(folder)}, key=lambda found: (len(found.intersection(motifs)), len(found)))
    if not best:
        raise NoPhotographs("no folders of pictures in it")
    lacking = [f"{m} is not in the {place}, {nearest(m, best)}" for m in motifs if m not in best]
    raise BatikError(" ".join(lacking))


def levels(base: Path) -> Iterator[list[Path]]:
    """The folders in which motifs' folders are looked for: base, then those one, two and three below it."""
    level = [base]
    for _ in range(4):
        yield level
        # Links may lead anywhere, or in a circle.
        level = [p for folder in level for p in _folders(folder) if not p.is_symlink()]


def parts(folder: Path) -> list[Path]:
    """The folders into which one divides its pictures by use (PARTS): one to train with, and others; [] without."""
    found = [p for p in _folders(folder) if p.name.casefold() in PARTS]
    return found if len({PARTS[p.name.casefold()] == "train" for p in found}) == 2 else []


def motifs_in(folder: Path) -> list[str]:
    """Names of the folders in one, or in its parts, that hold files named as pictures are."""
    inside = [p for place in parts(folder) or [folder] for p in _folders(place)]
    return sorted({p.name for p in inside if any(f.suffix.lower() in EXTENSIONS for f in _entries(p))})


def _folders(folder: Path) -> list[Path]:
    return [p for p in _entries(folder) if p.is_dir()]


def _entries(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(p for p in folder.iterdir() if shown(p.name))
    return []


def _from_kaggle(motifs: Sequence[str]) -> Path:
    home = Path(os.environ.get("KAGGLEHUB_CACHE") or Path.home() / ".cache" / "kagglehub") / "datasets" / KAGGLE_DATASET
    # What is added to a notebook there, and complete downloads in kagglehub's own cache, newest first: no network.
    versions = sorted((int(m.stem) for m in home.glob("*.complete") if m.stem.isdigit()), reverse=True)
    added = KAGGLE_INPUT / KAGGLE_DATASET.partition("/")[2]
    for place in (added, *(home / "versions" / str(version) for version in versions)):
        with contextlib.suppress(BatikError):
            return _search(place, motifs, "copy from Kaggle")
    if absent := set(motifs).difference(path.partition("/")[0] for path in published_files()):
        raise NoPhotographs(f"it has no {', '.join(sorted(absent))}")
    if silence := unreachable(KAGGLE_HOST, KAGGLE_TIMEOUT):
        raise NoPhotographs(silence)
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
