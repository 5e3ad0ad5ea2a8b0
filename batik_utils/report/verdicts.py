"""Rules that turn numbers into sentences; each is a pure function, and a test feeds it numbers that flip it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batik_utils.stats.claims import NOT_COMPARABLE, NOT_REPRODUCED, REPRODUCED, WITHIN, ClaimRow
from batik_utils.stats.compare import Comparison, PublishedComparison
from batik_utils.stats.intervals import Interval, VarianceSplit
from batik_utils.stats.metrics import PublishedSummary
from batik_utils.values import Results
from batik_utils.wording import (
    NBSP,
    count,
    fraction,
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
TOO_FEW_OPENING = "There are not enough fits for a verdict between"
ENOUGH = 0.9
"""Share of the planned fits below which no verdict is given."""
SURE = 0.95
"""Posterior probability from which two models are called practically the same."""
PARAMETER_LIMIT = 10_000_000
"""The first seed study's limit for its "limited-parameter" model."""


@dataclass(frozen=True)
class Verdict:
    """A word for machines and a sentence for people."""

    word: str
    """"better", "worse", "same", "open" or "too few fits" (A against B)."""
    sentence: str


def verdict(comparison: Comparison | None, label_a: str, label_b: str, got: int, expected: int) -> Verdict:
    """The verdict between A and B under grouped cross-validation, from got of expected planned fits of both."""
    if comparison is None or expected < 1 or got < ENOUGH * expected:
        common = "" if comparison else ", and the two have no complete repeat in common"
        few = f"{TOO_FEW_OPENING} {label_a} and {label_b}: {got} of {expected} planned fits have a result{common}."
        return Verdict(TOO_FEW, few)
    c = comparison
    evidence = (
        f"(difference {signed_points(c.difference.value)}, 95{NBSP}% interval {points_range(c.difference)}, "
        f"{p_value(c.p_value if c.p_adjusted is None else c.p_adjusted)}"
        f"{' after Holm’s correction' if c.p_adjusted is not None else ''}; "
        f"P({label_a} better) {probability(c.p_a_better)}, P(same within {points(c.rope)}) {probability(c.p_same)}, "
        f"P({label_b} better) {probability(c.p_b_better)}; {design(c)})"
    )
    means = f"{percent(c.mean_a)} against {percent(c.mean_b)} on the same folds"
    if c.p_same >= SURE:
        return Verdict(SAME, f"{label_a} and {label_b} are practically the same: {means} {evidence}.")
    if not c.declared:
        return Verdict(OPEN, f"No difference can be shown between {label_a} and {label_b}: {means} {evidence}.")
    if c.difference.value > 0:
        return Verdict(BETTER, f"{label_a} is better than {label_b}: {means} {evidence}.")
    return Verdict(WORSE, f"{label_a} is worse than {label_b}: {means} {evidence}.")


def short_verdict(comparison: Comparison | None, label_a: str, label_b: str, got: int, expected: int) -> str:
    """The verdict in one short clause with its two means, for an abstract or a table."""
    word = verdict(comparison, label_a, label_b, got, expected).word
    if comparison is None or word == TOO_FEW:
        return f"{TOO_FEW_OPENING} {label_a} and {label_b}."
    means = (
        f"{percent(comparison.mean_a)} against {percent(comparison.mean_b)} on the same folds, a difference of "
        f"{signed_points(comparison.difference.value)} (95{NBSP}% interval {points_range(comparison.difference)})"
    )
    opening = {
        BETTER: f"{label_a} is better than {label_b}",
        WORSE: f"{label_a} is worse than {label_b}",
        SAME: f"{label_a} and {label_b} are practically the same",
        OPEN: f"no difference can be shown between {label_a} and {label_b}",
    }[word]
    return f"{upper_first(opening)}: {means}."


def design(c: Comparison) -> str:
    """What a comparison rests on: folds, repeats and training seeds."""
    if c.seeds_a == c.seeds_b:
        seeds = count(c.seeds_a, "training seed")
    else:
        seeds = f"{c.seeds_a} and {c.seeds_b} training seeds"
    return f"{count(c.folds, 'fold')} × {count(c.repeats, 'repeat')}, {seeds}"


