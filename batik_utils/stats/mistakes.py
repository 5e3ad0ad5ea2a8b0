"""Where models go wrong: pairs, sources, labels in doubt, labels in another order, and every three of many motifs."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.linalg import solve
from scipy.spatial.distance import squareform
from scipy.stats import linregress

from batik_utils.stats.scores import Labels, OutOfFold, Probabilities
from batik_utils.study import PictureSource
from batik_utils.values import Dataset, FitResult, Split

LARGE = 5  # pictures from which a source is large
SHARP = 0.02  # accuracy by which a fall is larger than another


def most_confused(table: NDArray[np.float64], motifs: Sequence[str]) -> pd.DataFrame:
    """The five largest off-diagonal cells of a confusion matrix: true, predicted, images, share (of the true motif)."""
    cells = [(i, j, float(table[i, j])) for i, j in np.argwhere(table > 0) if i != j]
    rows = [(motifs[i], motifs[j], images, images / table[i].sum()) for i, j, images in cells]
    rows.sort(key=lambda r: (-r[2], r[0], r[1]))
    return pd.DataFrame(rows[:5], columns=["true", "predicted", "images", "share"])


def confusion_order(table: NDArray[np.float64]) -> list[int]:
    """Places in an order in which what is often confused stands together, by average linkage.

    Source of the leaves' order: Z. Bar-Joseph, D. Gifford and T. Jaakkola, Bioinformatics 17 (2001).
    """
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1e-12)
    apart = 1 - (share + share.T) / 2
    np.fill_diagonal(apart, 0)
    return [int(i) for i in leaves_list(linkage(squareform(apart), "average", optimal_ordering=True))]


def most_confidently_wrong(
    paths: Sequence[str], y_true: Labels, y_prob: Probabilities, motifs: Sequence[str], top: int = 10
) -> pd.DataFrame:
    """Wrong images by the probability of the wrong answer: path, true, predicted, probability."""
    answers = {"true": y_true, "predicted": y_prob.argmax(axis=1), "probability": y_prob.max(axis=1)}
    wrong = pd.DataFrame({"path": paths, **answers}).query("true != predicted")
    first = wrong.sort_values(["probability", "path"], ascending=[False, True], ignore_index=True).head(top)
    return first.assign(**{name: [motifs[i] for i in first[name]] for name in ("true", "predicted")})


def twins_across(split: Split, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Dataset rows, ascending, of the split's test images whose group also has training images; groups is [n]."""
    test = np.sort(np.asarray(split.test, dtype=np.int64))
    return test[np.isin(groups[test], groups[list(split.train)])]


class Disputed(NamedTuple):
    """Groups of near-duplicates whose pictures carry more than one label."""

    rows: NDArray[np.bool_]  # [n], whether a picture is in such a group
    ceiling: float  # accuracy, 0-1, of who answers every picture right but gives all copies of one the same label


def disputed(labels: NDArray[np.int64], groups: NDArray[np.int64]) -> Disputed:
    """The disputed pictures among labels [n] and groups of near-duplicates [n]."""
    counts = pd.crosstab(groups, labels)
    several = counts.index[(counts > 0).sum(axis=1) > 1]
    return Disputed(np.isin(groups, several), float(counts.max(axis=1).sum() / len(labels)))


class SourceRow(NamedTuple):
    """Pictures of one large source, or all others; accuracies, 0-1, of an average fit that saw none of them."""

    name: str
    why: str  # what it is, in words
    pictures: int
    motifs: dict[str, int]  # {motif: pictures}
    grouped: float  # accuracy where other pictures of their source may train (near-duplicates are kept away)
    sources: float  # accuracy where none of their source trains


def large_sources(known: Sequence[PictureSource], data: Dataset, near: OutOfFold, apart: OutOfFold) -> list[SourceRow]:
    """Sources of LARGE pictures or more, the largest first, then all of them together and all other pictures.

    near and apart are one model's, with near-duplicates and with whole sources on one side. Empty without any.
    """
    right = pd.DataFrame({o: pd.Series(f.right, f.paths) for o, f in (("grouped", near), ("sources", apart))})
    labels = [data.motifs[i] for i in data.labels]
    table = pd.DataFrame({"source": data.sources, "motif": labels}, index=data.paths).join(right, how="inner")
    table = table.dropna()
    large = table["source"].map(table["source"].value_counts()) >= LARGE

    def row(name: str, why: str, part: pd.DataFrame) -> SourceRow:
        counts = {str(motif): int(n) for motif, n in part["motif"].value_counts(sort=False).items()}
        return SourceRow(name, why, len(part), counts, float(part["grouped"].mean()), float(part["sources"].mean()))

    rows = []
    for _, part in table[large].groupby("source"):
        named = [source for source in known if part.index.isin(source.pictures).any()]
        why = "; ".join(source.why for source in named) or "copies of one picture"
        rows.append(row(", ".join(source.name for source in named) or part.index[0], why, part))
    rows.sort(key=lambda r: (-r.pictures, r.name))
    sums = [row("", why, part) for why, part in (("all of these", table[large]), ("all others", table[~large]))]
    return [*rows, *(total for total in sums if total.pictures)] if rows else []


