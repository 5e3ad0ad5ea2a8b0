"""The one switch between plain Keras and models/fast: plain with BATIK_PLAIN=1, and where that folder is gone."""

import os
from pathlib import Path
from types import ModuleType


def helped() -> bool:
    """Whether the annexe's networks, optimiser and warp are used."""
    there = Path(__file__).with_name("fast") / "__init__.py"
    return os.environ.get("BATIK_PLAIN") != "1" and there.is_file()


def fast() -> ModuleType | None:
    """The module batik_utils.models.fast; None where plain Keras serves."""
    if not helped():
        return None
    from batik_utils.models import fast

    return fast


def arithmetic() -> str:
    """What computes, for a result's key: the backend, and whether it goes without help (which rounds otherwise)."""
    return os.environ["KERAS_BACKEND"] + ("" if helped() else ", plain")
