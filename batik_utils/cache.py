"""Files written wholly or not at all, and cached files that are checked, not believed."""

import contextlib
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batik_utils.errors import BatikError


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved there if the block ends well, else removed; BatikError if none can be."""
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
        said = f"{path.name} cannot be written in {path.parent.name}/ ({error.strerror or error}); make room there, "
        raise BatikError(f"{said}or choose another folder (BATIK_CACHE for the cache).") from None
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


def write_kept(path: Path, value: Any) -> None:
    """Write a cached file: a plain value of dataclasses, dicts, lists, JSON's own and, anywhere in it, NumPy arrays.

    Bytes are kept as an array of them. It is an .npz file whatever its name: the first array is JSON, in which
    {"array": i} stands for the i-th. Its checksums tell whether it is what was written; equal values give equal bytes.
    """
    arrays: list[NDArray[Any]] = []

    def plain(item: Any) -> Any:
        if not isinstance(item, np.ndarray | bytes):
            return vars(item)
        arrays.append(np.frombuffer(item, np.uint8) if isinstance(item, bytes) else item)
        return {"array": len(arrays)}

    text, file = json.dumps(value, default=plain, sort_keys=True, allow_nan=False), io.BytesIO()
    np.savez(file, np.frombuffer(text.encode(), np.uint8), *arrays, allow_pickle=False)
    write_bytes(path, file.getvalue())


def read_kept(path: Path, understand: Callable[[Any], Any] = lambda value: value) -> Any:
    """understand(what write_kept wrote, dataclasses as dicts); None where there is no such file.

    A file that is damaged, altered or not understood counts as none and is set aside: its name then ends in .bad.
    """
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as kept:
            if kept.zip.testzip() is not None:
                raise ValueError("it is not what was written")
            text, *arrays = (kept[f"arr_{i}"] for i in range(len(kept.files)))
        found = lambda d: arrays[d["array"] - 1] if [*d] == ["array"] else d  # noqa: E731
        return understand(json.loads(text.tobytes(), object_hook=found))
    except Exception:  # whatever the bytes of somebody else make a parser raise
        with contextlib.suppress(OSError):
            os.replace(path, path.with_name(path.name + ".bad"))
        return None
