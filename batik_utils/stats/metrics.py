"""Scores of fits, per fit and put together; labels, probabilities and paths always come from one FitResult."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import metrics as sk

from batik_utils.errors import BatikError
from batik_utils.stats.intervals import LEVEL, Interval, nadeau_bengio, wilson
from batik_utils.stats.search import final_fits
from batik_utils.values import FitResult, Results

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]


def accuracy(y_true: Labels, y_prob: Probabilities) -> float:
    """Share of images [n] whose most probable class is the true one, 0-1."""
    return float(sk.accuracy_score(y_true, y_prob.argmax(axis=1)))


def log_loss(y_true: Labels, y_prob: Probabilities) -> float:
    """Mean categorical cross-entropy in nats, probabilities clipped at 1e-7 as Keras does."""
    clipped = np.clip(y_prob, 1e-7, 1.0)
    clipped /= clipped.sum(axis=1, keepdims=True)
    return float(sk.log_loss(y_true, clipped, labels=np.arange(y_prob.shape[1])))


def macro_f1(y_true: Labels, y_prob: Probabilities) -> float:
    """Unweighted mean of the classes' F1, 0-1; a class never predicted counts as 0."""
    labels = np.arange(y_prob.shape[1])
    return float(sk.f1_score(y_true, y_prob.argmax(axis=1), labels=labels, average="macro", zero_division=0))


def classification_table(y_true: Labels, y_pred: Labels, motifs: Sequence[str]) -> pd.DataFrame:
    """Precision, recall, F1 and support, one row per motif in label order (a class never predicted has 0)."""
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        y_true, y_pred, labels=np.arange(len(motifs)), zero_division=0
    )
    columns = {"precision": precision, "recall": recall, "F1": f1, "support": support}
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

    corruption names a corruptions ("greyscale", …): then the same images, tampered with, are scored (fits without
    that corruption are left out).
    """
    rows = []
    for r in results.select(model=model, protocol=protocol):
        y_prob = r.y_prob if corruption is None else r.corruptions.get(corruption)
        if y_prob is not None:
            value = METRICS[metric](r.y_true, y_prob)
            rows.append((r.fit.repeat, r.fit.fold, r.fit.seed, len(r.y_true), value))
    table = pd.DataFrame(rows, columns=["repeat", "fold", "seed", "n", "value"])
    return table.sort_values(["repeat", "fold", "seed"], ignore_index=True)


def mean_over_seeds(scores: pd.DataFrame) -> pd.Series:
    """Mean value of fold_scores per (repeat, fold), in that order."""
    return scores.groupby(["repeat", "fold"])["value"].mean()


def grouped_interval(
    results: Results, model: str, metric: str = "accuracy", protocol: str = "grouped"
) -> Interval | None:
    """Mean of a model's fold scores (each averaged over seeds) with the corrected interval; None without folds.

    An interval of an accuracy or F1 is cut off at 0 and 1, that of a loss at 0. Repeats that lack a fold are left out.
    """
    scores = fold_scores(results, model, protocol, metric)
    if scores.empty:
        return None
    folds = int(scores["fold"].max()) + 1
    means = mean_over_seeds(scores)
    means = means[(means.groupby(level="repeat").transform("size") == folds).to_numpy()].to_numpy()
    if len(means) < 2 or folds < 2:
        return None
    found = nadeau_bengio(means, folds)
    most = float("inf") if metric == "loss" else 1.0
    return replace(found, low=max(0.0, found.low), high=min(most, found.high))


@dataclass(frozen=True)
class PublishedSummary:
    """A model under the seed's own split: one fit per training seed; tuples run by seed."""

    model: str
    seeds: tuple[int, ...]
    correct: tuple[int, ...]
    """Test images that were right."""
    accuracy: tuple[float, ...]
    loss: tuple[float, ...]
    macro_f1: tuple[float, ...]
    train_accuracy: tuple[float, ...]
    """Last epoch's, as Keras counts it (augmented images, dropout on); empty where no history was kept."""
    n_test: int
    median: FitResult
    """The fit of median accuracy (the lower of two; ties by loss, then by seed): the one that is shown."""
    interval: Interval
    """Wilson, of that fit."""

    @property
    def low(self) -> float:
        """Lowest accuracy over seeds."""
        return min(self.accuracy)

    @property
    def high(self) -> float:
        """Highest accuracy over seeds."""
        return max(self.accuracy)

    @property
    def median_accuracy(self) -> float:
        """Accuracy of the median fit."""
        return self.interval.value


