"""What a study teaches, what limits it and what to do with it: rules, each with a test on both sides of its line."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from batik_utils import wording as say
from batik_utils.motif_notes import Plate
from batik_utils.stats.compare import Comparison, sorted_out
from batik_utils.stats.intervals import Interval

TAUGHT = {
    "better": "With so few pictures, what {a} brings from other pictures is worth more than what {b} learns from these",
    "worse": "Even with so few pictures, what {b} learns from these is worth more than what {a} brings from others",
    "same": "It makes no practical difference whether one brings something from other pictures ({a}) or not ({b})",
    "open": "Whether it helps to bring something from other pictures ({a} against {b}), these pictures cannot tell",
    "too few fits": "Too few fits have a result: about {a} and {b} nothing is learnt yet",
}
"""By the word of the verdict."""
SIMPLE = {
    "file facts (picture unopened)": "file facts alone",
    "colour histogram": "colours alone",
    "frozen features (logistic regression)": "logistic regression on frozen features",
}
"""Baselines, as within a sentence."""
PICTURES = {
    "published": "photographs of the public collection *Indonesian Batik Motifs*",
    "folder": "pictures of a folder",
    "drawn": "pictures that this project draws itself",
}
"""By where the pictures are from."""
Fare = tuple[str, Interval | None, Interval | None]
"""A model's title, and its accuracy with near-duplicates, and with whole sources, on one side."""
SCATTER = 0.1
"""Accuracy from the worst fold to the best, from which one split alone is said to show little."""
SUGGESTION_BELOW = 0.95
"""Accuracy below which an answer is called a suggestion."""
TELLS = 0.9
"""AUROC from which two sorts of pictures are told apart."""
WIDE = 0.1
"""Width of an interval of accuracy from which the images are said to be few."""


def taught(word: str, title_a: str, title_b: str) -> str:
    """What the verdict teaches, by its word."""
    return TAUGHT[word].format(a=title_a, b=title_b) + "."


def pictures(n: int, kind: str, motifs: Sequence[str], chance: float) -> str:
    """How many pictures (kind is a key of PICTURES) of which motifs there are, and what guessing gives."""
    guess = f"Guessing alone is right {say.percent(chance)} of the time."
    return f"{n:,} {PICTURES[kind]} are used: {say.listed(motifs)}. {guess}"


def worth(title: str, accuracy: Interval | None, chance: float, over: Mapping[str, Comparison]) -> str:
    """Whether a model has been shown to know more than what costs next to nothing.

    over is {simple method: the model against it}; chance is a fraction.
    """
    if accuracy is None:
        return f"What {title} has learnt cannot be said: it has too few fits."
    if accuracy.low <= chance:
        return (
            f"In cross-validation {title} has not been shown to have learnt anything: its interval does not lie above "
            "chance."
        )
    simple = {SIMPLE.get(name, name): c for name, c in over.items()}
    does = ("knows more than", "has not been shown to know more than", "knows less than")
    parts = [f"{words} {say.listed(names)}" for words, names in zip(does, sorted_out(simple), strict=True) if names]
    return f"{title} {'; it '.join(parts) or 'has learnt something'}."


def worth_elsewhere(title: str, accuracy: Interval, chance: float, over: Mapping[str, Comparison]) -> str:
    """What is not shown of a model where pictures of one source are kept together; nothing where all of it is.

    Arguments are as worth takes them, with whole sources on one side.
    """
    missed = "have learnt anything" if accuracy.low <= chance else ""
    if open_ := [SIMPLE.get(name, name) for names in sorted_out(over)[1:] for name in names]:
        missed = missed or f"know more than {say.listed(open_)}"
    together = "With pictures of one source kept together"
    return f"{together}, {title} has not been shown to {missed}." if missed else ""


def one_split(title: str, folds: NDArray[np.float64]) -> str:
    """Whether one split could have misled; folds are the accuracies of a model on test folds [n], 0-1."""
    low, high = float(folds.min()), float(folds.max())
    band = f"{say.percent(low, 0)} to {say.percent(high, 0)}"
    if high - low >= SCATTER:
        return f"A single split shows little: the folds of {title} lie anywhere from {band}."
    return f"The folds of {title} lie from {band}."


def elsewhere(fares: Sequence[Fare]) -> str:
    """What to expect of each model on pictures from elsewhere."""
    told, unknown = [], []
    for title, grouped, sources in fares:
        if grouped is None or sources is None:
            unknown.append(title)
        else:
            than = ", no less than" if sources.value >= grouped.value else ", no clear fall from"
            than = " rather than" if sources.value < grouped.low else than
            told.append(f"{title} reaches {say.percent(sources.value)}{than} {say.percent(grouped.value)}")
    parts = [f"On pictures of sources that none of the training pictures came from, {'; '.join(told)}."] if told else []
    if unknown:
        parts.append(f"What {say.listed(unknown)} would reach on pictures from other sources was not measured.")
    return " ".join(parts)


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


def caveats(facts: Collection[str], plates: Sequence[Plate], fares: Sequence[Fare]) -> list[str]:
    """Three of them: what the pictures are, how few there are, and what is known of pictures from elsewhere.

    fares are those of the models of the verdict.
    """
    title, accuracy, _ = fares[0]
    labels = "Labels are the names of folders; they were not checked here by anyone who knows the motifs."
    if "drawn" in facts:
        labels = "The pictures are drawn by a program: nothing is said about batik."
    elif len({plate.kind for plate in plates}) > 1:
        labels = f"{kinds(plates)} {labels}"
    few = f"How sure the accuracy of {title} is cannot be said: it has too few fits."
    if accuracy is not None:
        width = accuracy.high - accuracy.low
        wide = f"The images are few: for the accuracy of {title} they leave an interval {say.points(width)} wide"
        narrow = f"For pictures such as these the accuracy of {title} is known to an interval {say.points(width)} wide"
        few = f"{wide if width >= WIDE else narrow} ({say.percent_range(accuracy)})."
    return [labels, few, elsewhere(fares)]


def advice(
    facts: Collection[str], best: float | None, elsewhere: float | None = None, unseen: float | None = None
) -> str:
    """What to do with the saved model; best is the best accuracy in cross-validation, a fraction.

    elsewhere is that model's with whole sources on one side, where that was measured;
    unseen is the AUROC by which motifs that it does not know are told from its own, where that was measured.
    """
    how = "open `classifier.html`, which `make app` puts beside this report, or run `batik predict PATH…`"
    if "drawn" in facts:
        return f"Try the pipeline ({how}), and ask it about no real cloth."
    trust = ""
    if best is not None:
        trust = f" The best model is right {say.percent(best, 0)} of the time on pictures such as these"
        trust += f", and {say.percent(elsewhere, 0)} on those of other sources" if elsewhere is not None else ""
        trust += ", so its answer is a suggestion." if best < SUGGESTION_BELOW else "."
    known = "One of these motifs is always named, whatever is shown."
    if "gate" in facts:
        known = "Most pictures unlike all that it was trained on are turned away"
        known += "; other motifs mostly get one of these names." if unseen is not None and unseen < TELLS else "."
    return f"Ask what a picture shows: {how}.{trust} {known}"
