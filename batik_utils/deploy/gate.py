"""“This does not look like batik”: a distance to the training pictures, its threshold, and how far it can be relied on.

The distance of a picture is the mean cosine distance of its features to those of the nearest training pictures. What
is not batik comes from what is installed anyway; motifs that a study does not have, from its collection.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from sklearn.metrics import roc_auc_score, roc_curve

from batik_utils.data import obtain
from batik_utils.data.decode import NotAnImage, open_image, read_image, squared
from batik_utils.deploy.answers import Features, distances
from batik_utils.deploy.bundle import Gate
from batik_utils.study import Study
from batik_utils.study_models import Image as ImageOptions

NEIGHBOURS = 5
LEAST_AUROC = 0.9
"""Of features that cannot even do this nothing is made."""
MOST_OWN = 0.05
"""The share of a study's own pictures that a threshold may turn away, where it is set."""
LEAST_SIDE = 128  # pixels: smaller packaged pictures are drawings of a few dots
WORDS = "Nobody knows how many letters a page of cloth could hold, 1 2 3 4 5 6 7 8 9 0, or who would read them."
QUARTERS = ((0, 0), (0.5, 0), (0, 0.5), (0.5, 0.5), (0.25, 0.25))
"""Where crops of half the sides begin: the four quarters and the middle."""


def left_out(features: Features, kept: NDArray[np.int64], neighbours: int) -> NDArray[np.float64]:
    """Distances of the training pictures themselves, [n]: of each to those outside its source (or group), kept [n]."""
    return distances(features, features, neighbours, kept[:, None] == kept[None])


def auroc(own: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """How often one of the others is further than one of the own, ties counting half; 0.5 is chance."""
    return float(roc_auc_score(np.repeat([0, 1], [len(own), len(others)]), np.concatenate([own, others])))


def make_gate(
    own: NDArray[np.float64], kept: NDArray[np.int64], ordinary: NDArray[np.float64], judges: NDArray[np.bool_]
) -> tuple[Gate | None, float]:
    """The gate from distances of a study's own pictures [n], left out, and of ordinary ones [m]; and its AUROC.

    One half of the ordinary pictures, and every second source (or group, kept [n]) of the own, set the threshold, the
    others judge it. It is
    halfway between the neighbours of the cut that parts the first halves best (the shares rightly told apart, added)
    without turning away more than MOST_OWN of the own. None where the AUROC among the judges is under LEAST_AUROC.
    """
    judging = np.unique(kept, return_inverse=True)[1] % 2 == 1
    setting, sorted_out = own[~judging], ordinary[~judges]
    truth = np.repeat([0, 1], [len(setting), len(sorted_out)])
    scores = np.concatenate([setting, sorted_out])
    turned, caught, cuts = roc_curve(truth, scores, drop_intermediate=False)
    allowed = turned <= MOST_OWN
    cut = cuts[allowed][np.argmax((caught - turned)[allowed])]  # what is as far as this, or further, is turned away
    below = scores[scores < cut]
    threshold = float(round((cut + below.max()) / 2, 4)) if np.isfinite(cut) and len(below) else 2.0
    how_well = auroc(own[judging], ordinary[judges])
    if how_well < LEAST_AUROC:
        return None, how_well
    gate = Gate(
        neighbours=NEIGHBOURS,
        threshold=threshold,
        auroc=how_well,
        ordinary_turned_away=float((ordinary[judges] > threshold).mean()),
        own_turned_away=float((own[judging] > threshold).mean()),
        n_ordinary=int(judges.sum()),
        n_own=int(judging.sum()),
    )
    return gate, how_well


def other_motifs(study: Study, image: ImageOptions, folder: Path) -> list[tuple[str, NDArray[np.uint8]]]:
    """(motif, picture [s, s, 3]) of the published collection's other motifs, as obtain.other_motifs names them.

    None at all where the folder lacks one of them: what is measured must not depend on what else lies there.
    """
    named, lacking = obtain.other_motifs(study.motifs, folder)
    if lacking:
        return []
    return [(path.partition("/")[0], read_image(folder / path, **dict(image))[0]) for path in named]


def ordinary_pictures(image: ImageOptions) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Pictures that are not batik [n, s, s, 3], and which of them [n] judge a threshold that the others set.

    Photographs and scans of scikit-image, scikit-learn and matplotlib with five crops of each; drawn text and noise.
    The same versions of those libraries give the same pictures.
    """
    found: list[NDArray[np.uint8]] = []
    judges: list[bool] = []
    for pictures in (_packaged(), [[page] for page in _pages()], [[noise] for noise in _noise()]):
        for place, cuts in enumerate(pictures):
            found += [squared(cut, **dict(image)) for cut in cuts]
            judges += [place % 2 == 1] * len(cuts)  # half of each sort
    return np.stack(found), np.array(judges)


def _packaged() -> list[list[Image.Image]]:
    import matplotlib
    import skimage.data
    import sklearn.datasets

    folders = [Path(skimage.data.__file__).parent, Path(sklearn.datasets.__file__).parent / "images"]
    folders.append(Path(matplotlib.get_data_path()) / "sample_data")
    by_subject: dict[str, Path] = {}  # of two views of one thing the first: both halves must not see it
    for path in (path for folder in folders for path in sorted(folder.iterdir())):
        if path.suffix in {".png", ".jpg"}:
            by_subject.setdefault(path.stem.split("_")[0], path)
    pictures = []
    for path in by_subject.values():
        try:
            image, _ = open_image(path)
        except NotAnImage:
            continue
        if min(image.size) >= LEAST_SIDE:
            width, height = image.size
            corners = [(int(x * width), int(y * height)) for x, y in QUARTERS]
            pictures.append([image, *(image.crop((x, y, x + width // 2, y + height // 2)) for x, y in corners)])
    return pictures


def _pages() -> Iterator[Image.Image]:
    """Eight pages of text, from small to large."""
    for number in range(8):
        page, step = Image.new("RGB", (448, 448), "#f6f2e8"), 14 + 6 * number
        draw, font = ImageDraw.Draw(page), ImageFont.load_default(step)
        for line, y in enumerate(range(0, 448, int(1.3 * step))):
            draw.text((8, y), (WORDS[line + 7 * number :] + WORDS) * 2, "#1c1c1c", font)
        yield page


def _noise() -> Iterator[Image.Image]:
    """Eight of coloured noise, from single pixels to soft clouds."""
    rng = np.random.default_rng(1)
    for number in range(8):
        image = Image.fromarray(rng.integers(0, 256, (448, 448, 3), dtype=np.uint8))
        yield image.filter(ImageFilter.GaussianBlur(number))
