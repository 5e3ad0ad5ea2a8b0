"""Tables as the report shows them: data frames of short text, made of an analysis and nothing else."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batik_utils import wording as say
from batik_utils.data.obtain import motif_of
from batik_utils.models.baselines import BASELINES
from batik_utils.models.kinds import KINDS
from batik_utils.report.analysis import MANY, Analysis
from batik_utils.report.display import reached
from batik_utils.stats.calibration import Calibration
from batik_utils.stats.claims import ClaimRow
from batik_utils.stats.compare import Comparison
from batik_utils.stats.intervals import wilson
from batik_utils.stats.mistakes import disputed
from batik_utils.stats.scores import balanced, classification_table, fold_scores, grouped_interval, mean_over_seeds
from batik_utils.values import Dataset, FitResult


def data_table(dataset: Dataset) -> pd.DataFrame:
    """One row per motif: pictures used, near-duplicate groups, files skipped, files as published (where they are)."""
    rows = []
    for label, (motif, name) in enumerate(zip(dataset.motifs, say.motif_names(dataset.motifs), strict=True)):
        here = np.flatnonzero(dataset.labels == label)
        skipped = sum(motif_of(path) == motif for path, _ in dataset.skipped)
        identical = sum(dataset.facts[row]["status"] == "identical" for row in here)
        rows.append((name, len(here), len(np.unique(dataset.groups[here])), skipped, identical))
    table = frame("motif; pictures; distinct; skipped; identical to published", rows)
    return table if dataset.source.kind == "published" else table.drop(columns="identical to published")


def facts_frame(dataset: Dataset) -> pd.DataFrame:
    """One row per picture: path, motif and the facts of its file."""
    names = say.motif_names(dataset.motifs)
    where = pd.DataFrame({"path": dataset.paths, "motif": [names[i] for i in dataset.labels]})
    return where.join(pd.DataFrame([{"remarks": [], **fact} for fact in dataset.facts]))


def model_table(analysis: Analysis) -> pd.DataFrame:
    """One row per model: how it starts, parameters, what was measured of its time, epochs, batch, rate, dropout."""
    rows, times = [], {"ms a picture": analysis.study.milliseconds, "s to train": analysis.study.seconds}
    for name in analysis.models:
        m, how = analysis.study.models[name], ("–",) * 4
        if t := m.trained:
            how = str(t.epochs), str(t.batch_size), say.number(t.learning_rate, 4).rstrip("0"), f"{t.dropout:g}"
        rows.append((m.title, KINDS[m.kind].describe(m).starts, f"{analysis.parameters(name):,}", *how))
    table = frame("model; weights; parameters; epochs; batch; rate; dropout", rows)
    for what, known in ((what, known) for what, known in times.items() if known):
        table[what] = [f"{known[m]:,g}" if m in known else "–" for m in analysis.models]
    return table


def published_table(analysis: Analysis) -> pd.DataFrame:
    """One row per model on the published split: seeds' accuracy, Wilson interval, loss, macro F1, the claim."""
    claims, rows = analysis.published_claims(), []
    for model, s in analysis.summaries.items():
        title, accuracies, n = analysis.title(model), s.values["accuracy"], s.interval.n
        ends = say.percent_range(say.Band(min(accuracies), max(accuracies)))
        shares = (say.percent(s.interval.value), say.of_images(s.interval.value, n), ends)
        even = say.percent(balanced(s.median.y_true, s.median.y_prob))
        scores = (*(say.number(s.values[metric][s.place], 3) for metric in ("loss", "macro_f1")), even)
        published = say.percent(claims[title]) if title in claims else None
        rows.append((title, published, *shares, say.percent_range(s.interval), *scores))
    table = frame("model; published; median; right; over seeds; 95 % interval; loss; macro F1; balanced", rows)
    if "uneven" not in analysis.facts:
        table = table.drop(columns="balanced")
    if analysis.study.published.seeds == 1:
        table = table.drop(columns="over seeds").rename(columns={"median": "accuracy"})
    return table if table["published"].notna().any() else table.drop(columns="published")


def report_table(fit: FitResult, motifs: Sequence[str]) -> pd.DataFrame:
    """The classification report of one fit, with its macro average."""
    found = classification_table(fit.y_true, fit.y_prob.argmax(axis=1), motifs)
    scores = ["precision", "recall", "F1"]
    mean = {"motif": "macro average", **found[scores].mean(), "support": int(found["support"].sum())}
    out = pd.concat([found.reset_index(), pd.DataFrame([mean])], ignore_index=True)
    return out.assign(**{name: out[name].map(partial(say.number, decimals=2)) for name in scores})


