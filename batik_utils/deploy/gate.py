"""A picture beside the training pictures: too far from all to be batik, or so near to one that it is a copy of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib
import numpy as np
import skimage.data
import sklearn.datasets
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from sklearn.metrics import roc_auc_score, roc_curve

from batik_utils.audit.look import DIHEDRAL, lay
from batik_utils.data.decode import NotAnImage, open_image, squared
from batik_utils.deploy.bundle import About, Gate
from batik_utils.study_models import Image as ImageOptions

NEIGHBOURS = 5
LEAST_AUROC = 0.9  # of features that cannot even do this nothing is made
MOST_OWN = 0.05  # the share of a study's own pictures that a threshold may turn away, where it is set
LEAST_SIDE = 128  # pixels: smaller packaged pictures are drawings of a few dots
WORDS = "Nobody knows how many letters a page of cloth could hold, 1 2 3 4 5 6 7 8 9 0, or who would read them."
QUARTERS = ((0, 0), (0.5, 0), (0, 0.5), (0.5, 0.5), (0.25, 0.25))  # where crops of half the sides begin
SMALL = ImageOptions(size=32, resize="bilinear")  # the whole picture, squeezed, of which a fingerprint is made
# Bits of each half of two fingerprints, of 256, that may differ in one picture: either half is enough. Of the
# collection's 980 photographs no two that the audit takes for different ones differ by less than 44 and 10.
HALVES = (40, 9)


def auroc(own: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """How often one of the others is further than one of the own, ties counting half; 0.5 is chance."""
    return float(roc_auc_score(np.repeat([0, 1], [len(own), len(others)]), np.concatenate([own, others])))


def make_gate(
    own: NDArray[np.float64], kept: NDArray[np.int64], ordinary: NDArray[np.float64], judges: NDArray[np.bool_]
) -> tuple[Gate | None, float]:
    """The gate from distances of a study's own pictures [n], left out, and of ordinary ones [m]; and its AUROC.

    One half of the ordinary pictures, and every second source (or group, kept [n]) of the own, set the threshold; the
    others judge it. It is halfway between the neighbours of the cut that parts the first halves best (the shares
    rightly told apart, added) without turning away more than MOST_OWN of the own. None where the AUROC among the judges
    is under LEAST_AUROC.
    """
    judging = np.unique(kept, return_inverse=True)[1] % 2 == 1
    setting, sorted_out = own[~judging], ordinary[~judges]
    scores = np.concatenate([setting, sorted_out])
    truth = np.repeat([0, 1], [len(setting), len(sorted_out)])
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


def ordinary_pictures(image: ImageOptions) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Pictures that are not batik [n, s, s, 3], and which of them [n] judge a threshold that the others set.

    Photographs and scans of scikit-image, scikit-learn and matplotlib with five crops of each; pages of text from small
    to large; coloured noise from single pixels to soft clouds. The same versions of those libraries give the same.
    """
    rng = np.random.default_rng(1)
    pages: list[list[Image.Image]] = []
    noise: list[list[Image.Image]] = []
    for number in range(8):
        page, step = Image.new("RGB", (448, 448), "#f6f2e8"), 14 + 6 * number
        draw, font = ImageDraw.Draw(page), ImageFont.load_default(step)
        for line, y in enumerate(range(0, 448, int(1.3 * step))):
            draw.text((8, y), (WORDS[line + 7 * number :] + WORDS) * 2, "#1c1c1c", font)
        pages.append([page])
        pixels = Image.fromarray(rng.integers(0, 256, (448, 448, 3), dtype=np.uint8))
        noise.append([pixels.filter(ImageFilter.GaussianBlur(number))])
    found: list[NDArray[np.uint8]] = []
    judges: list[bool] = []
    for pictures in (_packaged(), pages, noise):
        for place, cuts in enumerate(pictures):
            found += [squared(cut, **dict(image)) for cut in cuts]
            judges += [place % 2 == 1] * len(cuts)  # half of each sort
    return np.stack(found), np.array(judges)


def _packaged() -> list[list[Image.Image]]:
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


def fingerprint(picture: NDArray[np.uint8]) -> str:
    """128 hex digits that tell a picture [h, w, 3], RGB 0-255, again when re-encoded or resized; not when cropped.

    Of 32 × 32 grey pixels: which of the 255 lowest frequencies but the mean are above their median, and which of
    16 × 16 fields are brighter against their surroundings than most. Source: C. Zauner, Implementation and
    benchmarking of perceptual image hash functions (2010).
    """
    return np.packbits(_bits(_grey(picture))).tobytes().hex()


def _grey(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (SMALL.size, SMALL.size), interpolation=cv2.INTER_AREA).astype(np.float32)


def _bits(grey: NDArray[np.float32]) -> NDArray[np.bool_]:
    grey = np.ascontiguousarray(grey)
    low = cv2.dct(grey)[:16, :16].ravel()[1:]
    fields = cv2.resize(grey - cv2.GaussianBlur(grey, (0, 0), 4), (16, 16), interpolation=cv2.INTER_AREA).ravel()
    return np.concatenate([low > np.median(low), [False], fields > np.median(fields)])


def copy_of(picture: NDArray[np.uint8], about: About) -> str | None:
    """The name of the training picture of which one [h, w, 3] is a copy: re-encoded, resized, mirrored or turned."""
    rows, grey = about.training.rows, _grey(picture)
    known = np.unpackbits(np.frombuffer(bytes.fromhex("".join(row.fingerprint for row in rows)), np.uint8))
    ways = np.stack([_bits(lay(grey, way)) for way in DIHEDRAL])
    differ = ways[:, None] != known.reshape(1, len(rows), -1)
    apart = differ.reshape(len(ways), len(rows), 2, -1).sum(axis=-1).min(axis=0)
    alike = (apart <= HALVES).any(axis=1)
    return rows[int(np.argmin(np.where(alike, apart.sum(axis=1), 512)))].name if alike.any() else None
