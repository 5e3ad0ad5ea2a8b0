"""Every number that a seed study published, beside ours, with a verdict; and what the best of many owes to luck."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from batik_utils.stats.intervals import LEVEL, Interval, holm, wilson
from batik_utils.stats.mistakes import mispaired_fit
from batik_utils.stats.scores import METRICS, SMALLEST, PublishedSummary, grouped_interval, macro_f1, published_summary
from batik_utils.study import Claim, Study
from batik_utils.values import Results
from batik_utils.wording import NBSP, count, number, of_images, p_value, percent, percent_range

Verdict = Literal["reproduced", "cannot be told", "not reproduced", "not comparable"]
REPRODUCED, UNTOLD, NOT_REPRODUCED, NOT_COMPARABLE = get_args(Verdict)
"""Inside the interval that predicts such a number from ours (see expected), and no test tells the two apart; inside or
outside, but the test says otherwise; outside, and the corrected test too; the model or the images are not theirs."""
SHUFFLED = "paired_wrong_accuracy"  # the metric of a classification report from shuffled labels
SHARES = {"accuracy", "train_accuracy"}  # the metrics that are shares of images


@dataclass(frozen=True)
class OnSplit:
    """Ours on the published split."""

    median: float  # that of the median-accuracy training seed
    range: tuple[float, float]  # lowest and highest over training seeds
    interval: Interval | None  # Wilson (shares of images) or bootstrap over images (loss, F1) of the median seed
    values: tuple[float, ...] = ()  # of each training seed


class ClaimRow(Claim):
    """A claim with what became of it; None where there is no such number."""

    published: OnSplit | None = None
    expected: Interval | None = None
    """Where a replicate of ours should lie, about the mean over seeds; of a shuffled report, where 95 % of ours lie."""
    grouped: Interval | None = None  # ours across grouped folds, Nadeau-Bengio
    p_value: float | None = None
    """Against ours: Fisher's exact test for shares of images (our median seed), else t as in the expected interval."""
    p_adjusted: float | None = None  # Holm's, over the study's claims that are tested; None where there is but one
    verdict: Verdict = NOT_COMPARABLE
    reason: str = ""


def claims_table(study: Study, results: Results, same_images: bool = True) -> list[ClaimRow]:
    """One row per claim of the study, in its order; same_images says whether the pictures are the seed's."""
    rows = [_row(claim, study, results, same_images) for claim in study.claims]
    tested = {row.id: row.p_value for row in rows if row.p_value is not None}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    return [_judged(row, adjusted[row.id]) if row.id in adjusted else row for row in rows]


def expected(values: Sequence[float], sampling: float) -> tuple[Interval, float]:
    """Where another run of the same should lie, 95 %, and the degrees of freedom, from values [seeds] of ours.

    Its variance is `sampling` (their images and ours) plus the training seed's, once for their run and once for our
    mean over seeds; degrees of freedom by Welch and Satterthwaite. A seed of ours alone shows no spread.
    Sources: P. Patil, R. D. Peng and J. T. Leek, Perspectives on Psychological Science 11 (2016) 539-544, for
    judging a replication by such an interval; J. R. Spence and D. J. Stanley, PLOS ONE 11 (2016) e0162874.
    """
    seeds, mean = len(values), float(np.mean(values))
    spread = float(np.var(values, ddof=1)) * (1 + 1 / seeds) if seeds > 1 else 0.0
    freedom = (sampling + spread) ** 2 * (seeds - 1) / spread**2 if spread else math.inf
    reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(sampling + spread)
    return Interval(mean, mean - reach, mean + reach, seeds), freedom


def binomial_variance(share: float, ours: int, theirs: int) -> float:
    """Variance of the difference of two shares of as many images, at a share that is drawn in, so that it is never 0.

    Source: A. Agresti and B. A. Coull, The American Statistician 52 (1998) 119-126, for (x + 2) / (n + 4).
    """
    drawn_in = (share * ours + 2) / (ours + 4)
    return drawn_in * (1 - drawn_in) * (1 / ours + 1 / theirs)


