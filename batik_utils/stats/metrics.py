"""Scores of fits, per fit and put together; labels, probabilities and paths always come from one FitResult."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from sklearn import metrics as sk

from batik_utils.errors import BatikError
from batik_utils.stats.intervals import LEVEL, Interval, nadeau_bengio, wilson
from batik_utils.values import FitResult, Results, Split

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]
SMALLEST = 1e-7
"""A probability under this counts as this, as Keras has it."""


def accuracy(y_true: Labels, y_prob: Probabilities) -> float:
    """Share of images [n] whose most probable class is the true one, 0-1."""
    return float((y_prob.argmax(axis=1) == y_true).mean())


def log_loss(y_true: Labels, y_prob: Probabilities) -> float:
    """Mean categorical cross-entropy in nats."""
    clipped = np.clip(y_prob, SMALLEST, 1.0)
    clipped /= clipped.sum(axis=1, keepdims=True)
    return float(sk.log_loss(y_true, clipped, labels=np.arange(y_prob.shape[1])))


def macro_f1(y_true: Labels, y_prob: Probabilities) -> float:
    """Unweighted mean of the classes' F1, 0-1; a class never predicted counts as 0."""
    classes = y_prob.shape[1]
    # sklearn's f1_score takes a millisecond, and a bootstrap asks thousands of times.
    table = np.bincount(classes * y_true + y_prob.argmax(axis=1), minlength=classes**2).reshape(classes, classes)
    return float(np.mean(2 * table.diagonal() / np.maximum(table.sum(axis=0) + table.sum(axis=1), 1)))


def classification_table(y_true: Labels, y_pred: Labels, motifs: Sequence[str]) -> pd.DataFrame:
    """Precision, recall, F1 and support, one row per motif in label order (a class never predicted has 0)."""
    scores = sk.precision_recall_fscore_support(y_true, y_pred, labels=np.arange(len(motifs)), zero_division=0)
    columns = dict(zip(("precision", "recall", "F1", "support"), scores, strict=True))
    return pd.DataFrame(columns, index=pd.Index(motifs, name="motif"))


def confusion(y_true: Labels, y_prob: Probabilities) -> NDArray[np.int64]:
    """Counts [classes, classes]: rows are true, columns predicted."""
    return sk.confusion_matrix(y_true, y_prob.argmax(axis=1), labels=np.arange(y_prob.shape[1]))


METRICS = {"accuracy": accuracy, "loss": log_loss, "macro_f1": macro_f1}
"""The scores by the names that claims and metrics.json use."""


def fold_scores(
    results: Results, model: str, protocol: str = "grouped", metric: str = "accuracy", corruption: str | None = None
) -> pd.DataFrame:
    """One row per fit: repeat, fold, seed, n, value; sorted; empty where there are no fits.

    corruption ("greyscale", …) scores the same images tampered with; fits without that corruption are left out.
    """
    rows = []
    for r in results.select(model=model, protocol=protocol):
        y_prob = r.y_prob if corruption is None else r.corruptions.get(corruption)
        if y_prob is not None:
            rows.append((r.fit.repeat, r.fit.fold, r.fit.seed, len(r.y_true), METRICS[metric](r.y_true, y_prob)))
    table = pd.DataFrame(rows, columns=["repeat", "fold", "seed", "n", "value"])
    return table.sort_values(["repeat", "fold", "seed"], ignore_index=True)


def mean_over_seeds(scores: pd.DataFrame) -> pd.Series:
    """Mean value of fold_scores per (repeat, fold), in that order."""
    return scores.groupby(["repeat", "fold"])["value"].mean()


def grouped_interval(
    results: Results, model: str, metric: str = "accuracy", protocol: str = "grouped", corruption: str | None = None
) -> Interval | None:
    """Mean of a model's fold scores with the corrected interval, as folds_interval has it; None without folds."""
    return folds_interval(fold_scores(results, model, protocol, metric, corruption), share=metric != "loss")


def folds_interval(scores: pd.DataFrame, share: bool = True) -> Interval | None:
    """Mean of fold scores (a table as fold_scores makes it), each averaged over seeds, with the corrected interval.

    It is cut off at 0 and, for a share (0-1), at 1. Repeats that lack a fold are left out; None where none is left.
    Where all folds score the same, the corrected interval has no width, and Wilson's on the images of one repeat takes
    its place (for a share).
    """
    if scores.empty:
        return None
    folds = int(scores["fold"].max()) + 1
    means = mean_over_seeds(scores)
    whole = means[(means.groupby(level="repeat").transform("size") == folds).to_numpy()].to_numpy()
    if len(whole) < 2 or folds < 2:
        return None
    band = nadeau_bengio(whole, folds)
    if share and np.ptp(whole) < 1e-12:
        images = int(scores[scores["seed"] == scores["seed"].min()].groupby("repeat")["n"].sum().max())
        return replace(wilson(band.value * images, images), n=len(whole))
    return replace(band, low=max(0.0, band.low), high=min(1.0, band.high) if share else band.high)


