"""Tables as the report shows them: data frames of short text, made from results and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from batik_utils.figures.style import motif_name
from batik_utils.stats.calibration import Calibration
from batik_utils.stats.claims import ClaimRow
from batik_utils.stats.compare import Comparison, PublishedComparison
from batik_utils.stats.metrics import OutOfFold, accuracy, fold_scores, grouped_interval, per_motif, published_summary
from batik_utils.study import Augmentation, Study
from batik_utils.values import Dataset, FitResult, Results
from batik_utils.wording import (
    fraction,
    number,
    p_value,
    percent,
    percent_range,
    points_range,
    probability,
    signed_points,
)

BASELINES = {
    "baseline_metadata": "File facts only, picture unopened",
    "baseline_colour": "Colour histogram",
    "baseline_features": "Frozen features, logistic regression",
}
"""Models that are not networks of the study, with the names that readers see."""


def fitted(study: Study, results: Results) -> list[str]:
    """The study's models that have results, in the study's order."""
    there = {r.fit.model for r in results if not r.missing}
    return [name for name in study.models if name in there]


def label_of(study: Study, model: str) -> str:
    """The name that readers see."""
    return study.models[model].title if model in study.models else BASELINES[model]


def data_table(dataset: Dataset) -> pd.DataFrame:
    """One row per motif: pictures used, near-duplicate groups, files skipped, files as published."""
    rows = []
    for i, motif in enumerate(dataset.motifs):
        own = dataset.labels == i
        facts = [f for f, mine in zip(dataset.facts, own, strict=False) if mine]
        skipped = sum(path.startswith(f"{motif}/") for path, _ in dataset.skipped)
        identical = sum(f.get("status") == "identical" for f in facts)
        rows.append((motif_name(motif), int(own.sum()), len(set(dataset.groups[own].tolist())), skipped, identical))
    table = pd.DataFrame(rows, columns=["motif", "pictures", "distinct", "skipped", "identical to published"])
    return table.drop(columns="identical to published") if dataset.source.is_drawn else table


def facts_frame(dataset: Dataset) -> pd.DataFrame:
    """One row per picture: path, motif and the facts of its file."""
    frame = pd.DataFrame(list(dataset.facts))
    frame.insert(0, "path", list(dataset.paths))
    frame.insert(1, "motif", [dataset.motifs[i] for i in dataset.labels])
    return frame


def format_table(dataset: Dataset) -> pd.DataFrame:
    """How many files are what they claim to be: format, colour mode, rotated by EXIF, misnamed."""
    frame = facts_frame(dataset)
    frame["turned"] = frame["orientation"] != 1
    frame["misnamed"] = ~frame["extension_agrees"].astype(bool)
    sums = frame.groupby(["format", "mode"], as_index=False).agg(
        files=("path", "size"), turned=("turned", "sum"), misnamed=("misnamed", "sum")
    )
    sums.columns = ["format", "colour mode", "files", "turned by EXIF", "misnamed"]
    return sums


def model_table(study: Study, results: Results) -> pd.DataFrame:
    """One row per model: how it starts, parameters, epochs, batch, learning rate, dropout."""
    rows = []
    for name in fitted(study, results):
        model = study.models[name]
        count = next(r.parameters for r in results if r.fit.model == name and not r.missing)
        start = "random" if model.kind == "scratch" else "ImageNet"
        rate = number(model.learning_rate, 4).rstrip("0")
        rows.append((model.title, start, f"{count:,}", model.epochs, model.batch_size, rate, f"{model.dropout:g}"))
    columns = ["model", "weights", "parameters", "epochs", "batch", "rate", "dropout"]
    return pd.DataFrame(rows, columns=columns)


def augmentation_words(augmentation: Augmentation) -> str:
    """What a training image may undergo, as a clause."""
    parts = []
    if augmentation.rotation:
        parts.append(f"rotation by up to ±{augmentation.rotation:g}°")
    if augmentation.shift:
        parts.append(f"shifts by up to ±{100 * augmentation.shift:g} % of each side")
    if augmentation.shear:
        parts.append(f"shear by up to ±{augmentation.shear:g}°")
    if augmentation.zoom:
        parts.append(f"zoom of each axis by {1 - augmentation.zoom:g}–{1 + augmentation.zoom:g}")
    if augmentation.horizontal_flip:
        parts.append("horizontal flips")
    return ", ".join(parts) or "nothing"


def published_table(study: Study, results: Results) -> pd.DataFrame:
    """One row per model on the published split: seeds' accuracy, Wilson interval, loss, macro F1, the claim."""
    claims = {c.model: c.value for c in study.claims if c.metric == "accuracy"}
    rows = []
    for name in fitted(study, results):
        s = published_summary(results, name)
        if s is None:
            continue
        place = s.seeds.index(s.median.fit.seed)
        claimed = percent(claims[name]) if name in claims else None
        seeds = percent_range(s)
        right = fraction(s.correct[place], s.n_test)
        interval = percent_range(s.interval)
        row = (label_of(study, name), claimed, percent(s.median_accuracy), right, seeds, interval)
        rows.append((*row, number(s.loss[place], 3), number(s.macro_f1[place], 3)))
    columns = ["model", "published", "median", "right", "over seeds", "95 % interval", "loss", "macro F1"]
    table = pd.DataFrame(rows, columns=columns)
    return table if table["published"].notna().any() else table.drop(columns="published")


