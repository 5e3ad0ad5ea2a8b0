"""What the notebooks need: numbers and decided words drawn from an analysis, and every trio of its motifs."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from batik_utils import wording as say
from batik_utils.errors import BatikError
from batik_utils.models.baselines import BASELINES
from batik_utils.report.analysis import MANY, Analysis
from batik_utils.report.tables import others_scores
from batik_utils.stats import compare as rules
from batik_utils.stats import mistakes
from batik_utils.stats.compare import fold_gap
from batik_utils.stats.intervals import Interval
from batik_utils.stats.mistakes import line, motif_means
from batik_utils.stats.scores import fold_scores, grouped_interval, published_summary
from batik_utils.study import ROOT

SIDES = ["a", "b", "c"]

CORRUPTED = {"greyscale": "stripped of colour", "blur": "blurred"}
CORRUPTED |= {"patches": "cut into sixteen and shuffled", "border": "reduced to their border"}


def overfitting(analysis: Analysis) -> dict[str, dict[str, Any]]:
    """{title: finding} of the verdict's models that learn in epochs, on the one split: accuracy trained, tested; word;
    turned are the seeds whose loss on other pictures ends more than a tenth above its minimum."""
    out = {}
    for model in analysis.study.compare:
        s = analysis.summaries.get(model)
        if s is not None and (accuracies := s.values["train_accuracy"]):
            trained, losses = accuracies[s.place], [fit.history["val_loss"] for fit in s.fits]
            found = {"trained": trained, "tested": s.interval, "word": rules.fit_gap(trained, s.interval)}
            out[analysis.title(model)] = found | {"turned": sum(map(rules.turned_up, losses)), "seeds": len(losses)}
    return out


def balanced(analysis: Analysis, protocol: str = "grouped") -> list[float]:
    """Balanced accuracy (mean recall of the motifs) of the verdict's two models under a protocol; [] without fits."""
    scores = analysis.scores[(analysis.scores["protocol"] == protocol) & (analysis.scores["metric"] == "balanced")]
    found = dict(zip(scores["model"], scores["value"], strict=True))
    return [found[model] for model in analysis.study.compare if {*analysis.study.compare} <= {*found}]


def confusion(analysis: Analysis) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """({title: out-of-fold confusion}, motifs in the same order); of many motifs one matrix, clustered."""
    many = len(analysis.motifs) > MANY
    shown = [analysis.pretrained] if many else list(analysis.study.compare)
    found = {analysis.title(m): analysis.oofs[m].confusion for m in shown if m in analysis.oofs}
    order = list(range(len(analysis.motifs)))
    if many and found:
        (order,) = map(mistakes.confusion_order, found.values())
    return {title: m[np.ix_(order, order)] for title, m in found.items()}, [analysis.motifs[i] for i in order]


def baselines(analysis: Analysis) -> list[dict[str, Any]]:
    """Both models of the verdict: title, accuracy, where it lies of chance, and against what needs no network."""
    names, out = {name: b.title.lower() for name, b in BASELINES.items()}, []
    for model in analysis.study.compare:
        against = {names[c.b]: c for c in analysis.comparisons if c.a == model and c.b in names}
        if accuracy := analysis.grouped_intervals.get(analysis.title(model)):
            found = {"chance": rules.side(accuracy, analysis.chance), "against": rules.sorted_out(against)}
            out.append({"title": analysis.title(model), "accuracy": accuracy} | found)
    return out


def permuted(analysis: Analysis) -> dict[str, Interval]:
    """{title: accuracy with labels dealt out at random} of models and baselines that have such fits."""
    found = [(m, grouped_interval(analysis.results, m, protocol="permuted")) for m in [*analysis.models, *BASELINES]]
    return {analysis.title(m): i for m, i in found if i}


