"""The rules that decide a word of the report: on which side of a line a number lies; no English beyond the word."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from batik_utils.stats.compare import Comparison
from batik_utils.stats.intervals import Interval

ENOUGH_FITS = 0.9
"""Share of the planned fits below which no verdict is given."""
WORTH_HAVING = 0.02
"""A gain of accuracy that more pictures should bring to be worth having."""

Word = Literal["better", "worse", "same", "open", "too few fits"]


def verdict(comparison: Comparison | None, got: int, planned: int) -> Word:
    """What A is against B, from got of planned fits of both."""
    if comparison is None or got < ENOUGH_FITS * planned:
        return "too few fits"
    return comparison.word


def side(interval: Interval | None, line: float) -> Literal["above", "below", "open"]:
    """Where an interval lies: wholly above a line, wholly below it, or neither (or there is none)."""
    if interval is None:
        return "open"
    return "above" if interval.low > line else "below" if interval.high < line else "open"


def trend(step: Interval | None) -> Literal["rising", "level", "open"]:
    """Whether a learning curve still rises, by the gain of its last step."""
    if step is None:
        return "open"
    return "rising" if step.low > 0 else "level" if step.high < WORTH_HAVING else "open"


def fit_gap(trained: float, tested: Interval) -> Literal["overfits", "open", "below"]:
    """Whether accuracy on training pictures lies above, within or below the interval of that on test pictures."""
    return "overfits" if trained > tested.high else "below" if trained < tested.low else "open"


def turned_up(losses: list[float]) -> bool:
    """Whether a loss per epoch ends more than a tenth above its minimum."""
    return losses[-1] > 1.1 * min(losses)


class Against(NamedTuple):
    """What a model is declared better than, of what nothing is declared, and what it is worse than."""

    better: list[str]
    open: list[str]
    worse: list[str]


def sorted_out(against: Mapping[str, Comparison]) -> Against:
    """Names of what A is compared with, {name: comparison}, by what is declared."""
    said = {n: c for n, c in against.items() if c.declared}
    better = [n for n, c in said.items() if c.difference.value > 0]
    return Against(better, [n for n in against if n not in said], [n for n in said if n not in better])
