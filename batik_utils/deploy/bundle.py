"""classifier.tflite: a LiteRT model with a zip archive behind it that holds what must be known to use it well.

Any LiteRT runtime opens the file, and so does anything that reads zip archives; nothing in it is code. The archive's
members are stored as they are: classifier.json (see About) and training.f16, the features of the training pictures,
little-endian float16 [n, d], rows of length 1.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from batik_utils.cache import digest
from batik_utils.errors import BatikError
from batik_utils.study_models import Count, Image, Strict, Times

_ABOUT, _TRAINING = "classifier.json", "training.f16"
MOST_BYTES = {_ABOUT: 1 << 24, _TRAINING: 1 << 28}  # uncompressed, so none is larger than the file
MOST_MODEL_BYTES = 1 << 28

Share = Annotated[float, Field(ge=0, le=1)]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
Protocol = Literal["grouped", "sources"]


class Named(Strict):
    """A study or a model: its name in files, its title for people."""

    name: str
    title: str


class Model(Named):
    """The model that it is, and where its weights started ("ImageNet", "random")."""

    parameters: Times
    starts: str


class Gate(Strict):
    """When a picture does not look like batik: its mean cosine distance to the nearest training pictures is larger.

    auroc and the shares are of pictures that had no say in the threshold: ordinary ones, the study's own, each compared
    with those of other sources alone, and those of motifs that the study does not have, where there are any.
    """

    neighbours: Count
    threshold: Annotated[float, Field(ge=0, le=2)]
    auroc: Share
    ordinary_turned_away: Share
    own_turned_away: Share
    n_ordinary: Times
    n_own: Times
    others_turned_away: Share | None = None
    n_others: Times = 0


class Measured(Strict):
    """A share of n pictures with its 95 % interval: Wilson's, pictures of one source as one, or that across folds."""

    value: Share
    low: Share
    high: Share
    n: Times
    balanced: Share | None = None  # of an accuracy where motifs differ much in size: with each of them weighing alike


class Sets(Strict):
    """Prediction sets: the motifs of probability 1 - threshold or more, and always the best one."""

    coverage: Share
    threshold: Share
    measured: Measured  # how often they held the true motif
    per_motif: dict[str, Measured]
    mean_size: Annotated[float, Field(ge=0)]


class Row(Strict):
    """A training picture: motif/file, its motif's index, its five commonest colours with shares, its fingerprint."""

    name: str
    motif: Times
    palette: list[tuple[Colour, Share]]
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]  # of copies.fingerprint


class Training(Strict):
    """The training pictures in the order of training.f16, and its columns."""

    width: Annotated[int, Field(ge=1, le=1 << 14)]
    rows: Annotated[list[Row], Field(min_length=1)]


class About(Strict):
    """classifier.json."""

    format: Literal[5]  # raised when a file of this version can no longer be read by the version before
    study: Named
    model: Model
    motifs: Annotated[list[str], Field(min_length=2)]  # folder names, in the order of the probabilities
    image: Image  # how a picture is made ready
    protocol: Protocol  # what was on one side as temperature, sets and gate were set: near-duplicates, or whole sources
    temperature: Annotated[float, Field(gt=0)]  # that the logits are divided by, in the model
    evidence: Literal["exact", "occlusion"]  # whether the model has the output, or pictures must be covered bit by bit
    accuracy: Measured | None  # the mean in cross-validation with near-duplicates on one side
    sources_accuracy: Measured | None  # and with whole sources
    gate: Gate | None
    sets: Sets | None
    training: Training
    batik: bool  # whether its pictures are the published photographs of batik
    drawn: bool  # whether it was trained on the procedural sample, not on photographs
    limits: dict[Literal["en", "id"], list[str]]  # what it must not be used for, in sentences
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # of the model, as the file begins


class Bundle(NamedTuple):
    """A classifier: its LiteRT model, what is known of it, and its training pictures' features [n, d]."""

    model: bytes
    about: About
    training: NDArray[np.float16]

    def to_bytes(self) -> bytes:
        """The file: the same classifier gives the same bytes."""
        about = json.dumps(self.about.model_dump(), ensure_ascii=False).encode()
        whole = io.BytesIO(self.model)
        with zipfile.ZipFile(whole, "a") as archive:
            for name, content in {_ABOUT: about, _TRAINING: self.training.astype("<f2").tobytes()}.items():
                archive.writestr(zipfile.ZipInfo(name), content)  # of 1980, whenever it is made
        return whole.getvalue()


def read_bundle(path: Path) -> Bundle:
    """Read a classifier's file, running no code of it; BatikError, in one line, if it is absent, damaged or no such."""
    if not path.is_file():
        raise BatikError(f"There is no model file {path}; make one with `make report`.")
    try:
        with path.open("rb") as file:
            return _read(file)
    except zipfile.BadZipFile:
        raise BatikError(f"{path.name} is not a classifier that this project saved.") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BatikError(f"{path.name} is damaged, or of another version: {place}: {first['msg']}.") from None
    # What damaged archives raise inside zipfile has no common type.
    except (ValueError, OSError, NotImplementedError, RuntimeError, KeyError, RecursionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BatikError(f"{path.name} cannot be used: {reason[:200]}.") from None


def _read(file: io.BufferedReader) -> Bundle:
    with zipfile.ZipFile(file) as archive:
        members = {member.filename: member for member in archive.infolist()}
        if members.keys() != MOST_BYTES.keys() or len(archive.infolist()) != len(members):
            raise zipfile.BadZipFile
        for name, most in MOST_BYTES.items():
            if members[name].compress_type or members[name].file_size != members[name].compress_size:
                raise ValueError(f"its {name} is compressed, which a classifier's never is")
            if members[name].file_size > most:
                raise ValueError(f"its {name} is said to have {members[name].file_size:,} bytes, and may have {most:,}")
        length = min(member.header_offset for member in members.values())
        if not 8 < length <= MOST_MODEL_BYTES:
            raise ValueError(f"its model has {length:,} bytes, and may have {MOST_MODEL_BYTES:,}")
        about, training = About.model_validate_json(archive.read(_ABOUT)), archive.read(_TRAINING)
    file.seek(0)
    model = file.read(length)
    if digest(model) != about.sha256:
        raise ValueError("its model is not the one that was saved")
    rows, width = len(about.training.rows), about.training.width
    if len(training) != 2 * rows * width:
        raise ValueError(f"its {_TRAINING} has {len(training):,} bytes, not {rows:,} × {width:,} × 2")
    features = np.frombuffer(training, "<f2").reshape(rows, width)
    if not np.isfinite(features).all() or any(row.motif >= len(about.motifs) for row in about.training.rows):
        raise ValueError("its training pictures have no such numbers")
    return Bundle(model, about, features)
