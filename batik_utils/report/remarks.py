"""Rules about what stands behind a verdict: calibration, shortcuts, controls, tuning, power; one sentence each."""

from __future__ import annotations

from collections.abc import Mapping

from batik_utils.stats.calibration import Calibration
from batik_utils.stats.intervals import Interval
from batik_utils.stats.mispairing import Mispaired
from batik_utils.stats.power import Power
from batik_utils.stats.search import Choice
from batik_utils.wording import NBSP, count, listed, percent, percent_range, points


def calibration(label: str, found: Calibration | None) -> str:
    """Whether a model's probabilities can be believed, and whether a temperature helps."""
    if found is None:
        return f"The calibration of {label} cannot be measured: it has too few folds."
    before, after = found.before, found.after
    gap = before.confidence - before.accuracy
    if abs(gap) < 0.03 and before.ece < 0.06:
        opening = f"{label} is well calibrated"
    elif gap > 0:
        opening = f"{label} is too sure of itself"
    else:
        opening = f"{label} is too unsure of itself"
    means = f"mean confidence {percent(before.confidence)}, accuracy {percent(before.accuracy)}"
    scores = (
        f"loss {before.log_loss:.3f} to {after.log_loss:.3f}, ECE {before.ece:.3f} to {after.ece:.3f}, "
        f"Brier score {before.brier:.3f} to {after.brier:.3f}"
    )
    if after.log_loss < before.log_loss - 0.005:
        helped = f"a temperature of {found.temperature:.2f}, fitted on other folds, lowers the loss ({scores})"
    else:
        helped = f"a temperature, fitted on other folds, hardly changes the loss ({scores})"
    return f"{opening}: {means}; {helped}."


CORRUPTION_WORDS = {
    "greyscale": "stripped of colour",
    "blur": "blurred",
    "patches": "cut into patches and shuffled",
    "border": "cut down to their border",
}


def corruptions(label: str, accuracy: float, found: Mapping[str, float], chance: float, n: int) -> str:
    """How much a model loses when its test images are tampered with; n images stand behind the accuracies.

    found maps a corruption's name (greyscale, blur, patches, border) to the accuracy on images so treated. A border that
    is enough by itself is called a shortcut: motifs are not in the margin.
    """
    if not found:
        return f"{label} was not tested for shortcuts."
    drops = sorted(((accuracy - value, name) for name, value in found.items()), key=lambda d: (-d[0], d[1]))
    shown = [f"{CORRUPTION_WORDS.get(name, name)} {percent(found[name])}" for _, name in drops]
    worst, name = drops[0]
    # Two standard errors of a share of n images: less than that is noise.
    noise = 2 * (max(accuracy * (1 - accuracy), 0.05) / n) ** 0.5
    if worst <= noise:
        opening = f"{label} loses next to nothing on tampered images"
    else:
        opening = f"{label} loses most when images are {CORRUPTION_WORDS.get(name, name)} ({points(worst)})"
    sentence = f"{opening}: {percent(accuracy)} untouched, {listed(shown)}."
    border = found.get("border")
    # A model that is near chance on whole images has nothing that a border could explain.
    above = 2 * (chance * (1 - chance) / n) ** 0.5
    if border is not None and border > chance + above and accuracy - chance > 2 * above:
        sentence += (
            f" The border alone is enough for {percent(border)} (chance {percent(chance)}): part of the accuracy "
            "may come from the margin and what is seen there."
        )
    return sentence


def permutation(label: str, accuracy: Interval | None, chance: float) -> str:
    """The label-permutation control: with shuffled labels a model must fall to chance (a fraction)."""
    if accuracy is None:
        return f"The label-permutation control of {label} has too few fits."
    shown = f"{percent(accuracy.value)}, 95{NBSP}% interval {percent_range(accuracy)}, chance {percent(chance)}"
    if accuracy.low > chance:
        return f"With labels shuffled, {label} stays above chance ({shown}): a leak is suspected."
    if accuracy.high < chance:
        why = "as balanced folds can make it: no sign of a leak"
        return f"With labels shuffled, {label} falls below chance ({shown}), {why}."
    return f"With labels shuffled, {label} falls to chance ({shown}): no sign of a leak."


