"""The sentences whose verdict flips with the numbers; each is a pure function with a test on both sides of its line.

All other sentences of the report stand in the notebooks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batik_utils.stats.calibration import Calibration
from batik_utils.stats.claims import NOT_COMPARABLE, NOT_REPRODUCED, REPRODUCED, WITHIN, ClaimRow
from batik_utils.stats.compare import Comparison, PublishedComparison
from batik_utils.stats.intervals import Interval, VarianceSplit
from batik_utils.stats.power import Power
from batik_utils.stats.search import Choice
from batik_utils.values import Dataset, Results
from batik_utils.wording import (
    NBSP,
    count,
    listed,
    p_value,
    percent,
    percent_range,
    points,
    points_range,
    probability,
    signed_points,
    upper_first,
)

BETTER, WORSE, SAME, OPEN, TOO_FEW = "better", "worse", "same", "open", "too few fits"
OPENINGS = {
    BETTER: "{a} is better than {b}",
    WORSE: "{a} is worse than {b}",
    SAME: "{a} and {b} are practically the same",
    OPEN: "No difference can be shown between {a} and {b}",
    TOO_FEW: "There are not enough fits for a verdict between {a} and {b}",
}
ENOUGH = 0.9
"""Share of the planned fits below which no verdict is given."""
SURE = 0.95
"""Posterior probability from which two models are called practically the same."""


@dataclass(frozen=True)
class Verdict:
    """A word for machines and a sentence for people."""

    word: str
    """"better", "worse", "same", "open" or "too few fits" (A against B)."""
    sentence: str


def verdict(comparison: Comparison | None, title_a: str, title_b: str, got: int, expected: int) -> Verdict:
    """The verdict between A and B under grouped cross-validation, from got of expected planned fits of both."""
    if comparison is None or expected < 1 or got < ENOUGH * expected:
        common = "" if comparison else ", and the two have no complete repeat in common"
        opening = OPENINGS[TOO_FEW].format(a=title_a, b=title_b)
        return Verdict(TOO_FEW, f"{opening}: {got} of {expected} planned fits have a result{common}.")
    c = comparison
    word = SAME if c.p_same >= SURE else OPEN if not c.declared else BETTER if c.difference.value > 0 else WORSE
    seeds = count(c.seeds_a, "training seed")
    if c.seeds_a != c.seeds_b:
        seeds = f"{c.seeds_a} and {c.seeds_b} training seeds"
    evidence = (
        f"(difference {signed_points(c.difference.value)}, 95{NBSP}% interval {points_range(c.difference)}, "
        f"{p_value(c.p_value if c.p_adjusted is None else c.p_adjusted)}"
        f"{' after Holm’s correction' if c.p_adjusted is not None else ''}; "
        f"P({title_a} better) {probability(c.p_a_better)}, P(same within {points(c.rope)}) {probability(c.p_same)}, "
        f"P({title_b} better) {probability(c.p_b_better)}; "
        f"{count(c.folds, 'fold')} × {count(c.repeats, 'repeat')}, {seeds})"
    )
    means = f"{percent(c.mean_a)} against {percent(c.mean_b)} on the same folds"
    return Verdict(word, f"{OPENINGS[word].format(a=title_a, b=title_b)}: {means} {evidence}.")


def short_verdict(comparison: Comparison | None, title_a: str, title_b: str, got: int, expected: int) -> str:
    """The verdict in one short clause with its two means, for an abstract or a table."""
    word = verdict(comparison, title_a, title_b, got, expected).word
    opening = OPENINGS[word].format(a=title_a, b=title_b)
    if comparison is None or word == TOO_FEW:
        return f"{opening}."
    c = comparison
    return (
        f"{opening}: {percent(c.mean_a)} against {percent(c.mean_b)} on the same folds, a difference of "
        f"{signed_points(c.difference.value)} (95{NBSP}% interval {points_range(c.difference)})."
    )


def mcnemar(found: Mapping[str, PublishedComparison]) -> str:
    """Which pairs ({"A and B": comparison}) the median fits' exact test tells apart on one split."""
    if not found:
        return "No two models have fits on this split."
    n = next(iter(found.values())).median.n
    apart = {pair: c.median.p_value < 0.05 for pair, c in found.items()}
    told, untold = ("; ".join(pair for pair, yes in apart.items() if yes is side) for side in (True, False))
    parts = [f"{does} {pairs}" for does, pairs in (("tells apart", told), ("does not tell apart", untold)) if pairs]
    return f"On these {count(n, 'image')}, with p < 0.05, the test {', and '.join(parts)}."


