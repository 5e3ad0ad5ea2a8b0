"""The models that a study may name: what each kind is, its settings, and what others may ask of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

T = TypeVar("T")


def _some(values: tuple[Any, ...]) -> tuple[Any, ...]:
    # Not Field(min_length=1): pydantic counts good values only, and would name a bad one's mistake twice.
    if not values:
        raise ValueError("needs one value or more")
    return values


Some = Annotated[tuple[T, ...], AfterValidator(_some)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Times = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0, lt=1)]


class Strict(BaseModel):
    """Base of every part of a study: frozen, no unknown keys, no coercion ("20" is not 20), no .inf or .nan."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Architecture = Literal["seed_cnn", "pooled_cnn", "small_cnn", "dense512_cnn", "dense128_cnn", "resnet18"]
"""The keys of batik_utils.models.scratch.ARCHITECTURES, again: reading a study must not import Keras."""
Protocol = Literal["runs", "published", "grouped", "sources", "others", "curve", "permuted"]
"""The names of batik_utils.data.split.PROTOCOLS, again."""


class Image(Strict):
    """How a picture becomes an array."""

    size: Annotated[int, Field(ge=32, le=1024)] = 224  # side, pixels
    resize: Literal["nearest", "bilinear"] = "nearest"
    """nearest is what Keras' flow_from_directory does; bilinear (antialiased) is torchvision's Resize."""
    fit: Literal["stretch", "crop"] = "stretch"
    """How other shapes become square: squeezed, as the seeds did it, or the middle square, which keeps proportions."""

    @property
    def words(self) -> str:
        """What is done to a picture, as in "squeezed to 224 × 224 pixels by nearest neighbour"."""
        shape = {"stretch": "squeezed", "crop": "cropped to its middle square and brought"}[self.fit]
        how = {"nearest": "by nearest neighbour", "bilinear": "by antialiased bilinear interpolation"}[self.resize]
        return f"{shape} to {self.size} × {self.size} pixels {how}"


class Augmentation(Strict):
    """Random changes of a training image; the ranges mean what ImageDataGenerator means by them."""

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0  # degrees either way
    shift: Fraction = 0.0  # fraction of the side, each axis, either way
    shear: Annotated[float, Field(ge=0, le=90)] = 0.0  # degrees either way
    zoom: Fraction = 0.0  # each axis independently by a factor in [1 - zoom, 1 + zoom]
    horizontal_flip: bool = False

    @property
    def words(self) -> str:
        """What a training picture may undergo, as in "rotation by up to ±20°, horizontal flips"."""
        changes = (
            f"rotation by up to ±{self.rotation:g}°" if self.rotation else "",
            f"shifts by up to ±{100 * self.shift:g} % of each side" if self.shift else "",
            f"shear by up to ±{self.shear:g}°" if self.shear else "",
            f"zoom of each axis by {1 - self.zoom:g}–{1 + self.zoom:g}" if self.zoom else "",
            "horizontal flips" if self.horizontal_flip else "",
        )
        return ", ".join(filter(None, changes)) or "no change"


class Runs(Strict):
    """Settings with each of which a model is fitted on the published split, because the seed study did so."""

    epochs: Some[Count]  # asked about after each of these in one training
    learning_rate: Some[Rate] | None = None  # None: the model's own
    dropout: Some[Fraction]
    seeds: Count = 3  # training seeds per setting


class Tuned(Strict):
    """How the settings of a model were chosen beforehand: by photographs of motifs that are not the study's."""

    settings: Count  # how many were compared
    motifs: Some[str]  # folder names
    command: str
    note: str = ""  # what readers must know of those pictures, a sentence


class Chosen(Tuned):
    """The same of a recipe, whose candidates were compared on trios of those motifs."""

    trios: Count


class AnyModel(Strict):
    """A model of any kind, and what others may ask of it."""

    title: str  # the name that readers see
    note: str = ""  # what readers must know of how it came by its settings
    image: Image | None = None  # how its pictures become arrays, where that is not the study's way
    variant_of: str | None = None  # the model that this one is, but for the seed study's mistake
    mistake: str = ""  # that mistake as a clause: "feeding the backbone 0 to 1 where it expects −1 to 1"
    protocols: Some[Protocol] | None = None  # it has; None: all
    once: bool = False  # one repeat and one training seed, whatever the study says of its kind: each fit is dear
    corruptions: bool = True  # whether it is asked about tampered test images, where the study asks

    @property
    def trained(self) -> TrainedModel | None:
        """Itself, where it learns in epochs; None for others."""
        return self if isinstance(self, TrainedModel) else None

    @property
    def augments(self) -> bool:
        """Whether it is trained on views of its images as its `augmentation` says."""
        return isinstance(self, TrainedModel) and not getattr(self, "regularised", None)

    @property
    def backbones(self) -> tuple[str, ...]:
        """The names of the frozen networks that its features come from, each once."""
        return ()


