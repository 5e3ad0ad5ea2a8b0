"""Every number that a seed study published, beside ours, with a verdict word and the reason in one line."""

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from batik_utils.stats.intervals import Interval, wilson
from batik_utils.stats.metrics import METRICS, SMALLEST, PublishedSummary, grouped_interval, macro_f1, published_summary
from batik_utils.stats.mistakes import mispaired_fit
from batik_utils.study import Claim, PretrainedModel, Study
from batik_utils.values import Results
from batik_utils.wording import NBSP, count, percent, percent_range

Verdict = Literal["reproduced", "within interval", "not reproduced", "not comparable"]
REPRODUCED, WITHIN, NOT_REPRODUCED, NOT_COMPARABLE = get_args(Verdict)
"""Within our range over training seeds (accuracies as whole images); outside it, but inside the interval of our median
seed; outside both; the model, the images or the way of counting is not the seed's."""


class OnSplit(NamedTuple):
    """Ours on the published split."""

    median: float
    """That of the median-accuracy training seed."""
    range: tuple[float, float]
    """Lowest and highest over training seeds."""
    interval: Interval | None
    """Wilson (accuracy) or bootstrap over images (loss, F1) of the median seed."""


class ClaimRow(Claim):
    """A claim with what became of it; None where there is no such number."""

    value_interval: Interval | None = None
    """Wilson, of the published value on its own n images (accuracies only)."""
    published: OnSplit | None = None
    grouped: Interval | None = None
    """Ours across grouped folds, Nadeau-Bengio."""
    verdict: Verdict
    reason: str


def claims_table(study: Study, results: Results) -> list[ClaimRow]:
    """One row per claim of the study, in the study's order."""
    return [_row(claim, study, results) for claim in study.claims]


def _row(claim: Claim, study: Study, results: Results) -> ClaimRow:
    summary = published_summary(results, claim.model)
    ours, verdict = None, NOT_COMPARABLE
    if summary is None:
        reason = _unavailable(claim, study, results)
    elif claim.metric == "paired_wrong_accuracy":
        reason = _artefact(claim, study, summary)
    elif claim.metric == "ten_images":
        n = claim.n or 10
        band, right = percent_range(wilson(shown := round(claim.value * n), n)), percent(summary.median_accuracy)
        reason = (
            f"the {n} images are not named; {shown} of {n} allows anything in {band}, and our median seed would "
            f"get {right} of such images."
        )
    elif values := getattr(summary, claim.metric):
        median = values[summary.seeds.index(summary.median.fit.seed)]
        ours = OnSplit(median, (min(values), max(values)), _interval(claim, summary, median))
        verdict, reason = _judge(claim, study, summary, ours)
    else:
        reason = "our fits kept no training accuracy."
    counted = claim.n if claim.metric not in {"loss", "macro_f1"} else None
    return ClaimRow(
        **dict(claim),
        value_interval=wilson(round(claim.value * counted), counted) if counted else None,
        published=ours,
        grouped=grouped_interval(results, claim.model, claim.metric) if claim.metric in METRICS else None,
        verdict=verdict,
        reason=reason,
    )


def _interval(claim: Claim, summary: PublishedSummary, value: float) -> Interval | None:
    if claim.metric == "accuracy":
        return summary.interval
    if claim.metric == "train_accuracy":
        return wilson(round(value * claim.n), claim.n) if claim.n else None
    fit = summary.median
    images = np.arange(len(fit.y_true))
    losses = -np.log(np.clip(fit.y_prob[images, fit.y_true], SMALLEST, 1))

    def measure(rows: NDArray[np.int64]) -> float:
        # The mean of losses is METRICS["loss"], many times faster.
        return losses[rows].mean() if claim.metric == "loss" else macro_f1(fit.y_true[rows], fit.y_prob[rows])

    rng = np.random.Generator(np.random.PCG64(30))
    drawn = stats.bootstrap((images,), measure, n_resamples=2000, vectorized=False, method="percentile", rng=rng)
    band = drawn.confidence_interval
    return Interval(value, float(band.low), float(band.high), len(images))


def _judge(claim: Claim, study: Study, summary: PublishedSummary, found: OnSplit) -> tuple[str, str]:
    n, (low, high), interval = claim.n, found.range, found.interval
    if claim.metric != "train_accuracy" and n is not None and n != summary.n_test:
        return NOT_COMPARABLE, f"published on {n} test images, ours are {summary.n_test}."
    if n is not None and claim.metric in {"accuracy", "train_accuracy"}:
        published, least, most = (round(v * n) for v in (claim.value, low, high))
        inside = least <= published <= most
        theirs, ours = f"{published} of {n}", f"{least}–{most} of {n}" if least < most else f"{least} of {n}"
        band = percent_range(interval) if interval else ""
    else:
        inside = round(low, 4) <= claim.value <= round(high, 4)
        theirs, ours = f"{claim.value:g}", f"{low:.3f}–{high:.3f}"
        band = f"{interval.low:.3f}–{interval.high:.3f}" if interval else ""
    end = "."
    if not (study.seed_study and study.seed_study.test_images_known):
        end = ". Which images the seed study tested on is not known, only how many; ours are others."
    place = f"{theirs} lies {'in' if inside else 'outside'} our {ours} over {count(len(summary.fits), 'training seed')}"
    if inside or interval is None:
        return REPRODUCED if inside else NOT_REPRODUCED, f"{place}{end}"
    if claim.value in interval:
        return WITHIN, f"{place}, inside the median seed's interval {band}{end}"
    return NOT_REPRODUCED, f"{place} and the median seed's interval {band}{end}"


def _unavailable(claim: Claim, study: Study, results: Results) -> str:
    model = study.models[claim.model]
    if not isinstance(model, PretrainedModel):
        return f"{model.title} has no result on the published split."
    failed = any(r.fit.model == claim.model and r.fit.protocol == "published" for r in results.missing)
    why = f"{model.title} {'could not be fitted' if failed else 'was not fitted: no weights could be had'}."
    if not model.stand_in:
        return why
    title, summary = study.models[model.stand_in].title, published_summary(results, model.stand_in)
    if summary is None:
        return f"{why} Its stand-in would be {title}."
    over = f"{percent_range(summary)} over {count(len(summary.fits), 'seed')}"
    return f"{why} Its stand-in, {title}, got {percent(summary.median_accuracy)} ({over})."


def _artefact(claim: Claim, study: Study, summary: PublishedSummary) -> str:
    mistake = mispaired_fit(summary.median, study.motifs)
    # In whole images: 0.27 of 30 is 8 images, 0.2667.
    shown = round(claim.value * mistake.n) / mistake.n
    where = "inside" if mistake.low - 1e-9 <= shown <= mistake.high + 1e-9 else "outside"
    return (
        f"predictions were shuffled against labels: {percent(claim.value)} lies {where} what shuffling shows for our "
        f"median seed ({percent(mistake.expected)}, 95{NBSP}% of shuffles {percent_range(mistake)}), whose true "
        f"accuracy is {percent(mistake.right)}."
    )