def learning_curve(label: str, accuracies: Mapping[int, Interval], rise: float = 0.02) -> str:
    """Whether more images would help; accuracies maps training images per motif to an interval."""
    steps = sorted(accuracies)
    if len(steps) < 2:
        return f"There are too few points for a learning curve of {label}."
    last, before = accuracies[steps[-1]].value, accuracies[steps[-2]].value
    start = f"{percent(accuracies[steps[0]].value)} with {steps[0]} training images per motif"
    path = f"from {start} to {percent(last)} with {steps[-1]}"
    if last - before >= rise:
        return f"{label} is still rising, {path}: more images would probably help."
    if before - last >= rise:
        return f"{label} goes {path} and does not rise at the end: the curve is too noisy to be read."
    return f"{label} has levelled off, {path}: more images of this kind would help little."


def search(label: str, choice: Choice | None) -> str:
    """What choosing on validation gave, and what choosing on the test set would have shown."""
    if choice is None:
        return f"{label} was not tuned."
    tried = f"Of {count(choice.settings, 'setting')} of {label}, validation chose {setting(choice)}"
    honest = f"{percent(choice.val_accuracy)} on validation, {percent(choice.test_accuracy)} on the test images"
    seeds = f" (mean of {count(choice.seeds, 'seed')})"
    if choice.optimism > 1e-9:
        return (
            f"{tried}: {honest}{seeds}. Choosing on the test images, as the seed study did, would have shown "
            f"{percent(choice.test_chosen_accuracy)}, {points(choice.optimism)} too much; the best single fit, "
            f"{percent(choice.best_single)}."
        )
    return (
        f"{tried}: {honest}{seeds}. Choosing on the test images would have shown the same here; the best single fit, "
        f"{percent(choice.best_single)}."
    )


def setting(choice: Choice) -> str:
    """The chosen hyperparameters in words."""
    h = choice.hyper
    return f"{count(h.epochs, 'epoch')}, a learning rate of {h.learning_rate:g} and a dropout of {h.dropout:g}"


def mispairing(label: str, found: Mispaired, published: float) -> str:
    """What comparing shuffled predictions with unshuffled labels does to a right figure (published is the page's)."""
    return (
        f"{label} gets {percent(found.right)} right when labels and predictions stay paired. Shuffled against its "
        f"labels, the same predictions show {percent(found.expected)} on average (95{NBSP}% of shuffles "
        f"{percent_range(found)}); {percent(found.at_most(published))} of shuffles show the published "
        f"{percent(published)} or less, {percent(found.at_least(published))} show it or more."
    )


def power(found: Power | None, label_a: str, label_b: str) -> str:
    """What the present images can tell apart, and how many would be needed."""
    if found is None:
        return f"The power of the comparison between {label_a} and {label_b} cannot be said: they share no folds."
    now = (
        f"With {count(found.n_images, 'image')}, {count(found.folds, 'fold')} and {count(found.repeats, 'repeat')}, a "
        f"true difference of {points(found.planted)} between {label_a} and {label_b} would be found "
        f"{percent(found.found)} of the time"
    )
    if found.found >= 0.8:
        now = f"{now}, which is enough"
    else:
        now = f"{now}; only one of {points(found.detectable)} would be found 80{NBSP}% of the time"
    if found.images_needed is None:
        need = "The two are right equally often, so no number of images would tell them apart"
    else:
        need = (
            f"To tell the two apart as they are on fresh test images (only {label_a} right on {percent(found.only_a)}, "
            f"only {label_b} on {percent(found.only_b)}) with 80{NBSP}% power takes "
            f"{count(found.images_needed, 'image')}"
        )
    if found.published_n is None or found.published_found is None:
        return f"{now}. {need}."
    return (
        f"{now}. {need}; the published split has {found.published_n} and would find {points(found.planted)} "
        f"{percent(found.published_found)} of the time."
    )
