"""What figures are made of: the method as boxes, and pictures with their words; in Jupyter, all of them to look at."""

import base64
import contextlib
import html
import io
import textwrap

import numpy as np
from PIL import Image

from batik_utils.errors import BatikError
from batik_utils.figures import Picture
from batik_utils.models.kinds import KINDS, repetition
from batik_utils.report.analysis import MANY, Analysis
from batik_utils.values import FitResult
from batik_utils.wording import count, drawable, few, percent

SPREAD = 42  # motifs of which a figure shows a picture each


def method(analysis: Analysis) -> list[dict[str, str]]:
    """The method as bands of boxes, {heading: text}, from the pictures to the verdict."""
    study, data, arms = analysis.study, analysis.dataset, {}
    for name in analysis.models:
        model = study.models[name]
        often, what = repetition(model, study), KINDS[model.kind].describe(model).words
        fits = f"{analysis.planned(name):,} fits ({count(often.repeats, 'repeat')}, {count(often.seeds, 'seed')})"
        arms[analysis.title(name)] = f"{what}; {analysis.parameters(name):,} parameters; {fits}"
    protocols = {"One split": f"{len(analysis.split.train)} train, {len(analysis.split.test)} test"}
    protocols["Grouped cross-validation"] = f"{study.grouped.folds} folds; a group is never on both sides"
    motifs = textwrap.shorten(drawable(", ".join(few(analysis.motifs))), 300, placeholder=" …")
    return [
        {f"{len(data):,} pictures": f"{len(analysis.motifs)} motifs: {motifs}"},
        {"Audit for near-duplicates": f"{len(np.unique(data.groups)):,} groups; copies of one picture share one"},
        protocols,
        arms,
        {
            "Intervals": "Wilson on one split; Nadeau and Bengio across folds",
            "Tests": "Corrected t across folds; planned pairs as they are, others with Holm",
        },
        {"Verdict": f"{analysis.title(analysis.pretrained)} against {analysis.title(analysis.scratch)}"},
    ]


def spread(analysis: Analysis) -> tuple[list[Picture], list[str]]:
    """Six pictures of each motif, evenly spread over its files, and the rows' names; of many motifs one each."""
    each, rows = (6, analysis.motifs) if len(analysis.motifs) <= MANY else (1, [])
    chosen = []
    for label, motif in enumerate(analysis.motifs[:SPREAD]):
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


def walk(analysis: Analysis, model: str, most: int = 12) -> str:
    """HTML in which each cell of a model's confusion opens its first pictures, and each picture what is said of it.

    By the mean of the fits, out of fold: the probabilities, and the three pictures nearest by the model's frozen
    features, where it has such, that are no copies of it.
    """
    data, motifs, oof, out = analysis.dataset, analysis.motifs, analysis.oofs[model], []
    rows, guesses = np.array([data.paths.index(path) for path in oof.paths]), oof.y_prob.argmax(axis=1)
    near, groups = np.empty((len(data), 0), dtype=np.int64), data.groups
    with contextlib.suppress(BatikError):
        if analysis.clean_features:
            x = analysis.clean_features(model)
            unit = x / np.linalg.norm(x, axis=1, keepdims=True)
            like = np.where(groups[:, None] == groups, -np.inf, unit @ unit.T)
            near = np.argsort(-like, axis=1, kind="stable")[:, :3]
    for true, guess in np.ndindex(len(motifs), len(motifs)):
        held = np.flatnonzero((oof.y_true == true) & (guesses == guess))
        cell = f"{motifs[true]}, predicted {motifs[guess]}: {count(len(held), 'picture')}"
        cell += f", the first {most}" if len(held) > most else ""
        out.append(f"<details><summary>{html.escape(cell)}</summary>" if len(held) else "")
        for place in held[:most]:
            order = np.argsort(-oof.y_prob[place], kind="stable")[:5]
            said = ", ".join(f"{motifs[i]} {percent(oof.y_prob[place, i])}" for i in order)
            seen = "".join(_thumbnail(analysis, row) for row in near[rows[place]])
            name, own = html.escape(oof.paths[place]), _thumbnail(analysis, rows[place], 160)
            beside = f"{own} {html.escape(said)}{'; nearest: ' if seen else ''}{seen}"
            out.append(f'<details name="{model}"><summary>{name}</summary>{beside}</details>')
        out.append("</details>" if len(held) else "")
    return "\n".join(filter(None, out))


def _thumbnail(analysis: Analysis, row: int, side: int = 64) -> str:
    image, file = Image.fromarray(analysis.dataset.images[row]), io.BytesIO()
    image.resize((side, side)).save(file, "jpeg", quality=80)
    name = html.escape(f"{analysis.motifs[analysis.dataset.labels[row]]}: {analysis.dataset.paths[row]}")
    url = base64.b64encode(file.getvalue()).decode()
    return f'<img src="data:image/jpeg;base64,{url}" alt="{name}" title="{name}" width="{side}">'
