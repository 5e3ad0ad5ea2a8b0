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

from batik_utils.errors import BatikError
from batik_utils.models.backbones import BACKBONES, Backbone, backbone
from batik_utils.models.baselines import BaselineModel, baseline_inputs, fit_baselines
from batik_utils.models.corruptions import CORRUPTIONS
from batik_utils.models.features import FeatureSpec
from batik_utils.models.recipes import Extractor
from batik_utils.models.work import Fitted, M, Pair, Task, Weights
from batik_utils.study import Augmentation, PretrainedModel, RecipeModel, Repetition, ScratchModel, Study
from batik_utils.values import Dataset

HEADS = 10  # trained in one job, which reads their features once
COMMON = ("backend.py", "values.py", "models/work.py")
VIEWS = ("models/augment.py", "models/corruptions.py")
_BACKBONES = (
    "models/recipes.py",
    "models/texture.py",
    "models/pooling.py",
    "models/backbones.py",
    "models/efficientnet_lite.py",
    "models/pth.py",
    "models/folding.py",
)
FEATURES = ("backend.py", "models/features.py", *_BACKBONES, *VIEWS)
"""The source files that frozen features depend on, and with them whatever is given features."""


def _named(name: str) -> str:
    """A backbone as readers know it."""
    return BACKBONES[name].title if name in BACKBONES else name


def _corruptions(study: Study) -> tuple[str, ...]:
    return CORRUPTIONS if study.grouped.corruptions else ()


@dataclass(frozen=True)
class Description:
    """What readers are told of a model, whatever it is called."""

    starts: str  # where its weights start, in a word: "random", "ImageNet"
    words: str  # what it is, for a card: "a convolutional network trained from random weights"


class Kind(ABC, Generic[M]):
    """A kind of model."""

    code: tuple[str, ...]
    """The source files of batik_utils that its numbers depend on, but for those of the features that it is given."""
    description: Description  # of all its models; {fields} stand for theirs
    cost = 1.0  # of one training image shown once, in any unit: the costliest tasks are done first
    protocols: Collection[str] | None = None  # those that it takes part in; None for all

    @abstractmethod
    def repetition(self, study: Study) -> Repetition:
        """How often it is fitted."""

    @abstractmethod
    def inputs(self, task: Task[M], dataset: Dataset, features: NDArray[np.float32] | None) -> NDArray[Any]:
        """What its fits are given of every image of the dataset: images, features or something made of them."""

    @abstractmethod
    def fit(self, task: Task[M], paths: Sequence[str], sha256s: Sequence[str], inputs: NDArray[Any]) -> list[Fitted]:
        """Do the task; one result and its weights per fit, in order. Raises BatikError where training diverges."""

    def unavailable(self, model: M, backbones: Mapping[str, Backbone]) -> str | None:
        """Why it cannot be fitted here, or None; raises BatikError where the study cannot do without it."""
        return None

    def features(self, model: M, study: Study, backbones: Mapping[str, Backbone]) -> FeatureSpec | None:
        """The frozen features that it is given; None where it needs none."""
        return None

    def together(self, pairs: Sequence[Pair], model: M) -> list[list[Pair]]:
        """The fits cut into those that are done in one job."""
        return [[pair] for pair in pairs]

    def describe(self, model: M) -> Description:
        """What readers are told of it."""
        said = vars(self.description).items()
        return Description(**{name: text.format(**dict(model)) for name, text in said})  # type: ignore[call-overload]

    def weights_sha256(self, model: M) -> str | None:
        """sha256 of the weights that it starts from; None where there are none. Raises BatikError if not to be had."""
        return None

    def can_be_saved(self, model: M) -> bool:
        """Whether assemble makes a network of it."""
        return True

    def deployed(self, task: Task[M], weights: Weights, features: Any) -> Weights:
        """A fit's weights as assemble takes them, where they are to be made of its training rows' features."""
        return weights

    def variant(self, model: M, weights: Weights) -> str:
        """What a fit chose of the model's candidates by itself; empty where there is no such choice."""
        return ""

    def assemble(self, model: M, weights: Weights, size: int, motifs: Sequence[str], dropout: float) -> Any:
        """A fit's weights as a whole keras.Model: float32 [b, size, size, 3] RGB 0-255 → [b, motifs]."""
        raise BatikError("A model of this kind cannot be saved as a network.")


