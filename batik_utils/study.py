"""Study: one comparison, read from one YAML, frozen and strictly typed (pydantic)."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from batik_utils.errors import BatikError

ROOT = Path(__file__).resolve().parent.parent
"""The project's folder: studies/, notebooks/ and reports/ are in it."""

Fraction = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, lt=1)]

Architecture = Literal["seed_cnn", "pooled_cnn"]
"""The keys of batik_utils.models.scratch.ARCHITECTURES, again: reading a study must not import Keras."""


def _some(values: tuple[Any, ...]) -> tuple[Any, ...]:
    # Not Field(min_length=1): pydantic counts good values only, and would name a bad one's mistake twice.
    if not values:
        raise ValueError("needs one value or more")
    return values


class Strict(BaseModel):
    """Base of every part of a study: frozen, no unknown keys, no coercion ("20" is not 20), no .inf or .nan."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class SeedStudy(Strict):
    """The student project that a study takes up."""

    title: str
    authors: tuple[str, ...]
    institution: str
    year: int | None
    language: str
    framework: str
    summary: str
    """One or two sentences: what it compared and what it reported."""


class Image(Strict):
    """How a picture becomes an array."""

    size: Annotated[int, Field(ge=32, le=1024)] = 224
    """Side, pixels; the aspect ratio is not kept (nor did the seeds keep it)."""
    resize: Literal["nearest", "bilinear"] = "nearest"
    """nearest is what Keras' flow_from_directory does; bilinear (antialiased) is torchvision's Resize."""


class Augmentation(Strict):
    """Random changes of a training image; the ranges mean what ImageDataGenerator means by them."""

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Degrees either way."""
    shift: Fraction = 0.0
    """Fraction of the side, each axis, either way."""
    shear: Annotated[float, Field(ge=0, le=90)] = 0.0
    """Degrees either way."""
    zoom: Fraction = 0.0
    """Each axis independently by a factor in [1 - zoom, 1 + zoom]."""
    horizontal_flip: bool = False


class Search(Strict):
    """Values to try; the choice is made on validation images only."""

    epochs: Annotated[tuple[Count, ...], AfterValidator(_some)]
    learning_rate: Annotated[tuple[Rate, ...], AfterValidator(_some)]
    dropout: Annotated[tuple[Fraction, ...], AfterValidator(_some)]
    seeds: Count = 1
    """Training seeds per setting (a model whose fits are cheap can afford several)."""


class _Model(Strict):
    title: str
    """The name that readers see."""
    epochs: Count
    batch_size: Count = 32
    learning_rate: Rate = 1e-3
    dropout: Fraction = 0.5
    augmentation: Augmentation = Augmentation()
    search: Search | None = None


class ScratchModel(_Model):
    """A network trained from random weights."""

    kind: Literal["scratch"]
    architecture: Architecture


class PretrainedModel(_Model):
    """A frozen backbone with ImageNet weights, and a trained head."""

    kind: Literal["pretrained"]
    backbone: str
    """A name in batik_utils.models.backbones.BACKBONES; the backbone owns its preprocessing."""
    hidden: Annotated[int, Field(ge=0)] = 128
    """Units of the head's hidden layer (ReLU); 0 for none."""
    optional: bool = False
    """Whether the study goes on, saying so, where the weights cannot be had."""


Model = Annotated[ScratchModel | PretrainedModel, Field(discriminator="kind")]


class Published(Strict):
    """The seed's own protocol."""

    split: Literal["keras-validation-split", "stratified-80-10-10"]
    seeds: Count = 5
    """Training seeds 0 … seeds - 1."""


class Repetition(Strict):
    """How often the grouped protocol is repeated."""

    repeats: Count
    seeds: Count


class Grouped(Strict):
    """Repeated stratified k-fold in which near-duplicates stay on one side."""

    folds: Annotated[int, Field(ge=2)] = 5
    pretrained: Repetition = Repetition(repeats=10, seeds=5)
    scratch: Repetition = Repetition(repeats=1, seeds=1)
    """The default; FULL=1 gives scratch models the repetition of the pretrained ones."""
    curve: tuple[Count, ...] = (5, 10, 20, 40)
    """Training images per motif for the learning curve (pretrained models only, unless FULL=1)."""
    permuted: bool = True
    """Whether the label-permutation control is run."""