def worst_corruptions(analysis: Analysis) -> dict[str, tuple[str, Interval]]:
    """{title of a model of the verdict above chance: (what costs it most, what that costs)}."""
    scores, out = analysis.corrupted(analysis.study.compare), {}
    for model in analysis.study.compare:
        title, plain = analysis.title(model), fold_scores(analysis.shared, model)
        parts = scores[scores["label"] == title]["corruption"][1:]
        costs = {part: fold_gap(plain, fold_scores(analysis.shared, model, part=part)) for part in parts}
        drops = {part: drop for part, drop in costs.items() if drop}
        if drops and rules.side(analysis.grouped_intervals.get(title), analysis.chance) == "above":
            worst = min(drops, key=lambda name: (-drops[name].value, name))
            out[title] = CORRUPTED.get(worst, worst), drops[worst]
    return out


def curves(analysis: Analysis) -> dict[str, dict[str, Any]]:
    """{title: curve} of the models that have one of two points or more: its ends, and whether it still rises."""
    out, curve = {}, analysis.curve()
    for model in analysis.pairs:
        points = curve[curve["label"] == analysis.title(model)]
        last = [fold_scores(analysis.results, model, f"curve-{k}") for k in points["images"][-2:]]
        if len(last) > 1 and (step := fold_gap(*last[::-1])):
            (fewest, first), (most, end) = points[["images", "mean"]].iloc[[0, -1]].itertuples(index=False)
            found = {"fewest": fewest, "most": most, "first": first, "last": end}
            out[analysis.title(model)] = found | {"step": step, "word": rules.trend(step)}
    return out


def on_others(analysis: Analysis) -> dict[str, float]:
    """The verdict's pretrained model on the splits of others: mean and standard deviation over splits."""
    scores = others_scores(analysis)[analysis.title(analysis.pretrained)]
    return {"mean": float(scores.mean()), "sd": float(scores.std(ddof=1))}


def mistakes_on_one_split(analysis: Analysis) -> list[tuple[str, str, float, str, float, int]]:
    """(mistake, right, its mean accuracy, wrong, its, pictures) of variants that are fitted on the one split alone."""
    out = []
    for wrong, right, mistake in analysis.variants:
        pair = [(m, analysis.own_setting(m)) for m in (right, wrong)]
        a, b = (analysis.summaries.get(m) or published_summary(analysis.results, m, setting) for m, setting in pair)
        if a and b and not analysis.planned(wrong):
            means = (float(np.mean(s.values["accuracy"])) for s in (a, b))
            out.append((mistake, analysis.title(right), next(means), analysis.title(wrong), next(means), a.interval.n))
    return out


def trio_frame(analysis: Analysis) -> pd.DataFrame:
    """One row per trio, easiest first: a, b, c (folders), pictures, accuracy by recipe, rank (by the first) from 1."""
    tables = {model: found.table for model, found in analysis.trios.items()}
    first, *_ = tables.values()
    folders = {side: [analysis.dataset.motifs[i] for i in first[side]] for side in SIDES}
    out = pd.DataFrame(folders | {"pictures": first["n"]} | {m: table["accuracy"] for m, table in tables.items()})
    out["rank"] = first["accuracy"].rank(ascending=False, method="min").astype(int)
    return out.sort_values(["rank", *SIDES], ignore_index=True)


def trio_accuracies(analysis: Analysis) -> dict[str, pd.Series]:
    """{title: accuracy on every trio}"""
    return {analysis.title(model): found.table["accuracy"] for model, found in analysis.trios.items()}


