"""The sentences whose verdict flips with the numbers; each is a pure function with a test on both sides of its line.

All other sentences of the report stand in the notebooks.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batik_utils import wording as say
from batik_utils.stats import claims
from batik_utils.stats.compare import Comparison, PublishedComparison, sorted_out
from batik_utils.stats.intervals import Interval
from batik_utils.stats.mistakes import LARGE, SourceRow, fall_on_large
from batik_utils.values import Dataset

TOO_FEW = "too few fits"
OPENINGS = {
    "better": "{a} is better than {b}",
    "worse": "{a} is worse than {b}",
    "same": "{a} and {b} are practically the same",
    "open": "No difference can be shown between {a} and {b}",
    TOO_FEW: "There are not enough fits for a verdict between {a} and {b}",
}
FITS_FOR_VERDICT = 0.9
"""Share of the planned fits below which no verdict is given."""
INTERVAL = f"95{say.NBSP}% interval"


@dataclass(frozen=True)
class Verdict:
    """A word for machines, one of OPENINGS, and a sentence for people."""

    word: str
    sentence: str
    short: str
    """The sentence with no more evidence than the two means and their difference."""


def verdict(comparison: Comparison | None, title_a: str, title_b: str, got: int, expected: int) -> Verdict:
    """The verdict between A and B under grouped cross-validation, from got of expected planned fits of both."""
    c, word = comparison, TOO_FEW
    if c is not None and expected >= 1 and got >= FITS_FOR_VERDICT * expected:
        word = c.word
    opening = OPENINGS[word].format(a=title_a, b=title_b)
    if c is None or word == TOO_FEW:
        common = "" if c else ", and the two have no complete repeat in common"
        return Verdict(word, f"{opening}: {got} of {expected} planned fits have a result{common}.", f"{opening}.")
    means = f"{opening}: {say.percent(c.mean_a)} against {say.percent(c.mean_b)} on the same folds"
    gap, interval = say.signed_points(c.difference.value), f"{INTERVAL} {say.points_range(c.difference)}"
    seeds = f"{c.seeds_a} and {c.seeds_b} training seeds"
    if c.seeds_a == c.seeds_b:
        seeds = say.count(c.seeds_a, "training seed")
    evidence = (
        f"(difference {gap}, {interval}, {_p(c)}; P({title_a} better) {say.probability(c.p_a_better)}, "
        f"P(same within {set_beforehand(c.rope)}) {say.probability(c.p_same)}, "
        f"P({title_b} better) {say.probability(c.p_b_better)}; "
        f"{say.count(c.folds, 'fold')} × {say.count(c.repeats, 'repeat')}, {seeds})"
    )
    return Verdict(word, f"{means} {evidence}.", f"{means}, a difference of {gap} ({interval}).")


def mcnemar(found: Mapping[str, PublishedComparison]) -> str:
    """Which pairs ({"A from B": comparison}) the median fits' exact test tells apart on one split."""
    if not found:
        return "No two models have fits on this split."
    n = next(iter(found.values())).median.n
    apart = {pair: c.median.p < 0.05 for pair, c in found.items()}
    told, untold = ("; ".join(pair for pair, yes in apart.items() if yes is side) for side in (True, False))
    parts = [f"{does} {pairs}" for does, pairs in (("tells", told), ("does not tell", untold)) if pairs]
    corrected = " after Holm’s correction" if len(found) > 1 else ""
    return f"On these {say.count(n, 'image')}, with p < 0.05{corrected}, the test {', and '.join(parts)}."


def mistake_cost(c: Comparison | None, title: str, variant: str, mistake: str) -> str:
    """What a mistake (a clause) costs that the variant (B) makes and the model (A) does not."""
    if c is None:
        return f"What {mistake} costs cannot be said: {title} and {variant} share no folds."
    says = f"{say.upper_first(mistake)} is a mistake, but no cost can be shown"
    if (word := c.word) == "better":
        says = f"{say.upper_first(mistake)} costs {say.points(c.difference.value)}"
    elif word == "worse":
        says = f"Unexpectedly, {mistake} does better by {say.points(c.difference.value)}"
    return (
        f"{says}: {title} reaches {say.percent(c.mean_a)}, {variant} {say.percent(c.mean_b)} "
        f"({INTERVAL} of the difference {say.points_range(c.difference)}, {_p(c)})."
    )


def parameter_limit(scratch: tuple[str, int], pretrained: tuple[str, int], limit: int) -> str:
    """Which of two models, (title, parameters) each, keeps the limit that a seed study sets."""
    counts = f"{scratch[0]} has {scratch[1]:,} parameters and {pretrained[0]} {pretrained[1]:,}"
    bound = f"the {limit / 1e6:g} million that the seed study sets as its limit"
    over = [title for title, parameters in (scratch, pretrained) if parameters >= limit]
    if over == [scratch[0]]:
        return f"{counts}: the model with limited parameters is the pretrained one; the scratch model is over {bound}."
    are = "is over" if len(over) == 1 else "are over" if over else "are under"
    return f"{counts}: {say.listed(over) or 'both'} {are} {bound}."