def published_summary(results: Results, model: str) -> PublishedSummary | None:
    """Summarise a model's fits on the published split; None where there are none.

    Raises BatikError where the fits did not test the same images.
    """
    fits = final_fits(results, model)
    if not fits:
        return None
    if len({r.paths for r in fits}) > 1:
        raise BatikError(f"The published fits of {model} tested different images; run the study again.")
    scores = [accuracy(r.y_true, r.y_prob) for r in fits]
    losses = [log_loss(r.y_true, r.y_prob) for r in fits]
    order = sorted(range(len(fits)), key=lambda i: (scores[i], -losses[i], fits[i].fit.seed))
    median = order[(len(order) - 1) // 2]
    n = len(fits[0].y_true)
    correct = [int((r.y_prob.argmax(axis=1) == r.y_true).sum()) for r in fits]
    histories = [r.history.get("accuracy") for r in fits]
    return PublishedSummary(
        model=model,
        seeds=tuple(r.fit.seed for r in fits),
        correct=tuple(correct),
        accuracy=tuple(scores),
        loss=tuple(losses),
        macro_f1=tuple(macro_f1(r.y_true, r.y_prob) for r in fits),
        train_accuracy=tuple(float(h[-1]) for h in histories if h) if all(histories) else (),
        n_test=n,
        median=fits[median],
        interval=wilson(correct[median], n),
    )


@dataclass(frozen=True)
class OutOfFold:
    """What fits said about images that they had not seen; row i is one image, sorted by path."""

    model: str
    paths: tuple[str, ...]
    y_true: Labels
    """[n]"""
    y_prob: Probabilities
    """[n, classes], mean over repeats and seeds: an ensemble's, so a little better than one fit's."""
    votes: Probabilities
    """[n, classes], share of fits that predicted each class: what one fit does on average."""
    per_repeat: dict[int, Probabilities]
    """{repeat: [n, classes]}, mean over seeds; NaN rows where a fold is missing."""
    fits: int

    @property
    def confusion(self) -> Probabilities:
        """[classes, classes], rows true, columns predicted: the counts of an average single fit; rows sum to n."""
        out = np.zeros((self.votes.shape[1],) * 2)
        np.add.at(out, self.y_true, self.votes)
        return out

    @property
    def accuracy(self) -> float:
        """Mean accuracy of a single fit over images, 0-1."""
        return float(self.votes[np.arange(len(self.y_true)), self.y_true].mean())


def out_of_fold(results: Results, model: str, protocol: str = "grouped") -> OutOfFold | None:
    """Put a model's test predictions under a cross-validation protocol together; None where there are no fits.

    Raises BatikError where two fits give one image two labels.
    """
    fits = results.select(model=model, protocol=protocol).items
    if not fits:
        return None
    labels: dict[str, int] = {}
    for r in fits:
        for path, label in zip(r.paths, r.y_true.tolist(), strict=True):
            if labels.setdefault(path, label) != label:
                raise BatikError(f"{path} has two labels in the results of {model}; run the study again.")
    paths = tuple(sorted(labels))
    row = {path: i for i, path in enumerate(paths)}
    classes = fits[0].y_prob.shape[1]
    repeats = sorted({r.fit.repeat for r in fits})
    total = {k: np.zeros((len(paths), classes)) for k in repeats}
    count = {k: np.zeros((len(paths), 1)) for k in repeats}
    votes = np.zeros((len(paths), classes))
    for r in fits:
        rows = [row[p] for p in r.paths]
        total[r.fit.repeat][rows] += r.y_prob
        count[r.fit.repeat][rows] += 1
        votes[rows, r.y_prob.argmax(axis=1)] += 1
    per_repeat = {
        k: np.divide(total[k], count[k], out=np.full_like(total[k], np.nan), where=count[k] > 0) for k in repeats
    }
    return OutOfFold(
        model=model,
        paths=paths,
        y_true=np.array([labels[p] for p in paths], dtype=np.int64),
        y_prob=sum(total.values()) / sum(count.values()),
        votes=votes / votes.sum(axis=1, keepdims=True),
        per_repeat=per_repeat,
        fits=len(fits),
    )


def per_motif(
    oof: OutOfFold,
    motifs: Sequence[str],
    groups: Mapping[str, int] | None = None,
    resamples: int = 2000,
    level: float = LEVEL,
) -> pd.DataFrame:
    """Out-of-fold precision, recall, F1 per motif with bootstrap intervals of what a single fit does.

    Columns: precision, recall, F1 (each also with _low and _high) and support. Images are drawn with replacement,
    near-duplicates (groups: {path: group}) together, with all their predictions; seeded. Percentile intervals.
    """
    n, classes = oof.votes.shape
    own = np.arange(n) if groups is None else np.array([groups[p] for p in oof.paths])
    _, cluster = np.unique(own, return_inverse=True)
    clusters = int(cluster.max()) + 1
    rng = np.random.Generator(np.random.PCG64(20240))
    draws = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=resamples)
    weights = np.vstack([np.ones(n), draws[:, cluster]])
    cells = np.zeros((n, classes, classes))
    cells[np.arange(n), oof.y_true] = oof.votes
    tables = (weights @ cells.reshape(n, -1)).reshape(-1, classes, classes)
    hit = np.diagonal(tables, axis1=1, axis2=2)
    precision = _ratio(hit, tables.sum(axis=1))
    recall = _ratio(hit, tables.sum(axis=2))
    f1 = _ratio(2 * hit, tables.sum(axis=1) + tables.sum(axis=2))
    out = pd.DataFrame(index=pd.Index(motifs, name="motif"))
    for name, values in (("precision", precision), ("recall", recall), ("F1", f1)):
        low, high = np.quantile(values[1:], [(1 - level) / 2, (1 + level) / 2], axis=0)
        out[name], out[f"{name}_low"], out[f"{name}_high"] = values[0], low, high
    out["support"] = np.bincount(oof.y_true, minlength=classes)
    return out


