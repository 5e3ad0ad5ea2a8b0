"""Tables as the report shows them: data frames of short text, made from results and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd

from batik_utils.models.baselines import BASELINES
from batik_utils.models.kinds import KINDS
from batik_utils.stats.calibration import Calibration
from batik_utils.stats.claims import ClaimRow
from batik_utils.stats.compare import Comparison, PublishedComparison
from batik_utils.stats.metrics import OutOfFold, accuracy, fold_scores, grouped_interval, per_motif, published_summary
from batik_utils.stats.search import settings_table
from batik_utils.study import Augmentation, Study
from batik_utils.values import Dataset, FitResult, Results
from batik_utils.wording import (
    Band,
    fraction,
    motif_names,
    number,
    p_value,
    percent,
    percent_range,
    points_range,
    probability,
    signed_points,
)


def fitted(study: Study, results: Results) -> list[str]:
    """The study's models that have results, in the study's order."""
    there = {r.fit.model for r in results if not r.missing}
    return [name for name in study.models if name in there]


def title_of(study: Study, model: str) -> str:
    """The name that readers see, of a model or a baseline."""
    return (study.models[model] if model in study.models else BASELINES[model]).title


def data_table(dataset: Dataset) -> pd.DataFrame:
    """One row per motif: pictures used, near-duplicate groups, files skipped, files as published (where they are)."""
    rows = []
    for label, (motif, name) in enumerate(zip(dataset.motifs, motif_names(dataset.motifs), strict=True)):
        here = dataset.labels == label
        skipped = sum(path.startswith(f"{motif}/") for path, _ in dataset.skipped)
        identical = sum(f.get("status") == "identical" and own for f, own in zip(dataset.facts, here, strict=False))
        rows.append((name, int(here.sum()), len(set(dataset.groups[here].tolist())), skipped, identical))
    table = pd.DataFrame(rows, columns=["motif", "pictures", "distinct", "skipped", "identical to published"])
    return table if dataset.source.kind == "published" else table.drop(columns="identical to published")


def facts_frame(dataset: Dataset) -> pd.DataFrame:
    """One row per picture: path, motif and the facts of its file."""
    names = motif_names(dataset.motifs)
    where = pd.DataFrame({"path": dataset.paths, "motif": [names[i] for i in dataset.labels]})
    return where.join(pd.DataFrame(list(dataset.facts)))


def format_table(dataset: Dataset) -> pd.DataFrame:
    """How many files are what they claim to be: format, colour mode, rotated by EXIF, misnamed."""
    frame = facts_frame(dataset)
    frame["turned"] = frame["orientation"] != 1
    frame["misnamed"] = ~frame["extension_agrees"].astype(bool)
    sums = frame.groupby(["format", "mode"], as_index=False).agg(
        files=("path", "size"), turned=("turned", "sum"), misnamed=("misnamed", "sum")
    )
    return sums.rename(columns={"mode": "colour mode", "turned": "turned by EXIF"})


def pair_table(dataset: Dataset) -> pd.DataFrame:
    """One row per pair of near-duplicates, with the evidence."""
    rows = [(p.a, p.b, p.kind, "differ" if p.labels_differ else "same", p.reason) for p in dataset.pairs]
    return pd.DataFrame(rows, columns=["a", "b", "kind", "labels", "evidence"])


def model_table(study: Study, results: Results) -> pd.DataFrame:
    """One row per model: how it starts, parameters, epochs, batch, learning rate, dropout."""
    parameters = {r.fit.model: r.parameters for r in results if not r.missing}
    rows = []
    for name in fitted(study, results):
        m = study.models[name]
        start, rate = KINDS[m.kind].describe(m).starts, number(m.learning_rate, 4).rstrip("0")
        rows.append((m.title, start, f"{parameters[name]:,}", m.epochs, m.batch_size, rate, f"{m.dropout:g}"))
    return pd.DataFrame(rows, columns=["model", "weights", "parameters", "epochs", "batch", "rate", "dropout"])


def augmentation_words(augmentation: Augmentation) -> str:
    """What a training image may undergo, as a clause."""
    a = augmentation
    parts = (
        f"rotation by up to ±{a.rotation:g}°" if a.rotation else "",
        f"shifts by up to ±{100 * a.shift:g} % of each side" if a.shift else "",
        f"shear by up to ±{a.shear:g}°" if a.shear else "",
        f"zoom of each axis by {1 - a.zoom:g}–{1 + a.zoom:g}" if a.zoom else "",
        "horizontal flips" if a.horizontal_flip else "",
    )
    return ", ".join(filter(None, parts)) or "no change"


def published_table(study: Study, results: Results) -> pd.DataFrame:
    """One row per model on the published split: seeds' accuracy, Wilson interval, loss, macro F1, the claim."""
    claims = {c.model: percent(c.value) for c in study.claims if c.metric == "accuracy"}
    rows = []
    for name in fitted(study, results):
        s = published_summary(results, name)
        if s is not None:
            place = s.seeds.index(s.median.fit.seed)
            right = fraction(s.correct[place], s.n_test)
            row = (title_of(study, name), claims.get(name), percent(s.median_accuracy), right, percent_range(s))
            rows.append((*row, percent_range(s.interval), number(s.loss[place], 3), number(s.macro_f1[place], 3)))
    columns = ["model", "published", "median", "right", "over seeds", "95 % interval", "loss", "macro F1"]
    table = pd.DataFrame(rows, columns=columns)
    return table if table["published"].notna().any() else table.drop(columns="published")