def learnt(title: str, accuracy: Interval | None, chance: float, over: Mapping[str, Comparison]) -> str:
    """Whether a model learnt more than chance (a fraction) and each baseline; over is {baseline: model against it}."""
    if accuracy is None:
        return f"Whether {title} beats chance cannot be said: it has too few fits."
    does = "better than" if accuracy.low > chance else "worse than" if accuracy.high < chance else ""
    does = f"does {does} chance" if does else "cannot be told from chance"
    opening = f"{title} {does} ({say.percent(chance)}): {reached(accuracy)}."
    gap = {name: say.signed_points(c.difference.value) for name, c in over.items()}
    groups = sorted_out(over)
    told = ([f"{name} ({gap[name]})" for name in names] for names in groups)
    words = ("it beats", "it cannot be shown to beat", "it is beaten by")
    parts = [f"{says} {say.listed(names)}" for says, names in zip(words, told, strict=True) if names]
    more = "" if groups[1] or groups[2] else ", so it has learnt more than these baselines can"
    return f"{opening} On the same folds, {'; '.join(parts)}{more}." if parts else opening


def all_folds(found: Mapping[str, Interval]) -> str:
    """What is reached over more folds than those that are set side by side, {title: interval}; nothing without any."""
    if not found:
        return ""
    told = say.listed([f"{title} {reached(i)} ({say.count(i.n, 'fold')})" for title, i in found.items()])
    return f"Over all folds that it was fitted on, and not only the shared ones: {told}."


def claims_summary(rows: Sequence[claims.ClaimRow]) -> str:
    """How many published numbers hold, and which do not."""
    words = {claims.UNTOLD: "cannot be told either way"}
    parts = []
    for verdict in (claims.REPRODUCED, claims.UNTOLD, claims.NOT_REPRODUCED, claims.NOT_COMPARABLE):
        if these := [r for r in rows if r.verdict == verdict]:
            counts = sum(r.metric.endswith("images") and r.metric != "ten_images" for r in these)
            shuffled = sum(r.metric.startswith(claims.SHUFFLED) for r in these)
            kinds = [f"{counts} no more than {'counts' if counts > 1 else 'a count'} of images"] if counts else []
            kinds += [f"{shuffled} from reports whose labels were shuffled"] if shuffled else []
            told = words.get(verdict) or f"{'is' if len(these) == 1 else 'are'} {verdict}"
            parts.append(f"{len(these)} {told}" + (f" ({' and '.join(kinds)})" if kinds else ""))
    failed = [r.what for r in rows if r.verdict == claims.NOT_REPRODUCED]
    which = f" Not reproduced: {say.listed(failed)}." if failed else ""
    return f"Of {say.count(len(rows), 'published number')}, {say.listed(parts)}.{which}"


def shuffled(rows: Sequence[claims.ClaimRow]) -> str:
    """How many published precisions, recalls and F1 of shuffled reports lie where shuffles put them; "" without any."""
    scores = [(r.value, r.expected) for r in rows if r.metric in claims.SHUFFLED_SCORES and r.expected]
    if not scores:
        return ""
    inside = sum(claims.within_shuffles(value, band) for value, band in scores)
    return (
        f"Of the {len(scores)} other scores in these reports (precision, recall and F1) {inside} lie where "
        f"95{say.NBSP}% of the shuffles of our median seed do; `metrics.json` has each."
    )


def sources(title: str, grouped: Interval | None, sources: Interval | None) -> str:
    """What a model reaches where pictures of one source are kept together too."""
    if grouped is None or sources is None:
        return f"What {title} reaches with pictures of one source together cannot be said: it has too few fits."
    lost = f"{say.points(grouped.value - sources.value)} less than with near-duplicates together"
    if sources.value >= grouped.low:
        near = f"near the {say.percent(grouped.value)} with near-duplicates together"
        lost = f"{near}: whether it leans on who took a picture cannot be told"
    return f"{title} reaches {reached(sources)}, {lost}."


def large_sources(title: str, rows: Sequence[SourceRow]) -> str:
    """How much of a model's accuracy hangs on large sources; rows are those of mistakes.large_sources."""
    found = {row.why: row for row in rows}
    these, others = found["all of these"], found.get("all others")
    rest = f"; of all others {say.percent(others.grouped)} and {say.percent(others.sources)}" if others else ""
    why = {
        "large": "So accuracy falls most on the large sources: part of what is right there is owed to the source",
        "alike": "It falls on these no more than on others, so that large sources alone do not explain it",
        "none": "On these, nothing is lost by it",
    }[fall_on_large(rows)]
    return (
        f"Of {say.count(these.pictures, 'picture')} in sources of {LARGE} or more, {title} is right about "
        f"{say.percent(these.grouped)} where their source may also train, {say.percent(these.sources)} where it does "
        f"not{rest} (@tbl-large). {why}."
    )


