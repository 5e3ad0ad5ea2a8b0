"""The kinds of model: one class each, which says what it is fitted on and how, and describes itself; nothing else asks.

A new kind is a class here, an entry in KINDS, and its fields in batik_utils.study. Nothing here changes a number by
itself: the arithmetic is in the files that `code` names, so that this file's words are in no result's key.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from batik_utils.cache import digest_json
from batik_utils.errors import BatikError
from batik_utils.models.backbones import BACKBONES, Backbone, backbone
from batik_utils.models.baselines import BaselineModel, baseline_inputs, fit_baselines
from batik_utils.models.corruptions import CORRUPTIONS
from batik_utils.models.extract import Extractor
from batik_utils.models.features import FeatureSpec
from batik_utils.models.heads import train_heads
from batik_utils.models.recipe import Block, Others, fit_recipe, kernels, learn_blocks, primal_weights
from batik_utils.models.work import Fitted, M, Pair, Task, Weights
from batik_utils.study import Repetition, Study
from batik_utils.study_models import AnyModel, Augmentation, FinetunedModel, PretrainedModel, RecipeModel, ScratchModel
from batik_utils.values import Dataset

HEADS = 10  # trained in one job, which reads their features once


@dataclass(frozen=True)
class Description:
    """What readers are told of a model, whatever it is called."""

    starts: str  # where its weights start, in a word: "random", "ImageNet"
    words: str  # what it is, for a card: "a convolutional network trained from random weights"


class Kind(ABC, Generic[M]):
    """A kind of model."""

    code: tuple[str, ...]
    """The source files of batik_utils with which its fits begin; what they import from models/ counts with them."""
    protocols: Collection[str] | None = None  # those that it takes part in; None for all
    often: str  # the field of study.grouped that says how often it is fitted

    @abstractmethod
    def describe(self, model: M) -> Description:
        """What readers are told of it."""

    def inputs(self, task: Task[M], dataset: Dataset, features: NDArray[np.float32] | None, *others: Any) -> Any:
        """What its fits are given of every image of the dataset: images, features or something made of them.

        others is one thing, the features and labels of other motifs' pictures, where the model wants them and has them.
        """
        return dataset.pictures(task.image) if features is None else features

    @abstractmethod
    def fit(self, task: Task[M], paths: Sequence[str], sha256s: Sequence[str], inputs: NDArray[Any]) -> list[Fitted]:
        """Do the task; one result and its weights per fit, in order. Raises BatikError where training diverges."""

    @abstractmethod
    def cost(self, model: M, epochs: int, rows: int, size: int) -> float:
        """Seconds of one core for a fit on so many training images of a side, roughly: tasks are weighed by it."""

    def features(self, model: M, study: Study, backbones: Mapping[str, Backbone]) -> FeatureSpec | None:
        """The frozen features that it is given; None where it needs none."""
        return None

    def together(self, pairs: Sequence[Pair], model: M) -> list[list[Pair]]:
        """The fits cut into those that are done in one job."""
        return [[pair] for pair in pairs]

    def weights_sha256(self, model: M) -> str | None:
        """sha256 of the weights that it starts from; None where there are none. Raises BatikError if not to be had."""
        found = [backbone(name).weights_sha256() for name in model.backbones]
        return digest_json(found) if len(found) > 1 else next(iter(found), None)

    def can_be_saved(self, model: M) -> bool:
        """Whether assemble makes a network of it."""
        return True

    def wants_others(self, model: M) -> bool:
        """Whether it is given the features of other motifs' pictures too, where there are such (Dataset.others)."""
        return False

    def deployed(self, task: Task[M], weights: Weights, features: Any, *others: Any) -> Weights:
        """A fit's weights as assemble takes them, where they are to be made of its training rows' features."""
        return weights

    def assemble(self, model: M, weights: Weights, size: int, motifs: Sequence[str], dropout: float) -> Any:
        """A fit's weights as a whole keras.Model: float32 [b, size, size, 3] RGB 0-255 → [b, motifs]."""
        raise BatikError("A model of this kind cannot be saved as a network.")


