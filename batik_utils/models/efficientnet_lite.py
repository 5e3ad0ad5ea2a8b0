"""EfficientNet-Lite in Keras, and its published PyTorch weights, read without PyTorch, put into it by name."""

import math
import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import batik_utils.backend  # noqa: F401  (before keras)
from batik_utils.errors import BatikError

VARIANTS = {"lite0": (1.0, 1.0), "lite2": (1.1, 1.2)}  # width and depth, as multiples of Lite0's

# Kernel, blocks, filters, expansion, stride of each of the seven stages of EfficientNet-B0.
_STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
_EPSILON = 1e-3
_PARTS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
_STORAGES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8"}


def lite_features(x: Any, variant: str) -> Any:
    """Apply the network without its top to a Keras tensor, [b, h, w, 3] scaled to about [-1, 1].

    Gives the last feature maps, [b, h/32, w/32, 1280]. Layers are named after their weights in the .pth
    (blocks.3.depthwise_conv there is blocks_3_depthwise_conv here).
    Source: EfficientNet-Lite (Liu, 2020) – EfficientNet (Tan and Le, 2019) without squeeze-and-excitation,
    with ReLU6, and with stem, head, first and last stage left unscaled.
    """
    from keras import layers

    width, depth = VARIANTS[variant]

    def convolve(x: Any, filters: int | None, name: str, norm: str, relu: str = "", kernel: int = 1, stride: int = 1):
        options = {"padding": "same", "use_bias": False, "name": name}
        if filters:
            x = layers.Conv2D(filters, kernel, stride, **options)(x)
        else:  # of each channel by itself
            x = layers.DepthwiseConv2D(kernel, stride, **options)(x)
        x = layers.BatchNormalization(epsilon=_EPSILON, name=norm)(x)
        return layers.ReLU(6.0, name=relu)(x) if relu else x

    x = convolve(x, 32, "conv_stem", "bn0", "relu_stem", kernel=3, stride=2)
    block, channels = 0, 32
    for stage, (kernel, repeats, base, expansion, first_stride) in enumerate(_STAGES):
        filters = _round_filters(base * width)
        unscaled = stage in (0, len(_STAGES) - 1)
        for i in range(repeats if unscaled else math.ceil(repeats * depth)):
            stride, name, before = first_stride if i == 0 else 1, f"blocks_{block}", x
            if expansion != 1:
                x = convolve(x, channels * expansion, f"{name}_expand_conv", f"{name}_bn0", f"{name}_expand_relu")
            x = convolve(x, None, f"{name}_depthwise_conv", f"{name}_bn1", f"{name}_depthwise_relu", kernel, stride)
            x = convolve(x, filters, f"{name}_project_conv", f"{name}_bn2")
            if stride == 1 and channels == filters:
                x = layers.Add(name=f"{name}_add")([before, x])
            channels, block = filters, block + 1
    return convolve(x, 1280, "conv_head", "bn1", "relu_head")


def load_lite(model: Any, path: Path) -> None:
    """Put the weights of a .pth into a Keras model made with lite_features, in place.

    A Dense layer named "fc" (the ImageNet top, 1000 logits) is filled if the model has one. Raises KeyError or
    ValueError unless each weight of the model is in the file in the right shape, and all of the file are used.
    """
    state = {k: v for k, v in read_pth(path).items() if not k.endswith(".num_batches_tracked")}
    names = {layer.name for layer in model.layers}
    for layer in model.layers:
        values = []
        for weight in layer.weights:
            key = _pth_name(layer.name, weight.path.rsplit("/", 1)[-1])
            value = state.pop(key)
            if value.ndim > 1:  # [out, in], [out, in, h, w], or depthwise [channels, 1, h, w]
                order = (2, 3, 0, 1) if "depthwise" in layer.name else (2, 3, 1, 0)
                value = value.transpose(order if value.ndim == 4 else None)
            values.append(value)
        layer.set_weights(values)
    if left := [key for key in state if "fc" in names or not key.startswith("_fc.")]:
        raise ValueError(f"{path.name} does not fit {model.name}: {left[0]} has no place in it")


def _round_filters(filters: float, divisor: int = 8) -> int:
    rounded = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * filters else rounded


def _pth_name(layer: str, weight: str) -> str:
    part = _PARTS.get(weight, "weight" if weight == "kernel" else weight)
    inside = re.fullmatch(r"blocks_(\d+)_(\w+)", layer)
    return f"_blocks.{inside[1]}._{inside[2]}.{part}" if inside else f"_{layer}.{part}"


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
