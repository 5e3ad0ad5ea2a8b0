"""How the files at hand compare with the published data set, by MD5.

The list, published_files.csv (path, md5, bytes; the 982 files of Kaggle's
dionisiusdh/indonesian-batik-motifs), was made from the data folder's MANIFEST.csv by:

    python -c "import csv,sys; w = csv.writer(sys.stdout, lineterminator='\\n'); w.writerow(['path', 'md5',
    'bytes']); w.writerows([r['path'], r['published_md5'], r['published_bytes']] for r in
    csv.DictReader(open('MANIFEST.csv')))" > published_files.csv
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from batik_utils.data.obtain import motif_files

Status = Literal["identical", "altered", "missing", "unlisted"]

LIST = Path(__file__).with_name("published_files.csv")


@cache
def published_files() -> dict[str, tuple[str, int]]:
    """The published list: {posix path: (MD5 as 32 hex digits, bytes)}."""
    with LIST.open(encoding="utf-8", newline="") as file:
        return {row["path"]: (row["md5"], int(row["bytes"])) for row in csv.DictReader(file)}


def check_files(folder: Path, motifs: Sequence[str]) -> list[tuple[str, Status]]:
    """Compare each motif's files with the published list by the MD5 of their bytes.

    Returns (posix path relative to `folder`, status), sorted by path: identical or altered for listed files,
    missing for listed ones that are not there (a link out of the folder is not looked at), and unlisted for
    files that the published data set does not have. Raises BatikError when a motif's folder is missing.
    """
    published = published_files()
    found: dict[str, Status] = {p: "missing" for p in published if p.split("/")[0] in motifs}
    for motif in motifs:
        for path in motif_files(folder, motif)[0]:
            name = f"{motif}/{path.name}"
            if name not in published:
                found[name] = "unlisted"
            else:
                found[name] = "identical" if _md5(path) == published[name][0] else "altered"
    return sorted(found.items())


def _md5(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError:
        return ""  # unreadable is not identical; the loader lists it with its reason
