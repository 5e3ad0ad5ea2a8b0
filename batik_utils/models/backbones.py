"""The pretrained backbones: one registry, in which each owns its preprocessing, its size and its weights.

Every backbone takes the same input, RGB from 0 to 255, and gives features; what it does to the numbers first is
part of it, so that no study can feed one wrongly (except mobilenet_v2_unit_range, which repeats a seed study's
mistake on purpose and says so in its name). Keras is imported only when a backbone is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from batik_utils.errors import BatikError
from batik_utils.models import weights as weight_files
from batik_utils.study import _nearest


@dataclass(frozen=True)
class Backbone:
    """A network trained on ImageNet, without its top, frozen."""

    name: str
    label: str
    """The name that readers see."""
    family: Literal["keras.applications", "efficientnet_lite"]
    network: str
    """The function in keras.applications, or the variant of EfficientNet-Lite."""
    native_size: int
    """Side of the images it was trained on, pixels; other sizes from 32 up work too."""
    features: int
    """Numbers per image."""
    parameters: int
    """Without any head."""
    preprocessing: str
    """What it does to an RGB value from 0 to 255, in words."""
    rescale: tuple[float, float] | None
    """The same as (factor, offset); None where the network does it inside."""
    weights: str
    """A name in batik_utils.models.weights.WEIGHTS."""
    note: str = ""

    @property
    def licence(self) -> str:
        """The licence stated for the weights."""
        return weight_files.WEIGHTS[self.weights].licence

    def build(self, size: int) -> Any:
        """A frozen keras.Model: float32 [b, size, size, 3] RGB from 0 to 255 → float32 [b, features].

        The features are the last feature maps, averaged over the picture; the layer before the last gives the
        maps. Raises BatikError if the weights cannot be had: there is no build with random ones.
        """
        path = weight_files.weights_file(self.weights)
        model = self.architecture(size)
        if self.family == "efficientnet_lite":
            from batik_utils.models.efficientnet_lite import load_lite

            load_lite(model, path)
        else:
            load_h5(model, path)
        if self.network.startswith("EfficientNetB"):
            _divide_stem_by_root_deviation(model)
        return model

    def architecture(self, size: int) -> Any:
        """The same network before its weights are loaded: for counting, never for a study."""
        import batik_utils.backend  # noqa: F401  (before keras)

        # isort: split
        import keras

        inputs = keras.Input((size, size, 3), dtype="float32", name="image")
        x = inputs
        if self.rescale is not None:
            x = keras.layers.Rescaling(*self.rescale, name="preprocessing")(x)
        if self.family == "efficientnet_lite":
            from batik_utils.models.efficientnet_lite import lite_features

            maps = lite_features(x, self.network)
        else:
            make = getattr(keras.applications, self.network)
            made = make(include_top=False, weights=None, input_tensor=x, input_shape=(size, size, 3))
            maps = made.layers[-1].output
        pooled = keras.layers.GlobalAveragePooling2D(name="features")(maps)
        model = keras.Model(inputs, pooled, name=self.name)
        # Frozen, so that batch normalisation uses its stored statistics even in a call with training=True …
        model.trainable = False
        for layer in model.layers:
            # … and so that EfficientNet's stochastic depth cannot wake up in one either.
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
        return model

    def weights_sha256(self) -> str:
        """sha256 of the weight file; part of a fit's key. May raise BatikError, as build does."""
        return weight_files.sha256_of(self.weights)

    def unavailable(self) -> str | None:
        """Why the weights cannot be had, or None if they are there (fetching them is part of the question)."""
        try:
            weight_files.weights_file(self.weights)
        except BatikError as error:
            return str(error)
        return None


def backbone(name: str) -> Backbone:
    """Look a backbone up; raises BatikError naming the nearest right one."""
    if name not in BACKBONES:
        raise BatikError(f"There is no backbone {name!r}, {_nearest(name, BACKBONES)}")
    return BACKBONES[name]
