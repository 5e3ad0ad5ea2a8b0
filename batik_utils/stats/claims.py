"""Every number that a seed study published, beside ours, with a verdict word and the reason in one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from batik_utils.stats.intervals import Interval, wilson
from batik_utils.stats.metrics import PublishedSummary, grouped_interval, published_summary
from batik_utils.stats.mispairing import mispaired_fit
from batik_utils.study import Claim, PretrainedModel, Study
from batik_utils.values import Results
from batik_utils.wording import NBSP, count, fraction, percent, percent_range

REPRODUCED = "reproduced"
WITHIN = "within interval"
NOT_REPRODUCED = "not reproduced"
NOT_COMPARABLE = "not comparable"
VERDICTS = (REPRODUCED, WITHIN, NOT_REPRODUCED, NOT_COMPARABLE)


@dataclass(frozen=True)
class ClaimRow:
    """One line of the claims table; None where there is no such number."""

    id: str
    what: str
    where: str
    """Section of the seed document."""
    model: str
    label: str
    metric: str
    value: float
    """As published."""
    n: int | None
    value_interval: Interval | None
    """Wilson, of the published value on its own n images (accuracies only)."""
    median: float | None
    """Ours on the published split: that of the median-accuracy training seed."""
    low: float | None
    high: float | None
    """Ours on the published split: lowest and highest over training seeds."""
    seeds: int
    interval: Interval | None
    """Ours on the published split: Wilson (accuracy) or bootstrap over images (loss, F1) of the median seed."""
    grouped: Interval | None
    """Ours across grouped folds, Nadeau-Bengio."""
    verdict: str
    """One of VERDICTS."""
    reason: str


def claims_table(study: Study, results: Results) -> list[ClaimRow]:
    """One row per claim of the study, in the study's order."""
    return [claim_row(claim, study, results) for claim in study.claims]


def claim_row(claim: Claim, study: Study, results: Results) -> ClaimRow:
    """Compare one claim with our results.

    "reproduced": the published number lies within our range over training seeds (accuracies as whole images).
    "within interval": outside that range, inside the interval of our median seed. "not reproduced": outside both.
    "not comparable": the model, the images or the way of counting is not the seed's.
    """
    summary = published_summary(results, claim.model)
    values: tuple[float, ...] = ()
    median = interval = None
    if summary is None:
        verdict, reason = NOT_COMPARABLE, _unavailable(claim, study, results)
    elif claim.metric == "paired_wrong_accuracy":
        verdict, reason = NOT_COMPARABLE, _artefact(claim, study, summary)
    elif claim.metric == "ten_images":
        verdict, reason = NOT_COMPARABLE, _ten(claim, summary)
    else:
        values = _values(claim, summary)
        if values:
            place = summary.seeds.index(summary.median.fit.seed)
            median, interval = values[place], _interval(claim, summary, values[place])
        verdict, reason = _judge(claim, study, summary, values, interval)
    return ClaimRow(
        id=claim.id,
        what=claim.what,
        where=claim.where,
        model=claim.model,
        label=study.models[claim.model].title,
        metric=claim.metric,
        value=claim.value,
        n=claim.n,
        value_interval=_own_interval(claim),
        median=median,
        low=min(values, default=None),
        high=max(values, default=None),
        seeds=len(summary.seeds) if summary else 0,
        interval=interval,
        grouped=_grouped(claim, results),
        verdict=verdict,
        reason=reason,
    )


def offline_twin(model: str, study: Study) -> str | None:
    """The model of the study that stands in for an optional one whose weights cannot be had; None if there is none.

    It is a pretrained model of the same family (the name up to its first underscore) that is not optional itself.
    """
    family = model.split("_")[0]
    for name, other in study.models.items():
        same_family = name != model and name.split("_")[0] == family
        if same_family and isinstance(other, PretrainedModel) and not other.optional:
            return name
    return None


def _own_interval(claim: Claim) -> Interval | None:
    if claim.n is None or claim.metric in {"loss", "macro_f1"}:
        return None
    return wilson(round(claim.value * claim.n), claim.n)


def _values(claim: Claim, summary: PublishedSummary) -> tuple[float, ...]:
    return {
        "accuracy": summary.accuracy,
        "loss": summary.loss,
        "macro_f1": summary.macro_f1,
        "train_accuracy": summary.train_accuracy,
    }[claim.metric]


def _interval(claim: Claim, summary: PublishedSummary, value: float) -> Interval | None:
    if claim.metric == "accuracy":
        return summary.interval
    if claim.metric == "train_accuracy":
        return wilson(round(value * claim.n), claim.n) if claim.n else None
    fit = summary.median
    images = np.arange(len(fit.y_true))
    measure = {"loss": _mean_loss, "macro_f1": _macro_f1}[claim.metric]
    found = stats.bootstrap(
        (images,),
        lambda rows: measure(fit.y_true[rows], fit.y_prob[rows]),
        n_resamples=2000,
        vectorized=False,
        method="percentile",
        rng=np.random.Generator(np.random.PCG64(30)),
    ).confidence_interval
    return Interval(value, float(found.low), float(found.high), len(images), "bootstrap")