def _row(claim: Claim, study: Study, results: Results, same_images: bool) -> ClaimRow:
    setting = None if claim.epochs is None or claim.dropout is None else (claim.epochs, claim.dropout)
    summary = published_summary(results, claim.model, setting)
    row: dict[str, Any] = {}
    if summary is None:
        model = study.models[claim.model]
        failed = any(r.fit.model == claim.model for r in results.missing)
        why = "was not fitted: no weights could be had" if model.backbones else "has no result on the published split"
        row["reason"] = f"{model.title} {'could not be fitted' if failed else why}."
    elif claim.metric == SHUFFLED:
        shuffled = mispaired_fit(summary.median, len(study.motifs))
        row["expected"] = band = Interval(shuffled.expected, shuffled.low, shuffled.high, shuffled.n, "shuffles")
        # In whole images: 0.27 of 30 is 8 images, 0.2667.
        inside = band.low - 1e-9 <= round(claim.value * band.n) / band.n <= band.high + 1e-9
        lies = f"{percent(claim.value, 0)} lies {'inside' if inside else 'outside'} what shuffling shows"
        shows = f"{percent(band.value)}, 95{NBSP}% of shuffles {percent_range(band)}"
        seed = f"our median seed ({shows}), whose true accuracy is {percent(shuffled.right)}"
        row["reason"] = f"predictions were shuffled against labels: {lies} for {seed}."
    elif claim.metric.endswith("images"):
        row |= _images(claim, results, summary, same_images)
    elif summary.values[claim.metric]:
        row |= _measured(claim, study, summary, same_images)
    else:
        row["reason"] = f"our fits kept no training {'loss' if claim.metric == 'train_loss' else 'accuracy'}."
    if claim.metric in METRICS and claim.read_off is None:
        row["grouped"] = grouped_interval(results, claim.model, claim.metric)
    return ClaimRow(**dict(claim), **row)


def _measured(claim: Claim, study: Study, summary: PublishedSummary, same_images: bool) -> dict[str, Any]:
    values, n_test = summary.values[claim.metric], summary.interval.n
    median = values[summary.place]
    interval = _interval(claim, summary, median)
    row: dict[str, Any] = {"published": OnSplit(median, (min(values), max(values)), interval, values)}
    ours = n_test if claim.metric in METRICS else claim.n
    if not same_images:
        return row | {"reason": "the pictures here are not the original study's."}
    if claim.instead_of:
        return row | {"reason": f"{study.models[claim.model].title} stands in for {claim.instead_of}."}
    if study.seed_study and not study.seed_study.test_images_known:
        lies = f"{round(claim.value * claim.n)} of {claim.n} there, " if claim.n and claim.metric in SHARES else ""
        also = f"{of_images(median, ours)} here" if ours and claim.metric in SHARES else f"{number(median, 3)} here"
        why = "which images the original study tested on is not known, only how many; ours are others"
        return row | {"reason": f"{why} ({lies}{also})."}
    if claim.metric in METRICS and claim.n and claim.n != n_test:
        return row | {"reason": f"published on {claim.n} test images, ours are {n_test}."}
    theirs, sampling = claim.n or ours, 0.0
    if claim.metric in SHARES and ours and theirs:
        sampling = binomial_variance(float(np.mean(values)), ours, theirs)
    elif interval and ours and theirs:
        error = (interval.high - interval.low) / (2 * stats.norm.ppf((1 + LEVEL) / 2))
        sampling = float(error**2) * (1 + ours / theirs)
    band, freedom = expected(values, sampling)
    value = nearest_reading(claim, band.value)
    if claim.metric in SHARES and ours and theirs:
        right = round(value * theirs), round(median * ours)
        p = float(stats.fisher_exact([[right[0], theirs - right[0]], [right[1], ours - right[1]]]).pvalue)
    else:
        scale = (band.high - band.value) / float(stats.t.ppf((1 + LEVEL) / 2, freedom))
        p = float(2 * stats.t.sf(abs(value - band.value) / scale, freedom)) if scale else float(value == band.value)
    top = math.inf if claim.metric.endswith("loss") else 1.0
    band = Interval(band.value, max(0.0, band.low), min(top, band.high), band.n)
    return row | {"expected": band, "p_value": p}


def nearest_reading(claim: Claim, ours: float) -> float:
    """What the seed study may have seen, nearest to ours: the number itself, but for one that was read off a plot."""
    if claim.read_off is None:
        return claim.value
    return min(max(ours, claim.value - claim.read_off), claim.value + claim.read_off)


def _judged(row: ClaimRow, adjusted: float | None) -> ClaimRow:
    """The row with its verdict, which awaited the correction for all tests."""
    assert row.expected is not None and row.p_value is not None
    value = nearest_reading(row, row.expected.value)
    if row.metric in SHARES and row.n:
        value = round(value * row.n) / row.n
        least, most = math.ceil(row.expected.low * row.n - 1e-9), math.floor(row.expected.high * row.n + 1e-9)
        claimed, band = f"{round(row.value * row.n)} of {row.n}", f"{least}–{most} of {row.n}"
    else:
        claimed, band = f"{row.value:g}", f"{number(row.expected.low, 3)}–{number(row.expected.high, 3)}"
    inside = row.expected.low - 1e-9 <= value <= row.expected.high + 1e-9
    # Uncorrected where it would stand against "reproduced", corrected where it would be for "not reproduced".
    p = row.p_value if inside or adjusted is None else adjusted
    apart = p < 1 - LEVEL
    verdict = UNTOLD if inside == apart else REPRODUCED if inside else NOT_REPRODUCED
    over, place = count(row.expected.n, "training seed"), "lies within" if inside else "lies outside"
    if row.read_off:
        claimed, place = f"{claimed}, read off to within {row.read_off:g},", "reaches into" if inside else place
    test = f"{p_value(p)}{'' if inside or adjusted is None else ' after Holm’s correction'}"
    also = f", {'but' if verdict == UNTOLD else 'and'} the test against ours gives {test}"
    shown = "" if verdict == REPRODUCED else also
    reason = f"{claimed} {place} {band}, where a replicate should lie (from {over}){shown}."
    return row.model_copy(update={"verdict": verdict, "p_adjusted": adjusted, "reason": reason})