def mistake_cost(c: Comparison | None, title: str, variant: str, mistake: str) -> str:
    """What a mistake costs that the variant (B) makes and the model (A) does not; mistake is a clause."""
    if c is None:
        return f"What {mistake} costs cannot be said: {title} and {variant} share no folds."
    reached = (
        f"{title} reaches {percent(c.mean_a)}, {variant} {percent(c.mean_b)} "
        f"(95{NBSP}% interval of the difference {points_range(c.difference)}, {p_value(c.p_value)})"
    )
    if c.p_same >= SURE or not c.declared:
        return f"{upper_first(mistake)} is a mistake, but no cost can be shown: {reached}."
    if c.difference.value > 0:
        return f"{upper_first(mistake)} costs {points(c.difference.value)}: {reached}."
    return f"Unexpectedly, {mistake} does better by {points(c.difference.value)}: {reached}."


def parameter_limit(scratch: tuple[str, int], pretrained: tuple[str, int], limit: int) -> str:
    """Which of two models, (title, parameters) each, keeps the limit that a seed study sets."""
    counts = f"{scratch[0]} has {scratch[1]:,} parameters and {pretrained[0]} {pretrained[1]:,}"
    bound = f"the {limit / 1e6:g} million that the seed study sets as its limit"
    over = [title for title, parameters in (scratch, pretrained) if parameters >= limit]
    if over == [scratch[0]]:
        return f"{counts}: the model with limited parameters is the pretrained one; the scratch model is over {bound}."
    if not over:
        return f"{counts}: both are under {bound}."
    return f"{counts}: {listed(over)} {'are' if len(over) > 1 else 'is'} over {bound}."


def learnt(title: str, accuracy: Interval | None, chance: float, over: Mapping[str, Interval]) -> str:
    """Whether a model learnt more than chance (a fraction) and each baseline.

    over maps a baseline's name to the interval of the difference model minus baseline, on the same folds.
    """
    if accuracy is None:
        return f"Whether {title} beats chance cannot be said: it has too few fits."
    does = f"{title} cannot be told from chance"
    if accuracy.low > chance or accuracy.high < chance:
        does = f"{title} does {'better' if accuracy.low > chance else 'worse'} than chance"
    opening = f"{does} ({percent(chance)}): {percent(accuracy.value)}, 95{NBSP}% interval {percent_range(accuracy)}."
    beaten = [f"{name} (by {points(gap.value)})" for name, gap in over.items() if gap.low > 0]
    open_ = [f"{name} ({signed_points(gap.value)})" for name, gap in over.items() if gap.low <= 0 <= gap.high]
    lost = [f"{name} (by {points(gap.value)})" for name, gap in over.items() if gap.high < 0]
    groups = (("it beats", beaten), ("it cannot be shown to beat", open_), ("it is beaten by", lost))
    parts = [f"{words} {listed(names)}" for words, names in groups if names]
    if not parts:
        return opening
    more = "" if open_ or lost else ", so it has learnt more than these baselines can"
    return f"{opening} On the same folds, {'; '.join(parts)}{more}."


def variance(title: str, split: VarianceSplit) -> str:
    """Whether the draw of images or the training seed moves a score more."""
    if split.data_sd + split.seed_sd == 0:
        return f"{title} scores the same in every fold and with every seed."
    far = (
        "more than the training seed, but both matter" if split.seed_share > 0.2 else "far more than the training seed"
    )
    than = f"which images are drawn matters {far}"
    if split.seed_share > 0.5:
        than = "the training seed matters more than which images are drawn"
    return (
        f"For {title}, {than}: standard deviation {points(split.data_sd)} between folds, {points(split.seed_sd)} "
        f"between training seeds of one fold ({count(split.seeds, 'seed')}, {count(split.splits, 'fold')})."
    )


CLAIMS = {
    REPRODUCED: "reproduced",
    WITHIN: "inside the interval that the images allow",
    NOT_REPRODUCED: "not reproduced",
    NOT_COMPARABLE: "not comparable",
}


def claims_summary(rows: Sequence[ClaimRow]) -> str:
    """How many published numbers hold, and which do not."""
    numbers = {words: sum(r.verdict == verdict for r in rows) for verdict, words in CLAIMS.items()}
    parts = [f"{n} {'is' if n == 1 else 'are'} {words}" for words, n in numbers.items() if n]
    failed = [r.what for r in rows if r.verdict == NOT_REPRODUCED]
    which = f" Not reproduced: {listed(failed)}." if failed else ""
    return f"Of {count(len(rows), 'published number')}, {listed(parts)}.{which}"


