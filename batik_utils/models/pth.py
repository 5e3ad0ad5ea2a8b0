"""Read the tensors of a PyTorch .pth file without PyTorch, and without running what a pickle may ask for."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batik_utils.errors import BatikError

_STORAGES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8"}


class _Unpickler(pickle.Unpickler):
    """Builds ordered dictionaries and tensors; whatever else the pickle names is an error, and is not imported."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            # A new function each time, so that nothing the pickle does to it outlives the reading.
            return lambda storage, *place: (*storage, *place[:3])
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise BatikError(f"The weights file asks for {module}.{name}, which is no part of a tensor; it is not used.")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        _, dtype, key, *_ = pid
        return key, dtype


def read_pth(path: Path) -> dict[str, NDArray[Any]]:
    """Read a state dictionary, {name: array in the tensor's own shape and dtype}, of a file of which the hash is right.

    The reading itself can build only tensors and ordered dictionaries of them: BatikError for a file that asks for
    anything else. Source of the layout: torch.serialization, the format before PyTorch 1.6.
    """
    with path.open("rb") as stream:
        *_, state, keys = (_Unpickler(stream, encoding="utf-8").load() for _ in range(5))
        dtypes = {key: np.dtype(dtype) for key, dtype, *_ in state.values()}
        # The numbers stand behind the pickles, each storage after its length.
        numbers = {key: stream.read(int.from_bytes(stream.read(8), "little") * dtypes[key].itemsize) for key in keys}
    found = {}
    for name, (key, _, offset, shape, strides) in state.items():
        dtype, content = dtypes[key], numbers[key]
        steps = [dtype.itemsize * stride for stride in strides]
        # numpy raises where they are not all in the storage.
        found[str(name)] = np.ndarray(shape, dtype, content, dtype.itemsize * offset, steps).copy()
    return found
