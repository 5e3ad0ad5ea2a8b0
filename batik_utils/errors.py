"""The one exception that a person is meant to read, and text that may be shown to one."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """Text of unknown origin with control and formatting characters and broken Unicode escaped, as in \\x1b."""
    return "".join(
        ascii(c)[1:-1] if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and c not in "\u200c\u200d" else c
        for c in text  # (the two that are let through join letters and emoji)
    )


class BatikError(Exception):
    """A user's mistake or a thing that cannot be had; its text says what, where and what to do.

    Faces (command line, notebooks) print the text alone, without a stack trace; names in it are made printable.
    """

    def __str__(self) -> str:
        return "\n".join(printable(line) for line in super().__str__().split("\n"))