def fit_counts(results: Results, models: Sequence[str], protocol: str = "grouped") -> tuple[int, int]:
    """(fits with a result, fits planned) of these models under a protocol, failed ones counting as planned."""
    planned = [r for r in results if r.fit.model in models and r.fit.protocol == protocol]
    return sum(not r.missing for r in planned), len(planned)


def missing_fits(got: int, expected: int, reasons: Sequence[str] = ()) -> str:
    """Whether every planned fit has a result."""
    if got >= expected:
        return f"All {count(expected, 'planned fit')} have a result."
    why = f": {'; '.join(sorted(set(reasons))[:3])}" if reasons else ""
    gone = f"{expected - got:,} {'is' if expected - got == 1 else 'are'} missing"
    return f"{got:,} of {count(expected, 'planned fit')} have a result; {gone}{why}."


def calibration(found: Mapping[str, Calibration]) -> str:
    """Which models' probabilities ({title: calibration}) can be believed, and whose loss a temperature lowers."""
    groups: dict[str, list[str]] = {}
    for title, c in found.items():
        gap = c.before.confidence - c.before.accuracy
        sure = "sure" if gap > 0 else "unsure"
        good = abs(gap) < 0.03 and c.before.ece < 0.06
        groups.setdefault("well calibrated" if good else f"too {sure} of themselves", []).append(title)
    says = "; ".join(f"{words}: {listed(titles)}" for words, titles in groups.items())
    helped = [title for title, c in found.items() if c.after.log_loss < c.before.log_loss - 0.005]
    rest = [title for title in found if title not in helped]
    parts = [f"lowers the loss of {listed(helped)}"] * bool(helped)
    parts += [f"hardly changes {'that' if helped else 'the loss'} of {listed(rest)}"] * bool(rest)
    if not found:
        return "Calibration cannot be measured: there are too few folds."
    return f"{upper_first(says)}. A temperature, fitted on other folds, {' and '.join(parts)}."


CORRUPTIONS = {
    "greyscale": "stripped of colour",
    "blur": "blurred",
    "patches": "cut into patches and shuffled",
    "border": "cut down to their border",
}


def corruptions(title: str, accuracies: Mapping[str, float], chance: float, n: int) -> str:
    """What a model loses most by when its n test images are tampered with, and whether their border is enough.

    accuracies maps "none", "greyscale", "blur", "patches" and "border" to accuracies.
    """
    plain = accuracies["none"]
    drops = [(plain - value, name) for name, value in accuracies.items() if name != "none"]
    worst, name = min(drops, key=lambda drop: (-drop[0], drop[1]))
    # Two standard errors of a share of n images: less than that is noise.
    noise = 2 * (max(plain * (1 - plain), 0.05) / n) ** 0.5
    opening = f"{title} loses most when images are {CORRUPTIONS.get(name, name)} ({points(worst)})."
    if worst <= noise:
        opening = f"{title} loses next to nothing on tampered images."
    # A model that is near chance on whole images has nothing that a border could explain.
    above, border = 2 * (chance * (1 - chance) / n) ** 0.5, accuracies.get("border", 0.0)
    if border <= chance + above or plain - chance <= 2 * above:
        return opening
    return (
        f"{opening} The border alone is enough for {percent(border)} (chance {percent(chance)}): part of the accuracy "
        "may come from the margin and what is seen there."
    )


def permutation(title: str, accuracy: Interval | None, chance: float) -> str:
    """The label-permutation control: with shuffled labels a model must fall to chance (a fraction)."""
    if accuracy is None:
        return f"The label-permutation control of {title} has too few fits."
    shown = f"{percent(accuracy.value)}, 95{NBSP}% interval {percent_range(accuracy)}, chance {percent(chance)}"
    if accuracy.low > chance:
        return f"With labels shuffled, {title} stays above chance ({shown}): a leak is suspected."
    if accuracy.high < chance:
        why = "as balanced folds can make it: no sign of a leak"
        return f"With labels shuffled, {title} falls below chance ({shown}), {why}."
    return f"With labels shuffled, {title} falls to chance ({shown}): no sign of a leak."


def learning_curve(title: str, accuracies: Mapping[int, float], rise: float = 0.02) -> str:
    """Whether more images would help; accuracies maps training images per motif to accuracy."""
    steps = sorted(accuracies)
    if len(steps) < 2:
        return f"There are too few points for a learning curve of {title}."
    first, before, last = accuracies[steps[0]], accuracies[steps[-2]], accuracies[steps[-1]]
    path = f"from {percent(first)} with {steps[0]} training images per motif to {percent(last)} with {steps[-1]}"
    if last - before >= rise:
        return f"{title} is still rising, {path}: more images would probably help."
    if before - last >= rise:
        return f"{title} goes {path} and does not rise at the end: the curve is too noisy to be read."
    return f"{title} has levelled off, {path}: more images of this kind would help little."


