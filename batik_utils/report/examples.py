"""What figures are made of: the method as boxes, and pictures with their words."""

import textwrap

import numpy as np

from batik_utils.figures import Picture
from batik_utils.models.kinds import KINDS, repetition
from batik_utils.report.analysis import MANY, Analysis
from batik_utils.values import FitResult
from batik_utils.wording import count, percent


def method(analysis: Analysis) -> list[dict[str, str]]:
    """The method as bands of boxes, {heading: text}, from the pictures to the verdict."""
    study, data, arms = analysis.study, analysis.dataset, {}
    for name in analysis.models:
        model = study.models[name]
        often, what = repetition(model, study), KINDS[model.kind].describe(model).words
        fits = f"{analysis.planned(name):,} fits ({count(often.repeats, 'repeat')}, {count(often.seeds, 'seed')})"
        arms[analysis.title(name)] = f"{what}; {analysis.parameters(name):,} parameters; {fits}"
    protocols = {
        "One split": f"{len(analysis.split.train)} train, {len(analysis.split.test)} test",
        "Grouped cross-validation": f"{study.grouped.folds} folds; a group is never on both sides",
    }
    motifs = textwrap.shorten(", ".join(analysis.motifs), 200, placeholder=" …")
    return [
        {f"{len(data):,} pictures": f"{len(analysis.motifs)} motifs: {motifs}"},
        {"Audit for near-duplicates": f"{len(np.unique(data.groups)):,} groups; copies of one picture share one"},
        protocols,
        arms,
        {
            "Intervals": "Wilson on one split; Nadeau and Bengio across folds",
            "Tests": "McNemar; corrected t; planned pairs as they are, others with Holm; Bayesian correlated t",
        },
        {"Verdict": f"{analysis.title(analysis.pretrained)} against {analysis.title(analysis.scratch)}"},
    ]


def spread(analysis: Analysis) -> tuple[list[Picture], list[str]]:
    """Six pictures of each motif, evenly spread over its files, and the rows' names; of many motifs one each."""
    each, rows = (6, analysis.motifs) if len(analysis.motifs) <= MANY else (1, [])
    chosen = []
    for label, motif in enumerate(analysis.motifs):
        own = np.flatnonzero(analysis.dataset.labels == label)
        for row in own[np.linspace(0, len(own) - 1, each).astype(int)]:
            chosen.append(Picture(analysis.dataset.images[row], analysis.dataset.paths[row], "" if rows else motif))
    return chosen, rows


def augmented(analysis: Analysis) -> list[Picture]:
    """One image of each of the first three motifs, and five views of it as the shown model sees them."""
    from batik_utils.models.augment import draw_transforms, warp

    data, model, out = analysis.dataset, analysis.study.models[analysis.shown].trained, []
    assert model is not None
    pictures, size = data.pictures(image := analysis.study.image_of(model)), image.size
    for label in range(min(3, len(analysis.motifs))):
        row = int(np.flatnonzero(data.labels == label)[-1])
        images = np.stack([pictures[row]] * 6)
        drawn = draw_transforms(model.augmentation, [data.sha256[row]] * 6, range(6), size)
        views = warp(images, drawn).round().astype(np.uint8)
        out += [Picture(v, data.paths[row], f"view {i}" if i else "as it is") for i, v in enumerate(views)]
    return out


def predicted(analysis: Analysis, fit: FitResult, row: int) -> Picture:
    """A test image of a fit with its true and predicted motif and the prediction's probability."""
    true, guess = int(fit.y_true[row]), int(fit.y_prob[row].argmax())
    sign = "=" if guess == true else "≠"
    words = f"true: {analysis.motifs[true]}\n{sign} {analysis.motifs[guess]}, {percent(fit.y_prob[row, guess], 0)}"
    return Picture(analysis.image(fit.paths[row]), fit.paths[row], words, guess == true)
