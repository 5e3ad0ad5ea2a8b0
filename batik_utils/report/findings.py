"""What the notebooks' prose needs beside tables and figures: numbers and decided words, drawn from an analysis."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batik_utils.models.baselines import BASELINES
from batik_utils.report.analysis import MANY, Analysis
from batik_utils.report.tables import corruption_scores, curve_steps, others_scores
from batik_utils.stats import mistakes, rules
from batik_utils.stats.intervals import Interval
from batik_utils.stats.luck import Luck, runs_and_luck
from batik_utils.stats.scores import grouped_interval, published_summary
from batik_utils.wording import listed

CORRUPTED = {
    "greyscale": "stripped of colour",
    "blur": "blurred",
    "patches": "cut into sixteen and shuffled",
    "border": "reduced to their border",
}


class Overfitting(NamedTuple):
    """How one model's accuracy on training pictures stands to that on test pictures of one split."""

    trained: float
    tested: Interval
    word: str
    turned: int
    """Training seeds whose loss on other pictures ends more than a tenth above its minimum."""
    seeds: int


def overfitting(analysis: Analysis) -> dict[str, Overfitting]:
    """{title: finding} of the verdict's models that learn in epochs."""
    out = {}
    for model in analysis.study.compare:
        s = analysis.summaries.get(model)
        if s is not None and s.train_accuracy:
            trained = s.train_accuracy[s.seeds.index(s.median.fit.seed)]
            losses = [fit.history["val_loss"] for fit in s.fits]
            word = rules.fit_gap(trained, s.interval)
            turned = sum(map(rules.turned_up, losses))
            out[analysis.title(model)] = Overfitting(trained, s.interval, word, turned, len(losses))
    return out


def seed_range(analysis: Analysis) -> float:
    """The widest range of test accuracy over the training seeds of one model, as a fraction."""
    return max(s.high - s.low for s in analysis.summaries.values())


def odd_files(analysis: Analysis) -> dict[str, int]:
    """How many pictures were not stored as RGB, have 16 bits, are turned by EXIF, or are named as of another format."""
    facts = analysis.dataset.facts
    return {
        "mode": sum(fact["mode"] != "RGB" for fact in facts),
        "deep": sum(fact["mode"].startswith("I") for fact in facts),
        "turned": sum(fact["orientation"] != 1 for fact in facts),
        "misnamed": sum(not fact["extension_agrees"] for fact in facts),
    }


def balanced(analysis: Analysis, protocol: str = "grouped") -> list[float]:
    """Balanced accuracy (mean recall of the motifs) of the verdict's two models under a protocol; [] without fits."""
    scores = analysis.scores[(analysis.scores["protocol"] == protocol) & (analysis.scores["metric"] == "balanced")]
    found = dict(zip(scores["model"], scores["value"], strict=True))
    return [found[model] for model in analysis.study.compare if {*analysis.study.compare} <= {*found}]


def pair_kinds(analysis: Analysis) -> str:
    """How many pairs of copies there are of each kind, in words."""
    return listed([f"{n} {kind}" for kind, n in sorted(Counter(p.kind for p in analysis.dataset.pairs).items())])


def twins(analysis: Analysis) -> NDArray[np.int64]:
    """Rows of the fixed split's test pictures that have a copy among its training pictures."""
    return mistakes.twins_across(analysis.split, analysis.dataset.groups)


def confusion(analysis: Analysis) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """({title: out-of-fold confusion}, motifs in the same order); of many motifs one matrix, clustered."""
    many = len(analysis.motifs) > MANY
    shown = [analysis.pretrained] if many else list(analysis.study.compare)
    found = {analysis.title(m): analysis.oofs[m].confusion for m in shown if m in analysis.oofs}
    first = next(iter(found.values()), None)
    order = mistakes.confusion_order(first) if many and first is not None else range(len(analysis.motifs))
    places = np.ix_(list(order), list(order))
    return {title: matrix[places] for title, matrix in found.items()}, [analysis.motifs[i] for i in order]


class Baselines(NamedTuple):
    """A model of the verdict against chance and against what needs no network."""

    title: str
    accuracy: Interval
    chance: str
    """Where its interval lies: "above", "below" or "open"."""
    against: rules.Against


