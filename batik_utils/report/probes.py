"""The sentences on what was tried on the models: how they learn, what they look at, what these images can show.

Like those of verdicts.py, each is a pure function with a test on both sides of its line. What they say of one model
rests on an interval of its own; none declares one model better than another.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu

from batik_utils import wording as say
from batik_utils.report.verdicts import INTERVAL, reached
from batik_utils.stats.calibration import Calibration
from batik_utils.stats.compare import POWER, Comparison
from batik_utils.stats.intervals import Interval, VarianceSplit
from batik_utils.stats.search import Choice

CORRUPTIONS = {
    "greyscale": "stripped of colour",
    "blur": "blurred",
    "patches": "cut into patches and shuffled",
    "border": "cut down to their border",
}
STEP_WORTH_TAKING = 0.002
"""Of a Brier score (0 to 2): from this on a step of regularisation is worth something."""


def budget(settings: Mapping[str, int]) -> str:
    """Whether the two models of the verdict could choose among as many settings, {title: settings}."""
    (a, most), (b, other) = sorted(settings.items(), key=lambda item: -item[1])
    if most == other == 1:
        return (
            f"In cross-validation neither {a} nor {b} was tuned: each has one setting, so neither is the best that its "
            "kind can do."
        )
    if most == other:
        return f"{a} and {b} were tuned alike, among {most} settings each."
    return (
        f"{a} chose among {say.count(most, 'setting')}, {b} among {other}: the more are tried, the better is the best, "
        f"so part of a lead of {a} may be the search’s."
    )


def edges(title: str, table: pd.DataFrame) -> str:
    """Whether a recipe's fits chose a strength at the edge of those tried, and what the step to it is worth.

    table is one row per setting: candidate, head, strength, brier (a mean), chosen (in how many fits). A head of one
    strength has no edge.
    """
    steps: list[float] = []
    for _, part in table.sort_values("strength").groupby(["candidate", "head"]):
        brier, chosen = part["brier"].to_numpy(), part["chosen"].to_numpy()
        for edge, inner in ((0, 1), (-1, -2)) if len(part) > 1 else ():
            steps += [float(brier[inner] - brier[edge])] * int(chosen[edge])
    fits = int(table["chosen"].sum())
    says = f"In {len(steps)} of {say.count(fits, 'fit')} {title} chose the weakest or strongest regularisation tried"
    if 2 * len(steps) <= fits:
        return f"{says}, so the choice was wide enough."
    worth = float(np.mean(steps))
    than = "might do better" if worth >= STEP_WORTH_TAKING else "would hardly do better"
    step = f"the last step towards it changes the mean Brier score by {say.number(-worth, 4, sign=True)}"
    return f"{says}; {step} on average: a wider choice {than}."


def overfitting(title: str, trained: float, tested: Interval, turned: int, seeds: int) -> str:
    """Whether a model is right more often on images that it learnt from, and whether its loss on others turned up.

    trained is accuracy in the last epoch (a fraction), tested that of the same fit on test images; turned counts the
    training seeds whose loss on other images ends over a tenth above its lowest.
    """
    says = f"{title} shows no gap between images that it learnt from and others that is larger than these images allow"
    if trained > tested.high:
        says = f"{title} knows the images that it learnt from better than others"
    elif trained < tested.low:
        says = f"{title} is right less often in training, where images are changed and dropout is at work"
    median = " in the seed of median test accuracy" if seeds > 1 else ""
    both = f"{say.percent(trained)} in training{median}, {say.percent(tested.value)} on test images ({_band(tested)})"
    often = f"with {turned} of {say.count(seeds, 'training seed')} its loss on other images ends over a tenth above its"
    end = f"{often} lowest, so that by this it was {'' if 2 * turned > seeds else 'not '}trained for too long"
    return f"{says}: {both}; {end}."


def variance(title: str, split: VarianceSplit) -> str:
    """Whether the draw of images or the training seed moves a score more, where the interval of their ratio says."""
    if split.data_sd + split.seed_sd == 0:
        return f"{title} scores the same in every fold and with every seed."
    than, ratio = "whether the draw of images or the training seed matters more cannot be told", split.ratio
    if ratio.low > 1:
        than = f"which images are drawn matters {'far ' * (ratio.low > 2)}more than the training seed"
    elif ratio.high < 1:
        than = "the training seed matters more than which images are drawn"
    ends = f"{say.number(ratio.low)}–{say.number(ratio.high)}" if ratio.high < 100 else f"over {say.number(ratio.low)}"
    return (
        f"For {title}, {than}: standard deviation {say.points(split.data_sd)} between folds, "
        f"{say.points(split.seed_sd)} between training seeds of one fold (their ratio, {INTERVAL}: {ends}; "
        f"{say.count(split.seeds, 'seed')}, {say.count(split.splits, 'fold')})."
    )


def power(found: Comparison | None, title_a: str, title_b: str) -> str:
    """What difference the present images can show."""
    if found is None:
        return f"The power of the comparison between {title_a} and {title_b} cannot be said: they share no folds."
    least = f"a true difference of {say.points(found.detectable)} between {title_a} and {title_b} would"
    if found.detectable >= 1:
        least = f"no true difference between {title_a} and {title_b}, however large, would"
    return (
        f"With these pictures, {say.count(found.folds, 'fold')} and {say.count(found.repeats, 'repeat')}, {least} be "
        f"found {say.percent(POWER, 0)} of the time."
    )


def search(title: str, choice: Choice, seed_chose_by_test: bool = False) -> str:
    """What choosing on validation gave, and what choosing on the test set would have shown, in images."""
    h, seed = choice.hyper, ", as the seed study did," if seed_chose_by_test else ""
    test = f"{say.of_images(choice.test_accuracy, choice.n_test)} test images"
    shown = "the same here"
    if choice.optimism > 1e-9:
        more = say.of_images(choice.optimism, choice.n_test).partition(" of ")[0]
        shown = f"{say.of_images(choice.test_chosen_accuracy, choice.n_test)}, {more} too many"
    return (
        f"Of {say.count(choice.settings, 'setting')} of {title}, validation chose {say.count(h.epochs, 'epoch')}, a "
        f"learning rate of {h.learning_rate:g} and a dropout of {h.dropout:g}: "
        f"{say.of_images(choice.val_accuracy, choice.n_val)} validation images right and {test} (mean of "
        f"{say.count(choice.seeds, 'seed')}; {INTERVAL} {say.percent_range(choice.interval)}). Choosing on the test "
        f"images{seed} would have shown {shown}; the best single fit, "
        f"{say.of_images(choice.best_single, choice.n_test)}."
    )


def file_facts(accuracy: Interval | None, chance: float) -> str:
    """Whether size and compression give motifs away: what a classifier of file facts reaches, picture unopened."""
    if accuracy is None:
        return "Whether the files' size and compression give motifs away was not asked."
    if accuracy.low <= chance:
        return (
            f"Size, shape, format and bytes per pixel alone cannot be told from chance ({reached(accuracy)}): no sign "
            "that resolution or compression gives motifs away."
        )
    return (
        f"Size, shape, format and bytes per pixel alone reach {reached(accuracy)} (chance {say.percent(chance)}). "
        "Scaling every picture to one size does not take that away: how sharp it is, and traces of its compression, "
        "stay in its pixels, so that every model here may use them, and a picture from elsewhere will lack them."
    )


def corruptions(title: str, scores: Mapping[str, Interval], drops: Mapping[str, Interval], chance: float) -> str:
    """What costs a model most of its accuracy ({corruption: interval}), and what its border can and cannot show.

    scores has "none", the whole image; drops are whole minus corrupted, on the same folds.
    """
    if scores["none"].low <= chance:
        return f"{title} cannot be told from chance on whole images, so that it has nothing to lose."
    worst = min(drops, key=lambda name: (-drops[name].value, name))
    opening = f"{title} loses most when images are {CORRUPTIONS.get(worst, worst)} ({_gap(drops[worst])})."
    if drops[worst].low <= 0:
        opening = f"No loss on tampered images can be shown for {title}."
    if (border := scores.get("border")) is None:
        return opening
    says = f"The border alone, at {reached(border)}, is not shown to be enough to beat chance ({say.percent(chance)})"
    if border.low > chance:
        says = (
            f"The border alone is enough for {reached(border)} (chance {say.percent(chance)}), by a cue of the margin "
            "or by a pattern that repeats to the edge: this test cannot tell which"
        )
    return f"{opening} {says}."


def learning_curve(title: str, accuracies: Mapping[int, float], step: Interval | None, least: float = 0.02) -> str:
    """Whether more images would help; accuracies maps training images per motif to accuracy.

    step is the gain of the last size over the one before, on the same folds; least a gain that would be worth having.
    """
    steps = sorted(accuracies)
    if len(steps) < 2 or step is None:
        return f"There are too few points for a learning curve of {title}."
    few, many = f"with {steps[0]} training images per motif", f"with {steps[-1]}"
    path = f"{title} goes from {say.percent(accuracies[steps[0]])} {few} to {say.percent(accuracies[steps[-1]])} {many}"
    last = f"the last step, from {steps[-2]}, is worth {_gap(step)}"
    if step.low > 0:
        return f"{path}; {last}, so that it is still rising: more images would probably help."
    if step.high < least:
        return f"{path}; {last}: it has levelled off, and more images of this kind would help little."
    return f"{path}; {last}: whether more images would help cannot be told."


def calibration(found: Mapping[str, Calibration]) -> str:
    """Which models' probabilities ({title: calibration}) can be believed, and whose loss a temperature lowers."""
    if not found:
        return "Calibration cannot be measured: there are too few folds."
    groups: dict[str, list[str]] = {}
    for title, c in found.items():
        gap = c.before.confidence - c.before.accuracy
        words = f"{'more' if gap > 0 else 'less'} sure than right"
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