def others(title: str, mean: float, sd: float, best: str, accuracy: float, best_sd: float) -> str:
    """A model's mean and sd over the splits of others, against the best of what they reported."""
    gap, band = mean - accuracy, 2 * (sd**2 + best_sd**2) ** 0.5
    than = "no clear difference from"
    if abs(gap) > band:
        than = f"{say.points(abs(gap))} {'more' if gap > 0 else 'less'} than"
    return (
        f"{title} reaches {say.percent(mean)} (standard deviation over splits {say.points(sd)}), {than} the best that "
        f"they report, {say.percent(accuracy)} of {best}; the line is drawn at {say.points(band)}, twice "
        "both deviations together."
    )


def missing_fits(got: int, expected: int, reasons: Sequence[str] = ()) -> str:
    """Whether every planned fit has a result."""
    if got >= expected:
        return f"All {say.count(expected, 'planned fit')} have a result."
    why = f": {'; '.join(sorted(set(reasons))[:3])}" if reasons else ""
    gone = f"{expected - got:,} {'is' if expected - got == 1 else 'are'} missing"
    return f"{got:,} of {say.count(expected, 'planned fit')} have a result; {gone}{why}."


def permutation(title: str, accuracy: Interval | None, chance: float) -> str:
    """The label-permutation control: what leak, in accuracy above chance (a fraction), it shows or leaves possible."""
    if accuracy is None:
        return f"The label-permutation control of {title} has too few fits."
    shown = f"({reached(accuracy)}, {say.count(accuracy.n, 'fold')}, chance {say.percent(chance)})"
    if accuracy.low > chance:
        return f"With labels shuffled, {title} stays above chance {shown}: a leak is suspected."
    if accuracy.high < chance:
        return (
            f"With labels shuffled, {title} falls below chance {shown}, as balanced folds can make it: no leak shows."
        )
    room = say.points(accuracy.high - chance)
    return (
        f"With labels shuffled, {title} cannot be told from chance {shown}: a leak that is worth more than {room} is "
        "excluded, a smaller one is not."
    )


def audit(dataset: Dataset) -> str:
    """How many pairs of near-duplicates there are, and whether any has two labels."""
    pairs, files = dataset.pairs, len(dataset)
    if not pairs:
        return f"Among these {say.count(files, 'picture')} the audit finds no two that show the same."
    kinds = say.listed([f"{n} {kind}" for kind, n in sorted(Counter(p.kind for p in pairs).items())])
    differ = sum(p.labels_differ for p in pairs)
    both = f"{say.upper_first(say.count(differ, 'pair'))} {'is' if differ == 1 else 'are'} under two different labels"
    labels = f"**{both}**; @tbl-data counts such a picture once under each." if differ else "No pair has two labels."
    return (
        f"The audit takes {say.count(len(pairs), 'pair')} of pictures for copies of one another ({kinds}), so "
        f"that {files:,} files count as {len(set(dataset.groups.tolist())):,} distinct pictures. {labels}"
    )


def twins(total: int, n: int, accuracies: Mapping[str, tuple[Interval | None, float]], misled: int = 0) -> str:
    """How many of a split's test images have a twin in training; {title: accuracy (without them, of all)}.

    misled counts those of them that have one under another label.
    """
    of = f"of the {say.count(total, 'test image')} of the one fixed split (@sec-protocols)"
    if not n:
        return f"None {of} has a near-duplicate among its training images."
    have, them = ("has", "it") if n == 1 else ("have", "them")
    parts = "; ".join(
        f"{title} {reached(rest) if rest else 'nothing'} ({say.percent(every)} with {them})"
        for title, (rest, every) in accuracies.items()
    )
    shown = f"Without {them}, the median seed reaches: {parts}."
    wrong = f", {misled} of them under another label, where it misleads" if misled else ""
    return f"{n} {of} {have} a near-duplicate among its training images{wrong}. {shown}"


def sizes(widths: Sequence[int], heights: Sequence[int]) -> str:
    """How much the files' sizes differ, pixels."""
    if len(set(widths)) == len(set(heights)) == 1:
        return f"Every picture is {widths[0]:,} × {heights[0]:,} pixels, which gives nothing away."
    wide, high = (f"between {min(sides):,} and {max(sides):,} pixels" for sides in (widths, heights))
    return f"The files are {wide} wide and {high} high. Where that differs between motifs, a classifier could use it."


def reached(interval: Interval) -> str:
    """A number with its interval, as sentences give it."""
    return f"{say.percent(interval.value)}, {INTERVAL} {say.percent_range(interval)}"


def _p(c: Comparison) -> str:
    return say.p_value(c.p) + ("" if c.p_adjusted is None else " after Holm’s correction")


def set_beforehand(fraction: float) -> str:
    """Points that were set beforehand and not measured: no decimals are made up."""
    return f"{100 * fraction:g}{say.NBSP}points"
