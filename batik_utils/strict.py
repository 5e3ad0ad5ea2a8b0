"""What anybody may have written: YAML as plain values or one line of refusal, and the base of strict types."""

import json
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from batik_utils.errors import BatikError, printable

MOST_BYTES, MOST_VALUES = 1_000_000, 100_000
"""Of a text, and of the values in it once its aliases are written out."""
_KEYS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}


def some(values: tuple[Any, ...]) -> tuple[Any, ...]:
    # Not Field(min_length=1): pydantic counts good values only, and would name a bad one's mistake twice.
    if not values:
        raise ValueError("needs one value or more")
    return values


Fraction = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Times = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0, lt=1)]


class Strict(BaseModel):
    """Base of every part of a study: frozen, no unknown keys, no coercion ("20" is not 20), no .inf or .nan."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


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
