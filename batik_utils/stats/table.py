"""The one table of all scores: what metrics.json holds, and what tables and figures select from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from batik_utils.stats.scores import (
    METRICS,
    accuracy,
    classification_table,
    fold_scores,
    folds_interval,
    mean_over_seeds,
    published_summary,
    run_fits,
)
from batik_utils.values import Results


class Score(NamedTuple):
    """One number of one model: a row of the table of scores, and a record of metrics.json."""

    model: str
    protocol: str
    metric: str
    value: float
    n: int
    """Images behind it."""
    fits: int
    low: float | None = None
    high: float | None = None
    interval: str | None = None
    """How its 95 % interval is made: "wilson", "nadeau-bengio" or "bootstrap"; none where there is none."""


def score_table(
    results: Results, shared: Results, motifs: Sequence[str], by_motif: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Every number of every model under every protocol: one row each, with the columns of Score.

    Protocols are those of the fits, and: "published" is the training seed of median accuracy, "published-seed-S" each;
    "grouped" and "sources" are on the shared folds, "grouped-all" and "sources-all" on all that a model has, where
    these are more; "grouped-PART" is of tampered pictures; "runs-E-D" is of E epochs and dropout D, the mean over
    seeds, accuracy alone. Metrics are METRICS, and "precision/MOTIF", "recall/MOTIF", "f1/MOTIF", whose n are that
    motif's images. by_motif has the tables of per_motif on the shared folds.
    """
    rows: list[Score] = []
    for model, protocol in sorted({(r.fit.model, r.fit.protocol) for r in results.select()}):
        if protocol == "published":
            rows += _on_split(results, model, motifs)
        elif protocol in ("grouped", "sources"):
            near, every = shared.select(model, protocol).items, results.select(model, protocol).items
            grouped = protocol == "grouped"
            parts = sorted(set.intersection(*({*r.corruptions} for r in near))) if near and grouped else []
            for part in [None, *parts] if near else []:
                rows += _over_folds(shared, model, protocol, f"grouped-{part}" if part else protocol, part)
            if len(near) < len(every):
                rows += _over_folds(results, model, protocol, f"{protocol}-all")
            if grouped and (table := by_motif.get(model)) is not None:
                rows += _of_motifs(model, protocol, table.set_axis(pd.Index(motifs)), len(near))
        elif protocol == "runs":
            for (epochs, dropout), fits in sorted(run_fits(results, model).items()):
                mean = float(np.mean([accuracy(r.y_true, r.y_prob) for r in fits]))
                rows.append(Score(model, f"runs-{epochs}-{dropout:g}", "accuracy", mean, len(fits[0].paths), len(fits)))
        else:
            rows += _over_folds(results, model, protocol, protocol)
    return pd.DataFrame(rows, columns=Score._fields)


def _on_split(results: Results, model: str, motifs: Sequence[str]) -> Iterator[Score]:
    summary = published_summary(results, model)
    assert summary is not None
    fit, n, fits = summary.median, summary.n_test, len(summary.fits)
    for name, score in METRICS.items():
        band = (summary.interval.low, summary.interval.high, "wilson") if name == "accuracy" else ()
        yield Score(model, "published", name, score(fit.y_true, fit.y_prob), n, fits, *band)
        for r in summary.fits:
            yield Score(model, f"published-seed-{r.fit.seed}", name, score(r.y_true, r.y_prob), n, 1)
    table = classification_table(fit.y_true, fit.y_prob.argmax(axis=1), motifs)
    yield from _of_motifs(model, "published", table, fits)


def _over_folds(results: Results, model: str, protocol: str, name: str, part: str | None = None) -> Iterator[Score]:
    images = len({path for r in results.select(model, protocol) for path in r.paths})
    for metric in METRICS:
        scores = fold_scores(results, model, protocol, metric, part)
        band, mean = folds_interval(scores, share=metric != "loss"), float(mean_over_seeds(scores).mean())
        ends = (band.low, band.high, band.method) if band else ()
        yield Score(model, name, metric, mean, images, len(scores), *ends)


def _of_motifs(model: str, protocol: str, table: pd.DataFrame, fits: int) -> Iterator[Score]:
    for motif, row in table.iterrows():
        for name in ("precision", "recall", "F1"):
            ends = (row[f"{name}_low"], row[f"{name}_high"], "bootstrap") if f"{name}_low" in row else ()
            yield Score(model, protocol, f"{name.lower()}/{motif}", row[name], int(row["support"]), fits, *ends)
