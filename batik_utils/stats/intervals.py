"""How sure a number or a difference is, on one split and across folds, and where the variance comes from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from batik_utils.errors import BatikError

LEVEL = 0.95  # level of every interval


@dataclass(frozen=True)
class Interval:
    """A number with the interval around it; accuracies and differences are fractions, not percent."""

    value: float
    low: float
    high: float
    n: int  # how many things it was computed from: images, or fold scores for Nadeau-Bengio
    method: str = ""  # by which it is made, such as "wilson"


def wilson(correct: float, n: int) -> Interval:
    """Wilson's score interval of a proportion, here correct images out of n (a mean over seeds need not be whole).

    Raises BatikError where n is not positive or correct is not between 0 and n.
    Source: E. B. Wilson, Journal of the American Statistical Association 22 (1927) 209-212.
    """
    if n < 1 or not 0 <= correct <= n:
        raise BatikError(f"A proportion of {correct} out of {n} has no interval.")
    low, high = proportion_confint(correct, n, alpha=1 - LEVEL, method="wilson")
    return Interval(correct / n, float(low), float(high), n, "wilson")


def nadeau_bengio(values: ArrayLike, *, ratio: float) -> Interval:
    """Mean and corrected resampled t interval of scores [J] of (repeated) k-fold cross-validation, not clipped to 0-1.

    As training sets overlap, the variance s²/J of the mean becomes s² (1/J + ratio), where ratio is the size of a test
    fold over that of its training set. Raises BatikError where there are fewer than two scores.
    Source: C. Nadeau and Y. Bengio, Machine Learning 52 (2003) 239-281.
    """
    scores = np.asarray(values, dtype=np.float64)
    if len(scores) < 2:
        raise BatikError(f"An interval needs at least two fold scores, not {len(scores)}.")
    mean, error = float(scores.mean()), math.sqrt(float(scores.var(ddof=1)) * (1 / len(scores) + ratio))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(scores) - 1)) * error
    return Interval(mean, mean - reach, mean + reach, len(scores), "nadeau-bengio")


def corrected_test(x: NDArray[np.float64], y: NDArray[np.float64], ratio: float, images: int) -> tuple[Interval, float]:
    """Nadeau-Bengio interval, within ±1, of the mean of x - y (fold scores [J], shares of images) and its two-sided p.

    Where every fold differs by the same amount, which is no certainty, the two means are compared as shares of the
    images of one repeat, as if unpaired: Newcombe's interval and Fisher's exact test.
    Source: R. G. Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10.
    """
    interval = nadeau_bengio(x - y, ratio=ratio)
    error = (interval.high - interval.value) / float(stats.t.ppf((1 + LEVEL) / 2, len(x) - 1))
    if error >= 1e-12:
        interval = replace(interval, low=max(-1.0, interval.low), high=min(1.0, interval.high))
        return interval, float(2 * stats.t.sf(abs(interval.value) / error, len(x) - 1))
    counts = [float(v.mean()) * images for v in (x, y)]
    low, high = confint_proportions_2indep(counts[0], images, counts[1], images, method="newcomb", compare="diff")
    table = [[round(c), images - round(c)] for c in counts]
    return Interval(interval.value, float(low), float(high), images), float(stats.fisher_exact(table).pvalue)


def holm(p_values: Sequence[float]) -> list[float | None]:
    """Holm's adjusted p of each test of one family; None for a lone one, which needs none.

    Source: S. Holm, Scandinavian Journal of Statistics 6 (1979) 65-70.
    """
    if len(p_values) < 2:
        return [None] * len(p_values)
    return [float(p) for p in multipletests(p_values, method="holm")[1]]
