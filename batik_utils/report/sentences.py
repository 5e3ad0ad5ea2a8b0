"""Sentences of the report: the findings of one analysis, as rules write them from its numbers."""

from __future__ import annotations

from batik_utils.report import remarks, verdicts
from batik_utils.report.analysis import Analysis
from batik_utils.report.tables import BASELINES, corruption_table
from batik_utils.stats.compare import compare
from batik_utils.stats.intervals import variance_split
from batik_utils.stats.metrics import fold_scores, grouped_interval
from batik_utils.stats.power import power_statement
from batik_utils.wording import listed, percent


def seeds(analysis: Analysis) -> list[str]:
    """One sentence per model on the published split."""
    return [verdicts.seed_range(analysis.title(m), s) for m, s in analysis.summaries.items()]


def mcnemar(analysis: Analysis) -> list[str]:
    """One sentence per McNemar comparison."""
    pairs = analysis.published_comparisons
    return [verdicts.published_comparison(c, analysis.title(c.a), analysis.title(c.b)) for c in pairs]


def cost(analysis: Analysis) -> str:
    """What the seed's preprocessing costs; empty where the study has no such pair of models."""
    wrong = next((m for m in analysis.models if m.endswith("_as_published")), None)
    if wrong is None:
        return ""
    own = wrong.removesuffix("_as_published")
    found = compare(analysis.results, own, wrong)
    return verdicts.preprocessing_cost(found, analysis.title(own), analysis.title(wrong))


def limit(analysis: Analysis) -> str:
    """Which of the verdict's models keeps the first seed's limit on parameters."""
    scratch, pretrained = analysis.scratch, analysis.pretrained
    counts = (analysis.parameters(scratch), analysis.title(pretrained), analysis.parameters(pretrained))
    return verdicts.parameter_limit(analysis.title(scratch), *counts)


def variance(analysis: Analysis) -> list[str]:
    """Data against training seed, for the models with several seeds."""
    splits = {m: variance_split(fold_scores(analysis.results, m)) for m in analysis.models}
    return [verdicts.variance(analysis.title(m), s) for m, s in splits.items() if s is not None]


def learnt(analysis: Analysis) -> list[str]:
    """Each of the verdict's models against chance and baselines."""
    out = []
    for model in analysis.study.compare:
        found = {n.lower(): compare(analysis.results, model, b) for b, n in BASELINES.items()}
        gaps = {name: c.difference for name, c in found.items() if c is not None}
        interval = grouped_interval(analysis.results, model)
        out.append(verdicts.learnt(analysis.title(model), interval, analysis.chance, gaps))
    return out


def corruptions(analysis: Analysis) -> list[str]:
    """How much each of the verdict's models loses when its images are tampered with."""
    table = corruption_table(analysis.study, analysis.results).set_index(["label", "corruption"])["accuracy"]
    out = []
    for label in map(analysis.title, analysis.study.compare):
        if label in table.index:
            own = table[label].to_dict()
            plain = own.pop("none")
            out.append(remarks.corruptions(label, plain, own, analysis.chance, len(analysis.dataset)))
    return out


def permutation(analysis: Analysis) -> list[str]:
    """The label-permutation control of every model that was run with shuffled labels."""
    ran = [m for m in [*analysis.models, *BASELINES] if len(analysis.results.select(m, "permuted"))]
    labels = {m: analysis.title(m) if m in analysis.study.models else BASELINES[m] for m in ran}
    found = {m: grouped_interval(analysis.results, m, protocol="permuted") for m in ran}
    return [remarks.permutation(labels[m], found[m], analysis.chance) for m in ran]


def curve(analysis: Analysis) -> list[str]:
    """Whether more images would help, per model with a learning curve."""
    out = []
    for model in analysis.models:
        names = {r.fit.protocol for r in analysis.results if r.fit.protocol.startswith("curve-")}
        found = {int(p[6:]): grouped_interval(analysis.results, model, protocol=p) for p in names}
        steps = {k: i for k, i in found.items() if i is not None}
        if steps:
            out.append(remarks.learning_curve(analysis.title(model), steps))
    return out


def neighbours(analysis: Analysis, k: int = 5) -> str:
    """How often a picture's nearest neighbours among frozen features share its motif."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=k).fit(analysis.clean_features(analysis.pretrained))
    labels = analysis.dataset.labels[found.kneighbors(return_distance=False)]  # without the picture itself
    share = float((labels == analysis.dataset.labels[:, None]).mean())
    return (
        f"Of each picture's {k} nearest neighbours among the frozen features of {analysis.title(analysis.pretrained)}, "
        f"{percent(share)} show the same motif; by chance it would be about {percent(analysis.chance)}."
    )


def abstract(analysis: Analysis) -> list[str]:
    """The abstract's paragraphs."""
    got, expected = analysis.counted
    pair = (analysis.title(analysis.pretrained), analysis.title(analysis.scratch))
    return verdicts.abstract(
        data=analysis.dataset.source.description,
        n_images=len(analysis.dataset),
        motifs=analysis.motifs,
        sample=analysis.dataset.source.is_drawn,
        accuracies={analysis.title(m): grouped_interval(analysis.results, m) for m in analysis.models},
        chance=analysis.chance,
        verdict_sentence=verdicts.short_verdict(analysis.head, *pair, got, expected),
        claims=analysis.claims,
    )


def conclusion(analysis: Analysis) -> list[str]:
    """The conclusion's paragraphs."""
    limits = [_scope(analysis)]
    supports = [cost(analysis), *learnt(analysis), *permutation(analysis)]
    if analysis.claims:
        supports.append(verdicts.claims_summary(analysis.claims))
    return verdicts.conclusion(verdict_sentence=analysis.verdict.sentence, supports=supports, limits=limits)


def power(analysis: Analysis) -> str:
    """What the design can tell."""
    found = power_statement(analysis.results, analysis.pretrained, analysis.scratch)
    return remarks.power(found, analysis.title(analysis.pretrained), analysis.title(analysis.scratch))


def _scope(analysis: Analysis) -> str:
    which = f"{len(analysis.dataset)} {analysis.pictures} of {listed(analysis.motifs)}"
    if analysis.dataset.source.is_drawn:
        return f"This holds for {which}, drawn by a program: it tells how the pipeline works, and nothing about batik."
    return (
        f"This holds for {which}, collected by others in a way that is not documented; how it carries over to other "
        "cloth, cameras and motifs is not known."
    )