def report_table(frame: pd.DataFrame) -> pd.DataFrame:
    """A classification report (metrics.classification_table) with motif names and its macro average."""
    out = frame.reset_index()
    out["motif"] = [motif_name(m) for m in out["motif"]]
    mean = {"motif": "*macro average*", **frame[["precision", "recall", "F1"]].mean().to_dict()}
    out = pd.concat([out, pd.DataFrame([{**mean, "support": int(frame["support"].sum())}])], ignore_index=True)
    for column in ("precision", "recall", "F1"):
        out[column] = [number(v, 2) for v in out[column]]
    return out


def mcnemar_table(study: Study, comparisons: Sequence[PublishedComparison]) -> pd.DataFrame:
    """One row per pair of models on the published split: images that only one got right, exact p of each seed."""
    rows = []
    for c in comparisons:
        m = c.median
        p = [t.p_value for t in c.per_seed]
        span = f"{_p(min(p))} – {_p(max(p))}"
        rows.append((label_of(study, c.a), label_of(study, c.b), m.only_a, m.only_b, _p(m.p_value), span))
    return pd.DataFrame(rows, columns=["A", "B", "only A right", "only B right", "p, median seeds", "p, over seeds"])


def grouped_table(study: Study, results: Results) -> pd.DataFrame:
    """One row per model and baseline under the grouped protocol: mean accuracy, corrected interval, fits."""
    rows = []
    for name in [*fitted(study, results), *BASELINES]:
        interval = grouped_interval(results, name)
        if interval is None:
            continue
        f1 = fold_scores(results, name, metric="macro_f1")["value"].mean()
        fits = len(results.select(model=name, protocol="grouped"))
        rows.append((label_of(study, name), percent(interval.value), percent_range(interval), number(f1, 3), fits))
    return pd.DataFrame(rows, columns=["model", "accuracy", "95 % interval", "macro F1", "fits"])


