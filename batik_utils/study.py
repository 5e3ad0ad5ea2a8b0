"""Study: one comparison, read from one YAML, frozen and strictly typed (pydantic)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from batik_utils.study_models import AnyModel, Count, Fraction, Image, Model, Some, Strict, Times, nearest

ROOT = Path(__file__).resolve().parent.parent  # the project's folder: studies/, notebooks/ and reports/ are in it


class Published(Strict):
    """The seed's own protocol."""

    split: Literal["keras-validation-split", "stratified-80-10-10", "listed"]
    files: str | None = None  # of a listed one: studies/splits/NAME.csv, paths and the part that each is in
    seeds: Count = 5  # training seeds 0 … seeds - 1

    @model_validator(mode="after")
    def _names_its_list(self) -> Published:
        if (self.split == "listed") != bool(self.files):
            raise ValueError("published.split listed and published.files go together")
        return self


class Repetition(Strict):
    """How often a kind of model is fitted under the protocols that are repeated; the defaults of pretrained models."""

    repeats: Count = 10
    seeds: Count = 5
    curve: Times = 10  # repeats, of those above, that have a learning curve
    permuted: Times = 2  # repeats of the label-permutation control
    sources: Times = 5  # repeats with pictures of one source kept together, where the study confirms sources
    others: bool = True  # whether it is fitted on the splits of others, where the study has them


class FewRepetitions(Repetition):
    """The same with the defaults of scratch models, whose fits take most of the time."""

    repeats: Count = 1
    seeds: Count = 1
    curve: Times = 0
    permuted: Times = 0
    sources: Times = 0
    others: bool = False


class RecipeRepetition(Repetition):
    """The same with the defaults of recipes, in which no seed has a say."""

    repeats: Count = 5
    seeds: Count = 1


class Grouped(Strict):
    """Repeated stratified k-fold in which near-duplicates stay on one side."""

    folds: Annotated[int, Field(ge=2)] = 5
    pretrained: Repetition = Repetition()
    scratch: FewRepetitions = FewRepetitions()
    recipe: RecipeRepetition = RecipeRepetition()
    curve: tuple[Count, ...] = (5, 10, 20, 40)  # training images per motif for the learning curve
    corruptions: bool = True  # whether models are asked about tampered test images too


class PictureSource(Strict):
    """Pictures of one vendor, camera, garment, website's frame or session, confirmed by eye."""

    name: str
    why: str  # what can be seen, or what the files say
    pictures: Some[str]  # paths relative to the data folder, of any motif


class Notes(Strict):
    """What readers must know of one seed study, in Markdown, named after the section that says it."""

    models: str = ""
    training: str = ""
    protocols: str = ""
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
    notes: Notes = Notes()


class Claim(Strict):
    """A number that the seed study published."""

    id: str
    what: str  # in words, for the table
    model: str  # a key of Study.models
    metric: Literal[
        "accuracy", "loss", "macro_f1", "train_accuracy", "train_loss", "ten_images", "images", "train_images",
        "test_images", "paired_wrong_accuracy",
    ]  # fmt: skip
    """paired_wrong_accuracy: of a classification report in which predictions are shuffled against labels."""
    value: float
    epochs: Count | None = None  # with dropout: which of its model's runs it is of; without, the published fits
    dropout: Fraction | None = None
    instead_of: str | None = None  # the seed study's own network, where the model stands in for it
    n: int | None = None  # images behind it
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
    command: str = ""  # none where it was a script that is not kept


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
    alike: tuple[str, str] | None = None
    """A second pair of the same kind, planned beforehand too: both arms tuned alike, where `compare` is as built."""
    published: Published
    grouped: Grouped = Grouped()
    claims: tuple[Claim, ...] = ()
    sources: tuple[PictureSource, ...] = ()
    """In the YAML a list, or the name of a file in studies/sources/ that holds one, for studies to share."""
    others: Others | None = None
    tried: tuple[Tried, ...] = ()
    milliseconds: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """A decoded picture by one core, of models and baselines by name: measured once, by benchmarks.trials."""
    seconds: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """To train each model once on one core, features included: measured once, by benchmarks.trials."""
    trios: str | None = None
    """What others report of three motifs at a time, studies/trios/NAME.csv; with it every trio is told apart here."""
    command: str = ""
    minutes: str = ""  # minutes on two cores, measured or estimated

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Study:
        named = [("compare", name) for pair in self.planned for name in pair]
        named += [("claims", claim.model) for claim in self.claims]
        for what in ("milliseconds", "seconds"):
            named += [(what, name) for name in getattr(self, what) if not name.startswith("baseline_")]
        for key, model in self.models.items():
            named += [(f"models.{key}.variant_of", model.variant_of)] if model.variant_of else []
            if bool(model.variant_of) != bool(model.mistake):
                raise ValueError(f"models.{key}: variant_of and mistake go together")
            trained = model.trained
            if trained and trained.tuned and (both := set(trained.tuned.motifs) & set(self.motifs)):
                raise ValueError(f"models.{key}.tuned.motifs names {min(both)}, a motif of the study itself")
        for where, name in named:
            if name not in self.models:
                raise ValueError(f"{where} names the model {name!r}, {nearest(name, self.models)}")
        for pair in self.planned:
            first, second = (self.models[name] for name in pair)
            if (first.trained and not first.backbones) or (second.trained and second.backbones):
                kinds = " and ".join(f"{name} ({self.models[name].kind})" for name in pair)
                wanted = "a pretrained model, then a scratch one"
                raise ValueError(f"compare is {wanted}, not {kinds}; a recipe may be either")
        for claim in self.claims:
            trained = self.models[claim.model].trained
            asked, runs = (claim.epochs, claim.dropout), trained.runs if trained else None
            if asked != (None, None) and not (runs and asked[0] in runs.epochs and asked[1] in runs.dropout):
                raise ValueError(f"claims {claim.id} is of no run of models.{claim.model}.runs")
        if len(set(self.motifs)) != len(self.motifs):
            raise ValueError("motifs names one motif twice")
        return self

    @property
    def planned(self) -> tuple[tuple[str, str], ...]:
        """The pairs whose comparison is planned beforehand: that of the verdict first."""
        return (self.compare, self.alike) if self.alike else (self.compare,)

    def image_of(self, model: AnyModel) -> Image:
        """How the pictures of a model become arrays: its own way, or the study's."""
        return model.image or self.image