def published_comparison(found: PublishedComparison | None, label_a: str, label_b: str) -> str:
    """What McNemar's exact test says about the two on the seed study's own split."""
    if found is None:
        return f"{label_a} and {label_b} cannot be compared on the published split: one of them has no fit there."
    m = found.median
    discordant = m.only_a + m.only_b
    opening = f"On the published split of {m.n} images, the median fits of {label_a} and {label_b} disagree on"
    detail = f"{discordant} ({m.only_a} only {label_a} gets right, {m.only_b} only {label_b})"
    told = "which sets them apart" if m.p_value < 0.05 else "which does not set them apart"
    low = sum(t.p_value < 0.05 for t in found.per_seed)
    seeds = f"; seed by seed, {low} of {len(found.per_seed)} tests fall under 0.05" if len(found.per_seed) > 1 else ""
    return f"{opening} {detail}, {told} (exact McNemar test, {p_value(m.p_value)}{seeds})."


def preprocessing_cost(comparison: Comparison | None, label_own: str, label_published: str) -> str:
    """What the seed's wrong input range costs; comparison is the right preprocessing (A) against the seed's (B)."""
    if comparison is None:
        return f"What the seed's preprocessing costs cannot be said: {label_own} and {label_published} share no folds."
    gap = comparison.difference
    band = f"95{NBSP}% interval {points_range(gap)}, {p_value(comparison.p_value)}"
    if comparison.p_same >= SURE or not comparison.declared:
        return (
            f"Feeding the backbone 0 to 1 where it expects −1 to 1 is a mistake, but no cost can be shown: {label_own} "
            f"reaches {percent(comparison.mean_a)}, {label_published} {percent(comparison.mean_b)} ({band})."
        )
    if gap.value > 0:
        return (
            f"Feeding the backbone 0 to 1 where it expects −1 to 1 costs {points(gap.value)}: {label_published} "
            f"reaches {percent(comparison.mean_b)}, {label_own} {percent(comparison.mean_a)} ({band})."
        )
    return (
        f"Unexpectedly, the seed's input range does better by {points(gap.value)}: {label_published} reaches "
        f"{percent(comparison.mean_b)}, {label_own} {percent(comparison.mean_a)} ({band})."
    )


def parameter_limit(
    scratch: str, scratch_parameters: int, pretrained: str, pretrained_parameters: int, limit: int = PARAMETER_LIMIT
) -> str:
    """Which of the two models keeps the limit on parameters."""
    counts = f"{scratch} has {scratch_parameters:,} parameters and {pretrained} {pretrained_parameters:,}"
    bound = f"the {limit / 1e6:g} million that the first seed study sets as its limit"
    over = [n for n, p in ((scratch, scratch_parameters), (pretrained, pretrained_parameters)) if p >= limit]
    if over == [scratch]:
        return (
            f"{counts}: the model with limited parameters is the pretrained one, and the scratch model is over {bound}."
        )
    if not over:
        return f"{counts}: both are under {bound}."
    return f"{counts}: {listed(over)} {'are' if len(over) > 1 else 'is'} over {bound}."


def against_chance(label: str, accuracy: Interval | None, chance: float) -> str:
    """Whether a model's interval across folds lies over chance (a fraction)."""
    if accuracy is None:
        return f"Whether {label} beats chance cannot be said: it has too few fits."
    shown = f"{percent(accuracy.value)}, 95{NBSP}% interval {percent_range(accuracy)}"
    if accuracy.low > chance:
        return f"{label} does better than chance ({percent(chance)}): {shown}."
    if accuracy.high < chance:
        return f"{label} does worse than chance ({percent(chance)}): {shown}."
    return f"{label} cannot be told from chance ({percent(chance)}): {shown}."


def learnt(label: str, accuracy: Interval | None, chance: float, over: Mapping[str, Interval | None]) -> str:
    """Whether a model learnt more than chance and each baseline.

    over maps a baseline's name to the interval of the difference model minus baseline, on the same folds.
    """
    opening = against_chance(label, accuracy, chance)
    if accuracy is None or not over:
        return opening
    known = {name: gap for name, gap in over.items() if gap is not None}
    beaten = [f"{name} (by {points(gap.value)})" for name, gap in known.items() if gap.low > 0]
    open_ = [f"{name} ({signed_points(gap.value)})" for name, gap in known.items() if gap.low <= 0 <= gap.high]
    lost = [f"{name} (by {points(gap.value)})" for name, gap in known.items() if gap.high < 0]
    parts = []
    if beaten:
        parts.append(f"it beats {listed(beaten)}")
    if open_:
        parts.append(f"it cannot be shown to beat {listed(open_)}")
    if lost:
        parts.append(f"it is beaten by {listed(lost)}")
    if not parts:
        return opening
    more = "" if open_ or lost else ", so it has learnt more than these baselines can"
    return f"{opening} On the same folds, {listed(parts)}{more}."


