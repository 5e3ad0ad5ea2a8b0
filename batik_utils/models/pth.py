"""Read the tensors of a PyTorch .pth file without PyTorch, and without running what a pickle may ask for."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from batik_utils.errors import BatikError

MAGIC = 0x1950A86A20F9469CFC6C
"""First value of the stream (torch.serialization.MAGIC_NUMBER)."""
PROTOCOL = 1001
_STORAGES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8"}


class _Tensor(NamedTuple):
    """A tensor whose numbers are still to be read: the stream keeps them behind the pickle."""

    storage: str
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Builds ordered dictionaries and tensors; whatever else the pickle names is an error, and is not imported."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            # A new function each time, so that nothing the pickle does to it outlives the reading.
            return lambda storage, *place: _Tensor(*storage, *place[:3])
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not a tensor")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        match pid:
            case ("storage", str(dtype), str(key), *_) if dtype in _STORAGES.values():
                return key, dtype
        raise pickle.UnpicklingError("it refers to something that is not a tensor's storage")


def read_pth(path: Path) -> dict[str, NDArray[Any]]:
    """Read a state dictionary, {name: array in the tensor's own shape and dtype}.

    Check the file's sha256 first; the reading itself can build only tensors and ordered dictionaries of them.
    Raises BatikError if the file asks for anything else, is cut short or is not a .pth of this layout.
    Source: torch.serialization's layout before PyTorch 1.6 (a stream of pickles, then numbers), that of the files in
    weights.yaml.
    """
    try:
        with path.open("rb") as stream:
            state, numbers = _read(stream)
        return {str(name): _array(tensor, numbers[tensor.storage]) for name, tensor in state.items()}
    except OSError as error:
        raise BatikError(f"{path.name} cannot be read: {error.strerror or error}.") from None
    # A damaged pickle may raise nearly anything, from EOFError to UnicodeDecodeError and TypeError.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BatikError(f"{path.name} is not a PyTorch weights file that can be read safely: {reason}.") from None


def _read(stream: IO[bytes]) -> tuple[dict[str, _Tensor], dict[str, bytes]]:
    """The tensors by name, and the bytes of each storage."""
    magic, protocol, system, state, keys = (_Unpickler(stream, encoding="utf-8").load() for _ in range(5))
    if (magic, protocol, system["little_endian"]) != (MAGIC, PROTOCOL, True):
        raise ValueError("it does not begin as one")
    if not all(isinstance(tensor, _Tensor) for tensor in state.values()):
        raise ValueError("it is not a dictionary of tensors")
    dtypes, numbers = {tensor.storage: tensor.dtype for tensor in state.values()}, {}
    for key in keys:
        size = int.from_bytes(stream.read(8), "little") * np.dtype(dtypes[key]).itemsize
        numbers[key] = stream.read(size)
        if len(numbers[key]) != size:
            raise ValueError("it is cut short")
    return state, numbers


def _array(tensor: _Tensor, content: bytes) -> NDArray[Any]:
    """The numbers of one tensor; numpy raises where they are not all in its storage."""
    step = np.dtype(tensor.dtype).itemsize
    strides = [step * stride for stride in tensor.strides]
    return np.ndarray(tensor.shape, tensor.dtype, content, step * tensor.offset, strides).copy()
