"""The sentences whose verdict flips with the numbers; each is a pure function with a test on both sides of its line.

All other sentences of the report stand in the notebooks.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batik_utils import wording as say
from batik_utils.stats import claims
from batik_utils.stats.calibration import Calibration
from batik_utils.stats.compare import Comparison, PublishedComparison
from batik_utils.stats.intervals import Interval, VarianceSplit
from batik_utils.stats.power import Power
from batik_utils.stats.search import Choice
from batik_utils.values import Dataset

TOO_FEW = "too few fits"
OPENINGS = {
    "better": "{a} is better than {b}",
    "worse": "{a} is worse than {b}",
    "same": "{a} and {b} are practically the same",
    "open": "No difference can be shown between {a} and {b}",
    TOO_FEW: "There are not enough fits for a verdict between {a} and {b}",
}
ENOUGH = 0.9
"""Share of the planned fits below which no verdict is given."""
SURE = 0.95
"""Posterior probability from which two models are called practically the same."""
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
    if c is not None and expected >= 1 and got >= ENOUGH * expected:
        word = _word(c)
    opening = OPENINGS[word].format(a=title_a, b=title_b)
    if c is None or word == TOO_FEW:
        common = "" if c else ", and the two have no complete repeat in common"
        return Verdict(word, f"{opening}: {got} of {expected} planned fits have a result{common}.", f"{opening}.")
    means = f"{opening}: {say.percent(c.mean_a)} against {say.percent(c.mean_b)} on the same folds"
    gap, interval = say.signed_points(c.difference.value), f"{INTERVAL} {say.points_range(c.difference)}"
    p = say.p_value(c.p_value) if c.p_adjusted is None else f"{say.p_value(c.p_adjusted)} after Holm’s correction"
    seeds = f"{c.seeds_a} and {c.seeds_b} training seeds"
    if c.seeds_a == c.seeds_b:
        seeds = say.count(c.seeds_a, "training seed")
    evidence = (
        f"(difference {gap}, {interval}, {p}; P({title_a} better) {say.probability(c.p_a_better)}, "
        f"P(same within {say.points(c.rope)}) {say.probability(c.p_same)}, "
        f"P({title_b} better) {say.probability(c.p_b_better)}; "
        f"{say.count(c.folds, 'fold')} × {say.count(c.repeats, 'repeat')}, {seeds})"
    )
    return Verdict(word, f"{means} {evidence}.", f"{means}, a difference of {gap} ({interval}).")


def mcnemar(found: Mapping[str, PublishedComparison]) -> str:
    """Which pairs ({"A and B": comparison}) the median fits' exact test tells apart on one split."""
    if not found:
        return "No two models have fits on this split."
    n = next(iter(found.values())).median.n
    apart = {pair: c.median.p_value < 0.05 for pair, c in found.items()}
    told, untold = ("; ".join(pair for pair, yes in apart.items() if yes is side) for side in (True, False))
    parts = [f"{does} {pairs}" for does, pairs in (("tells apart", told), ("does not tell apart", untold)) if pairs]
    return f"On these {say.count(n, 'image')}, with p < 0.05, the test {', and '.join(parts)}."