class Scratch(Kind[ScratchModel]):
    """A network trained from random weights, on images."""

    _own = ("train", "scratch", "fast")
    code = (*COMMON, *VIEWS, *map("models/{}.py".format, _own))
    description = Description("random", "a convolutional network trained from random weights")
    cost = 1000.0

    def repetition(self, study: Study) -> Repetition:
        return study.grouped.scratch

    def inputs(self, task: Task[ScratchModel], dataset: Dataset, features: Any) -> NDArray[np.uint8]:
        return dataset.images

    def fit(self, task: Task[ScratchModel], paths: Any, sha256s: Any, inputs: Any) -> list[Fitted]:
        from batik_utils.models.train import train_scratch

        return train_scratch(task, paths, sha256s, inputs)

    def assemble(self, model: ScratchModel, weights: Any, size: int, motifs: Sequence[str], dropout: float) -> Any:
        from batik_utils.models.scratch import ask_all_views, build_scratch

        side = model.regularised.side if model.regularised else size
        network = build_scratch(model.architecture, side, len(motifs), dropout)
        network.set_weights(weights)
        return ask_all_views(network, size) if model.regularised else network


class Pretrained(Kind[PretrainedModel]):
    """A head trained on a frozen backbone's features."""

    code = (*COMMON, "models/heads.py")

    def describe(self, model: PretrainedModel) -> Description:
        words = "with frozen ImageNet weights, global average pooling and a trained classification head"
        return Description("ImageNet", f"{_named(model.backbone)} {words}")

    def repetition(self, study: Study) -> Repetition:
        return study.grouped.pretrained

    def inputs(self, task: Task[PretrainedModel], dataset: Dataset, features: Any) -> NDArray[np.float32]:
        return features

    def fit(self, task: Task[PretrainedModel], paths: Any, sha256s: Any, inputs: Any) -> list[Fitted]:
        from batik_utils.models.heads import train_heads

        return train_heads(task, paths, inputs)

    def unavailable(self, model: PretrainedModel, backbones: Mapping[str, Backbone]) -> str | None:
        reason = backbone(model.backbone, backbones).unavailable()
        if reason and not model.optional:
            raise BatikError(f"The study needs {model.title}, but {reason}.")
        return reason

    def features(self, model: PretrainedModel, study: Study, backbones: Mapping[str, Backbone]) -> FeatureSpec:
        # Enough views that every epoch of the longest fit sees a fresh one; none where nothing is changed.
        views = max(model.epochs, *(model.search.epochs if model.search else (0,)))
        views = views if model.augmentation != Augmentation() else 0
        found = backbone(model.backbone, backbones)
        return FeatureSpec(found, study.image.size, model.augmentation, views, _corruptions(study))

    def together(self, pairs: Sequence[Pair], model: PretrainedModel) -> list[list[Pair]]:
        return [list(pairs[i : i + HEADS]) for i in range(0, len(pairs), HEADS)]

    def weights_sha256(self, model: PretrainedModel) -> str:
        return backbone(model.backbone).weights_sha256()

    def assemble(self, model: PretrainedModel, weights: Any, size: int, motifs: Sequence[str], dropout: float) -> Any:
        from batik_utils.models.saved import assemble

        return assemble(model.backbone, weights, size, motifs, dropout)