def most_confused(table: NDArray[np.float64], motifs: Sequence[str], top: int = 5) -> pd.DataFrame:
    """The largest off-diagonal cells of a confusion matrix: true, predicted, images, share (of the true motif)."""
    counts = np.asarray(table, dtype=np.float64)
    rows = [
        (motifs[i], motifs[j], counts[i, j], counts[i, j] / counts[i].sum())
        for i in range(len(motifs))
        for j in range(len(motifs))
        if i != j and counts[i, j] > 0
    ]
    rows.sort(key=lambda r: (-r[2], r[0], r[1]))
    return pd.DataFrame(rows[:top], columns=["true", "predicted", "images", "share"])


def most_confidently_wrong(
    paths: Sequence[str], y_true: Labels, y_prob: Probabilities, motifs: Sequence[str], top: int = 10
) -> pd.DataFrame:
    """Wrong images by the probability of the wrong answer: path, true, predicted, probability, probability_true."""
    predicted = y_prob.argmax(axis=1)
    wrong = np.flatnonzero(predicted != y_true)
    order = sorted(wrong, key=lambda i: (-y_prob[i, predicted[i]], paths[i]))[:top]
    rows = [
        (paths[i], motifs[y_true[i]], motifs[predicted[i]], float(y_prob[i].max()), float(y_prob[i, y_true[i]]))
        for i in order
    ]
    return pd.DataFrame(rows, columns=["path", "true", "predicted", "probability", "probability_true"])


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.zeros_like(above, dtype=np.float64), where=below > 0)