def mistake_cost(c: Comparison | None, title: str, variant: str, mistake: str) -> str:
    """What a mistake (a clause) costs that the variant (B) makes and the model (A) does not."""
    if c is None:
        return f"What {mistake} costs cannot be said: {title} and {variant} share no folds."
    says = f"{say.upper_first(mistake)} is a mistake, but no cost can be shown"
    if (word := _word(c)) == "better":
        says = f"{say.upper_first(mistake)} costs {say.points(c.difference.value)}"
    elif word == "worse":
        says = f"Unexpectedly, {mistake} does better by {say.points(c.difference.value)}"
    return (
        f"{says}: {title} reaches {say.percent(c.mean_a)}, {variant} {say.percent(c.mean_b)} "
        f"({INTERVAL} of the difference {say.points_range(c.difference)}, {say.p_value(c.p_value)})."
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


def learnt(title: str, accuracy: Interval | None, chance: float, over: Mapping[str, Interval]) -> str:
    """Whether a model learnt more than chance (a fraction) and each baseline; over is {baseline: model minus it}."""
    if accuracy is None:
        return f"Whether {title} beats chance cannot be said: it has too few fits."
    does = "better than" if accuracy.low > chance else "worse than" if accuracy.high < chance else ""
    does = f"does {does} chance" if does else "cannot be told from chance"
    opening = f"{title} {does} ({say.percent(chance)}): {_mean(accuracy)}."
    beaten = [f"{name} (by {say.points(gap.value)})" for name, gap in over.items() if gap.low > 0]
    open_ = [f"{name} ({say.signed_points(gap.value)})" for name, gap in over.items() if gap.low <= 0 <= gap.high]
    lost = [f"{name} (by {say.points(gap.value)})" for name, gap in over.items() if gap.high < 0]
    groups = (("it beats", beaten), ("it cannot be shown to beat", open_), ("it is beaten by", lost))
    parts = [f"{words} {say.listed(names)}" for words, names in groups if names]
    more = "" if open_ or lost else ", so it has learnt more than these baselines can"
    return f"{opening} On the same folds, {'; '.join(parts)}{more}." if parts else opening


def variance(title: str, split: VarianceSplit) -> str:
    """Whether the draw of images or the training seed moves a score more."""
    if split.data_sd + split.seed_sd == 0:
        return f"{title} scores the same in every fold and with every seed."
    than = "which images are drawn matters far more than the training seed"
    if split.seed_share > 0.5:
        than = "the training seed matters more than which images are drawn"
    elif split.seed_share > 0.2:
        than = "which images are drawn matters more than the training seed, but both matter"
    return (
        f"For {title}, {than}: standard deviation {say.points(split.data_sd)} between folds, "
        f"{say.points(split.seed_sd)} between training seeds of one fold "
        f"({say.count(split.seeds, 'seed')}, {say.count(split.splits, 'fold')})."
    )


def claims_summary(rows: Sequence[claims.ClaimRow]) -> str:
    """How many published numbers hold, and which do not."""
    n = Counter(r.verdict for r in rows)
    words = {claims.WITHIN: "inside the interval that the images allow"}
    order = (claims.REPRODUCED, claims.WITHIN, claims.NOT_REPRODUCED, claims.NOT_COMPARABLE)
    parts = [f"{n[v]} {'is' if n[v] == 1 else 'are'} {words.get(v, v)}" for v in order if n[v]]
    failed = [r.what for r in rows if r.verdict == claims.NOT_REPRODUCED]
    which = f" Not reproduced: {say.listed(failed)}." if failed else ""
    return f"Of {say.count(len(rows), 'published number')}, {say.listed(parts)}.{which}"


def sources(title: str, grouped: Interval | None, sources: Interval | None) -> str:
    """What a model reaches where pictures of one source are kept together too, and which figure to expect elsewhere."""
    if grouped is None or sources is None:
        return f"What {title} reaches with pictures of one source together cannot be said: it has too few fits."
    lost = f"{say.points(grouped.value - sources.value)} less than with near-duplicates together"
    if sources.value >= grouped.low:
        near = f"near the {say.percent(grouped.value)} with near-duplicates together"
        lost = f"{near}: it leans little on who took a picture"
    return f"{title} reaches {_mean(sources)}, {lost}. This is what to expect of it on pictures from elsewhere."


def others(title: str, mean: float, sd: float, best: str, accuracy: float, best_sd: float) -> str:
    """A model's mean and sd over the splits of others, against the best of what they reported."""
    gap, band = mean - accuracy, 2 * (sd**2 + best_sd**2) ** 0.5
    than = "no clear difference from"
    if abs(gap) > band:
        than = f"{say.points(abs(gap))} {'more' if gap > 0 else 'less'} than"
    return (
        f"{title} reaches {say.percent(mean)} (standard deviation over splits {say.points(sd)}), {than} the best that "
        f"they report, {say.percent(accuracy)} of {best}."
    )


def missing_fits(got: int, expected: int, reasons: Sequence[str] = ()) -> str:
    """Whether every planned fit has a result."""
    if got >= expected:
        return f"All {say.count(expected, 'planned fit')} have a result."
    why = f": {'; '.join(sorted(set(reasons))[:3])}" if reasons else ""
    gone = f"{expected - got:,} {'is' if expected - got == 1 else 'are'} missing"
    return f"{got:,} of {say.count(expected, 'planned fit')} have a result; {gone}{why}."


def calibration(found: Mapping[str, Calibration]) -> str:
    """Which models' probabilities ({title: calibration}) can be believed, and whose loss a temperature lowers."""
    if not found:
        return "Calibration cannot be measured: there are too few folds."
    groups: dict[str, list[str]] = {}
    for title, c in found.items():
        gap = c.before.confidence - c.before.accuracy
        words = f"too {'sure' if gap > 0 else 'unsure'} of themselves"
        if abs(gap) < 0.03:
            words = (
                "well calibrated" if c.before.ece < 0.06 else "right on the whole, but not at each level of confidence"
            )
        groups.setdefault(words, []).append(title)
    says = "; ".join(f"{words}: {say.listed(titles)}" for words, titles in groups.items())
    change = {title: c.after.log_loss - c.before.log_loss for title, c in found.items()}
    does = {"lowers": [title for title, by in change.items() if by < -0.005]}
    does["raises"] = [title for title, by in change.items() if by > 0.005]
    does["hardly changes"] = [title for title, by in change.items() if abs(by) <= 0.005]
    parts = [f"{verb} {{}} of {say.listed(titles)}" for verb, titles in does.items() if titles]
    told = [part.format("that" if i else "the loss") for i, part in enumerate(parts)]
    return f"{say.upper_first(says)}. A temperature, fitted on other folds, {say.listed(told)}."


CORRUPTIONS = {
    "greyscale": "stripped of colour",
    "blur": "blurred",
    "patches": "cut into patches and shuffled",
    "border": "cut down to their border",
}


def corruptions(title: str, accuracies: Mapping[str, float], chance: float, n: int) -> str:
    """What costs a model most of its accuracy on n images ({corruption: accuracy}), and if their border is enough."""
    plain = accuracies["none"]
    drops = [(plain - value, name) for name, value in accuracies.items() if name != "none"]
    worst, name = min(drops, key=lambda drop: (-drop[0], drop[1]))
    above = 2 * (chance * (1 - chance) / n) ** 0.5
    if plain - chance <= above:
        return f"{title} is too near chance on whole images to have much to lose."
    opening = f"{title} loses most when images are {CORRUPTIONS.get(name, name)} ({say.points(worst)})."
    # Two standard errors of a share of n images: less than that is noise.
    if worst <= 2 * (max(plain * (1 - plain), 0.05) / n) ** 0.5:
        opening = f"{title} loses next to nothing on tampered images."
    # A model that is near chance on whole images has nothing that a border could explain.
    border = accuracies.get("border", 0.0)
    if border <= chance + above or plain - chance <= 2 * above:
        return opening
    return (
        f"{opening} The border alone is enough for {say.percent(border)} (chance {say.percent(chance)}): part of the "
        "accuracy may come from the margin and what is seen there."
    )


def permutation(title: str, accuracy: Interval | None, chance: float) -> str:
    """The label-permutation control: with shuffled labels a model must fall to chance (a fraction)."""
    if accuracy is None:
        return f"The label-permutation control of {title} has too few fits."
    shown = f"({_mean(accuracy)}, chance {say.percent(chance)})"
    says = f"falls to chance {shown}: no sign of a leak"
    if accuracy.low > chance:
        says = f"stays above chance {shown}: a leak is suspected"
    elif accuracy.high < chance:
        says = f"falls below chance {shown}, as balanced folds can make it: no sign of a leak"
    return f"With labels shuffled, {title} {says}."


def learning_curve(title: str, accuracies: Mapping[int, float], rise: float = 0.02) -> str:
    """Whether more images would help; accuracies maps training images per motif to accuracy."""
    steps = sorted(accuracies)
    if len(steps) < 2:
        return f"There are too few points for a learning curve of {title}."
    first, before, last = (accuracies[step] for step in (steps[0], *steps[-2:]))
    few, many = f"with {steps[0]} training images per motif", f"with {steps[-1]}"
    path = f"from {say.percent(first)} {few} to {say.percent(last)} {many}"
    if last - before >= rise:
        return f"{title} is still rising, {path}: more images would probably help."
    if before - last >= rise:
        return f"{title} goes {path} and does not rise at the end: the curve is too noisy to be read."
    return f"{title} has levelled off, {path}: more images of this kind would help little."


def search(title: str, choice: Choice, seed_chose_by_test: bool = False) -> str:
    """What choosing on validation gave, and what choosing on the test set would have shown."""
    h, seed = choice.hyper, ", as the seed study did," if seed_chose_by_test else ""
    shown = "the same here"
    if choice.optimism > 1e-9:
        shown = f"{say.percent(choice.test_chosen_accuracy)}, {say.points(choice.optimism)} too much"
    return (
        f"Of {say.count(choice.settings, 'setting')} of {title}, validation chose {say.count(h.epochs, 'epoch')}, a "
        f"learning rate of {h.learning_rate:g} and a dropout of {h.dropout:g}: {say.percent(choice.val_accuracy)} on "
        f"validation, {say.percent(choice.test_accuracy)} on the test images (mean of "
        f"{say.count(choice.seeds, 'seed')}). Choosing on the test images{seed} would have shown {shown}; "
        f"the best single fit, {say.percent(choice.best_single)}."
    )


def power(found: Power | None, title_a: str, title_b: str) -> str:
    """What the present images can tell apart, and how many would be needed."""
    if found is None:
        return f"The power of the comparison between {title_a} and {title_b} cannot be said: they share no folds."
    planted, target = say.points(found.planted), say.percent(0.8, 0)
    enough = ", which is enough"
    if found.detectable >= 1:
        enough = f"; none, however large, would be found {target} of the time"
    elif found.found < 0.8:
        enough = f"; only one of {say.points(found.detectable)} would be found {target} of the time"
    need = "The two are right equally often, so no number of images would tell them apart"
    if found.images_needed is not None:
        need = (
            f"To tell the two apart as they are on fresh test images (only {title_a} right on "
            f"{say.percent(found.only_a)}, only {title_b} on {say.percent(found.only_b)}) with {target} power takes "
            f"{say.count(found.images_needed, 'image')}"
        )
    if found.published_n is not None and found.published_found is not None:
        would = f"would find {planted} {say.percent(found.published_found)} of the time"
        need += f"; the one fixed split has {found.published_n} and {would}"
    return (
        f"With {say.count(found.n_images, 'image')}, {say.count(found.folds, 'fold')} and "
        f"{say.count(found.repeats, 'repeat')}, a true difference of {planted} between {title_a} and {title_b} would "
        f"be found {say.percent(found.found)} of the time{enough}. {need}."
    )


def audit(dataset: Dataset) -> str:
    """How many pairs of near-duplicates there are, and whether any has two labels."""
    pairs, files = dataset.pairs, len(dataset)
    if not pairs:
        return f"Among these {say.count(files, 'picture')} the audit finds no two that show the same."
    kinds = say.listed([f"{n} {kind}" for kind, n in sorted(Counter(p.kind for p in pairs).items())])
    differ = sum(p.labels_differ for p in pairs)
    both = f"{say.upper_first(say.count(differ, 'pair'))} {'is' if differ == 1 else 'are'} under two different labels"
    labels = f"**{both}**, and so counted as distinct under each of the two." if differ else "No pair has two labels."
    return (
        f"The audit takes {say.count(len(pairs), 'pair')} of pictures for copies of one another ({kinds}), so "
        f"that {files:,} files count as {len(set(dataset.groups.tolist())):,} distinct pictures. {labels}"
    )


def twins(total: int, n: int, accuracies: Mapping[str, tuple[float, float]]) -> str:
    """How many of a split's test images have a twin in training; {title: accuracy (without them, of all)}."""
    of = f"of the {say.count(total, 'test image')} of the one fixed split (@sec-protocols)"
    if not n:
        return f"None {of} has a near-duplicate among its training images."
    less = {title: say.percent(rest) if rest == rest else "nothing" for title, (rest, _) in accuracies.items()}
    have, them = ("has", "it") if n == 1 else ("have", "them")
    parts = "; ".join(f"{title} {less[title]} ({say.percent(accuracies[title][1])} with {them})" for title in less)
    shown = f"Without {them}, the median seed reaches: {parts}."
    return f"{n} {of} {have} a near-duplicate among its training images. {shown}"


def sizes(widths: Sequence[int], heights: Sequence[int]) -> str:
    """How much the files' sizes differ, pixels."""
    if len(set(widths)) == len(set(heights)) == 1:
        return f"Every picture is {widths[0]:,} × {heights[0]:,} pixels, which gives nothing away."
    wide, high = (f"between {min(sides):,} and {max(sides):,} pixels" for sides in (widths, heights))
    return f"The files are {wide} wide and {high} high. Where that differs between motifs, a classifier could use it."


def _word(c: Comparison) -> str:
    if c.p_same >= SURE or not c.declared:
        return "same" if c.p_same >= SURE else "open"
    return "better" if c.difference.value > 0 else "worse"


def _mean(interval: Interval) -> str:
    return f"{say.percent(interval.value)}, {INTERVAL} {say.percent_range(interval)}"
