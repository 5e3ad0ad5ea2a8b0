"""The few colours of a picture: what may be shown of a photograph that may not be shown itself."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOST = 5
"""Colours of a palette."""


def palette(image: NDArray[np.uint8]) -> list[tuple[str, float]]:
    """At most five colours that stand for a picture's, the largest first: [("#7a3b12", share of the area), …].

    image is uint8 [h, w, 3] (or [..., 3]: several pictures at once). Shares are from 0 to 1 and sum to 1. Where a pixel
    lay has no say: median cut, then k-means, on the sorted pixels (Pillow's, in whole numbers, the same everywhere).
    """
    pixels = image.reshape(-1, 3)
    ordered = pixels[np.lexsort(pixels.T)]
    reduced = Image.fromarray(ordered[None]).quantize(MOST, Image.Quantize.MEDIANCUT, kmeans=20)
    codes, found = reduced.getpalette() or [], Counter[str]()
    for index, times in enumerate(reduced.histogram()[:MOST]):
        if times:  # two of Pillow's colours may be one
            found["#{:02x}{:02x}{:02x}".format(*codes[3 * index : 3 * index + 3])] += times
    return [(colour, times / len(pixels)) for colour, times in sorted(found.items(), key=lambda c: (-c[1], c[0]))]