def claims_frame(rows: Sequence[ClaimRow]) -> pd.DataFrame:
    """The claims table as short text."""
    out = []
    for r in rows:
        show, ours = say.percent, "–"
        if r.metric in {"loss", "train_loss", "macro_f1"}:
            show = partial(say.number, decimals=3)
        elif r.metric.endswith("images") and r.metric != "ten_images":
            show = partial(say.number, decimals=0)
        if r.published:
            low, high = r.published.range
            band = say.percent_range(say.Band(low, high)) if show is say.percent else f"{show(low)}–{show(high)}"
            ours = f"{show(r.published.median)} ({band})"
        value = say.of_images(r.value, r.n) if r.metric == "ten_images" and r.n else show(r.value)
        shown = f"about {value} (read off)" if r.read_off else value
        grouped = "–" if r.grouped is None else show(r.grouped.value)
        out.append((r.what, shown, ours, grouped, r.verdict, r.reason))
    return frame("claim; published; ours, same split; ours, grouped; verdict; why", out)


def grouped_table(analysis: Analysis) -> pd.DataFrame:
    """One row per model and baseline on the shared folds: mean accuracy with interval, other scores, folds, fits."""
    rows, others = [], ["balanced", "top_3", "macro_f1"] if len(analysis.motifs) > MANY else ["balanced", "macro_f1"]
    for title, model in {analysis.title(m): m for m in [*analysis.models, *BASELINES]}.items():
        if interval := analysis.grouped_intervals.get(title):
            scores = [fold_scores(analysis.shared, model, metric=metric) for metric in others]
            means = [say.percent(mean_over_seeds(s).mean()) for s in scores[:-1]]
            folds = len(scores[0].groupby(["repeat", "fold"]))
            f1 = say.number(mean_over_seeds(scores[-1]).mean(), 3)
            rows.append((title, reached(interval), *means, f1, folds, len(scores[0])))
    named = {"balanced": "balanced", "top_3": "among the first three", "macro_f1": "macro F1"}
    return frame("; ".join(["model", "accuracy", *(named[metric] for metric in others), "folds", "fits"]), rows)


def sources_table(analysis: Analysis) -> pd.DataFrame:
    """One row per model and baseline: accuracy with near-duplicates, and with whole sources, on one side."""
    rows = []
    for title, model in {analysis.title(m): m for m in [*analysis.models, *BASELINES]}.items():
        apart = grouped_interval(analysis.shared, model, protocol="sources")
        if apart and (interval := analysis.grouped_intervals.get(title)):
            even = say.percent(fold_scores(analysis.shared, model, "sources", "balanced")["value"].mean())
            rows.append((title, reached(interval), reached(apart), even, apart.n))
    table = frame("model; near-duplicates together; sources together; balanced; folds", rows)
    return table if "uneven" in analysis.facts else table.drop(columns="balanced")


def large_sources_table(analysis: Analysis) -> pd.DataFrame:
    """One row per large source, then these together and all other pictures: what it is, how often its are right."""
    rows, titles = [], dict(zip(analysis.dataset.motifs, analysis.motifs, strict=True))
    for row in analysis.large_sources:
        names = [f"{titles[motif]} {n}" for motif, n in row.motifs.items()]
        motifs = say.listed(names) if len(names) <= 4 else f"{len(names)} motifs"
        rows.append((row.why, row.pictures, motifs, say.percent(row.grouped), say.percent(row.sources)))
    return frame("source; pictures; of which; right, source also trained on; right, source apart", rows)


def others_scores(analysis: Analysis) -> dict[str, NDArray[np.float64]]:
    """{title: accuracy on each of the splits of others} of the models that were fitted on them."""
    found = {analysis.title(m): fold_scores(analysis.results, m, "others") for m in [*analysis.models, *BASELINES]}
    return {title: scores["value"].to_numpy() for title, scores in found.items() if len(scores) > 1}


def others_table(analysis: Analysis) -> pd.DataFrame:
    """Ours on the splits of others, then what they reported: mean and standard deviation over splits, parameters."""
    sizes, others = {analysis.title(m): analysis.parameters(m) for m in analysis.models}, analysis.study.others
    found = others_scores(analysis).items()
    shown = [(title, "here", scores.mean(), scores.std(ddof=1), sizes.get(title)) for title, scores in found]
    shown += [(r.title, others.title, r.accuracy, r.sd, r.parameters) for r in others.reported] if others else []
    rows = [(*who, say.percent(mean), say.points(sd), "–" if n is None else f"{n:,}") for *who, mean, sd, n in shown]
    return frame("model; by; accuracy; standard deviation; parameters", rows)


def pairs_frame(dataset: Dataset) -> pd.DataFrame:
    """The confirmed pairs of copies, with their evidence."""
    rows = [(p.a, p.b, p.kind, "differ" if p.labels_differ else "same", p.reason) for p in dataset.pairs]
    return frame("a; b; kind; labels; evidence", rows)