class Claim(Strict):
    """A number that the seed study published."""

    id: str
    what: str
    """In words, for the table."""
    model: str
    """A key of Study.models."""
    metric: Literal["accuracy", "loss", "train_accuracy", "macro_f1", "paired_wrong_accuracy", "ten_images"]
    """paired_wrong_accuracy: the seed's classification report, predictions shuffled against labels."""
    value: float
    n: int | None
    """Test images behind it."""
    where: str
    """Section of the seed document."""


class Groups(Strict):
    """Near-duplicate groups corrected by hand, over what the audit finds."""

    together: tuple[tuple[str, ...], ...] = ()
    apart: tuple[tuple[str, str], ...] = ()


class Study(Strict):
    """One comparison: which motifs, which models, by which protocols, against which published numbers."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: str
    question: str
    data: Literal["photographs", "sample"] = "photographs"
    motifs: Annotated[tuple[str, ...], Field(min_length=2)]
    """Folder names, in label order."""
    seed_study: SeedStudy | None = None
    image: Image = Image()
    models: dict[str, Model]
    compare: tuple[str, str]
    """The two models of the verdict: A, B (both keys of models); A is pretrained, B trained from scratch."""
    published: Published
    grouped: Grouped = Grouped()
    claims: tuple[Claim, ...] = ()
    groups: Groups = Groups()
    command: str = ""
    minutes: str = ""
    """Minutes on two cores, as measured."""

    @model_validator(mode="after")
    def _names_agree(self) -> Study:
        for what, names in (("compare", self.compare), ("claims", [c.model for c in self.claims])):
            for name in names:
                if name not in self.models:
                    raise ValueError(f"{what} names the model {name!r}, {_nearest(name, self.models)}")
        if len(set(self.motifs)) != len(self.motifs):
            raise ValueError("motifs names one motif twice")
        return self

    @model_validator(mode="after")
    def _models_suit(self) -> Study:
        kinds = [f"{name} ({self.models[name].kind})" for name in self.compare]
        if [self.models[name].kind for name in self.compare] != ["pretrained", "scratch"]:
            raise ValueError(f"compare is a pretrained model, then a scratch one, not {' and '.join(kinds)}")
        for name, model in self.models.items():
            if model.search and self.published.split == "keras-validation-split":
                raise ValueError(
                    f"models.{name}.search chooses on validation images, and published.split "
                    "keras-validation-split has none; use stratified-80-10-10, or no search"
                )
        return self


def study_names(root: Path = ROOT) -> list[str]:
    """Names of the studies that can be built, sorted."""
    return sorted(p.stem for p in (root / "studies").glob("*.yaml"))


def load_study(name: str | Path) -> Study:
    """Read a study by its name (studies/NAME.yaml) or by a path to a YAML file.

    Raises BatikError naming the file, the key and the nearest right one.
    """
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        path = ROOT / "studies" / f"{name}.yaml"
        if not path.is_file():
            known = study_names()
            raise BatikError(f"There is no study {str(name)!r}, {_nearest(str(name), known)}")
    elif not path.is_file():
        raise BatikError(f"There is no file {path}.")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise BatikError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from None
    return parse_study(raw, path.name)


def parse_study(raw: Any, where: str = "study") -> Study:
    """Validate plain values (as YAML gives them) into a Study; raises BatikError with one line per mistake."""
    if not isinstance(raw, dict):
        raise BatikError(f"{where}: a study is a mapping of keys to values.")
    try:
        # JSON mode: strict about types, yet a list is a good tuple.
        return Study.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        lines = [f"{where}: {_explain(e)}" for e in error.errors()]
        raise BatikError("\n".join(lines)) from None


def _explain(error: Any) -> str:
    # The third step into models is the union's tag, which is not in the file.
    place = [str(p) for i, p in enumerate(error["loc"]) if not (i == 2 and error["loc"][0] == "models")]
    key = ".".join(place) or "the study"
    if error["type"] == "extra_forbidden":
        return f"unknown key {key!r}, {_nearest(place[-1], _known_keys())}"
    if error["type"] == "missing":
        return f"{key!r} is missing."
    got = "" if isinstance(error.get("input"), dict) else f", not {error.get('input')!r}"
    return f"{key!r}: {error['msg'].removeprefix('Value error, ')}{got}."


def _known_keys() -> list[str]:
    parts = [SeedStudy, Image, Augmentation, Search, ScratchModel, PretrainedModel, Published]
    parts += [Repetition, Grouped, Claim, Groups, Study]
    return sorted({name for part in parts for name in part.model_fields})


def _nearest(name: str, known: Any) -> str:
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {found[0]!r}?" if found else f"known are: {', '.join(sorted(known))}."