def _mean_loss(y_true: np.ndarray, y_prob: np.ndarray) -> float:
    return float(-np.log(np.clip(y_prob[np.arange(len(y_true)), y_true], 1e-7, 1)).mean())


def _macro_f1(y_true: np.ndarray, y_prob: np.ndarray) -> float:
    classes = y_prob.shape[1]
    table = np.bincount(y_true * classes + y_prob.argmax(axis=1), minlength=classes**2).reshape(classes, classes)
    return float(np.mean(2 * np.diag(table) / np.maximum(table.sum(axis=0) + table.sum(axis=1), 1)))


def _grouped(claim: Claim, results: Results) -> Interval | None:
    if claim.metric not in {"accuracy", "loss", "macro_f1"}:
        return None
    return grouped_interval(results, claim.model, claim.metric)


def _judge(
    claim: Claim, study: Study, summary: PublishedSummary, values: Sequence[float], interval: Interval | None
) -> tuple[str, str]:
    if not values:
        return NOT_COMPARABLE, "our fits kept no training accuracy."
    counted = claim.metric in {"accuracy", "train_accuracy"} and claim.n is not None
    if claim.metric != "train_accuracy" and claim.n is not None and claim.n != summary.n_test:
        return NOT_COMPARABLE, f"published on {claim.n} test images, ours are {summary.n_test}."
    low, high = min(values), max(values)
    if counted:
        published, least, most = (round(v * claim.n) for v in (claim.value, low, high))
        inside = least <= published <= most
        theirs = f"{published} of {claim.n}"
        ours = f"{least}–{most} of {claim.n}" if least < most else f"{least} of {claim.n}"
    else:
        inside = round(low, 4) <= claim.value <= round(high, 4)
        theirs = f"{claim.value:g}"
        ours = f"{low:.3f}–{high:.3f}"
    over = f"{ours} over {count(len(values), 'training seed')}"
    split = "" if study.published.split == "keras-validation-split" else f" {_UNKNOWN_SPLIT}"
    if inside:
        return REPRODUCED, f"{theirs} lies in our {over}.{split}"
    if interval is None:
        return NOT_REPRODUCED, f"{theirs} lies outside our {over}.{split}"
    band = percent_range(interval) if counted else f"{interval.low:.3f}–{interval.high:.3f}"
    if interval.low <= claim.value <= interval.high:
        return WITHIN, f"{theirs} lies outside our {over}, inside the median seed's interval {band}.{split}"
    return NOT_REPRODUCED, f"{theirs} lies outside our {over} and the median seed's interval {band}.{split}"


_UNKNOWN_SPLIT = "Which images the seed study tested on is not known, only how many; ours are others."


def _unavailable(claim: Claim, study: Study, results: Results) -> str:
    label = study.models[claim.model].title
    failed = [r for r in results.missing if r.fit.model == claim.model and r.fit.protocol == "published"]
    why = f"{label} could not be fitted." if failed else f"{label} was not fitted: no weights could be had."
    if study.models[claim.model].kind == "scratch":
        why = f"{label} has no result on the published split."
    twin = offline_twin(claim.model, study)
    if twin is None:
        return why
    summary = published_summary(results, twin)
    if summary is None:
        return f"{why} Its stand-in would be {study.models[twin].title}."
    shown = f"{percent(summary.median_accuracy)} ({percent_range(summary)} over {count(len(summary.seeds), 'seed')})"
    return f"{why} Its stand-in, {study.models[twin].title}, got {shown}."


def _artefact(claim: Claim, study: Study, summary: PublishedSummary) -> str:
    mistake = mispaired_fit(summary.median, study.motifs)
    # In whole images: the page's 0.27 of 30 is 8 images, 0.2667.
    shown = round(claim.value * mistake.n) / mistake.n
    where = "inside" if mistake.low - 1e-9 <= shown <= mistake.high + 1e-9 else "outside"
    return (
        f"predictions were shuffled against labels: {percent(claim.value)} lies {where} what shuffling shows for our "
        f"median seed ({percent(mistake.expected)}, 95{NBSP}% of shuffles {percent_range(mistake)}), whose true "
        f"accuracy is {percent(mistake.right)}."
    )


def _ten(claim: Claim, summary: PublishedSummary) -> str:
    n = claim.n or 10
    right = round(claim.value * n)
    band = wilson(right, n)
    return (
        f"the {n} images are not named; {fraction(right, n)} allows anything in {percent_range(band)}, and our "
        f"median seed would get {percent(summary.median_accuracy)} of such images."
    )
