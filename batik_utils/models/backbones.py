"""The pretrained backbones: one registry, in which each owns its preprocessing and its weights.

Every backbone takes the same input, RGB from 0 to 255, and gives features; what it does to the numbers first is part of
it, so that no study can feed one wrongly. Keras is imported only when a backbone is built.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batik_utils.errors import BatikError
from batik_utils.models import weights as weight_files
from batik_utils.study_models import nearest


@dataclass(frozen=True)
class Backbone:
    """A network trained on ImageNet, without its top, frozen; its pictures' sides may be 32 pixels or more."""

    name: str
    title: str  # the name that readers see
    network: str  # the function in keras.applications, or the variant of EfficientNet-Lite
    features: int  # numbers per image
    parameters: int  # without any head, batch normalisation included
    weights: str  # a name in batik_utils.models.weights.WEIGHTS
    rescale: tuple[float, float] | None = None  # (factor, offset) for an RGB value; None where it rescales inside

    def build(self, size: int) -> Any:
        """A frozen keras.Model: float32 [b, size, size, 3] RGB from 0 to 255 → float32 [b, features].

        The features are the last feature maps, averaged over the picture; the layer before the last gives the maps.
        Raises BatikError if the weights cannot be had: there is no build with random ones.
        """
        path = self.fetch()
        model = self.architecture(size)
        if self.network.startswith("lite"):
            from batik_utils.models.efficientnet_lite import load_lite

            load_lite(model, path)
        else:
            import keras

            # Keras goes by the order of the layers: around the same ones, those of the classifier that a file may have.
            top = self.weights == "mobilenet_v2"
            whole = keras.Model(model.input, keras.layers.Dense(1000)(model.output)) if top else model
            whole.load_weights(str(path))
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
        if self.network.startswith("lite"):
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

    def fetch(self) -> Path:
        """The file of its weights, had from wherever it can be; raises BatikError, as build does, where it cannot."""
        return weight_files.weights_file(self.weights)


def backbone(name: str, known: Mapping[str, Backbone] | None = None) -> Backbone:
    """Look a backbone up, by default in BACKBONES; raises BatikError naming the nearest right one."""
    known = BACKBONES if known is None else known
    if name not in known:
        raise BatikError(f"There is no backbone {name!r}, {nearest(name, known)}")
    return known[name]


def _divide_stem_by_root_deviation(model: Any) -> None:
    """What keras.applications does with one more layer when it is asked for EfficientNet's ImageNet weights.

    Those were trained on (x − mean) / variance, while the network divides by the standard deviation; here the
    missing factor goes into the first convolution. Source: keras.applications.efficientnet and TensorFlow issue
    49930.
    """
    import numpy as np

    stem = model.get_layer("stem_conv")
    factor = 1 / np.sqrt(np.array([0.229, 0.224, 0.225]))
    stem.set_weights([(w * factor[None, None, :, None]).astype(w.dtype) for w in stem.get_weights()])


_SIGNED, _LITE = (1 / 127.5, -1.0), (1 / 128, -127 / 128)
_V2 = ("MobileNetV2", 1280, 2_257_984, "mobilenet_v2")
BACKBONES = {
    b.name: b
    for b in (
        Backbone("mobilenet_v2", "MobileNetV2", *_V2, _SIGNED),
        # A seed study's mistake, kept to show what it costs: not what the network was trained on.
        Backbone("mobilenet_v2_unit_range", "MobileNetV2 fed [0, 1]", *_V2, (1 / 255, 0.0)),
        # PyTorch weights trained with TensorFlow's padding, put into a Keras rebuild by name.
        Backbone("efficientnet_lite0", "EfficientNet-Lite0", "lite0", 1280, 3_413_024, "efficientnet_lite0", _LITE),
        Backbone("efficientnet_lite2", "EfficientNet-Lite2", "lite2", 1280, 4_869_168, "efficientnet_lite2", _LITE),
        Backbone("efficientnet_b2", "EfficientNet-B2", "EfficientNetB2", 1408, 7_768_569, "efficientnet_b2"),
    )
}
"""Every backbone, by name."""
