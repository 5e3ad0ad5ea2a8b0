"""Read the tensors of a PyTorch .pth file without PyTorch, and without running what a pickle may ask for."""

from __future__ import annotations

import math
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from batik_utils.errors import BatikError

MAGIC = 0x1950A86A20F9469CFC6C
"""First value of PyTorch's older stream (torch.serialization.MAGIC_NUMBER)."""
PROTOCOL = 1001
_STORAGES = {
    **{"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "BoolStorage": "|b1"},
    **{"LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "|i1", "ByteStorage": "|u1"},
}


# Tuples, which a pickle cannot alter once they are checked.
class _Storage(NamedTuple):
    key: str
    dtype: str
    numbers: int

    @property
    def bytes(self) -> int:
        return self.numbers * np.dtype(self.dtype).itemsize


class _Tensor(NamedTuple):
    """A tensor whose numbers are still to be read (the older stream keeps them behind the pickle)."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Builds ordered dictionaries and tensors; whatever else the pickle names is an error, and is not imported."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            # A new function each time, so that nothing the pickle does to it outlives the reading.
            return lambda storage, offset, shape, strides, *_: _tensor(storage, offset, shape, strides)
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not a tensor")

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", str(dtype), str(key), str(), int(numbers), *view) if (
                view in ([], [None]) and dtype in _STORAGES.values()
            ):
                storage = _Storage(key, dtype, numbers)
                if numbers < 0 or self.storages.setdefault(key, storage) != storage:
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
            state, numbers = _read_zip(path)
        else:
            with path.open("rb") as stream:
                state, numbers = _read_stream(stream)
        if not isinstance(state, dict) or not all(isinstance(v, _Tensor) for v in state.values()):
            raise ValueError("it is not a dictionary of tensors")
        return {str(name): _array(tensor, numbers[tensor.storage.key]) for name, tensor in state.items()}
    except OSError as error:
        raise BatikError(f"{path.name} cannot be read: {error.strerror or error}.") from None
    # A damaged pickle may raise nearly anything, from EOFError to UnicodeDecodeError and TypeError.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BatikError(f"{path.name} is not a PyTorch weights file that can be read safely: {reason}.") from None


def _read_stream(stream: IO[bytes]) -> tuple[Any, dict[str, NDArray[Any]]]:
    if _Unpickler(stream).load() != MAGIC or _Unpickler(stream).load() != PROTOCOL:
        raise ValueError("it does not begin as one")
    if _Unpickler(stream).load().get("little_endian") is not True:
        raise ValueError("it was written on a big-endian machine")
    body = _Unpickler(stream)
    state = body.load()
    numbers = {}
    for key in _Unpickler(stream).load():
        storage = body.storages[key]
        if int.from_bytes(stream.read(8), "little", signed=True) != storage.numbers:
            raise ValueError("it is cut short")
        numbers[key] = _numbers(storage, stream.read(storage.bytes))
    return state, numbers


def _read_zip(path: Path) -> tuple[Any, dict[str, NDArray[Any]]]:
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n.count("/") == 1 and n.endswith("/data.pkl")]
        if len(names) != 1:
            raise ValueError("it holds no data.pkl")
        folder = names[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("it was written on a big-endian machine")
        with archive.open(names[0]) as stream:
            body = _Unpickler(stream)
            state = body.load()
        members = {key: archive.getinfo(f"{folder}data/{key}") for key in body.storages}
        if any(member.file_size != body.storages[key].bytes for key, member in members.items()):
            raise ValueError("it is cut short")
        return state, {key: _numbers(body.storages[key], archive.read(member)) for key, member in members.items()}


def _numbers(storage: _Storage, content: bytes) -> NDArray[Any]:
    if len(content) != storage.bytes:
        raise ValueError("it is cut short")
    return np.frombuffer(content, storage.dtype)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> _Tensor:
    if not isinstance(storage, _Storage) or len(shape) != len(strides):
        raise pickle.UnpicklingError("it describes a tensor without a storage")
    if not all(type(v) is int and v >= 0 for v in (offset, *shape, *strides)):
        raise pickle.UnpicklingError("it describes a tensor of impossible shape")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _array(tensor: _Tensor, flat: NDArray[Any]) -> NDArray[Any]:
    """The numbers of one tensor, as an array of its own; refuses to look outside its storage."""
    size = math.prod(tensor.shape)
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    # A stride of 0 could make terabytes out of one number: no tensor is larger than what stores it.
    if size > flat.size or (size and last >= flat.size):
        raise ValueError("a tensor reaches outside its storage")
    steps = tuple(s * flat.itemsize for s in tensor.strides)
    return np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, steps, writeable=False).copy()
