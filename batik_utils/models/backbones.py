"""The pretrained backbones: one registry, in which each owns its preprocessing, its size and its weights.

Every backbone takes the same input, RGB from 0 to 255, and gives features; what it does to the numbers first is
part of it, so that no study can feed one wrongly (except mobilenet_v2_unit_range, which repeats a seed study's
mistake on purpose and says so in its name). Keras is imported only when a backbone is built.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from batik_utils.errors import BatikError
from batik_utils.models import weights as weight_files
from batik_utils.study import nearest


@dataclass(frozen=True)
class Backbone:
    """A network trained on ImageNet, without its top, frozen."""

    name: str
    title: str
    """The name that readers see."""
    family: Literal["keras.applications", "efficientnet_lite"]
    network: str
    """The function in keras.applications, or the variant of EfficientNet-Lite."""
    native_size: int
    """Side of the images it was trained on, pixels; other sizes from 32 up work too."""
    features: int
    """Numbers per image."""
    parameters: int
    """Without any head, batch normalisation included."""
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

    def build(self, size: int, fold: bool = True) -> Any:
        """A frozen keras.Model: float32 [b, size, size, 3] RGB from 0 to 255 → float32 [b, features].

        The features are the last feature maps, averaged over the picture; the layer before the last gives the
        maps. With fold, batch normalisation is folded into the convolutions (see folding.py): faster, the
        same features to rounding, fewer parameters to count. Raises BatikError if the weights cannot be had:
        there is no build with random ones.
        """
        path = weight_files.weights_file(self.weights)
        model = self.architecture(size)
        if self.family == "efficientnet_lite":
            from batik_utils.models.efficientnet_lite import load_lite

            load_lite(model, path)
        else:
            _load_h5(model, path, with_top=self.weights == "mobilenet_v2")
        if self.network.startswith("EfficientNetB"):
            _divide_stem_by_root_deviation(model)
        if fold:
            from batik_utils.models.folding import fold_batch_norm

            return fold_batch_norm(model)
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
        except BatikError:
            # The error's text tells of this machine's network; a report must read the same everywhere.
            filename = weight_files.WEIGHTS[self.weights].filename
            return f"the weights of {self.title} ({filename}) could not be had from any source"
        return None


def backbone(name: str) -> Backbone:
    """Look a backbone up; raises BatikError naming the nearest right one."""
    if name not in BACKBONES:
        raise BatikError(f"There is no backbone {name!r}, {nearest(name, BACKBONES)}")
    return BACKBONES[name]


def _load_h5(model: Any, path: Path, with_top: bool) -> None:
    """Load one of Keras' own weight files, without its top layers where it has them.

    Keras goes by the order of the layers, and refuses a file with another number of layers or another shape.
    """
    try:
        if with_top:
            with tempfile.TemporaryDirectory(prefix="batik-") as folder:
                rest = Path(folder) / "no_top.h5"
                weight_files.drop_top(path, rest)
                model.load_weights(str(rest))
        else:
            model.load_weights(str(path))
    except (ValueError, KeyError, OSError) as error:
        reason = " ".join(str(error).split())
        raise BatikError(f"{path.name} does not fit {model.name}: {reason}") from None


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


_SIGNED = ("scaled from [0, 255] to [-1, 1]", (1 / 127.5, -1.0))
_LITE = ("(x − 127) / 128", (1 / 128, -127 / 128))
_INSIDE = "as it is, 0 to 255 (the network rescales inside)"
_LITE_NOTE = "PyTorch weights trained with TensorFlow's padding, put into a Keras rebuild by name"


def _efficientnet(letter: str, size: int, features: int, parameters: int) -> Backbone:
    return Backbone(
        name=f"efficientnet_{letter}",
        title=f"EfficientNet-{letter.upper()}",
        family="keras.applications",
        network=f"EfficientNet{letter.upper()}",
        native_size=size,
        features=features,
        parameters=parameters,
        preprocessing=_INSIDE,
        rescale=None,
        weights=f"efficientnet_{letter}",
    )


def _efficientnet_lite(variant: str, size: int, parameters: int) -> Backbone:
    return Backbone(
        name=f"efficientnet_{variant}",
        title=f"EfficientNet-{variant.capitalize()}",
        family="efficientnet_lite",
        network=variant,
        native_size=size,
        features=1280,
        parameters=parameters,
        preprocessing=_LITE[0],
        rescale=_LITE[1],
        weights=f"efficientnet_{variant}",
        note=_LITE_NOTE,
    )


def _mobilenet_v3(kind: str, features: int, parameters: int) -> Backbone:
    return Backbone(
        name=f"mobilenet_v3_{kind}",
        title=f"MobileNetV3 {kind}",
        family="keras.applications",
        network=f"MobileNetV3{kind.capitalize()}",
        native_size=224,
        features=features,
        parameters=parameters,
        preprocessing=_INSIDE,
        rescale=None,
        weights=f"mobilenet_v3_{kind}",
    )


_MOBILENET_V2 = Backbone(
    name="mobilenet_v2",
    title="MobileNetV2",
    family="keras.applications",
    network="MobileNetV2",
    native_size=224,
    features=1280,
    parameters=2_257_984,
    preprocessing=_SIGNED[0],
    rescale=_SIGNED[1],
    weights="mobilenet_v2",
)

BACKBONES: dict[str, Backbone] = {
    b.name: b
    for b in (
        _MOBILENET_V2,
        replace(
            _MOBILENET_V2,
            name="mobilenet_v2_unit_range",
            title="MobileNetV2 fed [0, 1]",
            preprocessing="scaled from [0, 255] to [0, 1], which is not what it was trained on",
            rescale=(1 / 255, 0.0),
            note="a seed study's mistake, kept to show what it costs",
        ),
        _efficientnet_lite("lite0", 224, 3_413_024),
        _efficientnet_lite("lite2", 260, 4_869_168),
        _efficientnet("b0", 224, 1280, 4_049_571),
        _efficientnet("b2", 260, 1408, 7_768_569),
        replace(
            _MOBILENET_V2,
            name="mobilenet",
            title="MobileNet",
            network="MobileNet",
            features=1024,
            parameters=3_228_864,
            weights="mobilenet",
        ),
        _mobilenet_v3("small", 576, 939_120),
        _mobilenet_v3("large", 960, 2_996_352),
    )
}
"""Every backbone, by name."""
