"""Numbers and names as the report writes them: 86.7 %, +12.3 points, −3.1 to 4.2, p = 0.012, Bali."""

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

NBSP = "\u00a0"
FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")  # Matplotlib's: of figures, and in the PDF of what its serif lacks
FEW = 10  # of a list that grows with a reader's files so many are named, and the others counted
# What Markdown might take for a sign: anywhere, as a line's first, of several in a row, as the dot of a list's number.
# An apostrophe within a word is none.
_SIGNS = re.compile(r"[\\`*_{}\[\]()<>#|~^$@&\"]|^[-+:=%]|-(?=-)|\.(?=[. ]|$)|'(?!\w)|(?<!\w)'")
# What a spreadsheet takes for a formula, unless it is a number, or several with "to", brackets, points or per cent.
_FORMULA = re.compile(
    r"(?!(?:(?:^|[ \u00a0(]+)[+−-]?[\d.,]+(?:e[+-]?\d+)?[)%;]*|[ \u00a0](?:to|%|points)\)*)+$)[=+@\t\r-]"
)
_FROM_RIGHT = "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]+"
RIGHT_TO_LEFT = re.compile(f"{_FROM_RIGHT}(?:[ _-]{_FROM_RIGHT})*")


class Band(NamedTuple):
    """The two ends of an interval, as fractions."""

    low: float
    high: float


def number(value: float, decimals: int = 1, sign: bool = False) -> str:
    """A number with a true minus sign, halves away from zero; one that rounds to zero has no sign.

    It is rounded to 6 decimals first, as in metrics.json, so that a figure read from there is written alike.
    """
    exact = Decimal(repr(round(abs(float(value)), 6)))
    text = str(exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))
    return text if float(text) == 0 else f"{'−' if value < 0 else '+' if sign else ''}{text}"


def hundredths(value: float, decimals: int = 1, sign: bool = False) -> str:
    """A fraction as a number of hundredths: 0.8667 as "86.7"; the only way in which percents and points are rounded."""
    return number(round(100 * round(value, 6), 4), decimals, sign)


def percent(value: float, decimals: int = 1) -> str:
    """0.8667 as "86.7 %" (no-break space)."""
    return f"{hundredths(value, decimals)}{NBSP}%"


def percent_range(band: Any) -> str:
    """What has a low and a high end, as "62.7–90.5 %", or "−3.0 to 4.0 %" where one is negative."""
    return f"{hundredths(band.low)}{' to ' if band.low < 0 else '–'}{percent(band.high)}"


def points(value: float) -> str:
    """A size of a difference as "12.3 points", without sign."""
    return f"{hundredths(abs(value))}{NBSP}points"


def signed_points(value: float) -> str:
    """A difference as "+12.3 points" or "−3.1 points"."""
    return f"{hundredths(value, sign=True)}{NBSP}points"


def points_range(band: Any) -> str:
    """What has the ends of a difference, as "−3.1 to +4.2 points"."""
    return f"{hundredths(band.low, sign=True)} to {signed_points(band.high)}"


def of_images(share: float, n: int) -> str:
    """A share of so few images that a percentage would feign precision: "12 of 15", or a mean as "12.4 of 15"."""
    right = share * n
    return f"{number(right, 0 if abs(right - round(right)) < 1e-6 else 1)} of {n:,}"


def p_value(value: float) -> str:
    """ "p = 0.012", or "p < 0.001"."""
    return f"p{NBSP}<{NBSP}0.001" if value < 0.001 else f"p{NBSP}={NBSP}{number(value, 3)}"


def probability(value: float) -> str:
    """A probability with two decimals that never claims certainty: "0.97", "> 0.99", "< 0.01"."""
    return f">{NBSP}0.99" if value > 0.99 else f"<{NBSP}0.01" if value < 0.01 else number(value, 2)


def count(n: int, thing: str) -> str:
    """ "1 seed", "5 seeds", "1,200 images"."""
    return f"{n:,} {thing if n == 1 else thing + 's'}"


def markdown(value: Any) -> Any:
    """What a placeholder, a caption or a table's cell shows: text as text, whatever signs are in it; all else as it is.

    The one place where names of folders, files and models become Markdown; Markup is Markdown already. What is written
    from right to left is isolated, so that it does not turn its neighbours round.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    isolated = RIGHT_TO_LEFT.sub("\u2068\\g<0>\u2069", value)
    return Markup(_SIGNS.sub(r"\\\g<0>", re.sub(r"[ \t\n]{2,}|[\t\n]", " ", isolated)))


@cache
def _lacking() -> re.Pattern[str]:
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    files = (Path(get_data_path(), "fonts", "ttf", name) for name in FONTS)
    known = set.intersection(*({*FT2Font(file).get_charmap()} for file in files)) | {0x2068, 0x2069}
    return re.compile(f"[^\\n{re.escape(''.join(map(chr, sorted(known))))}]+")


def drawable(text: str) -> str:
    """Text with code points, as in ‹U+881F 67D3›, for what neither figures nor PDF have a glyph for (FONTS)."""
    return _lacking().sub(lambda found: f"‹U+{' '.join(f'{ord(c):04X}' for c in found[0])}›", text)


def listed(names: Sequence[str]) -> str:
    """ "A", "A and B", "A, B and C"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def few(names: Sequence[str], more: str = "more") -> list[str]:
    """The names; of more than FEW the first ones, and how many more there are."""
    return [*names] if len(names) <= FEW else [*names[:FEW], f"{len(names) - FEW:,} {more}"]


def harmless(cell: Any) -> Any:
    """What stands in a CSV: text that a spreadsheet would take for a formula has an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def one_line(text: str) -> str:
    """The text with one blank for each run of blanks and line breaks, and none at its ends."""
    return re.sub(r"[ \n]+", " ", text).strip()


def upper_first(text: str) -> str:
    """The text with its first letter in upper case, the rest as it is."""
    return text[:1].upper() + text[1:]


def motif_names(motifs: Sequence[str]) -> list[str]:
    """Folders' names as people say them: ["batik-bali", "batik-celup"] are ["Bali", "Celup"].

    A first word that all share ("batik-", "sample-") says nothing and is left out; a lone motif keeps it. Where two
    would look alike, as "Kawung" and "kawung" or "a_b" and "a b", all of them are shown as they are on the disk.
    """
    parts = [motif.partition("-") for motif in motifs]
    shared = len(motifs) > 1 and len({first for first, _, _ in parts}) == 1 and all(rest for _, _, rest in parts)
    names = [rest if shared else motif for motif, (_, _, rest) in zip(motifs, parts, strict=True)]
    spaced = [" ".join(name.replace("_", " ").replace("-", " ").split()) for name in names]
    shown = [upper_first(name or motif) for name, motif in zip(spaced, motifs, strict=True)]
    return shown if len({name.casefold() for name in shown}) == len(shown) else list(motifs)