def baselines(analysis: Analysis) -> list[Baselines]:
    """Both models of the verdict, with what they are declared better or worse than."""
    names, out = {name: b.title.lower() for name, b in BASELINES.items()}, []
    for model in analysis.study.compare:
        against = {names[c.b]: c for c in analysis.comparisons if c.a == model and c.b in names}
        if accuracy := analysis.grouped_intervals.get(analysis.title(model)):
            chance = rules.side(accuracy, analysis.chance)
            out.append(Baselines(analysis.title(model), accuracy, chance, rules.sorted_out(against)))
    return out


def permuted(analysis: Analysis) -> dict[str, Interval]:
    """{title: accuracy with labels dealt out at random} of models and baselines that have such fits."""
    ran = [*analysis.models, *BASELINES]
    found = {m: grouped_interval(analysis.results, m, protocol="permuted") for m in ran}
    return {analysis.title(m): i for m, i in found.items() if i}


def worst_corruptions(analysis: Analysis) -> dict[str, tuple[str, Interval]]:
    """{title of a model of the verdict above chance: (what costs it most, what that costs)}."""
    scores, out = corruption_scores(analysis), {}
    for title in map(analysis.title, analysis.study.compare):
        if title in scores and rules.side(scores[title][0]["none"], analysis.chance) == "above":
            drops = scores[title][1]
            worst = min(drops, key=lambda name: (-drops[name].value, name))
            out[title] = CORRUPTED.get(worst, worst), drops[worst]
    return out


class Curve(NamedTuple):
    """A learning curve's ends, and whether it still rises."""

    fewest: int
    most: int
    first: float
    last: float
    step: Interval
    word: str


def curves(analysis: Analysis) -> dict[str, Curve]:
    """{title: curve} of the models that have one of two points or more."""
    out = {}
    for title, (accuracies, step) in curve_steps(analysis).items():
        if step is not None:
            sizes = sorted(accuracies)
            ends = accuracies[sizes[0]], accuracies[sizes[-1]]
            out[title] = Curve(sizes[0], sizes[-1], *ends, step, rules.trend(step))
    return out


def on_others(analysis: Analysis) -> dict[str, float]:
    """The verdict's pretrained model on the splits of others: mean and standard deviation over splits."""
    scores = others_scores(analysis)[analysis.title(analysis.pretrained)]
    return {"mean": float(scores.mean()), "sd": float(scores.std(ddof=1))}


def ladder(analysis: Analysis) -> list[tuple[str, str, float, float, float]]:
    """(protocol, title, value, low, high) of the verdict's models and of those tuned alike, for draw.ladder."""
    models = dict.fromkeys(model for pair in analysis.study.planned for model in pair if model in analysis.models)
    names = {"published": "one split", "grouped": "copies kept together", "sources": "whole sources held out"}
    every = [(field, analysis.judged(model)) for field in names for model in models]
    found = [(names[field], one.title, getattr(one, field)) for field, one in every]
    return [(name, title, i.value, max(0.0, i.low), min(1.0, i.high)) for name, title, i in found if i]


def runs(analysis: Analysis) -> tuple[pd.DataFrame, dict[str, Luck], dict[str, NDArray[np.float64]]]:
    """The original's runs beside ours, the luck in their best by arm, and its curves (stats.luck.runs_and_luck)."""
    scratch = {name for name, model in analysis.study.models.items() if not model.backbones}
    return runs_and_luck(analysis.seed_runs, scratch)


def mistakes_on_one_split(analysis: Analysis) -> list[tuple[str, str, float, str, float, int]]:
    """(mistake, right, its mean accuracy, wrong, its, pictures) of variants that are fitted on the one split alone."""
    out = []
    for wrong, right, mistake in analysis.variants:
        pair = [(m, analysis.own_setting(m)) for m in (right, wrong)]
        a, b = (analysis.summaries.get(m) or published_summary(analysis.results, m, setting) for m, setting in pair)
        if a and b and not analysis.planned(wrong):
            means = float(np.mean(a.accuracy)), float(np.mean(b.accuracy))
            out.append((mistake, analysis.title(right), means[0], analysis.title(wrong), means[1], a.n_test))
    return out
