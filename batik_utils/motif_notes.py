"""A plate for each motif: what its name means, where it is from, how it is made and what to look for."""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from batik_utils.errors import BatikError
from batik_utils.strict import read_yaml
from batik_utils.study import ROOT, Strict

PLATES = ROOT / "studies" / "motifs.yaml"
_Words = Annotated[str, Field(min_length=1)]


class Text(Strict):
    """A plate's text in one language, Markdown without citations."""

    short: _Words
    """About two sentences, for those who read no more."""
    name: _Words
    origin: _Words
    technique: _Words
    look: _Words
    unsure: str = ""
    """What no good source could be found for."""


class Title(Strict):
    """A motif's name in both languages."""

    en: _Words
    id: _Words


class Plate(Strict):
    """What is known of one motif."""

    kind: Literal["place", "pattern", "technique"]
    """What the name is the name of."""
    title: Title
    en: Text
    id: Text
    drawing: Annotated[str, Field(pattern=r"^sample-[a-z]+/\d+$")] | None = None
    """The picture of the drawn sample that shares its geometry, family/number, as batik_utils.sample.draw takes it."""
    sources: Annotated[tuple[_Words, ...], Field(min_length=1)]
    """Keys of batik_utils/report/templates/refs.bib."""


def load_plates(path: Path = PLATES) -> dict[str, Plate]:
    """{folder name: plate}, in the file's order; raises BatikError with one line per mistake."""
    raw = read_yaml(path.read_bytes(), path.name)
    try:
        # JSON mode: strict about types, yet a list is a good tuple.
        return TypeAdapter(dict[str, Plate]).validate_json(json.dumps(raw))
    except ValidationError as error:
        lines = (f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors())
        raise BatikError("\n".join(f"{path.name}: {line}." for line in lines)) from None