def report_table(frame: pd.DataFrame) -> pd.DataFrame:
    """A classification report (metrics.classification_table) with its macro average."""
    mean = {"motif": "*macro average*", **frame[["precision", "recall", "F1"]].mean()}
    last = pd.DataFrame([{**mean, "support": int(frame["support"].sum())}])
    out = pd.concat([frame.reset_index(), last], ignore_index=True)
    for column in ("precision", "recall", "F1"):
        out[column] = [number(v, 2) for v in out[column]]
    return out


def mcnemar_table(study: Study, comparisons: Sequence[PublishedComparison]) -> pd.DataFrame:
    """One row per pair of models on the published split: images that only one got right, exact p of each seed."""
    rows = []
    for c in comparisons:
        p = [t.p_value for t in c.seeds]
        seeds = (f"{_p(min(p))} – {_p(max(p))}", fraction(sum(v < 0.05 for v in p), len(p)))
        pair = (title_of(study, c.median.a), title_of(study, c.median.b))
        rows.append((*pair, c.median.only_a, c.median.only_b, _p(c.median.p_value), *seeds))
    columns = ["A", "B", "only A right", "only B right", "p, median seeds", "p, over seeds", "seeds with p < 0.05"]
    return pd.DataFrame(rows, columns=columns)


def search_frame(study: Study, results: Results) -> pd.DataFrame:
    """Every setting tried, best of each model first: columns label, …, val_accuracy, test_accuracy, chosen."""
    tried = [name for name in fitted(study, results) if study.models[name].search]
    frames = {title_of(study, name): settings_table(results, name) for name in tried}
    return pd.concat([f.assign(label=t, chosen=f.index == 0) for t, f in frames.items()], ignore_index=True)


def search_table(every: pd.DataFrame, top: int = 3) -> pd.DataFrame:
    """The best settings of each model on validation."""
    best = every.groupby("label", sort=False).head(top)
    columns = ["label", "epochs", "learning_rate", "dropout", "seeds", "val_accuracy", "val_loss", "test_accuracy"]
    best = best[columns].assign(
        val_accuracy=best["val_accuracy"].map(percent), test_accuracy=best["test_accuracy"].map(percent)
    )
    return best.set_axis(
        ["model", "epochs", "rate", "dropout", "seeds", "validation", "validation loss", "test"], axis=1
    )


def grouped_table(study: Study, results: Results) -> pd.DataFrame:
    """One row per model and baseline under the grouped protocol: mean accuracy, corrected interval, fits."""
    rows = []
    for name in [*fitted(study, results), *BASELINES]:
        interval = grouped_interval(results, name)
        if interval is not None:
            f1 = fold_scores(results, name, metric="macro_f1")["value"].mean()
            fits = len(results.select(model=name, protocol="grouped"))
            rows.append((title_of(study, name), percent(interval.value), percent_range(interval), number(f1, 3), fits))
    return pd.DataFrame(rows, columns=["model", "accuracy", "95 % interval", "macro F1", "fits"])


