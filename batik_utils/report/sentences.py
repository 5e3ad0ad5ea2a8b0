"""Sentences of the report: the findings of one story, as rules write them from its numbers."""

from __future__ import annotations

from batik_utils.evaluation import findings, remarks
from batik_utils.evaluation.compare import compare
from batik_utils.evaluation.intervals import variance_split
from batik_utils.evaluation.metrics import fold_scores, grouped_interval
from batik_utils.evaluation.power import power_statement
from batik_utils.evaluation.tables import BASELINES, probe_table
from batik_utils.evaluation.wording import listed, percent
from batik_utils.report.story import Story


def seeds(story: Story) -> list[str]:
    """One sentence per model on the published split."""
    return [findings.seed_range(story.label(m), s) for m, s in story.summaries.items()]


def mcnemar(story: Story) -> list[str]:
    """One sentence per McNemar comparison."""
    pairs = story.published_comparisons
    return [findings.published_comparison(c, story.label(c.a), story.label(c.b)) for c in pairs]


def cost(story: Story) -> str:
    """What the seed's preprocessing costs; empty where the study has no such pair of models."""
    wrong = next((m for m in story.models if m.endswith("_as_published")), None)
    if wrong is None:
        return ""
    own = wrong.removesuffix("_as_published")
    found = compare(story.results, own, wrong)
    return findings.preprocessing_cost(found, story.label(own), story.label(wrong))


def limit(story: Story) -> str:
    """Which of the verdict's models keeps the first seed's limit on parameters."""
    scratch, pretrained = story.scratch, story.pretrained
    counts = (story.parameters(scratch), story.label(pretrained), story.parameters(pretrained))
    return findings.parameter_limit(story.label(scratch), *counts)


def variance(story: Story) -> list[str]:
    """Data against training seed, for the models with several seeds."""
    splits = {m: variance_split(fold_scores(story.results, m)) for m in story.models}
    return [findings.variance(story.label(m), s) for m, s in splits.items() if s is not None]


def learnt(story: Story) -> list[str]:
    """Each of the verdict's models against chance and baselines."""
    out = []
    for model in story.study.compare:
        found = {n.lower(): compare(story.results, model, b) for b, n in BASELINES.items()}
        gaps = {name: c.difference for name, c in found.items() if c is not None}
        interval = grouped_interval(story.results, model)
        out.append(findings.learnt(story.label(model), interval, story.chance, gaps))
    return out


def probes(story: Story) -> list[str]:
    """How much each of the verdict's models loses when its images are tampered with."""
    table = probe_table(story.study, story.results).set_index(["label", "probe"])["accuracy"]
    out = []
    for label in map(story.label, story.study.compare):
        if label in table.index:
            own = table[label].to_dict()
            plain = own.pop("none")
            out.append(remarks.probes(label, plain, own, story.chance, len(story.dataset)))
    return out


def permutation(story: Story) -> list[str]:
    """The label-permutation control of every model that was run with shuffled labels."""
    ran = [m for m in [*story.models, *BASELINES] if len(story.results.select(m, "permuted"))]
    labels = {m: story.label(m) if m in story.study.models else BASELINES[m] for m in ran}
    found = {m: grouped_interval(story.results, m, protocol="permuted") for m in ran}
    return [remarks.permutation(labels[m], found[m], story.chance) for m in ran]


def curve(story: Story) -> list[str]:
    """Whether more images would help, per model with a learning curve."""
    out = []
    for model in story.models:
        names = {r.fit.protocol for r in story.results if r.fit.protocol.startswith("curve-")}
        found = {int(p[6:]): grouped_interval(story.results, model, protocol=p) for p in names}
        steps = {k: i for k, i in found.items() if i is not None}
        if steps:
            out.append(remarks.learning_curve(story.label(model), steps))
    return out


def neighbours(story: Story, k: int = 5) -> str:
    """How often a picture's nearest neighbours among frozen features share its motif."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=k).fit(story.clean_features(story.pretrained))
    labels = story.dataset.labels[found.kneighbors(return_distance=False)]  # without the picture itself
    share = float((labels == story.dataset.labels[:, None]).mean())
    return (
        f"Of each picture's {k} nearest neighbours among the frozen features of {story.label(story.pretrained)}, "
        f"{percent(share)} show the same motif; by chance it would be about {percent(story.chance)}."
    )


def abstract(story: Story) -> list[str]:
    """The abstract's paragraphs."""
    got, expected = story.counted
    pair = (story.label(story.pretrained), story.label(story.scratch))
    return findings.abstract(
        data=story.dataset.source.description,
        n_images=len(story.dataset),
        motifs=story.motifs,
        sample=story.dataset.source.is_sample,
        accuracies={story.label(m): grouped_interval(story.results, m) for m in story.models},
        chance=story.chance,
        verdict_sentence=findings.short_verdict(story.head, *pair, got, expected),
        claims=story.claims,
    )


def conclusion(story: Story) -> list[str]:
    """The conclusion's paragraphs."""
    limits = [_scope(story)]
    supports = [cost(story), *learnt(story), *permutation(story)]
    if story.claims:
        supports.append(findings.claims_summary(story.claims))
    return findings.conclusion(verdict_sentence=story.verdict.sentence, supports=supports, limits=limits)


def power(story: Story) -> str:
    """What the design can tell."""
    found = power_statement(story.results, story.pretrained, story.scratch)
    return remarks.power(found, story.label(story.pretrained), story.label(story.scratch))


def _scope(story: Story) -> str:
    which = f"{len(story.dataset)} {story.pictures} of {listed(story.motifs)}"
    if story.dataset.source.is_sample:
        return f"This holds for {which}, drawn by a program: it tells how the pipeline works, and nothing about batik."
    return (
        f"This holds for {which}, collected by others in a way that is not documented; how it carries over to other "
        "cloth, cameras and motifs is not known."
    )