class Recipe(Kind[RecipeModel]):
    """Frozen features, from networks or not, pooled in several ways, and a linear head: chosen inside each fit."""

    code = (*COMMON, *FEATURES, "models/nested.py")

    def repetition(self, study: Study) -> Repetition:
        return study.grouped.pretrained.model_copy(update={"seeds": 1})

    def inputs(self, task: Task[RecipeModel], dataset: Dataset, features: Any) -> NDArray[np.float32]:
        from batik_utils.models.nested import gram_matrices

        assert task.features is not None and isinstance(task.features.backbone, Extractor)
        return gram_matrices(features, task.features.backbone)

    def fit(self, task: Task[RecipeModel], paths: Any, sha256s: Any, inputs: Any) -> list[Fitted]:
        from batik_utils.models.nested import fit_recipe

        return fit_recipe(task, paths, inputs)

    def unavailable(self, model: RecipeModel, backbones: Mapping[str, Backbone]) -> str | None:
        reasons = [backbone(p.backbone, backbones).unavailable() for p in model.parts.values() if p.backbone]
        reason = next((r for r in reasons if r), None)
        if reason and not model.optional:
            raise BatikError(f"The study needs {model.title}, but {reason}.")
        return reason

    def features(self, model: RecipeModel, study: Study, backbones: Mapping[str, Backbone]) -> FeatureSpec:
        return FeatureSpec(
            Extractor.of(model.parts, backbones), study.image.size, Augmentation(), 0, _corruptions(study)
        )

    def describe(self, model: RecipeModel) -> Description:
        networks = list(dict.fromkeys(_named(part.backbone) for part in model.parts.values() if part.backbone))
        frozen = f"frozen ImageNet weights ({', '.join(networks)})" if networks else "no weights, from texture"
        fits = f"{model.settings} settings × {model.inner_folds} inner folds = {model.settings * model.inner_folds}"
        words = (
            f"a linear head on features computed with {frozen}; each fit chooses among {len(model.candidates)} recipes "
            f"with their heads and strengths by its own training images ({fits} fits)"
        )
        return Description("ImageNet" if networks else "none", words)

    def weights_sha256(self, model: RecipeModel) -> str | None:
        extractor = Extractor.of(model.parts, BACKBONES)
        return extractor.weights_sha256() if extractor.backbones else None

    def can_be_saved(self, model: RecipeModel) -> bool:
        return all(part.backbone for part in model.parts.values())

    def deployed(self, task: Task[RecipeModel], weights: Any, features: Any) -> Weights:
        from batik_utils.models.nested import primal_weights

        return primal_weights(task, weights, features)

    def variant(self, model: RecipeModel, weights: Any) -> str:
        return list(model.candidates)[int(weights["candidate"][0])]

    def assemble(self, model: RecipeModel, weights: Any, size: int, motifs: Sequence[str], dropout: float) -> Any:
        names = model.candidates[self.variant(model, weights)]
        return Extractor.of(model.parts, BACKBONES).only(names).assemble(weights["kernel"], weights["bias"], size)


class Baseline(Kind[BaselineModel]):
    """A logistic regression on what says little of a motif, on all splits of a protocol in one go."""

    code = (*COMMON, "models/baselines.py")
    description = Description("none", "{title}: a logistic regression")
    protocols = ("grouped", "sources", "others")

    def repetition(self, study: Study) -> Repetition:
        return study.grouped.pretrained.model_copy(update={"seeds": 1})

    def inputs(self, task: Task[BaselineModel], dataset: Dataset, features: Any) -> NDArray[np.float64]:
        return baseline_inputs(task.model.inputs, dataset, features)

    def fit(self, task: Task[BaselineModel], paths: Any, sha256s: Any, inputs: Any) -> list[Fitted]:
        return fit_baselines(task, paths, inputs)

    def features(self, model: BaselineModel, study: Study, backbones: Mapping[str, Backbone]) -> FeatureSpec | None:
        other = study.models[study.compare[0]]
        return KINDS[other.kind].features(other, study, backbones) if model.inputs == "features" else None

    def together(self, pairs: Sequence[Pair], model: BaselineModel) -> list[list[Pair]]:
        return [list(pairs)]


KINDS: dict[str, Kind[Any]] = {
    "scratch": Scratch(),
    "pretrained": Pretrained(),
    "recipe": Recipe(),
    "baseline": Baseline(),
}
"""By the `kind` of a model."""