class Scratch(Kind[ScratchModel]):
    """A network trained from random weights, on images."""

    code = ("models/train.py",)
    often = "scratch"

    def describe(self, model: ScratchModel) -> Description:
        return Description("random", "a convolutional network trained from random weights")

    def cost(self, model: ScratchModel, epochs: int, rows: int, size: int) -> float:
        side = model.regularised.crop if model.regularised else size
        return 3.5e-7 * epochs * rows * side**2

    def fit(self, task: Task[ScratchModel], paths: Any, sha256s: Any, inputs: Any) -> list[Fitted]:
        from batik_utils.models.train import train_scratch

        return train_scratch(task, paths, sha256s, inputs)

    def assemble(self, model: ScratchModel, weights: Any, size: int, motifs: Sequence[str], dropout: float) -> Any:
        from batik_utils.models.scratch import ask_all_views, build_scratch

        side = model.regularised.side if model.regularised else size
        network = build_scratch(model.architecture, side, len(motifs), dropout, pixels=model.pixels)
        network.set_weights(weights)
        return ask_all_views(network, size) if model.regularised else network


class Pretrained(Kind[PretrainedModel]):
    """A head trained on a frozen backbone's features."""

    code = ("models/heads.py",)
    often = "pretrained"

    def describe(self, model: PretrainedModel) -> Description:
        words = "with frozen ImageNet weights, global average pooling and a trained classification head"
        return Description("ImageNet", f"{_titles(model)} {words}")

    def cost(self, model: PretrainedModel, epochs: int, rows: int, size: int) -> float:
        return 2.5e-5 * epochs * rows

    def fit(self, task: Task[PretrainedModel], paths: Any, sha256s: Any, inputs: Any) -> list[Fitted]:
        return train_heads(task, paths, inputs)

    def features(self, model: PretrainedModel, study: Study, backbones: Mapping[str, Backbone]) -> FeatureSpec:
        # Enough views that every epoch of the longest fit sees a fresh one; none where nothing is changed.
        views = max(model.epochs, *(model.runs.epochs if model.runs else (0,)))
        views = views if model.augmentation != Augmentation() else 0
        return _spec(study, model, backbone(model.backbone, backbones), model.augmentation, views)

    def together(self, pairs: Sequence[Pair], model: PretrainedModel) -> list[list[Pair]]:
        return [list(pairs[i : i + HEADS]) for i in range(0, len(pairs), HEADS)]

    def assemble(self, model: PretrainedModel, weights: Any, size: int, motifs: Sequence[str], dropout: float) -> Any:
        import keras

        known, hidden = backbone(model.backbone), weights.get("hidden_kernel")
        width = known.features if hidden is None else hidden.shape[-1]
        shapes = {"kernel": (width, len(motifs)), "bias": (len(motifs),)}
        if hidden is not None:
            shapes |= {"hidden_kernel": (known.features, width), "hidden_bias": (width,)}
        given = {name: tuple(value.shape) for name, value in weights.items()}
        if given != shapes:
            raise BatikError(f"This head does not fit {known.title}: it has {given}, not {shapes}.")
        base = known.build(size)
        x = base.output
        if hidden is not None:
            x = keras.layers.Dense(width, activation="relu", name="hidden")(x)
        x = keras.layers.Dropout(dropout, name="dropout")(x)
        whole = keras.Model(base.input, keras.layers.Dense(len(motifs), "softmax", name="motif")(x), name=known.name)
        if hidden is not None:
            whole.get_layer("hidden").set_weights([hidden, weights["hidden_bias"]])
        whole.get_layer("motif").set_weights([weights["kernel"], weights["bias"]])
        return whole


class Finetuned(Kind[FinetunedModel]):
    """A network that starts with ImageNet weights, all of them trained on."""

    code = ("models/finetune.py",)
    often = "scratch"

    def describe(self, model: FinetunedModel) -> Description:
        return Description("ImageNet", f"{_titles(model)} with ImageNet weights, all of them trained on")

    def cost(self, model: FinetunedModel, epochs: int, rows: int, size: int) -> float:
        return 2e-6 * epochs * rows * size**2

    def fit(self, task: Task[FinetunedModel], paths: Any, sha256s: Any, inputs: Any) -> list[Fitted]:
        from batik_utils.models.finetune import train_finetuned

        return train_finetuned(task, paths, sha256s, inputs)

    def assemble(self, model: FinetunedModel, weights: Any, size: int, motifs: Sequence[str], dropout: float) -> Any:
        from batik_utils.models.finetune import build_finetuned

        network = build_finetuned(model.backbone, size, len(motifs), dropout)
        network.set_weights(weights)
        return network


