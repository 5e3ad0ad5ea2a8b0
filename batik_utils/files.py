"""Files written wholly or not at all, and cached files that are checked, not believed."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from batik_utils.errors import BatikError

_SEAL = b"sha256:"


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved there when the block ends well and removed when it does not.

    Raises BatikError, in one line, where the folder cannot be written or the disk is full.
    """
    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Processes of two machines that share a folder may have one number; mkstemp tries until a name is free.
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:80]}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        part = Path(name)
        yield part
        part.chmod(0o644)
        os.replace(part, path)
    except OSError as error:
        raise BatikError(
            f"{path.name} cannot be written in {path.parent.name}/ ({error.strerror or error}); make room there, "
            "or choose another folder (BATIK_CACHE for the cache)."
        ) from None
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file as atomic does."""
    with atomic(path) as part:
        part.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text with plain line ends as atomic does."""
    write_bytes(path, content.encode("utf-8"))


def json_text(value: Any) -> str:
    """JSON for people and machines: indented, sorted keys, a final newline; NaN is refused."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def rounded(digits: str) -> float:
    """A number of metrics.json as read by json.loads(..., parse_float=rounded): six decimals, and no -0.0."""
    return round(float(digits), 6) + 0.0


def write_json(path: Path, value: Any) -> None:
    """Write json_text as atomic does."""
    write_text(path, json_text(value))


def digest(content: bytes) -> str:
    """sha256 as 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def digest_json(value: Any) -> str:
    """sha256 of a plain JSON value, whatever the order of its keys."""
    return digest(json.dumps(value, sort_keys=True).encode())


def digest_file(path: Path, algorithm: str = "sha256") -> str:
    """Hash of a file's bytes in hex; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def digest_source(path: Path) -> str:
    """sha256 of a file whatever its line ends, which differ between checkouts."""
    return digest(path.read_bytes().replace(b"\r\n", b"\n"))


def write_sealed(path: Path, content: bytes) -> None:
    """Write a cached file that carries its own sha256 in its first line."""
    write_bytes(path, _SEAL + digest(content).encode() + b"\n" + content)


def read_sealed(path: Path) -> bytes | None:
    """The content of a sealed file; None where there is none, and where it is not what was written.

    A damaged or altered file is set aside (its name ends in .bad), so that it is named once and made again.
    """
    try:
        seal, _, content = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if seal == _SEAL + digest(content).encode():
        return content
    _set_aside(path)
    return None


def read_sealed_json(path: Path) -> Any:
    """The plain JSON value of a sealed file; None where there is none, as for read_sealed."""
    try:
        return json.loads(read_sealed(path) or b"null")
    except (ValueError, RecursionError):
        _set_aside(path)
        return None


def _set_aside(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.replace(path, path.with_name(path.name + ".bad"))
