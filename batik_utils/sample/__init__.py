"""The procedural sample: six families of batik motifs, drawn, for when there are no photographs."""

import hashlib

import numpy as np

from ..errors import BatikError
from ..study import nearest
from .cloth import finish
from .isen import border, spray
from .motifs import celup, ceplok, kawung, megamendung, parang, tambal
from .pen import Pen, View, draw_palette

# How each family is drawn, the range of its unit, and the dyes it is most at home in.
_FAMILIES = {
    "sample-kawung": (kawung, 0.19, 0.3, ("sogan", "wonogiri", "bali")),
    "sample-parang": (parang, 0.26, 0.4, ("sogan-indigo", "sogan", "indigo")),
    "sample-ceplok": (ceplok, 0.36, 0.55, ("madura", "terracotta", "leaf")),
    "sample-megamendung": (megamendung, 0.6, 0.95, ("cirebon", "indigo", "lasem")),
    "sample-celup": (celup, 0.28, 0.45, ("betawi", "garut", "pekalongan")),
    "sample-tambal": (tambal, 0.3, 0.45, ("pesisiran", "pekalongan", "madura")),
}
SAMPLE_MOTIFS: tuple[str, ...] = tuple(_FAMILIES)

# How often a picture is dyed as its family usually is. These shares and ranges set how hard the sample is: a
# small CNN trained on 240 pictures is right on most of the others, a pretrained one on nearly all of them, and
# colour alone on about a third.
_AT_HOME = 0.5


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
    palette = draw_palette(stream("palette"), home, _AT_HOME)
    # OpenCV's smooth edges are about a pixel fat, which on a coarse canvas would thicken the lines of small pictures.
    side = 2 * size
    while side < 384:
        side *= 2
    pen = Pen(View(stream("view")), side, palette.ground)
    family(pen, stream("motif"), palette, low * (high / low) ** stream("layout").random())
    ornament = stream("ornament")
    for _ in range(ornament.integers(1, 4) if ornament.random() < 0.1 else 0):
        spray(pen, ornament, palette, ornament.uniform(-0.4, 0.4, 2), ornament.uniform(0.25, 0.5))
    if ornament.random() < 0.08:
        border(pen, ornament, palette)
    return finish(pen.canvas, pen.view, stream("cloth"), palette, size)