def published_trios(analysis: Analysis) -> pd.DataFrame:
    """What others report, the easiest trio first: by, trio, model, arm, stated; ours (the first recipe's), rank, note.

    Only of trios of the study's motifs. Raises BatikError where studies/trios/ has no such file.
    """
    path, frame = ROOT / "studies" / "trios" / f"{analysis.study.trios}.csv", trio_frame(analysis)
    if not path.is_file():
        raise BatikError(f"{analysis.study.name}: trios names {path.name}, which is not in studies/trios/.")
    names = dict(zip(analysis.dataset.motifs, analysis.motifs, strict=True))
    places = {frozenset(trio): i for i, trio in enumerate(frame[SIDES].itertuples(index=False))}
    stated = pd.read_csv(path, comment="#", dtype={"accuracy": float}).fillna({"note": ""})
    stated["place"] = [places.get(frozenset(str(motifs).split())) for motifs in stated["motifs"]]
    stated = stated.dropna(subset="place").rename(columns={"accuracy": "stated"})
    stated[["ours", "rank"]] = frame.loc[stated["place"].astype(int), [next(iter(analysis.trios)), "rank"]].to_numpy()
    stated["trio"] = [", ".join(names[motif] for motif in str(motifs).split()) for motifs in stated["motifs"]]
    columns = ["by", "trio", "model", "arm", "stated", "ours", "rank", "note"]
    return stated[columns].astype({"rank": int}).sort_values("rank", kind="stable", ignore_index=True)


def trio_numbers(analysis: Analysis) -> dict[str, Any] | None:
    """What metrics.json says of all trios, or None; regression is of the stated accuracies on ours, by arm."""
    if not analysis.trios:
        return None
    frame, stated, models = trio_frame(analysis), published_trios(analysis), [*analysis.trios]
    names = dict(zip(analysis.dataset.motifs, analysis.motifs, strict=True))
    ends = {"easiest": frame.iloc[0], "hardest": frame.iloc[-1]}
    means = {m: motif_means(t.table, len(names)).tolist() for m, t in analysis.trios.items()}
    fits = {str(arm): line(rows["ours"].tolist(), rows["stated"].tolist()) for arm, rows in stated.groupby("arm")}
    return {
        "count": len(frame),
        "accuracy": {m: frame[m].agg(["mean", "std", "min", "max"]).to_dict() for m in models},
        **{what: ", ".join(names[motif] for motif in row[SIDES]) for what, row in ends.items()},
        "published": stated.drop(columns="note").to_dict("records"),
        "motifs": {m: dict(zip(names, values, strict=True)) for m, values in means.items()},
        "regression": fits,
        "rank_correlation": float(spearmanr(frame[models[0]], frame[models[1]])[0]) if len(models) > 1 else None,
    }


def trio_table(analysis: Analysis) -> pd.DataFrame:
    """One row per trio and model that others report, as short text."""
    found, count = published_trios(analysis), len(trio_frame(analysis))
    shares = {column: found[column].map(say.percent) for column in ("stated", "ours")}
    place = [f"{rank:,} of {count:,}" for rank in found["rank"]]
    return found[["trio", "model"]].assign(**shares, place=place, note=found["note"])


def trio_motifs(analysis: Analysis) -> pd.DataFrame:
    """Mean accuracy over the trios that hold a motif, by each recipe; the easiest first."""
    means = {analysis.title(m): motif_means(t.table, len(analysis.motifs)) for m, t in analysis.trios.items()}
    return _shares(pd.DataFrame({"motif": analysis.motifs} | means))


def trio_pairs(analysis: Analysis) -> pd.DataFrame:
    """The ten pairs most confused by the first recipe: motif, and, share of both one's pictures taken for the other."""
    one, other = np.triu_indices(len(analysis.motifs), 1)
    either = {analysis.title(m): ((t.confused + t.confused.T) / 2)[one, other] for m, t in analysis.trios.items()}
    names = np.array(analysis.motifs)
    return _shares(pd.DataFrame({"motif": names[one], "and": names[other]} | either)).head(10)


def _shares(table: pd.DataFrame) -> pd.DataFrame:
    columns = table.select_dtypes("number").columns
    ordered = table.sort_values(columns[0], ascending=False, kind="stable", ignore_index=True)
    return ordered.assign(**{column: ordered[column].map(say.percent) for column in columns})