def fall_on_large(rows: Sequence[SourceRow]) -> str:
    """Where accuracy falls as sources are kept apart: "large" ones (by SHARP more than others), "alike", or "none"."""
    falls = {row.why: row.grouped - row.sources for row in rows}
    fall = falls["all of these"]
    if fall <= 0:
        return "none"
    return "large" if fall - falls.get("all others", 0.0) > SHARP else "alike"


class Mispaired(NamedTuple):
    """What a classification report shows when the predictions are in another order than the labels; shares are 0-1."""

    right: float  # accuracy with labels and predictions paired
    expected: float  # mean accuracy over all shuffles, exactly: sum over classes of (share true) x (share predicted)
    accuracies: NDArray[np.float64]  # [shuffles], accuracy of shuffle 0, 1, …
    low: float  # to high, the middle 95 % of the accuracies
    high: float
    n: int


def mispaired_fit(result: FitResult, classes: int, shuffles: int = 10_000) -> Mispaired:
    """Compare a fit's labels, in class order as a generator's, with its predictions in orders seeded with 0, 1, …"""
    order = np.argsort(result.y_true, kind="stable")
    labels, predicted = result.y_true[order], result.y_prob.argmax(axis=1)[order]
    orders = np.array([np.random.Generator(np.random.PCG64(s)).permutation(len(labels)) for s in range(shuffles)])
    accuracies = (predicted[orders] == labels).mean(axis=1)
    true, named = (np.bincount(v, minlength=classes) for v in (labels, predicted))
    expected, right = float(true @ named) / len(labels) ** 2, float((labels == predicted).mean())
    low, high = np.quantile(accuracies, [0.025, 0.975]).tolist()
    return Mispaired(right, expected, accuracies, low, high, len(labels))


class Trios(NamedTuple):
    """What a head reaches on all trios of m motifs."""

    table: pd.DataFrame  # a row per trio, in order: a, b, c (labels), n (pictures), accuracy (0-1, on test rows)
    confused: NDArray[np.float64]  # [m, m] share of one motif's pictures taken for another, over the trios of both


def kernel(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scalar products [n, n] of features [n, d], on average 1 of a picture with itself; of blocks, their mean."""
    x = features.astype(np.float32)
    gram = (x @ x.T).astype(np.float64)
    return gram / (np.trace(gram) / len(gram))


def every_trio(gram: NDArray[np.float64], labels: Labels, folds: Labels, strength: float) -> Trios:
    """Test every trio of the motifs 0 … m - 1 by a ridge on the trio's pictures alone, each fold by the others.

    gram is kernel(features) [n, n]; labels and folds (the one in which a picture is tested) are [n]; decisions are
    those of scikit-learn's RidgeClassifier of that strength.
    """
    m = int(labels.max()) + 1
    places = [np.flatnonzero(labels == label) for label in range(m)]
    rows, taken = [], np.zeros((m, m))
    for trio in combinations(range(m), 3):
        own = np.concatenate([places[label] for label in trio])
        truth = np.repeat(range(3), [len(places[label]) for label in trio])
        guess, part, inside = np.empty_like(truth), folds[own], gram[np.ix_(own, own)]
        for fold in np.unique(part):
            test, train = part == fold, part != fold
            target = 2.0 * (truth[train, None] == range(3)) - 1
            across = inside[:, train]
            means = across[train].mean(axis=0)
            # Both sides are centred: there is an intercept.
            across = across - across.mean(axis=1, keepdims=True) - means + means.mean()
            solved = solve(across[train] + strength * np.eye(len(target)), target - target.mean(axis=0), assume_a="pos")
            guess[test] = (across @ solved + target.mean(axis=0))[test].argmax(axis=1)
        rows.append((*trio, len(own), float((guess == truth).mean())))
        np.add.at(taken, (np.array(trio)[truth], np.array(trio)[guess]), 1)
    np.fill_diagonal(taken, 0)
    met = np.array([max(1, len(own)) * max(1, m - 2) for own in places])  # two motifs are together in m - 2 trios
    return Trios(pd.DataFrame(rows, columns=["a", "b", "c", "n", "accuracy"]), taken / met[:, None])


def motif_means(table: pd.DataFrame, motifs: int) -> NDArray[np.float64]:
    """[motifs] mean accuracy over the trios that hold each."""
    trios = table[["a", "b", "c"]].to_numpy()
    return np.array([table["accuracy"][(trios == label).any(axis=1)].mean() for label in range(motifs)])


def line(x: Sequence[float], y: Sequence[float]) -> dict[str, float] | None:
    """The regression of y on x (slope, intercept, r, n); None for fewer than three points, or where all x are one."""
    if len(x) < 3 or np.ptp(x) == 0:
        return None
    found = linregress(x, y)
    return {"slope": found.slope, "intercept": found.intercept, "r": found.rvalue, "n": len(x)}