def search(title: str, choice: Choice, seed_chose_by_test: bool = False) -> str:
    """What choosing on validation gave, and what choosing on the test set would have shown."""
    h = choice.hyper
    setting = f"{count(h.epochs, 'epoch')}, a learning rate of {h.learning_rate:g} and a dropout of {h.dropout:g}"
    seed = ", as the seed study did," if seed_chose_by_test else ""
    shown = f"{percent(choice.test_chosen_accuracy)}, {points(choice.optimism)} too much"
    return (
        f"Of {count(choice.settings, 'setting')} of {title}, validation chose {setting}: "
        f"{percent(choice.val_accuracy)} on validation, {percent(choice.test_accuracy)} on the test images (mean of "
        f"{count(choice.seeds, 'seed')}). "
        f"Choosing on the test images{seed} would have shown {shown if choice.optimism > 1e-9 else 'the same here'}; "
        f"the best single fit, {percent(choice.best_single)}."
    )


def power(found: Power | None, title_a: str, title_b: str) -> str:
    """What the present images can tell apart, and how many would be needed."""
    if found is None:
        return f"The power of the comparison between {title_a} and {title_b} cannot be said: they share no folds."
    now = (
        f"With {count(found.n_images, 'image')}, {count(found.folds, 'fold')} and {count(found.repeats, 'repeat')}, a "
        f"true difference of {points(found.planted)} between {title_a} and {title_b} would be found "
        f"{percent(found.found)} of the time"
    )
    only = f"; only one of {points(found.detectable)} would be found 80{NBSP}% of the time"
    need = "The two are right equally often, so no number of images would tell them apart"
    if found.images_needed is not None:
        need = (
            f"To tell the two apart as they are on fresh test images (only {title_a} right on {percent(found.only_a)}, "
            f"only {title_b} on {percent(found.only_b)}) with 80{NBSP}% power takes "
            f"{count(found.images_needed, 'image')}"
        )
    if found.published_n is not None and found.published_found is not None:
        need = (
            f"{need}; the one fixed split has {found.published_n} and would find {points(found.planted)} "
            f"{percent(found.published_found)} of the time"
        )
    return f"{now}{', which is enough' if found.found >= 0.8 else only}. {need}."


def audit(dataset: Dataset) -> str:
    """How many pairs of near-duplicates there are, and whether any has two labels."""
    pairs, files = dataset.pairs, len(dataset)
    if not pairs:
        return f"Among these {count(files, 'picture')} the audit finds no two that show the same."
    kinds = listed([f"{n} {kind}" for kind, n in sorted(Counter(p.kind for p in pairs).items())])
    differ = sum(p.labels_differ for p in pairs)
    labels = " None has two labels."
    if differ:
        both = f"{upper_first(count(differ, 'pair'))} {'is' if differ == 1 else 'are'} under two different labels"
        labels = f" **{both}**, and so counted as distinct under each of the two."
    return (
        f"The audit finds {count(len(pairs), 'pair')} of pictures that are copies of one another ({kinds}), so that "
        f"{files} files show {len(set(dataset.groups.tolist()))} distinct pictures.{labels}"
    )


def twins(total: int, n: int, accuracies: Mapping[str, tuple[float, float]]) -> str:
    """How many of a split's test images have a twin in training; {title: accuracy (without them, of all)}."""
    if not n:
        return f"None of its {count(total, 'test image')} has a near-duplicate among the training images."
    pairs = (
        (t, percent(without) if without == without else "nothing", percent(every))
        for t, (without, every) in accuracies.items()
    )
    parts = [f"{title} {without} instead of {every}" for title, without, every in pairs]
    have, them = ("has", "it") if n == 1 else ("have", "them")
    return (
        f"{n} of its {count(total, 'test image')} {have} a near-duplicate among the training images. Without {them}, "
        f"the median seed reaches: {'; '.join(parts)}."
    )


def sizes(widths: Sequence[int], heights: Sequence[int]) -> str:
    """How much the files' sizes differ, pixels."""
    if len(set(widths)) == len(set(heights)) == 1:
        return f"Every picture is {widths[0]:,} × {heights[0]:,} pixels: sizes give nothing away."
    return (
        f"The files are between {min(widths):,} and {max(widths):,} pixels wide and between {min(heights):,} and "
        f"{max(heights):,} pixels high. Where sizes differ between motifs, a classifier could use that: @sec-baselines "
        "asks how far file facts alone would go."
    )
