"""What a recipe's parts compute of a picture, and the recipe with its head as one network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batik_utils.cache import digest_json
from batik_utils.errors import BatikError
from batik_utils.models.backbones import Backbone, backbone
from batik_utils.models.texture import DESCRIPTORS, describe
from batik_utils.study_models import Part, nearest


@dataclass(frozen=True)
class Extractor:
    """Parts in the place of a Backbone (see FeatureSpec): their vectors of length 1, the blocks, side by side."""

    parts: tuple[tuple[str, Part, Backbone | None], ...]  # name, part, and its backbone unless it is texture

    @classmethod
    def of(cls, parts: Mapping[str, Part], known: Mapping[str, Backbone]) -> Extractor:
        """The extractor of named parts; raises BatikError for a backbone that is not known."""
        found = (
            (name, part, backbone(part.backbone, known) if part.backbone else None) for name, part in parts.items()
        )
        return cls(tuple(found))

    @property
    def name(self) -> str:
        return f"recipe-{digest_json([(name, part.model_dump()) for name, part, _ in self.parts])[:16]}"

    @property
    def title(self) -> str:
        return ", ".join(name for name, *_ in self.parts)

    @property
    def backbones(self) -> tuple[Backbone, ...]:
        """Each once."""
        return tuple({network.name: network for *_, network in self.parts if network}.values())

    @property
    def parameters(self) -> int:
        """Of the backbones, whole."""
        return sum(network.parameters for network in self.backbones)

    @property
    def blocks(self) -> tuple[tuple[str, int], ...]:
        """(part's name, width) of each block, in order."""
        found = []
        for name, part, network in self.parts:
            if part.texture:
                found.append((name, DESCRIPTORS[part.texture][1]))
            elif network:
                from batik_utils.models.pooling import pooled_width

                channels = [_channels(network, layer) for layer in part.layers]
                found += [(name, pooled_width(c, how)) for c in channels for how in part.pooling]
        return tuple(found)

    @property
    def features(self) -> int:
        return sum(width for _, width in self.blocks)

    def weights_sha256(self) -> str:
        """One hash over the backbones' weight files."""
        return digest_json([network.weights_sha256() for network in self.backbones])

    def build(self, size: int) -> Any:
        """What computes the features [b, d] of images [b, size, size, 3], RGB from 0 to 255, by predict_on_batch."""
        return _Built(self, self.network(size) if self.backbones else None)

    def network(self, size: int) -> Any:
        """A frozen keras.Model of all parts that are no texture: float32 [b, size, size, 3] → [b, d].

        Raises BatikError for an unknown layer.
        """
        import keras

        from batik_utils.models.pooling import pool

        image = keras.Input((size, size, 3), dtype="float32", name="image")
        maps: dict[tuple[str, str], Any] = {}
        for network in self.backbones:
            layers = [layer for _, part, its in self.parts if its == network for layer in part.layers]
            wanted = list(dict.fromkeys(layers))
            whole = network.build(size)
            tapped = keras.Model(whole.input, [_layer(whole, layer).output for layer in wanted], name=network.name)
            tapped.trainable = False
            out = tapped(image)
            out = out if isinstance(out, list) else [out]
            maps |= {(network.name, layer): value for layer, value in zip(wanted, out, strict=True)}
        named = [(its.name, part) for _, part, its in self.parts if its]
        blocks = [pool(maps[name, layer], how) for name, part in named for layer in part.layers for how in part.pooling]
        joined = keras.layers.Concatenate(name="features")(blocks) if len(blocks) > 1 else blocks[0]
        return keras.Model(image, joined, name="recipe")

    def assemble(self, kernel: NDArray[Any], bias: NDArray[Any], size: int) -> Any:
        """The parts and a linear head as a keras.Model: RGB 0-255 → softmax [b, classes]; kernel is [d, classes].

        Raises BatikError for texture, which no network computes.
        """
        import keras

        if not all(network for *_, network in self.parts):
            raise BatikError(f"{self.title}: texture is not computed by a network, so it cannot be saved as one.")
        base = self.network(size)
        head = keras.layers.Dense(kernel.shape[1], "softmax", name="motif")
        model = keras.Model(base.input, head(base.output), name="recipe")
        head.set_weights([kernel, bias])
        return model


@dataclass(frozen=True)
class _Built:
    extractor: Extractor
    network: Any

    def predict_on_batch(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        textures = {name: part.texture for name, part, _ in self.extractor.parts if part.texture}
        owner = np.repeat([name for name, _ in self.extractor.blocks], [width for _, width in self.extractor.blocks])
        out = np.empty((len(images), self.extractor.features), np.float32)
        if self.network is not None:
            out[:, ~np.isin(owner, list(textures))] = np.asarray(self.network.predict_on_batch(images))
        for name, texture in textures.items():
            out[:, owner == name] = [describe(image, texture) for image in np.rint(images).astype(np.uint8)]
        return out


@lru_cache(maxsize=64)
def _channels(network: Backbone, layer: str) -> int:
    return int(_layer(_architecture(network), layer).output.shape[-1])


@lru_cache(maxsize=8)
def _architecture(network: Backbone) -> Any:
    return network.architecture(32)


def _layer(model: Any, name: str) -> Any:
    known = [layer.name for layer in model.layers if len(layer.output.shape) == 4]
    if name not in known:
        raise BatikError(f"{model.name} has no layer {name!r} with feature maps, {nearest(name, known)}")
    return model.get_layer(name)
