"""Study: one comparison, read from one YAML, frozen and strictly typed (pydantic)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from batik_utils.strict import Count, Fraction, Rate, Strict, Times, some

ROOT = Path(__file__).resolve().parent.parent  # the project's folder: studies/, notebooks/ and reports/ are in it


Counts = Annotated[tuple[Count, ...], AfterValidator(some)]
Strengths = Annotated[tuple[Annotated[float, Field(gt=0)], ...], AfterValidator(some)]
Architecture = Literal["seed_cnn", "pooled_cnn", "small_cnn"]
"""The keys of batik_utils.models.scratch.ARCHITECTURES, again: reading a study must not import Keras."""


class Image(Strict):
    """How a picture becomes an array."""

    size: Annotated[int, Field(ge=32, le=1024)] = 224
    """Side, pixels."""
    resize: Literal["nearest", "bilinear"] = "nearest"
    """nearest is what Keras' flow_from_directory does; bilinear (antialiased) is torchvision's Resize."""
    fit: Literal["stretch", "crop"] = "stretch"
    """How other shapes become square: squeezed, as the seeds did it, or the middle square, which keeps proportions."""


class Augmentation(Strict):
    """Random changes of a training image; the ranges mean what ImageDataGenerator means by them."""

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0  # degrees either way
    shift: Fraction = 0.0  # fraction of the side, each axis, either way
    shear: Annotated[float, Field(ge=0, le=90)] = 0.0  # degrees either way
    zoom: Fraction = 0.0  # each axis independently by a factor in [1 - zoom, 1 + zoom]
    horizontal_flip: bool = False


class Search(Strict):
    """Values to try; the choice is made on validation images only."""

    epochs: Counts
    learning_rate: Annotated[tuple[Rate, ...], AfterValidator(some)]
    dropout: Annotated[tuple[Fraction, ...], AfterValidator(some)]
    seeds: Count = 1  # training seeds per setting (a model whose fits are cheap can afford several)


class Tuned(Strict):
    """How the settings of a model were chosen beforehand: by photographs of motifs that are not the study's."""

    settings: Count  # how many were compared
    motifs: Annotated[tuple[str, ...], AfterValidator(some)]  # folder names
    command: str
    note: str = ""  # what readers must know of those pictures, a sentence


class AnyModel(Strict):
    """A model of any kind, and what others may ask of it; the answers here are those of one that learns at once."""

    title: str  # the name that readers see
    note: str = ""  # what readers must know of how it came by its settings
    image: Image | None = None  # how its pictures become arrays, where that is not the study's way
    optional: bool = False  # whether the study goes on, saying so, where the weights cannot be had
    variant_of: str | None = None  # the model that this one is, but for the seed study's mistake
    mistake: str = ""  # that mistake as a clause: "feeding the backbone 0 to 1 where it expects −1 to 1"
    stand_in: str | None = None  # the model to look at where this one's weights cannot be had

    @property
    def trained(self) -> TrainedModel | None:
        """Itself, where it learns in epochs; None for others."""
        return None

    @property
    def augments(self) -> bool:
        """Whether it is trained on views of its images as its `augmentation` says."""
        return False

    @property
    def backbones(self) -> tuple[str, ...]:
        """The names of the frozen networks that its features come from, each once."""
        return ()

    @property
    def settings(self) -> int:
        """How many settings were compared for its fits in cross-validation."""
        return 1