def named_for(title: str, recalls: Mapping[str, Sequence[float]]) -> str:
    """Whether motifs named for places are recognised as often as those named for patterns.

    recalls is {kind of name: recall of each motif, 0-1}; the test is Mann and Whitney's, over motifs, and stands alone.
    """
    places, patterns = recalls["place"], recalls["pattern"]
    u, p = mannwhitneyu(places, patterns)
    means = f"{say.percent(float(np.mean(places)), 0)} of the pictures of a motif named for a place, on average, and "
    means += f"{say.percent(float(np.mean(patterns)), 0)} of those of one named for a pattern"
    told = (
        f"{title} recognises {means} ({len(places)} and {len(patterns)} motifs, Mann–Whitney {say.p_value(float(p))})"
    )
    if p >= 0.05:
        return f"{told}: so few motifs do not show that it matters what a name stands for."
    harder = "place" if 2 * u < len(places) * len(patterns) else "pattern"
    means = "a place says where cloth is from, and not what is on it" if harder == "place" else "why, is not known"
    return f"{told}. The harder names seem to be those of a {harder} ({means}); this one test has no correction."


def _band(interval: Interval) -> str:
    return f"{INTERVAL} {say.percent_range(interval)}"


def _gap(interval: Interval) -> str:
    return f"{say.points(interval.value)}, {INTERVAL} {say.points_range(interval)}"