def comparison_table(study: Study, comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """One row per pair of models: corrected interval and p of the difference, posterior probabilities."""
    rows = []
    for c in comparisons:
        p = _p(c.p_value if c.p_adjusted is None else c.p_adjusted)
        beliefs = (probability(c.p_a_better), probability(c.p_same), probability(c.p_b_better))
        difference = f"{signed_points(c.difference.value)} ({points_range(c.difference)})"
        rows.append((title_of(study, c.a), title_of(study, c.b), difference, p, *beliefs))
    p_name = "p (Holm)" if any(c.p_adjusted is not None for c in comparisons) else "p"
    columns = ["A", "B", "A − B, 95 % interval", p_name, "P(A better)", "P(same)", "P(B better)"]
    return pd.DataFrame(rows, columns=columns)


def per_motif_table(
    study: Study, oofs: Mapping[str, OutOfFold], motifs: Sequence[str], groups: Mapping[str, int]
) -> pd.DataFrame:
    """Per model and motif: precision, recall and F1 with bootstrap intervals, as "0.81 (0.74–0.88)"."""
    frames = []
    for name, oof in oofs.items():
        found = per_motif(oof, motifs, groups)
        frame = pd.DataFrame({"model": title_of(study, name), "motif": found.index})
        for column in ("precision", "recall", "F1"):
            cells = found[[column, f"{column}_low", f"{column}_high"]].to_numpy()
            frame[column] = [f"{value:.2f} ({low:.2f}–{high:.2f})" for value, low, high in cells]
        frames.append(frame.assign(support=found["support"].to_numpy()))
    return pd.concat(frames, ignore_index=True)


def calibration_table(study: Study, calibrations: Sequence[Calibration]) -> pd.DataFrame:
    """One row per model: confidence and accuracy; calibration error, Brier score and loss, before and after scaling."""
    rows = []
    for c in calibrations:
        cells = [f"{getattr(c.before, m):.3f} → {getattr(c.after, m):.3f}" for m in ("ece", "brier", "log_loss")]
        means = (percent(c.before.confidence), percent(c.before.accuracy), number(c.temperature, 2))
        rows.append((title_of(study, c.model), *means, *cells))
    columns = ["model", "confidence", "accuracy", "temperature", "calibration error", "Brier score", "loss"]
    return pd.DataFrame(rows, columns=columns)


def curve_frame(study: Study, results: Results) -> pd.DataFrame:
    """Per model and training images per motif: mean accuracy and corrected interval; label, images, mean, low, high."""
    steps = sorted({int(r.fit.protocol[6:]) for r in results if r.fit.protocol.startswith("curve-")})
    found = ((m, k, grouped_interval(results, m, protocol=f"curve-{k}")) for m in fitted(study, results) for k in steps)
    rows = [(title_of(study, m), k, i.value, max(0.0, i.low), min(1.0, i.high)) for m, k, i in found if i is not None]
    return pd.DataFrame(rows, columns=["label", "images", "mean", "low", "high"])


def corruption_frame(study: Study, results: Results) -> pd.DataFrame:
    """Mean accuracy over grouped fits: columns label, corruption ("none" is the untouched image), accuracy."""
    rows = []
    for name in fitted(study, results):
        fits = results.select(model=name, protocol="grouped").items
        every = sorted(set.intersection(*(set(r.corruptions) for r in fits))) if fits else []
        for corruption in ["none", *every] if every else []:
            scores = fold_scores(results, name, corruption=None if corruption == "none" else corruption)["value"]
            rows.append((title_of(study, name), corruption, float(scores.mean())))
    return pd.DataFrame(rows, columns=["label", "corruption", "accuracy"])


def corruption_table(frame: pd.DataFrame) -> pd.DataFrame:
    """corruption_frame as short text, one row per model."""
    wide = frame.assign(accuracy=frame["accuracy"].map(percent)).pivot(
        index="label", columns="corruption", values="accuracy"
    )
    wide = wide.loc[frame["label"].unique(), frame["corruption"].unique()]
    return wide.rename(columns={"none": "untouched"}).rename_axis(index="model", columns=None).reset_index()


def claims_frame(rows: Sequence[ClaimRow]) -> pd.DataFrame:
    """The claims table as short text."""
    out = []
    for r in rows:
        show = partial(number, decimals=3) if r.metric in {"loss", "macro_f1"} else percent
        ours = "–"
        if r.median is not None and r.low is not None and r.high is not None:
            band = f"{show(r.low)}–{show(r.high)}" if show is not percent else percent_range(Band(r.low, r.high))
            ours = f"{show(r.median)} ({band})"
        grouped = "–" if r.grouped is None else show(r.grouped.value)
        out.append((r.what, show(r.value), ours, grouped, f"**{r.verdict}**", r.reason))
    columns = ["claim", "published", "ours, same split", "ours, grouped", "verdict", "why"]
    return pd.DataFrame(out, columns=columns)


def ten_images(result: FitResult) -> list[int]:
    """Rows of ten test images spread over the classes: the first of each class in turn, by path."""
    paths = pd.DataFrame({"path": result.paths, "motif": result.y_true}).sort_values("path")
    turn = paths.groupby("motif").cumcount()
    return paths.assign(turn=turn).sort_values(["turn", "motif"]).index[:10].tolist()


def ten_table(study: Study, results: Results) -> pd.DataFrame:
    """Per model: right of ten for the median fit, the published figure where there is one, and all test images."""
    claims = {c.model: percent(c.value) for c in study.claims if c.metric == "ten_images"}
    found = {m: s for m in fitted(study, results) if (s := published_summary(results, m)) is not None}
    ten = {
        m: (s.median.y_true[rows], s.median.y_prob[rows]) for m, s in found.items() for rows in [ten_images(s.median)]
    }
    rows = [
        (title_of(study, m), claims.get(m), percent(accuracy(*ten[m])), percent(found[m].median_accuracy))
        for m in found
    ]
    columns = ["model", "published, ten pictures", "ours, these pictures", "ours, all test images"]
    table = pd.DataFrame(rows, columns=columns)
    return table if claims else table.drop(columns=columns[1])


def in_percent(frame: pd.DataFrame) -> pd.DataFrame:
    """metrics.most_confused, most_confidently_wrong or label_issues with shares as percentages."""
    shares = [c for c in ("share", "probability", "probability_true", "score") if c in frame]
    out = frame.assign(**{c: [percent(v) for v in frame[c]] for c in shares})
    if "images" in out:
        out["images"] = [number(v) for v in out["images"]]
    names = {"probability_true": "probability of the true one", "score": "support for the given"}
    return out.rename(columns=names)


def _p(value: float) -> str:
    return p_value(value).removeprefix("p\u00a0=\u00a0").removeprefix("p\u00a0")
