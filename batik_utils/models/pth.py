"""Read the tensors of a PyTorch .pth file without PyTorch, and without running what a pickle may ask for."""

from __future__ import annotations

import math
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from batik_utils.errors import BatikError

MAGIC = 0x1950A86A20F9469CFC6C
"""First value of PyTorch's older stream (torch.serialization.MAGIC_NUMBER)."""
PROTOCOL = 1001

_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    count: int


@dataclass(frozen=True)
class _Tensor:
    """A tensor whose numbers are still to be read (the older stream keeps them behind the pickle)."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Kind:
    """What a pickle gets when it asks for torch.FloatStorage and its like: a name for a dtype, not callable."""

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)


class _Unpickler(pickle.Unpickler):
    """Builds ordered dictionaries and tensors; whatever else the pickle names is an error, and is not imported."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            # A new function each time, so that nothing the pickle does to it outlives the reading.
            return lambda storage, offset, shape, strides, *_: _tensor(storage, offset, shape, strides)
        if module == "torch" and name in _STORAGES:
            return _Kind(_STORAGES[name])
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not a tensor")

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", _Kind() as kind, str(key), str(), int(count), *view) if view in ([], [None]):
                storage = _Storage(key, kind.dtype, count)
                if count < 0 or self.storages.setdefault(key, storage) != storage:
                    raise pickle.UnpicklingError(f"it describes the storage {key!r} in two ways")
                return storage
        raise pickle.UnpicklingError("it refers to something that is not a tensor's storage")


def read_pth(path: Path) -> dict[str, NDArray[Any]]:
    """Read a state dictionary, {name: array in the tensor's own shape and dtype}, both .pth layouts.

    Check the file's sha256 first; the reading itself can build only tensors and ordered dictionaries of them.
    Raises BatikError if the file asks for anything else, is cut short or is not a .pth at all.
    Source: the layouts are those of torch.serialization (a zip since PyTorch 1.6, a stream of pickles before).
    """
    try:
        if zipfile.is_zipfile(path):
            found, blobs = _read_zip(path)
        else:
            with path.open("rb") as stream:
                found, blobs = _read_stream(stream)
        if not isinstance(found, dict) or not all(isinstance(v, _Tensor) for v in found.values()):
            raise ValueError("it is not a dictionary of tensors")
        return {str(name): _array(tensor, blobs) for name, tensor in found.items()}
    except OSError as error:
        raise BatikError(f"{path.name} cannot be read: {error.strerror or error}.") from None
    # A damaged pickle may raise nearly anything, from EOFError to UnicodeDecodeError and TypeError.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BatikError(f"{path.name} is not a PyTorch weights file that can be read safely: {reason}.") from None


def _read_stream(stream: BinaryIO) -> tuple[Any, dict[str, NDArray[Any]]]:
    if _Unpickler(stream).load() != MAGIC or _Unpickler(stream).load() != PROTOCOL:
        raise ValueError("it does not begin as one")
    if _Unpickler(stream).load().get("little_endian") is not True:
        raise ValueError("it was written on a big-endian machine")
    body = _Unpickler(stream)
    found = body.load()
    blobs = {}
    for key in _Unpickler(stream).load():
        storage = body.storages[key]
        count = int.from_bytes(stream.read(8), "little", signed=True)
        blob = stream.read(storage.count * storage.dtype.itemsize)
        if count != storage.count or len(blob) != storage.count * storage.dtype.itemsize:
            raise ValueError("it is cut short")
        blobs[key] = np.frombuffer(blob, storage.dtype)
    return found, blobs


def _read_zip(path: Path) -> tuple[Any, dict[str, NDArray[Any]]]:
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n.count("/") == 1 and n.endswith("/data.pkl")]
        if len(names) != 1:
            raise ValueError("it holds no data.pkl")
        folder = names[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("it was written on a big-endian machine")
        with archive.open(names[0]) as stream:
            body = _Unpickler(stream)  # type: ignore[arg-type]
            found = body.load()
        blobs = {}
        for key, storage in body.storages.items():
            member = archive.getinfo(f"{folder}data/{key}")
            if member.file_size != storage.count * storage.dtype.itemsize:
                raise ValueError("it is cut short")
            blobs[key] = np.frombuffer(archive.read(member), storage.dtype)
        return found, blobs


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> _Tensor:
    whole = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or len(shape) != len(strides):
        raise pickle.UnpicklingError("it describes a tensor without a storage")
    if not all(type(v) is int and v >= 0 for v in whole):
        raise pickle.UnpicklingError("it describes a tensor of impossible shape")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _array(tensor: _Tensor, blobs: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """The numbers of one tensor, as an array of its own; refuses to look outside its storage."""
    flat = blobs[tensor.storage.key]
    size = math.prod(tensor.shape)
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    # A stride of 0 could make terabytes out of one number: no tensor is larger than what stores it.
    if size > flat.size or (size and last >= flat.size):
        raise ValueError("a tensor reaches outside its storage")
    if not size:
        return np.zeros(tensor.shape, flat.dtype)
    steps = tuple(s * flat.itemsize for s in tensor.strides)
    view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, steps, writeable=False)
    return view.copy()
