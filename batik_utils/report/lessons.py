"""What a study teaches, what limits it and what to do with it: rules, each with a test on both sides of its line."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from batik_utils import wording as say
from batik_utils.plates import Plate
from batik_utils.stats.intervals import Interval

TAUGHT = {
    "better": "With so few pictures, what {a} brings from other pictures is worth more than what {b} learns from these",
    "worse": "Even with so few pictures, what {b} learns from these is worth more than what {a} brings from others",
    "same": "It makes no practical difference whether one brings something from other pictures ({a}) or not ({b})",
    "open": "Whether it helps to bring something from other pictures ({a} against {b}), these cannot tell",
    "too few fits": "Too few fits have a result: about {a} and {b} nothing is learnt yet",
}
"""By the word of the verdict."""
SCATTER = 0.1
"""Accuracy from the worst fold to the best, from which one split alone is said to show little."""
WIDE = 0.1
"""Width of an interval of accuracy from which the images are said to be few."""


def taught(word: str, title_a: str, title_b: str) -> str:
    """What the verdict teaches, by its word."""
    return TAUGHT[word].format(a=title_a, b=title_b) + "."


def worth(title: str, accuracy: Interval | None, chance: float, over: Mapping[str, Interval]) -> str:
    """Whether a model has been shown to know more than what costs next to nothing.

    over is {simple method: the model's accuracy minus its, on the same folds}; chance is a fraction.
    """
    if accuracy is None:
        return f"What {title} has learnt cannot be said: it has too few fits."
    if accuracy.low <= chance:
        return f"{title} has not been shown to have learnt anything: its interval holds chance."
    if lost := [name for name, gap in over.items() if gap.high < 0]:
        return f"{title} has learnt less than {say.listed(lost)}, which costs next to nothing: start there."
    if open_ := [name for name, gap in over.items() if gap.low <= 0]:
        than = f"{say.listed(open_)}, which {'costs' if len(open_) == 1 else 'cost'} next to nothing"
        return f"{title} has learnt something, but has not been shown to be better than {than}."
    if not over:
        return f"{title} has learnt something."
    return f"{title} has learnt more than {say.listed(list(over))}."


def one_split(title: str, folds: NDArray[np.float64]) -> str:
    """Whether one split could have misled; folds are the accuracies of a model on test folds [n], 0-1."""
    low, high = float(folds.min()), float(folds.max())
    band = f"{say.percent(low, 0)} to {say.percent(high, 0)}"
    if high - low >= SCATTER:
        return f"One split alone could have shown anything from {band} for {title}."
    return f"{title} scores much the same on every fold ({band})."


def elsewhere(title: str, grouped: Interval | None, sources: Interval | None) -> str:
    """What to expect on pictures from elsewhere; intervals with near-duplicates and with whole sources together."""
    if grouped is None or sources is None:
        return f"How {title} fares on pictures from elsewhere was not measured."
    expected = say.percent(sources.value)
    if sources.value < grouped.low:
        return f"On pictures from elsewhere, expect {expected} of {title} rather than {say.percent(grouped.value)}."
    return f"On pictures from elsewhere, {title} keeps what it reaches here ({expected})."


def kinds(plates: Sequence[Plate]) -> str:
    """Whether the names of motifs are names of one kind of thing."""
    found: dict[str, list[str]] = {}
    for plate in plates:
        found.setdefault(plate.kind, []).append(plate.title.en)
    if len(found) == 1:
        kind = next(iter(found))
        return f"Each of these names is that of a {kind}." if len(plates) > 1 else f"The name is that of a {kind}."
    parts = [f"{say.listed(names)} {'names' if len(names) == 1 else 'name'} a {kind}" for kind, names in found.items()]
    return f"These names are not of one kind: {'; '.join(parts)}."


def caveats(
    facts: Collection[str], plates: Sequence[Plate], best: str, accuracy: Interval | None, sources: Interval | None
) -> list[str]:
    """Three of them: what the pictures are, how few there are, and what is known of pictures from elsewhere."""
    labels = "Labels are the names of folders; nobody who knows the motifs has checked them."
    if "drawn" in facts:
        labels = "The pictures are drawn by a program: nothing is said about batik."
    elif len({plate.kind for plate in plates}) > 1:
        labels = f"{kinds(plates)} {labels}"
    few = f"How sure the accuracy of {best} is cannot be said: it has too few fits."
    if accuracy is not None:
        width = accuracy.high - accuracy.low
        wide = f"The images are few: the accuracy of {best} is known to within {say.points(width)} only"
        narrow = f"The accuracy of {best} is known to within {say.points(width)}, for pictures such as these"
        few = f"{wide if width >= WIDE else narrow} ({say.percent_range(accuracy)})."
    return [labels, few, elsewhere(best, accuracy, sources)]


def advice(facts: Collection[str], best: str, accuracy: Interval | None) -> str:
    """What to do with the model that is best in cross-validation."""
    how = "`classifier.html`, beside this report, in any browser, or `batik predict PATH…`"
    if "drawn" in facts:
        return f"Try the pipeline with it ({how}), and ask it about no real cloth."
    trust = ""
    if accuracy is not None:
        right = f"right about {say.percent(accuracy.value, 0)} of the time on pictures such as these"
        trust = f"; it is {right}, so take its answer as a suggestion" if accuracy.value < 0.95 else f"; it is {right}"
    return f"Ask {best} what a picture shows: {how}{trust}. It always names one of its motifs."
