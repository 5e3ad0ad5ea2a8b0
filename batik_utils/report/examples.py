"""Pictures that the report shows, with their words: examples, augmented views, predictions."""

import numpy as np

from batik_utils.figures import Picture
from batik_utils.report.analysis import MANY, Analysis
from batik_utils.values import FitResult
from batik_utils.wording import percent


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

    data, out = analysis.dataset, []
    for label in range(min(3, len(analysis.motifs))):
        row = int(np.flatnonzero(data.labels == label)[-1])
        spec, hashes = analysis.study.models[analysis.shown].augmentation, [data.sha256[row]] * 6
        images = np.stack([data.images[row]] * 6)
        views = warp(images, draw_transforms(spec, hashes, range(6), data.size)).round().astype(np.uint8)
        out += [Picture(v, data.paths[row], f"view {i}" if i else "as it is") for i, v in enumerate(views)]
    return out


def predicted(analysis: Analysis, fit: FitResult, row: int) -> Picture:
    """A test image of a fit with its true and predicted motif and the prediction's probability."""
    true, guess = int(fit.y_true[row]), int(fit.y_prob[row].argmax())
    sign = "=" if guess == true else "≠"
    words = f"true: {analysis.motifs[true]}\n{sign} {analysis.motifs[guess]}, {percent(fit.y_prob[row, guess], 0)}"
    return Picture(analysis.image(fit.paths[row]), fit.paths[row], words, guess == true)
