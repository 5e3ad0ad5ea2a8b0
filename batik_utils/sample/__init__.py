"""The procedural sample: four families of batik motifs, drawn, for when there are no photographs."""

import hashlib
from itertools import islice

import numpy as np
from PIL import Image, ImageFilter

from ..errors import BatikError
from ..study import nearest
from . import shapes
from .motifs import celup, kawung, megamendung, parang
from .pen import Palette, Pen, View, draw_palette

# How each family is drawn, the range of its unit, and the dyes it is most at home in.
_FAMILIES = {
    "sample-kawung": (kawung, 0.19, 0.3, ("sogan", "sogan-indigo", "indigo")),
    "sample-parang": (parang, 0.26, 0.4, ("sogan-indigo", "sogan", "indigo")),
    "sample-megamendung": (megamendung, 0.6, 0.95, ("cirebon", "indigo", "lasem")),
    "sample-celup": (celup, 0.28, 0.45, ("betawi", "garut", "pekalongan")),
}
SAMPLE_MOTIFS: tuple[str, ...] = tuple(_FAMILIES)


def draw(motif: str, index: int, size: int) -> np.ndarray:
    """Draw picture `index` (0, 1, …) of `motif`, one of SAMPLE_MOTIFS: RGB uint8 [size, size, 3].

    A pure function: every picture has its own palette, unit, camera, light, wax crackle and grain, all from a hash of
    its motif and index, and looks the same at every size. Raises BatikError for a motif that is not in the sample.
    """
    if motif not in _FAMILIES:
        raise BatikError(f"The sample has no motif {motif!r}, {nearest(motif, SAMPLE_MOTIFS)}")

    def stream(purpose: str) -> np.random.Generator:  # one for each, so that a change to one leaves the others alone
        digest = hashlib.sha256(f"{motif}/{index}/{purpose}".encode()).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))

    family, low, high, home = _FAMILIES[motif]
    palette = draw_palette(stream("palette"), home)
    # OpenCV's smooth edges are about a pixel fat, which on a coarse canvas would thicken the lines of small pictures.
    finer = 2
    while finer * size < 384:
        finer *= 2
    pen = Pen(View(stream("view")), finer * size, palette.ground)
    family(pen, stream("motif"), palette, low * (high / low) ** stream("layout").random())
    return _photograph(pen, stream("cloth"), palette, finer)


def _photograph(pen: Pen, rng: np.random.Generator, palette: Palette, finer: int) -> np.ndarray:
    """The drawn cloth, under wax crackle, light, wear and noise: uint8, its side the canvas' by `finer`."""
    _crackle(pen, rng, palette)
    cloth = Image.fromarray(pen.canvas).reduce(finer)
    focus = rng.uniform(0, 1) ** 3 * 0.007 + 0.0016
    image = np.asarray(cloth.filter(ImageFilter.GaussianBlur(focus * cloth.width)), np.float32)
    image = image * _light(rng, len(image))[..., None]
    if rng.random() < 0.2:  # worn or badly exposed
        image = image + (rng.uniform(90, 200) - image) * rng.uniform(0.1, 0.4)
    image = image * rng.uniform(0.88, 1.1, 3)
    image = image + rng.uniform(0.005, 0.03) * rng.integers(-255, 256, (2, *image.shape)).sum(axis=0)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _crackle(pen: Pen, rng: np.random.Generator, palette: Palette) -> None:
    """Fine branching lines where dye crept through cracked wax; a fifth of the cloths have none."""
    dye = palette.line if rng.random() < 0.6 else palette.deep
    places, angles, lengths, widths = (-0.7, 0.7, 2), (0, 2 * np.pi), (0.25, 0.8), (0.0012, 0.003)
    ends = [tuple(rng.uniform(*r) for r in (places, angles, lengths, widths)) for _ in range(rng.integers(3, 16))]
    for start, heading, length, width in islice(ends, 60 if rng.random() < 0.8 else 0):  # which grows meanwhile
        line = start + shapes.bend(heading + np.cumsum(rng.uniform(-0.34, 0.34, 14)), length)
        pen.fill(shapes.ribbon(line, width * np.linspace(1, 0.35, 15)), dye)
        for k in rng.integers(2, 13, rng.integers(0, 4)):
            if length > 0.12:
                aside = heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.2)
                ends.append((line[k], aside, length * rng.uniform(0.3, 0.6), width * 0.7))


def _light(rng: np.random.Generator, n: int) -> np.ndarray:
    """How bright each place is: slope, vignette and folds; float [n, n] about 1."""
    axis = (np.arange(n) + 0.5) / n - 0.5
    x, y = axis[None, :], axis[:, None]
    slope, middle, dark = rng.uniform(-0.22, 0.22, 2), rng.uniform(-0.25, 0.25, 2), rng.uniform(0, 0.45)
    light = 1 + slope[0] * x + slope[1] * y - dark * ((x - middle[0]) ** 2 + (y - middle[1]) ** 2)
    sway = 0.06 * _smooth(rng, (5, 5), (n, n))
    for _ in range(rng.integers(1, 4)):
        turn, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.14)
        across = np.cos(turn) * x + np.sin(turn) * y + sway
        fold = _smooth(rng, (1, int(rng.integers(3, 11))), (1, 1024))[0]
        light = light + depth * fold[np.clip((across + 0.85) * 600, 0, 1023).astype(int)]
    return np.maximum(light, 0.25)


def _smooth(rng: np.random.Generator, grid: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """A smooth random field [shape] of -1..1 with as many bumps as `grid` says."""
    bumps = Image.fromarray(rng.integers(0, 256, grid, dtype=np.uint8))
    return np.asarray(bumps.resize(shape[::-1], Image.Resampling.BICUBIC)) / 127.5 - 1
