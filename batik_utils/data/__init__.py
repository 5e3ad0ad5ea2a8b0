"""Pictures obtained, decoded and split; and their few colours, which may be shown where a photograph may not."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOST = 5  # colours of a palette
ENOUGH = 1 << 17  # pixels that are asked; of more, evenly spaced ones in the order of their colours


def palette(image: NDArray[np.uint8]) -> list[tuple[str, float]]:
    """At most five colours that stand for a picture's, the largest first: [("#7a3b12", share of the area), …].

    image is uint8 [h, w, 3] (or [..., 3]: several pictures at once). Shares are from 0 to 1 and sum to 1. Where a pixel
    lay has no say: median cut, then k-means, on the sorted pixels (Pillow's, in whole numbers, the same everywhere).
    """
    pixels = image.reshape(-1, 3).astype(np.uint32)
    codes = np.sort((pixels[:, 2] << 16) | (pixels[:, 1] << 8) | pixels[:, 0])
    codes = codes[:: -(-len(codes) // ENOUGH)]
    ordered = np.stack([codes & 255, (codes >> 8) & 255, codes >> 16], axis=1).astype(np.uint8)
    reduced = Image.fromarray(ordered[None]).quantize(MOST, Image.Quantize.MEDIANCUT, kmeans=20)
    chosen, found = reduced.getpalette() or [], Counter[str]()
    for index, times in enumerate(reduced.histogram()[:MOST]):
        if times:  # two of Pillow's colours may be one
            found["#{:02x}{:02x}{:02x}".format(*chosen[3 * index : 3 * index + 3])] += times
    return [(colour, times / len(ordered)) for colour, times in sorted(found.items(), key=lambda c: (-c[1], c[0]))]