class TrainedModel(AnyModel):
    """A model that learns in epochs."""

    epochs: Count
    batch_size: Count = 32
    learning_rate: Rate = 1e-3
    dropout: Fraction = 0.5
    augmentation: Augmentation = Augmentation()
    runs: Runs | None = None  # for the protocol of that name
    tuned: Tuned | None = None


class Regularisation(Strict):
    """What keeps a network from learning its few training images by heart (models/train.py)."""

    crop: Annotated[int, Field(ge=32)] = 96  # side of the random crops that it is trained on, pixels
    side: Annotated[int, Field(ge=32)] = 128  # of the whole pictures that crops are cut from, and that are judged
    mix: Annotated[float, Field(ge=0, le=1)] = 0.5  # share of the batches whose pictures are mixed with one another
    smoothing: Fraction = 0.1  # of labels
    weight_decay: Fraction = 0.05
    average: Fraction = 0.99  # momentum of the average of weights


class ScratchModel(TrainedModel):
    """A network trained from random weights."""

    kind: Literal["scratch"]
    architecture: Architecture
    pixels: Literal["unit", "imagenet"] = "unit"
    """Values from 0 to 1, or less ImageNet's mean and divided by its standard deviation, channel by channel."""
    flipped_tests: bool = False  # whether a training seed mirrors half of the pictures it is asked about: a mistake
    regularised: Regularisation | None = None  # how small_cnn, and no other, is trained; `augmentation` then has no say

    @model_validator(mode="after")
    def _small_ones_are_regularised(self) -> ScratchModel:
        if (self.architecture == "small_cnn") != bool(self.regularised):
            raise ValueError("the architecture small_cnn and the field regularised go together")
        return self


class PretrainedModel(TrainedModel):
    """A frozen backbone with ImageNet weights, and a trained head."""

    kind: Literal["pretrained"]
    backbone: str  # a name in batik_utils.models.backbones.BACKBONES; the backbone owns its preprocessing
    hidden: Times = 128  # units of the head's hidden layer (ReLU); 0 for none
    untrained: bool = False  # whether the head's weights stay as they were drawn: a mistake

    @property
    def backbones(self) -> tuple[str, ...]:
        return (self.backbone,)


class FinetunedModel(TrainedModel):
    """A network with ImageNet weights and a new last layer, all of whose weights are trained."""

    kind: Literal["finetuned"]
    backbone: str  # as a PretrainedModel's

    @property
    def backbones(self) -> tuple[str, ...]:
        return (self.backbone,)


class Part(Strict):
    """One thing that is computed of a picture: feature maps of a frozen backbone, pooled, or a texture descriptor."""

    backbone: str | None = None  # a name in batik_utils.models.backbones.BACKBONES
    layers: tuple[str, ...] = ()  # Keras' names of the layers whose maps are pooled
    pooling: tuple[Literal["average", "gem", "covariance"], ...] = ()  # each layer's maps in each of these ways
    texture: Literal["patterns", "colour_patterns", "region_covariance"] | None = None  # see models/texture.py

    @model_validator(mode="after")
    def _is_one_thing(self) -> Part:
        if (self.backbone is None) == (self.texture is None):
            raise ValueError("a part has either a backbone or a texture")
        if bool(self.layers and self.pooling) != bool(self.backbone):
            raise ValueError("layers and pooling go with a backbone, and a backbone with both")
        return self


class Metric(Strict):
    """A within-class metric learnt from the published pictures of motifs that the study does not have."""

    scale: Annotated[float, Field(gt=0)] = 10.0  # of β: how many times the mean eigenvalue of the scatter


class RecipeModel(AnyModel):
    """Features that are frozen, and a ridge on them: one setting, chosen beforehand."""

    kind: Literal["recipe"]
    parts: Annotated[dict[str, Part], Field(min_length=1)]  # put side by side
    strength: Annotated[float, Field(gt=0)]  # of the ridge, scikit-learn's alpha
    metric: Metric | None = None
    chosen: Chosen | None = None

    @property
    def words(self) -> str:
        """What it is, as in "gem and covariances, ridge 0.3"."""
        return f"{' and '.join(self.parts)}, ridge {self.strength:g}"

    @property
    def backbones(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part.backbone for part in self.parts.values() if part.backbone))


Model = Annotated[ScratchModel | PretrainedModel | FinetunedModel | RecipeModel, Field(discriminator="kind")]


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error message: "did you mean 'scratch'?", or all that are known."""
    found = difflib.get_close_matches(name, known := list(known), n=1, cutoff=0.5)
    return f"did you mean {found[0]!r}?" if found else f"known are: {', '.join(sorted(known))}."