def variance(label: str, split: VarianceSplit | None) -> str:
    """Whether the draw of images or the training seed moves a score more."""
    if split is None:
        return f"How much the training seed moves {label} cannot be said: it was fitted with one seed per fold."
    sds = (
        f"standard deviation {points(split.data_sd)} between folds, {points(split.seed_sd)} between training seeds of "
        f"one fold ({count(split.seeds, 'seed')}, {count(split.splits, 'fold')})"
    )
    if split.data + split.seed == 0:
        return f"{label} scores the same in every fold and with every seed."
    if split.seed_share > 0.5:
        return f"For {label}, the training seed matters more than which images are drawn: {sds}."
    if split.seed_share > 0.2:
        return f"For {label}, which images are drawn matters more than the training seed, but both matter: {sds}."
    return f"For {label}, which images are drawn matters far more than the training seed: {sds}."


def seed_range(label: str, summary: PublishedSummary | None) -> str:
    """A model's accuracy on the published split: median, range over seeds and the interval n images allow."""
    if summary is None:
        return f"{label} has no fit on the published split."
    median = round(summary.median_accuracy * summary.n_test)
    seeds = count(len(summary.seeds), "training seed")
    band = f"the Wilson interval of {fraction(median, summary.n_test)} is {percent_range(summary.interval)}"
    opening = f"{label} gets {percent(summary.median_accuracy)} on the published split"
    if summary.low == summary.high:
        return f"{opening} with each of {seeds}; {band}."
    return f"{opening} (median over {seeds}, range {percent_range(summary)}); {band}."


def claims_summary(rows: Sequence[ClaimRow]) -> str:
    """How many published numbers hold."""
    if not rows:
        return "The study takes up no published number."
    words = (REPRODUCED, WITHIN, NOT_REPRODUCED, NOT_COMPARABLE)
    shown = {
        REPRODUCED: "reproduced",
        WITHIN: "inside the interval that the images allow",
        NOT_REPRODUCED: "not reproduced",
        NOT_COMPARABLE: "not comparable",
    }
    numbers = {w: sum(r.verdict == w for r in rows) for w in words}
    parts = [f"{numbers[w]} {'is' if numbers[w] == 1 else 'are'} {shown[w]}" for w in words if numbers[w]]
    sentence = f"Of {count(len(rows), 'published number')}, {listed(parts)}."
    failed = [r.what for r in rows if r.verdict == NOT_REPRODUCED]
    return f"{sentence} Not reproduced: {listed(failed)}." if failed else sentence


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


def abstract(
    *,
    data: str,
    n_images: int,
    motifs: Sequence[str],
    sample: bool,
    accuracies: Mapping[str, Interval | None],
    chance: float,
    verdict_sentence: str,
    claims: Sequence[ClaimRow] = (),
    power_sentence: str = "",
) -> list[str]:
    """The abstract's paragraphs: the data, what each model gets, the verdict, what it is worth.

    data is Source.description; accuracies maps a model's label to its interval across grouped folds.
    """
    kind = "pictures that this project drew (procedural sample, not batik photographs)" if sample else "photographs"
    first = f"{n_images:,} {kind} of {listed(list(motifs))} are used ({data.rstrip('.')})."
    known = {label: i for label, i in accuracies.items() if i is not None}
    numbers = [f"{label} {percent(i.value)} ({percent_range(i)})" for label, i in known.items()]
    if numbers:
        second = (
            f"Across grouped folds, accuracy with its 95{NBSP}% interval is: {listed(numbers)}; chance is "
            f"{percent(chance)}. {verdict_sentence}"
        )
    else:
        second = verdict_sentence
    third = " ".join(s for s in (claims_summary(claims) if claims else "", power_sentence) if s)
    return [p for p in (first, second, third) if p]


def conclusion(*, verdict_sentence: str, supports: Sequence[str], limits: Sequence[str]) -> list[str]:
    """The conclusion in Markdown: the verdict, a list of what supports or qualifies it, what the data cannot say."""
    listing = "\n".join(f"- {s}" for s in supports if s)
    return [p for p in (verdict_sentence, listing, " ".join(s for s in limits if s)) if p]
