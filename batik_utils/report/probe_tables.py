"""What was tried on the models, in numbers: learning curves and tampered images; probes.py has the sentences."""

import pandas as pd

from batik_utils.report.analysis import Analysis
from batik_utils.stats.compare import fold_gap
from batik_utils.stats.intervals import Interval
from batik_utils.stats.scores import fold_scores, grouped_interval


def curve_frame(analysis: Analysis) -> pd.DataFrame:
    """Of the planned pairs' models, by training images per motif: label, images, mean accuracy, low, high, folds."""
    curves = {r.fit.protocol for r in analysis.results if r.fit.protocol.startswith("curve-")}
    steps = sorted(int(protocol.removeprefix("curve-")) for protocol in curves)
    pairs = dict.fromkeys(m for pair in analysis.study.planned for m in pair)
    every = ((m, k) for m in pairs for k in steps)
    found = ((m, k, grouped_interval(analysis.results, m, protocol=f"curve-{k}")) for m, k in every)
    bands = ((analysis.title(m), k, i.value, max(0.0, i.low), min(1.0, i.high), i.n) for m, k, i in found if i)
    return pd.DataFrame(bands, columns=["label", "images", "mean", "low", "high", "folds"])


def curve_steps(analysis: Analysis) -> dict[str, tuple[dict[int, float], Interval | None]]:
    """{title: (mean accuracy by training images per motif, gain of the last size over the one before)}."""
    out: dict[str, tuple[dict[int, float], Interval | None]] = {}
    for title, rows in curve_frame(analysis).groupby("label", sort=False):
        model = next(m for m in analysis.models if analysis.title(m) == title)
        sizes = rows["images"].tolist()
        last = [fold_scores(analysis.results, model, f"curve-{k}") for k in sizes[-2:]]
        out[str(title)] = dict(zip(sizes, rows["mean"], strict=True)), fold_gap(*last[::-1]) if len(last) > 1 else None
    return out


def corruption_scores(analysis: Analysis) -> dict[str, tuple[dict[str, Interval], dict[str, Interval]]]:
    """{title: (accuracy on the shared folds by corruption, "none" among them; what each corruption costs)}."""
    out = {}
    for model in analysis.models:
        there = [set(r.corruptions) for r in analysis.shared.select(model, "grouped")]
        every = sorted(set.intersection(*there)) if there else []
        plain = fold_scores(analysis.shared, model)
        found = {c or "none": grouped_interval(analysis.shared, model, part=c) for c in (None, *every)}
        drops = {c: fold_gap(plain, fold_scores(analysis.shared, model, part=c)) for c in every}
        if every and all(found.values()) and all(drops.values()):
            kept = ({name: i for name, i in part.items() if i} for part in (found, drops))
            out[analysis.title(model)] = next(kept), next(kept)
    return out


def corruption_frame(analysis: Analysis) -> pd.DataFrame:
    """Accuracy on the shared folds: columns label, corruption ("none" is the untouched image), accuracy, low, high."""
    every = ((title, scores) for title, (scores, _) in corruption_scores(analysis).items())
    rows = ((title, c, i.value, i.low, i.high) for title, scores in every for c, i in scores.items())
    return pd.DataFrame(rows, columns=["label", "corruption", "accuracy", "low", "high"])