def disputed_table(analysis: Analysis) -> pd.DataFrame:
    """One row per model: accuracy on pictures of one motif's folder, and on those of several; Wilson's on groups."""
    data, rows = analysis.dataset, []
    inside = disputed(data.labels, data.groups).rows
    for model, oof in analysis.oofs.items():
        places, cells = [data.paths.index(path) for path in oof.paths], []
        for side in (~inside[places], inside[places]):
            groups = len(np.unique(data.groups[places][side]))
            cells.append(reached(wilson(oof.right[side].mean() * groups, groups)) if groups else "–")
        rows.append((analysis.title(model), *cells))
    return frame("model; pictures of one motif; pictures of several", rows)


def tried_table(analysis: Analysis) -> pd.DataFrame:
    """One row per trial that the study's file tells of."""
    rows = [(t.what, t.result, f"`{t.command}`" if t.command else "–") for t in analysis.study.tried]
    return frame("tried; found; by", rows)


def comparison_table(analysis: Analysis, comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Comparisons on the shared folds: both means, difference with its interval, p (a primary one, or Holm's)."""
    rows = []
    for c in comparisons:
        means = f"{say.hundredths(c.mean_a)} and {say.percent(c.mean_b)}"
        low, high = (say.hundredths(end, sign=True) for end in (c.difference.low, c.difference.high))
        difference = f"{say.hundredths(c.difference.value, sign=True)} ({low}{say.NBSP}to{say.NBSP}{high})"
        p = say.p_value(c.p).removeprefix("p\u00a0=\u00a0").removeprefix("p\u00a0")
        p += " (primary)" if c.primary else " (Holm)" * (c.p_adjusted is not None)
        rows.append((analysis.title(c.a), analysis.title(c.b), means, difference, c.folds * c.repeats, p))
    return frame("A; B; A and B; A − B in points, 95 % interval; folds; p", rows)


def per_motif_table(analysis: Analysis) -> pd.DataFrame:
    """Per motif and model of the verdict: precision, recall, F1 with bootstrap intervals, as "0.81 (0.74–0.88)"."""
    found = {analysis.title(m): analysis.per_motif[m].copy() for m in analysis.study.compare if m in analysis.per_motif}
    for scores in found.values():
        for name in ("precision", "recall", "F1"):
            cells = scores[[name, f"{name}_low", f"{name}_high"]].to_numpy()
            two = [[say.number(v, 2) for v in row] for row in cells]
            scores[name] = [f"{value} ({low}–{high})" for value, low, high in two]
    shown = pd.concat(found, names=["model", "motif"]).reset_index()
    return shown[["model", "motif", "precision", "recall", "F1", "support"]]


def calibration_table(analysis: Analysis, calibrations: Sequence[Calibration]) -> pd.DataFrame:
    """One row per model: confidence and accuracy; calibration error, Brier score and loss, before and after scaling."""
    rows = []
    for c in calibrations:
        pairs = [(getattr(c.before, m), getattr(c.after, m)) for m in ("ece", "brier", "log_loss")]
        cells = [" → ".join(say.number(v, 3) for v in pair) for pair in pairs]
        heat = say.number(float(np.median(c.temperatures)), 2)
        means = (say.percent(c.before.confidence), say.percent(c.before.accuracy), heat)
        rows.append((analysis.title(c.model), *means, *cells))
    return frame("model; confidence; accuracy; temperature; calibration error; Brier score; loss", rows)


def ten_images(result: FitResult) -> list[int]:
    """Rows of ten test images spread over the classes: the first of each class in turn, by path."""
    paths = pd.DataFrame({"path": result.paths, "motif": result.y_true}).sort_values("path")
    turn = paths.groupby("motif").cumcount()
    return paths.assign(turn=turn).sort_values(["turn", "motif"]).index[:10].tolist()


def frame(columns: str, rows: Iterable[tuple[Any, ...]]) -> pd.DataFrame:
    """Rows under columns whose names stand in one text, "a; b; c"."""
    return pd.DataFrame(list(rows), columns=columns.split("; "))


def coverage_table(sets: dict[str, Any]) -> pd.DataFrame:
    """How often prediction sets hold the true motif (deploy.bundle.Sets as plain values): in all, and per motif."""
    found = {"all": sets["measured"]} | sets["per_motif"]
    names = ["all", *say.motif_names(list(sets["per_motif"]))]
    shares = (f"{say.percent(m['value'])} ({say.percent_range(say.Band(m['low'], m['high']))})" for m in found.values())
    counts = (m["n"] for m in found.values())
    return frame("motif; held, 95 % interval; pictures", zip(names, shares, counts, strict=True))