class Recipe(Kind[RecipeModel]):
    """Frozen features, from networks or not, pooled in several ways, and a linear head."""

    code = ("models/recipe.py",)
    often = "recipe"

    def describe(self, model: RecipeModel) -> Description:
        frozen = f"frozen ImageNet weights ({_titles(model)})" if model.backbones else "no weights, from texture"
        words = f"a linear head (ridge classifier) on features computed with {frozen}"
        return Description("ImageNet" if model.backbones else "none", words)

    def cost(self, model: RecipeModel, epochs: int, rows: int, size: int) -> float:
        return 6 * (5e-3 + 8e-8 * rows**2)  # the inner folds, and the fit itself

    def wants_others(self, model: RecipeModel) -> bool:
        return model.metric is not None

    def inputs(self, task: Task[RecipeModel], dataset: Dataset, features: Any, *others: Others) -> NDArray[np.float32]:
        return kernels(features, self._blocks(task, *others))

    def _blocks(self, task: Task[RecipeModel], *others: Others) -> list[Block]:
        scale = task.model.metric.scale if task.model.metric else 0.0
        return learn_blocks([width for _, width in _extractor(task).blocks], scale, next(iter(others), None))

    def fit(self, task: Task[RecipeModel], paths: Any, sha256s: Any, inputs: Any) -> list[Fitted]:
        extractor = _extractor(task)
        return fit_recipe(task, paths, inputs, extractor.parameters + (extractor.features + 1) * task.classes)

    def features(self, model: RecipeModel, study: Study, backbones: Mapping[str, Backbone]) -> FeatureSpec:
        return _spec(study, model, Extractor.of(model.parts, backbones), Augmentation(), 0)

    def can_be_saved(self, model: RecipeModel) -> bool:
        return all(part.backbone for part in model.parts.values())

    def deployed(self, task: Task[RecipeModel], weights: Any, features: Any, *others: Others) -> Weights:
        return primal_weights(weights, features, self._blocks(task, *others))

    def assemble(self, model: RecipeModel, weights: Any, size: int, motifs: Sequence[str], dropout: float) -> Any:
        return Extractor.of(model.parts, BACKBONES).assemble(weights["kernel"], weights["bias"], size)


class Baseline(Kind[BaselineModel]):
    """A logistic regression on what says little of a motif, on all splits of a protocol in one go."""

    code = ("models/baselines.py",)
    protocols = ("grouped", "sources", "others")
    often = "pretrained"

    def describe(self, model: BaselineModel) -> Description:
        return Description("none", f"{model.title}: a logistic regression")

    def cost(self, model: BaselineModel, epochs: int, rows: int, size: int) -> float:
        return 5e-4 * rows

    def inputs(self, task: Task[BaselineModel], dataset: Dataset, features: Any, *others: Any) -> NDArray[np.float64]:
        return baseline_inputs(task.model.inputs, dataset, features)

    def fit(self, task: Task[BaselineModel], paths: Any, sha256s: Any, inputs: Any) -> list[Fitted]:
        return fit_baselines(task, paths, inputs)

    def features(self, model: BaselineModel, study: Study, backbones: Mapping[str, Backbone]) -> FeatureSpec | None:
        other = study.models[study.compare[0]]
        return KINDS[other.kind].features(other, study, backbones) if model.inputs == "features" else None

    def together(self, pairs: Sequence[Pair], model: BaselineModel) -> list[list[Pair]]:
        return [list(pairs)]


def _extractor(task: Task[RecipeModel]) -> Extractor:
    assert task.features is not None and isinstance(task.features.backbone, Extractor)
    return task.features.backbone


def _titles(model: AnyModel) -> str:
    """A model's backbones as readers know them."""
    return ", ".join(BACKBONES[name].title if name in BACKBONES else name for name in model.backbones)


def _spec(
    study: Study, model: AnyModel, backbone: Backbone | Extractor, augmentation: Augmentation, views: int
) -> FeatureSpec:
    corruptions = CORRUPTIONS if study.grouped.corruptions and model.corruptions else ()
    return FeatureSpec(backbone, study.image_of(model), augmentation, views, corruptions)


KINDS: dict[str, Kind[Any]] = {
    "scratch": Scratch(),
    "pretrained": Pretrained(),
    "finetuned": Finetuned(),
    "recipe": Recipe(),
    "baseline": Baseline(),
}
"""By the `kind` of a model."""


def repetition(model: Any, study: Study) -> Repetition:
    """How often a model of a study is fitted."""
    often: Repetition = getattr(study.grouped, KINDS[model.kind].often)
    return often.model_copy(update={"repeats": 1, "seeds": 1}) if model.once else often
