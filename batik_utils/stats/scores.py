"""Scores of fits; labels, probabilities and paths always come from one FitResult."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import metrics as sk

from batik_utils.errors import BatikError
from batik_utils.stats.intervals import LEVEL, Interval, nadeau_bengio, wilson
from batik_utils.values import FitResult, Results

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]
Setting = tuple[int, float]  # of a run: epochs, dropout
SMALLEST = 1e-7  # a probability under this counts as this, as Keras has it


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


def balanced(y_true: Labels, y_prob: Probabilities) -> float:
    """Mean recall of the classes that are there, 0-1: every class weighs the same."""
    right = np.bincount(y_true, weights=y_prob.argmax(axis=1) == y_true)
    images = np.bincount(y_true)
    return float((right[images > 0] / images[images > 0]).mean())


def top_3(y_true: Labels, y_prob: Probabilities) -> float:
    """Share of images whose true class is among the three most probable, 0-1."""
    return float((y_prob.argsort(axis=1, kind="stable")[:, -3:] == y_true[:, None]).any(axis=1).mean())


# By the names that claims, the table of scores and metrics.json use.
METRICS = {"accuracy": accuracy, "loss": log_loss, "macro_f1": macro_f1, "balanced": balanced, "top_3": top_3}


def fold_scores(
    results: Results, model: str, protocol: str = "grouped", metric: str = "accuracy", part: str | None = None
) -> pd.DataFrame:
    """One row per fit: repeat, fold, seed, n and trained (test and training images), value; sorted; maybe empty.

    part ("greyscale", …) scores the same images tampered with; fits without it are left out.
    """
    rows, fits = [], results.select(model, protocol).items
    tested = {(r.fit.repeat, r.fit.fold): np.bincount(r.y_true, minlength=r.y_prob.shape[1]) for r in fits}
    # The other folds of a repeat train; of "curve-K" it is K pictures of each motif.
    most = int(protocol.removeprefix("curve-")) if protocol.startswith("curve-") else np.inf
    whole: dict[int, NDArray[np.int64]] = {}
    for (repeat, _), counts in tested.items():
        whole[repeat] = whole.get(repeat, 0) + counts
    for r in fits:
        y_prob = r.y_prob if part is None else r.corruptions.get(part)
        if y_prob is not None:
            where = (r.fit.repeat, r.fit.fold)
            trained = int(np.minimum(whole[r.fit.repeat] - tested[where], most).sum())
            rows.append((*where, r.fit.seed, len(r.y_true), trained, METRICS[metric](r.y_true, y_prob)))
    table = pd.DataFrame(rows, columns=["repeat", "fold", "seed", "n", "trained", "value"])
    return table.sort_values(["repeat", "fold", "seed"], ignore_index=True)


def mean_over_seeds(scores: pd.DataFrame) -> pd.Series:
    """Mean value of fold_scores per (repeat, fold), in that order."""
    return scores.groupby(["repeat", "fold"])["value"].mean()


def whole_repeats(*tables: pd.DataFrame) -> pd.DataFrame:
    """Tables of fold_scores side by side, in the repeats of which all of them have all folds; two folds at least.

    Index (repeat, fold); columns n, ratio (test over training images), and 0, 1, …, the mean over seeds of each table.
    """
    folds = max((int(t["fold"].max()) + 1 for t in tables if len(t)), default=0)
    sizes = tables[0].groupby(["repeat", "fold"])[["n", "trained"]].mean()
    columns = [sizes["n"], sizes["n"] / sizes["trained"], *map(mean_over_seeds, tables)]
    both = pd.concat(columns, axis=1, join="inner", keys=["n", "ratio", *range(len(tables))]).sort_index()
    return both[(both.groupby(level="repeat")["n"].transform("size") == max(folds, 2)).to_numpy(bool)]


def grouped_interval(
    results: Results, model: str, metric: str = "accuracy", protocol: str = "grouped"
) -> Interval | None:
    """Of a model's fold scores that of folds_interval."""
    return folds_interval(fold_scores(results, model, protocol, metric), share=metric != "loss")


def folds_interval(scores: pd.DataFrame, share: bool = True) -> Interval | None:
    """Mean of fold_scores with the corrected interval, cut off at 0 and, for a share, at 1; None without whole repeats.

    For shares that are the same in all folds it is Wilson's on the images of one repeat: the corrected has no width.
    """
    whole = whole_repeats(scores)
    if whole.empty:
        return None
    band = nadeau_bengio(whole[0], ratio=whole["ratio"].mean())
    if share and np.ptp(whole[0]) < 1e-12:
        images = int(whole.groupby(level="repeat")["n"].sum().max())
        return replace(wilson(band.value * images, images), n=len(whole))
    return replace(band, low=max(0.0, band.low), high=min(1.0, band.high) if share else band.high)


@dataclass(frozen=True)
class PublishedSummary:
    """A model under the published split: one fit per training seed, by seed."""

    fits: tuple[FitResult, ...]
    place: int  # of the fit of median accuracy (the lower of two; ties by loss, then by seed): the one that is shown
    values: dict[str, tuple[float, ...]]
    """{metric: that of each fit}; train_accuracy and train_loss are the last epoch's, as Keras counts them (augmented
    images, dropout on), and empty where no history was kept."""
    interval: Interval  # accuracy of the median fit on its n test images; Wilson's

    @property
    def median(self) -> FitResult:
        """The fit of median accuracy."""
        return self.fits[self.place]

    @property
    def spread(self) -> float:
        """The highest accuracy less the lowest, over training seeds, 0-1."""
        return max(self.values["accuracy"]) - min(self.values["accuracy"])


