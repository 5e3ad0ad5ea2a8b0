"""The one exception that a person is meant to read, and text that may be shown to one."""

import unicodedata


def printable(text: str) -> str:
    """Text of unknown origin with control and formatting characters and broken Unicode escaped, as in \\x1b."""
    hidden = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    # The two that are let through join letters and emoji.
    escaped = (unicodedata.category(c) in hidden and c not in "\u200c\u200d" for c in text)
    return "".join(ascii(c)[1:-1] if escape else c for c, escape in zip(text, escaped, strict=True))


class BatikError(Exception):
    """A user's mistake or a thing that cannot be had: its text, made printable, is all that a person is shown."""

    def __str__(self) -> str:
        return "\n".join(map(printable, super().__str__().split("\n")))
