"""The one table of all scores: what metrics.json holds, and what tables and figures select from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batik_utils.stats.claims import ClaimRow, Luck, expected_best, luck
from batik_utils.stats.intervals import Interval
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
    n: int  # images behind it
    fits: int
    low: float | None = None
    high: float | None = None
    interval: str | None = None  # how its 95 % interval is made: "wilson", "nadeau-bengio" or "bootstrap"


def score_table(
    results: Results, shared: Results, motifs: Sequence[str], by_motif: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Every number of every model under every protocol: one row each, with the columns of Score.

    "published" is the training seed of median accuracy, "published-seed-S" each; "grouped" and "sources" are on the
    shared folds, "-all" after them on all that a model has; "grouped-PART" is of tampered pictures; "runs-E-D" of E
    epochs and dropout D, the mean accuracy over seeds. Metrics are METRICS, and "precision/MOTIF", "recall/MOTIF",
    "f1/MOTIF", whose n are that motif's images. by_motif has the tables of per_motif on the shared folds.
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
    fit, n, fits = summary.median, summary.interval.n, len(summary.fits)
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


# The protocols whose accuracies stand side by side, in words.
LADDER = {"published": "one split", "grouped": "copies together", "sources": "sources held out"}


class Told:
    """What is told of a study out of its scores and claims: by an analysis, and by what its metrics.json holds."""

    scores: Any  # a data frame with the columns of Score
    claims: Any  # rows of stats.claims
    titles: dict[str, str]  # {model or baseline: the name that readers see}
    pairs: list[str]  # the models of the planned comparisons, each once, those of the verdict first
    unpretrained: set[str]  # the models that start from random weights

    @cached_property
    def _accuracies(self) -> dict[tuple[str, str], Interval]:
        found = {}
        for s in self.scores[self.scores["metric"] == "accuracy"].itertuples():
            low, high = (s.value if pd.isna(end) else end for end in (s.low, s.high))
            found[s.model, s.protocol] = Interval(s.value, max(0.0, low), min(1.0, high), s.n)
        return found

    def title(self, model: str) -> str:
        """The name that readers see, of a model or a baseline."""
        return self.titles[model]

    def score(self, model: str, protocol: str = "grouped") -> Interval | None:
        """An accuracy with its interval; None where the study has none, and no width where it has no interval."""
        return self._accuracies.get((model, protocol))

    @cached_property
    def seed_runs(self) -> list[ClaimRow]:
        """The claims that are accuracies of runs, and such of other fits on as many images; empty without runs."""
        images = {row.n for row in self.claims if row.epochs}
        return [row for row in self.claims if row.metric == "accuracy" and row.n in images]

    @cached_property
    def runs(self) -> tuple[pd.DataFrame, dict[str, Luck], dict[str, NDArray[np.float64]]]:
        """The original's runs beside ours (run, arm, reported, ours), luck in the best by arm and in "all", curves.

        Arms are "pretrained" and "scratch"; a curve is the best to expect of 1, 2, … runs.
        """
        rows = self.seed_runs
        arms = ["scratch" if row.model in self.unpretrained else "pretrained" for row in rows]
        parts = {arm: [row for row, its in zip(rows, arms, strict=True) if its == arm] for arm in dict.fromkeys(arms)}
        lucks = {arm: found for arm, these in (parts | {"all": rows}).items() if (found := luck(these))}
        ours = [row.published.values if row.published else () for row in rows]
        told = {"run": [r.what for r in rows], "arm": arms, "reported": [r.value for r in rows], "ours": ours}
        curves = {arm: expected_best(lucks[arm].mean, lucks[arm].images, len(rows)) for arm in parts if arm in lucks}
        return pd.DataFrame(told), lucks, curves

    def ladder(self, models: Iterable[str], label: str = "") -> list[tuple[str, str, float, float, float]]:
        """(protocol, title, value, low, high) for draw.ladder, with a label before each protocol."""
        found = [(f"{label}{word}", m, self.score(m, p)) for p, word in LADDER.items() for m in models]
        return [(rung, self.title(m), i.value, i.low, i.high) for rung, m, i in found if i]

    def curve(self) -> pd.DataFrame:
        """Learning curves of the planned pairs, for draw.learning_curve: label, images of a motif, mean, low, high."""
        steps = sorted({int(p.removeprefix("curve-")) for _, p in self._accuracies if p.startswith("curve-")})
        found = [(self.title(m), k, self.score(m, f"curve-{k}")) for m in self.pairs for k in steps]
        rows = [(title, k, i.value, i.low, i.high) for title, k, i in found if i]
        return pd.DataFrame(rows, columns=["label", "images", "mean", "low", "high"])

    def corrupted(self, models: Iterable[str]) -> pd.DataFrame:
        """Accuracy by corruption, "none" first, for draw.corruption_figure: label, corruption, accuracy, low, high."""
        parts = sorted({p for _, p in self._accuracies if p.startswith("grouped-")} - {"grouped-all"})
        asked = [m for m in models if parts and all((m, p) in self._accuracies for p in parts)]
        found = [(m, p.removeprefix("grouped-"), self.score(m, p)) for m in asked for p in ("grouped", *parts)]
        rows = [(self.title(m), p.replace("grouped", "none"), i.value, i.low, i.high) for m, p, i in found if i]
        return pd.DataFrame(rows, columns=["label", "corruption", "accuracy", "low", "high"])
