"""A backbone and its head as one network of Keras' own layers."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from batik_utils import backend
from batik_utils.errors import BatikError
from batik_utils.models.backbones import backbone


def assemble(
    backbone_name: str, head_weights: Mapping[str, NDArray[Any]], size: int, motifs: Sequence[str], dropout: float = 0.0
) -> Any:
    """The whole pretrained model as a keras.Model: float32 [b, size, size, 3] RGB 0-255 → [b, motifs], softmax.

    head_weights: hidden_kernel [d, h] and hidden_bias [h] (or neither), kernel [h or d, motifs], bias [motifs]. Batch
    normalisation is not folded, so that parameters count as published. Raises BatikError for an unknown backbone,
    weights that cannot be had, or a head that does not fit.
    """
    backend.start()
    import keras

    known, hidden = backbone(backbone_name), head_weights.get("hidden_kernel")
    width = known.features if hidden is None else hidden.shape[-1]
    shapes = {"kernel": (width, len(motifs)), "bias": (len(motifs),)}
    if hidden is not None:
        shapes |= {"hidden_kernel": (known.features, width), "hidden_bias": (width,)}
    given = {name: tuple(value.shape) for name, value in head_weights.items()}
    if given != shapes:
        raise BatikError(f"This head does not fit {known.title}: it has {given}, not {shapes}.")
    base = known.build(size, fold=False)
    x = base.output
    if hidden is not None:
        x = keras.layers.Dense(width, activation="relu", name="hidden")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    model = keras.Model(base.input, keras.layers.Dense(len(motifs), "softmax", name="motif")(x), name=backbone_name)
    if hidden is not None:
        model.get_layer("hidden").set_weights([hidden, head_weights["hidden_bias"]])
    model.get_layer("motif").set_weights([head_weights["kernel"], head_weights["bias"]])
    return model