def _interval(claim: Claim, summary: PublishedSummary, value: float) -> Interval | None:
    if claim.metric == "accuracy":
        return summary.interval
    if claim.metric == "train_accuracy" and claim.n:
        return wilson(round(value * claim.n), claim.n)
    if claim.metric.startswith("train"):
        return None
    fit = summary.median
    images = np.arange(len(fit.y_true))
    losses = -np.log(np.clip(fit.y_prob[images, fit.y_true], SMALLEST, 1))

    def measure(rows: NDArray[np.int64]) -> float:
        # The mean of losses is METRICS["loss"], many times faster.
        return losses[rows].mean() if claim.metric == "loss" else macro_f1(fit.y_true[rows], fit.y_prob[rows])

    rng = np.random.Generator(np.random.PCG64(30))
    drawn = stats.bootstrap((images,), measure, n_resamples=2000, vectorized=False, method="percentile", rng=rng)
    band = drawn.confidence_interval
    return Interval(value, float(band.low), float(band.high), len(images), "bootstrap")


def _images(claim: Claim, results: Results, summary: PublishedSummary, same_images: bool) -> dict[str, Any]:
    fit, n = summary.median, claim.n or 10
    if claim.metric == "ten_images":
        shown = round(claim.value * n)
        seen = f"our median seed gets {of_images(summary.interval.value, summary.interval.n)} test images"
        allows = f"{shown} of {n} allows anything in {percent_range(wilson(shown, n))}"
        return {"reason": f"the {n} images are not named; {allows}, and {seen}."}
    every = {path for r in results.select(protocol="grouped") for path in r.paths} | {*fit.paths, *fit.val_paths}
    counts = {"images": len(every), "test_images": len(fit.paths)}
    counts["train_images"] = len(every) - len(fit.paths) - len(fit.val_paths)
    ours = counts[claim.metric]
    if not same_images:
        return {"reason": f"the pictures here are not the original study's; there are {ours}."}
    return {"verdict": REPRODUCED if ours == claim.value else NOT_REPRODUCED, "reason": f"there are {ours} here."}


@dataclass(frozen=True)
class Luck:
    """The best of a seed study's runs on the same pictures, beside what luck alone would give; shares are 0-1."""

    runs: int
    images: int
    mean: float  # of the reported accuracies
    best: float  # of them: what was published
    expected: float  # the best to expect if every run had the mean accuracy and each answer were drawn (binomial)
    at_least: float  # how probable such runs reach what was published
    ours: tuple[float, float] | None
    """The same two where each run is one of our training seeds at random; None where a run has no fits here."""

    @property
    def lucky(self) -> bool:
        """Whether luck reaches what was published one time in twenty or more often."""
        return self.at_least >= 0.05


def luck(rows: Sequence[ClaimRow]) -> Luck | None:
    """The luck in the best of these runs, accuracies on as many pictures each; None for fewer than two."""
    if len(rows) < 2:
        return None
    images = rows[0].n or 1
    reported = [round(row.value * images) / images for row in rows]  # they are often printed to four decimals
    mean, best = float(np.mean(reported)), max(reported)
    one = stats.binom.cdf(np.arange(images + 1), images, mean)
    again = [row.published.values for row in rows if row.published]
    ours = None
    if len(again) == len(rows):
        right = np.arange(images + 1)[:, None] + 0.5
        ours = _best(np.prod([(np.multiply(values, images) < right).mean(axis=1) for values in again], axis=0), best)
    return Luck(len(rows), images, mean, best, *_best(one ** len(rows), best), ours)


def expected_best(mean: float, images: int, runs: int) -> NDArray[np.float64]:
    """[runs] the best accuracy to expect of 1, 2, … runs that each have the mean accuracy on so many pictures."""
    one = stats.binom.cdf(np.arange(images + 1), images, mean)
    return np.array([_best(one**k, 0.0)[0] for k in range(1, runs + 1)])


def _best(at_most: NDArray[np.float64], reported: float) -> tuple[float, float]:
    """Expected best, and the probability of the reported one or more, from P(best ≤ 0, 1, … pictures right)."""
    images, below = len(at_most) - 1, round(reported * (len(at_most) - 1)) - 1
    return float((1 - at_most[:-1]).sum() / images), float(1 - at_most[below]) if below >= 0 else 1.0