class PublishedSummary(NamedTuple):
    """A model under the published split: one fit per training seed; tuples run by seed."""

    fits: tuple[FitResult, ...]
    seeds: tuple[int, ...]
    correct: tuple[int, ...]
    """Test images that were right."""
    accuracy: tuple[float, ...]
    loss: tuple[float, ...]
    macro_f1: tuple[float, ...]
    train_accuracy: tuple[float, ...]
    """Last epoch's, as Keras counts it (augmented images, dropout on); empty where no history was kept."""
    train_loss: tuple[float, ...]
    """The same of the loss."""
    low: float
    high: float
    """Lowest and highest accuracy over seeds."""
    n_test: int
    median: FitResult
    """The fit of median accuracy (the lower of two; ties by loss, then by seed): the one that is shown."""
    median_accuracy: float
    interval: Interval
    """Wilson, of that fit."""


def published_summary(results: Results, model: str) -> PublishedSummary | None:
    """Summarise a model's fits on the published split; None where there are none.

    Raises BatikError where one seed was fitted twice, with two settings, or fits did not test the same images.
    """
    fits = tuple(sorted(results.select(model=model, protocol="published"), key=lambda r: r.fit.seed))
    if not fits:
        return None
    if len({r.fit.seed for r in fits}) < len(fits):
        raise BatikError(f"{model} was fitted with several settings on the published split; only one may count.")
    if len({r.paths for r in fits}) > 1:
        raise BatikError(f"The published fits of {model} tested different images; run the study again.")
    scores, losses, f1 = (
        tuple(METRICS[name](r.y_true, r.y_prob) for r in fits) for name in ("accuracy", "loss", "macro_f1")
    )
    # Fits run by seed, and sorting is stable.
    place = sorted(range(len(fits)), key=lambda i: (scores[i], -losses[i]))[(len(fits) - 1) // 2]
    n_test = len(fits[0].paths)
    correct = tuple(round(score * n_test) for score in scores)
    last = {what: [r.history[what][-1] for r in fits if r.history.get(what)] for what in ("accuracy", "loss")}
    trained = {what: tuple(values) if len(values) == len(fits) else () for what, values in last.items()}
    return PublishedSummary(
        fits=fits,
        seeds=tuple(r.fit.seed for r in fits),
        correct=correct,
        accuracy=scores,
        loss=losses,
        macro_f1=f1,
        train_accuracy=trained["accuracy"],
        train_loss=trained["loss"],
        low=min(scores),
        high=max(scores),
        n_test=n_test,
        median=fits[place],
        median_accuracy=scores[place],
        interval=wilson(correct[place], n_test),
    )


class OutOfFold(NamedTuple):
    """What fits said about images that they had not seen; row i is one image, sorted by path."""

    model: str
    paths: tuple[str, ...]
    y_true: Labels
    y_prob: Probabilities
    """[n, classes], mean over repeats and seeds: an ensemble's, so a little better than one fit's."""
    votes: Probabilities
    """[n, classes], share of fits that predicted each class: what one fit does on average."""
    confusion: Probabilities
    """[classes, classes], rows true, columns predicted: the counts of an average single fit; rows sum to n."""
    right: NDArray[np.float64]
    """[n], share of fits that were right, 0-1."""
    fits: int


def out_of_fold(results: Results, model: str, protocol: str = "grouped") -> OutOfFold | None:
    """Put a model's test predictions under a cross-validation protocol together; None where there are no fits.

    Raises BatikError where two fits give one image two labels.
    """
    fits = results.select(model=model, protocol=protocol).items
    if not fits:
        return None
    paths, first, image = np.unique(np.concatenate([r.paths for r in fits]), return_index=True, return_inverse=True)
    labels, said = np.concatenate([r.y_true for r in fits]), np.concatenate([r.y_prob for r in fits])
    y_true = labels[first]
    if (two := labels != y_true[image]).any():
        path = paths[image[two][0]]
        raise BatikError(f"{path} has two labels in the results of {model}; run the study again.")
    votes = np.eye(said.shape[1])[said.argmax(axis=1)]
    y_prob, shares = (pd.DataFrame(rows).groupby(image).mean().to_numpy() for rows in (said, votes))
    confusion = np.eye(said.shape[1])[y_true].T @ shares
    right = shares[np.arange(len(y_true)), y_true]
    return OutOfFold(model, tuple(paths.tolist()), y_true, y_prob, shares, confusion, right, len(fits))


def per_motif(
    oof: OutOfFold, motifs: Sequence[str], groups: Mapping[str, int] | None = None, resamples: int = 2000
) -> pd.DataFrame:
    """Out-of-fold precision, recall, F1 per motif with 95 % bootstrap intervals of what a single fit does.

    Columns: precision, recall, F1 (each also with _low and _high) and support. Images are drawn with replacement,
    near-duplicates (groups: {path: group}) together, with all their predictions; seeded. Percentile intervals; where
    one has no width, for every draw gives the same, Wilson's on the motif's groups takes its place.
    """
    n, classes = oof.votes.shape
    own = np.arange(n) if groups is None else np.array([groups[p] for p in oof.paths])
    found, cluster = np.unique(own, return_inverse=True)
    rng = np.random.Generator(np.random.PCG64(20240))
    draws = rng.multinomial(len(found), np.full(len(found), 1 / len(found)), size=resamples)
    weights = np.vstack([np.ones(n), draws[:, cluster]])
    cells = np.zeros((n, classes, classes))
    cells[np.arange(n), oof.y_true] = oof.votes
    tables = (weights @ cells.reshape(n, -1)).reshape(-1, classes, classes)
    hit = np.diagonal(tables, axis1=1, axis2=2)
    predicted, true = tables.sum(axis=1), tables.sum(axis=2)
    out = pd.DataFrame(index=pd.Index(motifs, name="motif"))
    distinct = [max(1, len(np.unique(cluster[oof.y_true == i]))) for i in range(classes)]
    shares = {"precision": (hit, predicted), "recall": (hit, true), "F1": (2 * hit, predicted + true)}
    for name, (above, below) in shares.items():
        values = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
        low, high = np.quantile(values[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        for i in np.flatnonzero(high - low < 1e-9):
            bound = wilson(values[0, i] * distinct[i], distinct[i])
            low[i], high[i] = bound.low, bound.high
        out[name], out[f"{name}_low"], out[f"{name}_high"] = values[0], low, high
    out["support"] = np.bincount(oof.y_true, minlength=classes)
    return out


def most_confused(table: NDArray[np.float64], motifs: Sequence[str], top: int = 5) -> pd.DataFrame:
    """The largest off-diagonal cells of a confusion matrix: true, predicted, images, share (of the true motif)."""
    cells = [(i, j, float(table[i, j])) for i, j in np.argwhere(table > 0) if i != j]
    rows = [(motifs[i], motifs[j], images, images / table[i].sum()) for i, j, images in cells]
    rows.sort(key=lambda r: (-r[2], r[0], r[1]))
    return pd.DataFrame(rows[:top], columns=["true", "predicted", "images", "share"])


def confusion_order(table: NDArray[np.float64]) -> list[int]:
    """Places of a confusion matrix in an order in which what is often confused stands together, by average linkage.

    The leaves are in the order of Bar-Joseph, Gifford and Jaakkola (Bioinformatics 17, 2001).
    """
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1e-12)
    apart = 1 - (share + share.T) / 2
    np.fill_diagonal(apart, 0)
    return [int(i) for i in leaves_list(linkage(squareform(apart), "average", optimal_ordering=True))]


def most_confidently_wrong(
    paths: Sequence[str], y_true: Labels, y_prob: Probabilities, motifs: Sequence[str], top: int = 10
) -> pd.DataFrame:
    """Wrong images by the probability of the wrong answer: path, true, predicted, probability."""
    said = {"true": y_true, "predicted": y_prob.argmax(axis=1), "probability": y_prob.max(axis=1)}
    wrong = pd.DataFrame({"path": paths, **said}).query("true != predicted")
    first = wrong.sort_values(["probability", "path"], ascending=[False, True], ignore_index=True).head(top)
    return first.assign(**{name: [motifs[i] for i in first[name]] for name in ("true", "predicted")})


def twins_across(split: Split, groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Dataset rows, ascending, of the split's test images whose group also has training images; groups is [n]."""
    test = np.sort(np.asarray(split.test, dtype=np.int64))
    return test[np.isin(groups[test], groups[list(split.train)])]


def accuracy_without(result: FitResult, paths: Collection[str]) -> Interval | None:
    """Accuracy, with Wilson's interval, over a fit's test images that are not among paths; None where none is left."""
    right = [hit for path, hit in zip(result.paths, result.y_prob.argmax(axis=1) == result.y_true, strict=True)
             if path not in paths]  # fmt: skip
    return wilson(int(sum(right)), len(right)) if right else None