class TrainedModel(AnyModel):
    """A model that learns in epochs."""

    epochs: Count
    batch_size: Count = 32
    learning_rate: Rate = 1e-3
    dropout: Fraction = 0.5
    augmentation: Augmentation = Augmentation()
    search: Search | None = None  # a choice by validation images, for the published split alone
    tuned: Tuned | None = None

    @property
    def trained(self) -> TrainedModel:
        return self

    @property
    def augments(self) -> bool:
        return True

    @property
    def settings(self) -> int:
        return self.tuned.settings if self.tuned else 1


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
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the arithmetic; weights, optimiser and softmax stay float32."""
    regularised: Regularisation | None = None
    """How small_cnn, and no other, is trained; `augmentation` then has no say."""

    @model_validator(mode="after")
    def _small_ones_are_regularised(self) -> ScratchModel:
        if (self.architecture == "small_cnn") != bool(self.regularised):
            raise ValueError("the architecture small_cnn and the field regularised go together")
        return self

    @property
    def augments(self) -> bool:
        return not self.regularised


class PretrainedModel(TrainedModel):
    """A frozen backbone with ImageNet weights, and a trained head."""

    kind: Literal["pretrained"]
    backbone: str  # a name in batik_utils.models.backbones.BACKBONES; the backbone owns its preprocessing
    hidden: Times = 128  # units of the head's hidden layer (ReLU); 0 for none

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


class RecipeModel(AnyModel):
    """Candidate recipes for features that are frozen, and linear heads: each fit chooses by its own inner folds."""

    kind: Literal["recipe"]
    parts: dict[str, Part]
    candidates: Annotated[dict[str, tuple[str, ...]], Field(min_length=1)]  # each the parts that it puts side by side
    heads: Annotated[dict[Literal["ridge", "logistic", "svm"], Strengths], Field(min_length=1)]
    """Strengths to try of each head: scikit-learn's alpha for ridge, C for the others."""
    inner_folds: Annotated[int, Field(ge=2)] = 5

    @model_validator(mode="after")
    def _names_parts(self) -> RecipeModel:
        for candidate, names in self.candidates.items():
            for name in some(names):
                if name not in self.parts:
                    raise ValueError(f"the candidate {candidate} names the part {name!r}, {nearest(name, self.parts)}")
        return self

    @property
    def backbones(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part.backbone for part in self.parts.values() if part.backbone))

    @property
    def settings(self) -> int:
        return len(self.candidates) * sum(map(len, self.heads.values()))


Model = Annotated[ScratchModel | PretrainedModel | RecipeModel, Field(discriminator="kind")]


class Published(Strict):
    """The seed's own protocol."""

    split: Literal["keras-validation-split", "stratified-80-10-10"]
    seeds: Count = 5  # training seeds 0 … seeds - 1


class Repetition(Strict):
    """How often a kind of model is fitted under the protocols that are repeated; the defaults of pretrained models."""

    repeats: Count = 10
    seeds: Count = 5
    curve: bool = True  # whether it gets a learning curve
    permuted: Times = 2  # repeats of the label-permutation control
    sources: Times = 5  # repeats with pictures of one source kept together, where the study confirms sources
    others: bool = True  # whether it is fitted on the splits of others, where the study has them


class FewRepetitions(Repetition):
    """The same with the defaults of scratch models, whose fits take most of the time."""

    repeats: Count = 1
    seeds: Count = 1
    curve: bool = False
    permuted: Times = 0
    sources: Times = 0
    others: bool = False


class Grouped(Strict):
    """Repeated stratified k-fold in which near-duplicates stay on one side."""

    folds: Annotated[int, Field(ge=2)] = 5
    pretrained: Repetition = Repetition()
    scratch: FewRepetitions = FewRepetitions()
    curve: tuple[Count, ...] = (5, 10, 20, 40)  # training images per motif for the learning curve
    corruptions: bool = True  # whether models are asked about tampered test images too


class PictureSource(Strict):
    """Pictures of one vendor, camera, garment, website's frame or session, confirmed by eye."""

    name: str
    why: str  # what can be seen, or what the files say
    pictures: Annotated[tuple[str, ...], AfterValidator(some)]  # paths relative to the data folder, of any motif


class Notes(Strict):
    """What readers must know of one seed study, in Markdown, named after the section that says it."""

    models: str = ""
    training: str = ""
    protocols: str = ""
    search: str = ""
    mispaired: str = ""


class SeedStudy(Strict):
    """The student project that a study takes up."""

    title: str
    authors: tuple[str, ...]
    institution: str
    year: int | None
    language: str
    framework: str
    summary: str  # one or two sentences: what it compared and what it reported
    parameter_limit: Count | None = None  # what it allows a "limited-parameter" model
    test_images_known: bool = False  # whether it can be told which images it tested on
    chose_by_test: bool = False  # whether it chose its best model by accuracy on the test images
    notes: Notes = Notes()


class Claim(Strict):
    """A number that the seed study published."""

    id: str
    what: str  # in words, for the table
    model: str  # a key of Study.models
    metric: Literal[
        "accuracy", "loss", "macro_f1", "train_accuracy", "train_loss", "ten_images", "images", "train_images",
        "test_images", "paired_wrong_accuracy", "paired_wrong_precision", "paired_wrong_recall", "paired_wrong_f1",
    ]  # fmt: skip
    """paired_wrong_…: of the seed's classification report, predictions shuffled against labels."""
    value: float
    n: int | None = None  # images behind it
    motif: str | None = None  # of paired_wrong_…: a motif of the study; none for the mean over motifs
    read_off: Annotated[float, Field(gt=0)] | None = None
    """Of a number that was read off a plot, as the seed words it: how far the reading may be off."""
    where: str  # section of the seed document


