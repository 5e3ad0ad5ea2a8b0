"""YAML from anybody: what PyYAML's safe loader takes without a word is refused in one line."""

import json
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from batik_utils.errors import BatikError, printable

MOST_BYTES, MOST_VALUES = 1_000_000, 100_000
"""Of a text, and of the values in it once its aliases are written out."""
_KEYS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}


def read_yaml(content: bytes, where: str) -> Any:
    """Plain JSON values from YAML in UTF-8, no two of them one object; dates become text.

    Raises BatikError, starting with `where`, for what is no YAML, no UTF-8 or too large, for a key that stands twice
    or is no word, for characters that cannot be shown, and for aliases that stand for too much or for themselves.
    """
    if len(content) > MOST_BYTES:
        raise BatikError(f"{where} is larger than {MOST_BYTES:,} bytes.")
    try:
        return json.loads(json.dumps(yaml.load(content.decode("utf-8"), _Loader), default=str))
    except UnicodeDecodeError:
        raise BatikError(f"{where} is not text in UTF-8; save it as such.") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: a date such as 2024-13-45
        said = " ".join(str(error).replace('in "<unicode string>", ', "at ").split())
        raise BatikError(f"{where} is not valid YAML: {said}") from None


class _Loader(yaml.SafeLoader):
    def compose_scalar_node(self, anchor: Any) -> Any:
        node = super().compose_scalar_node(anchor)
        if any(printable(line) != line for line in node.value.replace("\t", " ").split("\n")):
            raise ConstructorError(None, None, "its text has characters that cannot be shown", node.start_mark)
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag not in _KEYS:
                raise ConstructorError(None, None, "a key must be a word", key.start_mark)
            if key.value in seen:
                raise ConstructorError(None, None, f"the key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return node

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        if node and _written_out(node, {}) > MOST_VALUES:
            raise ConstructorError(None, None, f"its aliases stand for over {MOST_VALUES:,} values", node.start_mark)
        return node


def _written_out(node: Any, known: dict[int, float]) -> float:
    """How many values a node stands for; without end where it holds itself."""
    if id(node) not in known:
        known[id(node)] = float("inf")
        parts = [] if isinstance(node, yaml.ScalarNode) else node.value
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in parts for part in pair]
        known[id(node)] = 1 + sum(_written_out(part, known) for part in parts)
    return known[id(node)]
