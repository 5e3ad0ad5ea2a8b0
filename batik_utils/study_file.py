"""A study's file: read, some of its fields set otherwise, and every mistake in it named with what would be right."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from batik_utils.errors import BatikError
from batik_utils.motif_notes import PLATES
from batik_utils.strict import read_yaml
from batik_utils.study import ROOT, Study
from batik_utils.study_models import nearest


def study_names(root: Path = ROOT) -> list[str]:
    """Names of the studies that can be built, sorted."""
    return sorted(p.stem for p in (root / "studies").glob("*.yaml") if p.name != PLATES.name)


def load_study(name: str | Path, settings: Iterable[str] = ()) -> Study:
    """Read a study by its name (studies/NAME.yaml) or by a path to a YAML file, with some fields set otherwise.

    A setting is "models.scratch.precision=bfloat16": a field's place and its value as in YAML, typed and checked
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
        _set(raw, setting)
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
        path = lists[name]
        raw = raw | {"sources": read_yaml(path.read_bytes(), path.name)}
    try:
        # JSON mode: strict about types, yet a list is a good tuple.
        return Study.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        raise BatikError("\n".join(f"{where}: {_explain(e)}" for e in error.errors())) from None


def _set(raw: Any, setting: str) -> None:
    """Change one field of plain values in place."""
    place, equals, value = setting.partition("=")
    *folders, last = place.split(".")
    if not equals or "" in (*folders, last):
        raise BatikError(f"A setting is PLACE=VALUE, such as models.scratch.epochs=10, not {setting!r}.")
    for i, key in enumerate(folders):
        if i == 1 and folders[0] == "models" and key not in raw:
            raise BatikError(f"{setting}: there is no model {key!r}, {nearest(key, raw)}")
        raw = raw.setdefault(key, {}) if isinstance(raw, dict) else None
    if not isinstance(raw, dict):
        raise BatikError(f"{setting}: {'.'.join(folders)} has no fields of its own; set it as a whole.")
    raw[last] = read_yaml(value.encode(), setting)


def _explain(error: Any) -> str:
    # The third step into models is the union's tag, which is not in the file.
    place = [str(p) for i, p in enumerate(error["loc"]) if not (i == 2 and error["loc"][0] == "models")]
    key = ".".join(place) or "the study"
    if error["type"] == "extra_forbidden":
        return f"unknown key {key!r}, {nearest(place[-1], _known_keys(error['loc'][:-1]))}"
    if error["type"] == "missing":
        return f"{key!r} is missing."
    got = "" if isinstance(error.get("input"), dict) else f", not {error.get('input')!r}"
    return f"{key!r}: {error['msg'].removeprefix('Value error, ')}{got}."


def _known_keys(place: Iterable[Any]) -> list[str]:
    """The keys that a study may have at a place of a validation error, read off pydantic's own schema."""
    schema = here = Study.model_json_schema()
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