def comparison_table(study: Study, comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """One row per pair of models: corrected interval and p of the difference, posterior probabilities."""
    rows = []
    for c in comparisons:
        p = c.p_value if c.p_adjusted is None else c.p_adjusted
        beliefs = (probability(c.p_a_better), probability(c.p_same), probability(c.p_b_better))
        pair = (label_of(study, c.a), label_of(study, c.b))
        difference = f"{signed_points(c.difference.value)} ({points_range(c.difference)})"
        rows.append((*pair, difference, _p(p), *beliefs))
    p_name = "p (Holm)" if any(c.p_adjusted is not None for c in comparisons) else "p"
    columns = ["A", "B", "A − B, 95 % interval", p_name, "P(A better)", "P(same)", "P(B better)"]
    return pd.DataFrame(rows, columns=columns)


def per_motif_long(
    study: Study, oofs: Mapping[str, OutOfFold], motifs: Sequence[str], groups: Mapping[str, int]
) -> pd.DataFrame:
    """Per model and motif: precision, recall, F1 with bootstrap intervals, for a table or a figure."""
    frames = []
    for name, oof in oofs.items():
        frame = per_motif(oof, motifs, groups).reset_index()
        frame.insert(0, "label", label_of(study, name))
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def per_motif_table(long: pd.DataFrame) -> pd.DataFrame:
    """The same as short text: "0.81 (0.74–0.88)"."""
    out = pd.DataFrame({"model": long["label"], "motif": [motif_name(m) for m in long["motif"]]})
    for column in ("precision", "recall", "F1"):
        cells = zip(long[column], long[f"{column}_low"], long[f"{column}_high"], strict=True)
        out[column] = [f"{v:.2f} ({low:.2f}–{high:.2f})" for v, low, high in cells]
    out["support"] = long["support"]
    return out


def calibration_table(study: Study, calibrations: Sequence[Calibration]) -> pd.DataFrame:
    """One row per model: expected calibration error, Brier score and loss, before and after scaling."""
    rows = []
    for c in calibrations:
        cells = [f"{getattr(c.before, m):.3f} → {getattr(c.after, m):.3f}" for m in ("ece", "brier", "log_loss")]
        rows.append((label_of(study, c.model), number(c.temperature, 2), *cells))
    columns = ["model", "temperature", "calibration error", "Brier score", "loss"]
    return pd.DataFrame(rows, columns=columns)


def curve_table(study: Study, results: Results) -> pd.DataFrame:
    """Per model and number of training images per motif: mean accuracy and corrected interval, as numbers."""
    rows = []
    protocols = sorted({r.fit.protocol for r in results if r.fit.protocol.startswith("curve-")}, key=_images)
    for name in fitted(study, results):
        for protocol in protocols:
            interval = grouped_interval(results, name, protocol=protocol)
            if interval is not None:
                band = (max(0.0, interval.low), min(1.0, interval.high))
                rows.append((label_of(study, name), _images(protocol), interval.value, *band))
    return pd.DataFrame(rows, columns=["label", "images", "mean", "low", "high"])


def corruption_table(study: Study, results: Results) -> pd.DataFrame:
    """Per model and corruptions: mean accuracy over grouped fits; "none" is the untouched image."""
    rows = []
    for name in fitted(study, results):
        fits = results.select(model=name, protocol="grouped").items
        corruptions = sorted(set.intersection(*(set(r.corruptions) for r in fits))) if fits else []
        for corruption in ["none", *corruptions] if corruptions else []:
            scores = fold_scores(results, name, corruption=None if corruption == "none" else corruption)["value"]
            rows.append((label_of(study, name), corruption, float(scores.mean())))
    return pd.DataFrame(rows, columns=["label", "corruption", "accuracy"])


def claims_frame(rows: Sequence[ClaimRow]) -> pd.DataFrame:
    """The claims table as short text."""
    out = []
    for r in rows:
        counted = r.metric not in {"loss", "macro_f1"}
        show = percent if counted else (lambda v: number(v, 3))
        ours = "–"
        if r.median is not None:
            band = percent_range(r) if counted else f"{show(r.low)}–{show(r.high)}"
            ours = f"{show(r.median)} ({band})"
        grouped = "–" if r.grouped is None else show(r.grouped.value)
        out.append((r.what, show(r.value), ours, grouped, f"**{r.verdict}**", r.reason))
    columns = ["claim", "published", "ours, same split", "ours, grouped", "verdict", "why"]
    return pd.DataFrame(out, columns=columns)


def ten_images(result: FitResult) -> list[int]:
    """Rows of ten test images spread over the classes: the first of each class in turn, by path."""
    order = sorted(range(len(result.paths)), key=lambda i: result.paths[i])
    queues = [[i for i in order if result.y_true[i] == c] for c in sorted(set(result.y_true.tolist()))]
    turns = [queue[k] for k in range(max(map(len, queues))) for queue in queues if k < len(queue)]
    return turns[:10]


def ten_score(result: FitResult) -> float:
    """Accuracy on those ten images."""
    rows = ten_images(result)
    return accuracy(result.y_true[rows], result.y_prob[rows])


def confused_table(frame: pd.DataFrame, paths: bool = False) -> pd.DataFrame:
    """metrics.most_confused or most_confidently_wrong with motif names and percentages."""
    out = frame.copy()
    for column in ("true", "predicted", "given", "suggested"):
        if column in out:
            out[column] = [motif_name(m) for m in out[column]]
    for column in ("share", "probability", "probability_true", "score"):
        if column in out:
            out[column] = [percent(v) for v in out[column]]
    if "images" in out:
        out["images"] = [number(v) for v in out["images"]]
    return out.rename(columns={"probability_true": "probability of the true one"})


def _images(protocol: str) -> int:
    return int(protocol.removeprefix("curve-"))


def _p(value: float) -> str:
    return p_value(value).removeprefix("p\u00a0=\u00a0").removeprefix("p\u00a0")
