"""Tests between two models across folds, and rules that decide the report's words: where a number lies of a line."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd
from scipy import stats

from batik_utils.errors import BatikError
from batik_utils.stats.intervals import LEVEL, Interval, corrected_test, holm
from batik_utils.stats.scores import fold_scores, whole_repeats
from batik_utils.values import Results

SAME = 0.02  # two models are the same where the whole interval of their difference lies so near to nought
POWER = 0.8  # how often a difference is found that the design can tell
ENOUGH_FITS = 0.9  # share of the planned fits below which no verdict is given
UNEVEN = 2.0  # how many times the pictures of the rarest motif the commonest has where accuracy alone says little
WORTH_HAVING = 0.02  # a gain of accuracy that more pictures should bring to be worth having

Word = Literal["better", "worse", "same", "open", "too few fits"]
Pair = tuple[str, str]


@dataclass(frozen=True)
class Comparison:
    """Model A against model B on the folds that both have; every difference is A minus B, as a fraction."""

    a: str
    b: str
    primary: bool  # whether it was planned beforehand (study.planned): then p_value counts as it is
    folds: int
    repeats: int  # repeats that both models completed; others are left out
    mean_a: float
    mean_b: float
    difference: Interval  # Nadeau-Bengio
    p_value: float  # two-sided, of the Nadeau-Bengio corrected paired t test
    p_adjusted: float | None = None  # Holm's, over all comparisons that are not primary; None of a primary or lone one

    @property
    def p(self) -> float:
        """The p that counts: Holm's where there is one."""
        return self.p_value if self.p_adjusted is None else self.p_adjusted

    @property
    def declared(self) -> bool:
        """Whether the two are declared different: p under 0.05, after Holm's correction where there is one."""
        return self.p < 1 - LEVEL

    @property
    def word(self) -> Literal["better", "worse", "same", "open"]:
        """What A is: "same" as B (within SAME), else "open" where nothing is declared, "better" or "worse"."""
        if self.difference.low >= -SAME and self.difference.high <= SAME:
            return "same"
        return "open" if not self.declared else "better" if self.difference.value > 0 else "worse"

    @property
    def detectable(self) -> float:
        """The smallest true difference (fraction) that the corrected test finds with POWER, before Holm; at most 1."""
        edge, power = stats.t.ppf([(1 + LEVEL) / 2, POWER], self.folds * self.repeats - 1)
        return min(1.0, float(1 + power / edge) * (self.difference.high - self.difference.low) / 2)


def fold_gap(x: pd.DataFrame, y: pd.DataFrame) -> Interval | None:
    """Mean of one model's fold_scores (accuracy) minus its others on the same folds; None without whole repeats."""
    both = whole_repeats(x, y)
    return None if both.empty else _tested(both)[0]


def _tested(both: pd.DataFrame) -> tuple[Interval, float]:
    images = int(both.groupby(level="repeat")["n"].sum().iloc[0])
    return corrected_test(both[0].to_numpy(), both[1].to_numpy(), ratio=both["ratio"].mean(), images=images)


def shared_folds(results: Results, a: str, b: str) -> Results:
    """The results, of cross-validation with the repeats alone that models A and B both completed, if there are such."""
    kept = {}
    for protocol in ("grouped", "sources"):
        both = whole_repeats(*(fold_scores(results, m, protocol) for m in (a, b)))
        if len(both):
            kept[protocol] = set(both.index.unique(level="repeat"))
    return Results(tuple(r for r in results if r.fit.repeat in kept.get(r.fit.protocol, {r.fit.repeat})))


def compare(results: Results, a: str, b: str, protocol: str = "grouped", primary: bool = False) -> Comparison | None:
    """Compare two models' accuracy, the mean over seeds, across folds; None where no repeat was completed by both.

    Raises BatikError where the same fold held different images.
    """
    held: dict[tuple[int, int], set[str]] = {}
    for r in (*results.select(a, protocol), *results.select(b, protocol)):
        images = set(r.paths)
        if held.setdefault((r.fit.repeat, r.fit.fold), images) != images:
            where = f"Repeat {r.fit.repeat}, fold {r.fit.fold} of {protocol}"
            raise BatikError(f"{where} holds different images for {a} and {b}; run the study again.")
    both = whole_repeats(*(fold_scores(results, m, protocol) for m in (a, b)))
    if both.empty:
        return None
    difference, p_value = _tested(both)
    repeats = len(both.index.unique(level="repeat"))
    means = float(both[0].mean()), float(both[1].mean())
    return Comparison(a, b, primary, len(both) // repeats, repeats, *means, difference, p_value)


def compare_family(
    results: Results, pairs: Iterable[Pair], protocol: str = "grouped", primary: Collection[Pair] = ()
) -> tuple[Comparison, ...]:
    """Each pair (A, B) that can be compared, in order and once; those not primary are one family, Holm-corrected."""
    found = [c for pair in dict.fromkeys(pairs) if (c := compare(results, *pair, protocol, pair in primary))]
    adjusted = iter(holm([c.p_value for c in found if not c.primary]))
    return tuple(c if c.primary else replace(c, p_adjusted=next(adjusted)) for c in found)


def verdict(comparison: Comparison | None, got: int, planned: int) -> Word:
    """What A is against B, from got of planned fits of both."""
    return "too few fits" if comparison is None or got < ENOUGH_FITS * planned else comparison.word


def uneven(counts: Iterable[int]) -> bool:
    """Whether motifs differ so much in size that balanced accuracy and chance must stand beside accuracy."""
    return max(counts := [*counts]) > UNEVEN * min(counts)


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


def sorted_out(against: Mapping[str, Comparison]) -> dict[str, list[str]]:
    """Names of what A is compared with, {name: comparison}, by what A is declared: "better", "worse", or "open"."""
    found: dict[str, list[str]] = {"better": [], "open": [], "worse": []}
    for name, c in against.items():
        found["open" if not c.declared else "better" if c.difference.value > 0 else "worse"].append(name)
    return found