def run_fits(results: Results, model: str) -> dict[Setting, list[FitResult]]:
    """{(epochs, dropout): a fit per training seed} of the runs of a model, those after fewer epochs among them."""
    found: dict[Setting, list[FitResult]] = {}
    for r in results.select(model, "runs"):
        for epochs, said in r.checkpoints.items():
            fit = replace(r.fit, hyper=replace(r.fit.hyper, epochs=epochs))
            found.setdefault((epochs, fit.hyper.dropout), []).append(replace(r, fit=fit, y_prob=said["test"]))
    return found


def published_summary(results: Results, model: str, setting: Setting | None = None) -> PublishedSummary | None:
    """Of a model's published fits or of runs of one setting, if any; BatikError where they do not belong together."""
    fitted = run_fits(results, model).get(setting, []) if setting else results.select(model, "published")
    fits = tuple(sorted(fitted, key=lambda r: r.fit.seed))
    if not fits:
        return None
    if len({r.fit.seed for r in fits}) < len(fits):
        raise BatikError(f"{model} was fitted with several settings on the published split; only one may count.")
    if len({r.paths for r in fits}) > 1:
        raise BatikError(f"The published fits of {model} tested different images; run the study again.")
    values = {name: tuple(METRICS[name](r.y_true, r.y_prob) for r in fits) for name in ("accuracy", "loss", "macro_f1")}
    for name in ("accuracy", "loss"):
        last = tuple(r.history[name][-1] for r in fits if r.history.get(name))
        values[f"train_{name}"] = last if len(last) == len(fits) else ()
    right, n = values["accuracy"], len(fits[0].paths)
    # Fits run by seed, and sorting is stable.
    place = sorted(range(len(fits)), key=lambda i: (right[i], -values["loss"][i]))[(len(fits) - 1) // 2]
    return PublishedSummary(fits, place, values, wilson(round(right[place] * n), n))


class OutOfFold(NamedTuple):
    """What fits said about images that they had not seen; row i is one image, sorted by path."""

    paths: tuple[str, ...]
    y_true: Labels
    y_prob: Probabilities  # [n, classes], mean over repeats and seeds: an ensemble's, so a little better than one fit's
    votes: Probabilities  # [n, classes], share of fits that predicted each class: what one fit does on average
    confusion: Probabilities  # [classes, classes], rows true, columns predicted: counts of an average single fit
    right: NDArray[np.float64]  # [n], share of fits that were right, 0-1


def out_of_fold(results: Results, model: str, protocol: str = "grouped") -> OutOfFold | None:
    """Put a model's test predictions under a protocol together; raises BatikError where one image has two labels."""
    fits = results.select(model, protocol).items
    if not fits:
        return None
    paths, first, image = np.unique(np.concatenate([r.paths for r in fits]), return_index=True, return_inverse=True)
    labels, given = np.concatenate([r.y_true for r in fits]), np.concatenate([r.y_prob for r in fits])
    y_true = labels[first]
    if (two := labels != y_true[image]).any():
        path = paths[image[two][0]]
        raise BatikError(f"{path} has two labels in the results of {model}; run the study again.")
    votes = np.eye(given.shape[1])[given.argmax(axis=1)]
    y_prob, shares = (pd.DataFrame(rows).groupby(image).mean().to_numpy() for rows in (given, votes))
    confusion = np.eye(given.shape[1])[y_true].T @ shares
    right = shares[np.arange(len(y_true)), y_true]
    return OutOfFold(tuple(paths.tolist()), y_true, y_prob, shares, confusion, right)


def per_motif(oof: OutOfFold, motifs: Sequence[str], groups: Mapping[str, int] | None = None) -> pd.DataFrame:
    """Out-of-fold precision, recall, F1 per motif with 95 % bootstrap intervals of what a single fit does.

    Columns: precision, recall, F1 (each also with _low and _high) and support. Images are drawn with replacement,
    near-duplicates (groups: {path: group}) together, with all their predictions; percentile intervals, or where all
    draws give the same, Wilson's on the motif's groups.
    """
    n, classes = oof.votes.shape
    own = np.arange(n) if groups is None else np.array([groups[p] for p in oof.paths])
    distinct, cluster = np.unique(own, return_inverse=True)
    rng = np.random.Generator(np.random.PCG64(20240))
    draws = rng.multinomial(len(distinct), np.full(len(distinct), 1 / len(distinct)), size=2000)
    weights = np.vstack([np.ones(n), draws[:, cluster]])
    cells = np.zeros((n, classes, classes))
    cells[np.arange(n), oof.y_true] = oof.votes
    tables = (weights @ cells.reshape(n, -1)).reshape(-1, classes, classes)
    hit = np.diagonal(tables, axis1=1, axis2=2)
    predicted, true = tables.sum(axis=1), tables.sum(axis=2)
    out = pd.DataFrame(index=pd.Index(motifs, name="motif"))
    groups_of = [max(1, len(np.unique(cluster[oof.y_true == i]))) for i in range(classes)]
    shares = {"precision": (hit, predicted), "recall": (hit, true), "F1": (2 * hit, predicted + true)}
    for name, (above, below) in shares.items():
        values = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
        low, high = np.quantile(values[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        for i in np.flatnonzero(high - low < 1e-9):
            bound = wilson(values[0, i] * groups_of[i], groups_of[i])
            low[i], high[i] = bound.low, bound.high
        out[name], out[f"{name}_low"], out[f"{name}_high"] = values[0], low, high
    out["support"] = np.bincount(oof.y_true, minlength=classes)
    return out


def parameters(results: Results, model: str) -> int:
    """All parameters of a model, backbone included."""
    fits = results.select(model, "grouped").items or results.select(model).items
    return Counter(r.parameters for r in fits if not r.missing).most_common(1)[0][0]
