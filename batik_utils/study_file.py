"""The files of studies/, read, every mistake named: YAML as plain values, a study with some fields set, the plates."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from batik_utils.errors import BatikError, printable
from batik_utils.study import ROOT, Strict, Study
from batik_utils.study_models import nearest

PLATES = ROOT / "studies" / "motifs.yaml"
MOST_BYTES, MOST_VALUES = 1_000_000, 100_000  # of a text, and of the values in it once its aliases are written out
_KEYS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}
_Words = Annotated[str, Field(min_length=1)]


class Text(Strict):
    """A plate's text in one language, Markdown without citations."""

    short: _Words  # about two sentences, for those who read no more
    name: _Words
    origin: _Words
    technique: _Words
    look: _Words
    unsure: str = ""  # what no good source could be found for


class Title(Strict):
    """A motif's name in both languages."""

    en: _Words
    id: _Words


class Plate(Strict):
    """What is known of one motif."""

    kind: Literal["place", "pattern", "technique"]  # what the name is the name of
    title: Title
    en: Text
    id: Text
    drawing: Annotated[str, Field(pattern=r"^sample-[a-z]+/\d+$")] | None = None
    """The picture of the drawn sample that shares its geometry, family/number, as batik_utils.sample.draw takes it."""
    sources: Annotated[tuple[_Words, ...], Field(min_length=1)]  # keys of batik_utils/report/templates/refs.bib


def study_names(root: Path = ROOT) -> list[str]:
    """Names of the studies that can be built, sorted."""
    return sorted(p.stem for p in (root / "studies").glob("*.yaml") if p.name != PLATES.name)


def load_study(name: str | Path, settings: Iterable[str] = ()) -> Study:
    """Read a study by its name (studies/NAME.yaml) or by a path to a YAML file, with some fields set otherwise.

    A setting is "models.scratch.epochs=10": a field's place and its value as in YAML, typed and checked
    like the file. Raises BatikError naming the file, the key and the nearest right one.
    """
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        path = ROOT / "studies" / f"{name}.yaml"
        if not path.is_file():
            raise BatikError(f"There is no study {str(name)!r}, {nearest(str(name), study_names())}")
    elif not path.is_file():
        raise BatikError(f"There is no file {path}.")
    raw = read_yaml(path.read_bytes(), path.name)
    for setting in settings:
        place, equals, value = setting.partition("=")
        *folders, last = place.split(".")
        if place in {"name", "command"}:
            raise BatikError(f"{setting}: a study's name is that of its file; copy the file to have another.")
        if not equals or "" in (*folders, last):
            raise BatikError(f"A setting is PLACE=VALUE, such as models.scratch.epochs=10, not {setting!r}.")
        here = raw
        for i, key in enumerate(folders):
            if i == 1 and folders[0] == "models" and isinstance(here, dict) and key not in here:
                raise BatikError(f"{setting}: there is no model {key!r}, {nearest(key, here)}")
            here = here.setdefault(key, {}) if isinstance(here, dict) else None
        if not isinstance(here, dict):
            raise BatikError(f"{setting}: {'.'.join(folders)} has no fields of its own; set it as a whole.")
        here[last] = read_yaml(value.encode(), setting)
        raw.pop("minutes", None)  # told of the study as it is written
    return parse_study(raw, path.name)


def parse_study(raw: Any, where: str = "study") -> Study:
    """Validate plain values (as YAML gives them) into a Study; raises BatikError with one line per mistake."""
    if not isinstance(raw, dict):
        raise BatikError(f"{where}: a study is a mapping of keys to values.")
    if isinstance(name := raw.get("sources"), str):
        lists = {path.stem: path for path in (ROOT / "studies" / "sources").glob("*.yaml")}
        if name not in lists:
            raise BatikError(f"{where}: 'sources': there is no list {name!r}, {nearest(name, lists)}")
        raw = raw | {"sources": read_yaml(lists[name].read_bytes(), lists[name].name)}
    return _checked(TypeAdapter(Study), raw, where)


def load_plates() -> dict[str, Plate]:
    """{folder name: plate}, in the file's order; raises BatikError with one line per mistake."""
    return _checked(TypeAdapter(dict[str, Plate]), read_yaml(PLATES.read_bytes(), PLATES.name), PLATES.name)


def _checked(shape: TypeAdapter[Any], raw: Any, where: str) -> Any:
    try:
        # JSON mode: strict about types, yet a list is a good tuple.
        return shape.validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        raise BatikError("\n".join(f"{where}: {_explain(e, shape)}" for e in error.errors())) from None


def _explain(error: Any, shape: TypeAdapter[Any]) -> str:
    # The third step into models is the union's tag, which is not in the file.
    place = [str(p) for i, p in enumerate(error["loc"]) if not (i == 2 and error["loc"][0] == "models")]
    key = ".".join(place) or "the file"
    if error["type"] == "extra_forbidden":
        return f"unknown key {key!r}, {nearest(place[-1], _known_keys(shape, error['loc'][:-1]))}"
    if error["type"] == "missing":
        return f"{key!r} is missing."
    got = "" if isinstance(error.get("input"), dict) else f", not {error.get('input')!r}"
    return f"{key!r}: {error['msg'].removeprefix('Value error, ')}{got}."


def _known_keys(shape: TypeAdapter[Any], place: Iterable[Any]) -> list[str]:
    """The keys that there may be at a place of a validation error, read off pydantic's own schema."""
    schema = here = shape.json_schema()
    for step in place:
        here = (
            here.get("properties", {}).get(step)
            or here.get("items")
            or here.get("additionalProperties")
            or {"$ref": here["discriminator"]["mapping"][step]}
        )
        reference = next((part["$ref"] for part in [here, *here.get("anyOf", ())] if "$ref" in part), None)
        here = schema["$defs"][reference.rpartition("/")[2]] if reference else here
    return list(here["properties"])


def read_yaml(content: bytes, where: str) -> Any:
    """Plain JSON values from YAML in UTF-8, no two of them one object; dates become text.

    Raises BatikError, starting with `where`, for what is no YAML, no UTF-8 or too large, for a key that stands twice
    or is no word, for characters that cannot be shown, and for aliases that stand for too much or for themselves.
    """
    if len(content) > MOST_BYTES:
        raise BatikError(f"{where} is larger than {MOST_BYTES:,} bytes.")
    try:
        loader = yaml.SafeLoader(content.decode("utf-8"))
        node = loader.get_single_node()
        if node is None:
            return None
        if _values(node, {}) > MOST_VALUES:
            raise yaml.MarkedYAMLError(problem=f"its aliases stand for over {MOST_VALUES:,} values")
        return json.loads(json.dumps(loader.construct_document(node), default=str))
    except UnicodeDecodeError:
        raise BatikError(f"{where} is not text in UTF-8; save it as such.") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: a date such as 2024-13-45
        said = " ".join(str(error).replace('in "<unicode string>", ', "at ").split())
        raise BatikError(f"{where} is not valid YAML: {said}") from None


def _values(node: Any, known: dict[int, float]) -> float:
    """How many values a node stands for, without end where it holds itself; what no file should hold is an error."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)], parts = float("inf"), []
    if isinstance(node, yaml.SequenceNode):
        parts = node.value
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag not in _KEYS:
                raise yaml.MarkedYAMLError(problem="a key must be a word", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
        parts = [part for pair in node.value for part in pair]
    elif any(printable(line) != line for line in node.value.replace("\t", " ").split("\n")):
        raise yaml.MarkedYAMLError(problem="its text has characters that cannot be shown", problem_mark=node.start_mark)
    known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(node)]