class Reported(Strict):
    """What somebody else reported of one model on these pictures."""

    title: str
    accuracy: Annotated[float, Field(ge=0, le=1)]  # mean over their runs
    sd: Annotated[float, Field(ge=0)]  # over their runs
    parameters: Count | None = None


class Others(Strict):
    """An evaluation of the same pictures by somebody else, whose splits are taken up as they are."""

    title: str
    note: str = ""  # what must be known to compare, in Markdown
    splits: str  # studies/splits/NAME.csv: paths, and in which splits each is tested on
    reported: tuple[Reported, ...] = ()


class Tried(Strict):
    """A trial beside the study's own fits, measured once by a command; none of its numbers enters a result."""

    what: str
    result: str
    command: str


class Study(Strict):
    """One comparison: which motifs, which models, by which protocols, against which published numbers."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)]
    title: str
    question: str
    data: Literal["photographs", "sample"] = "photographs"
    motifs: Annotated[tuple[str, ...], Field(min_length=2)]  # folder names, in label order
    seed_study: SeedStudy | None = None
    image: Image = Image()
    models: dict[str, Model]
    compare: tuple[str, str]
    """The two models of the verdict: A, B (both keys of models); A is pretrained, B saw no picture but the study's."""
    published: Published
    grouped: Grouped = Grouped()
    claims: tuple[Claim, ...] = ()
    sources: tuple[PictureSource, ...] = ()
    """In the YAML a list, or the name of a file in studies/sources/ that holds one, for studies to share."""
    others: Others | None = None
    tried: tuple[Tried, ...] = ()
    milliseconds: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """A decoded picture by one core, of models and baselines by name: measured once, by benchmarks.trials."""
    command: str = ""
    minutes: str = ""  # minutes on two cores, measured or estimated

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Study:
        named = [("compare", name) for name in self.compare] + [("claims", claim.model) for claim in self.claims]
        named += [("milliseconds", name) for name in self.milliseconds if not name.startswith("baseline_")]
        for key, model in self.models.items():
            references = {"variant_of": model.variant_of, "stand_in": model.stand_in}
            named += [(f"models.{key}.{where}", name) for where, name in references.items() if name is not None]
            if bool(model.variant_of) != bool(model.mistake):
                raise ValueError(f"models.{key}: variant_of and mistake go together")
            trained = model.trained
            if trained and trained.tuned and (both := set(trained.tuned.motifs) & set(self.motifs)):
                raise ValueError(f"models.{key}.tuned.motifs names {min(both)}, a motif of the study itself")
            if trained and trained.search and self.published.split == "keras-validation-split":
                raise ValueError(
                    f"models.{key}.search chooses on validation images, and published.split keras-validation-split "
                    "has none; use stratified-80-10-10, or no search"
                )
        for where, name in named:
            if name not in self.models:
                raise ValueError(f"{where} names the model {name!r}, {nearest(name, self.models)}")
        first, second = (self.models[name] for name in self.compare)
        if (first.trained and not first.backbones) or (second.trained and second.backbones):
            kinds = " and ".join(f"{name} ({self.models[name].kind})" for name in self.compare)
            raise ValueError(f"compare is a pretrained model, then a scratch one, not {kinds}; a recipe may be either")
        if len(set(self.motifs)) != len(self.motifs):
            raise ValueError("motifs names one motif twice")
        for motif in (claim.motif for claim in self.claims if claim.motif is not None):
            if motif not in self.motifs:
                raise ValueError(f"claims names the motif {motif!r}, {nearest(motif, self.motifs)}")
        return self

    def image_of(self, model: AnyModel) -> Image:
        """How the pictures of a model become arrays: its own way, or the study's."""
        return model.image or self.image


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error message: "did you mean 'scratch'?", or all that are known."""
    found = difflib.get_close_matches(name, known := list(known), n=1, cutoff=0.5)
    return f"did you mean {found[0]!r}?" if found else f"known are: {', '.join(sorted(known))}."
