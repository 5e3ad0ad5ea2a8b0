"""Drawn cloth as a drawing: its few dyes as filled outlines, so that no picture is in the figure."""

import math
from collections.abc import Mapping

import cv2
import numpy as np
import pandas as pd
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from batik_utils.figures.style import INK, WIDTH, Drawing, new
from batik_utils.wording import count

SIDE, DYES, LEAST, SLACK = 192, 5, 5, 0.8
"""Pixels that outlines are traced on, colours, the smallest area in pixels, and how far an outline may stray."""


def motif_drawings(drawn: Mapping[str, NDArray[np.uint8]], columns: int = 6) -> Drawing:
    """Drawings {title: RGB [h, w, 3]}, `columns` to a row, each in its five commonest colours."""
    rows = math.ceil(len(drawn) / columns)
    fig, axes = new(rows, columns, height=rows * (WIDTH / columns + 0.3), squeeze=False)
    fig.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    for ax in axes.flat[len(drawn) :]:
        ax.remove()
    for ax, (title, image) in zip(axes.flat, drawn.items(), strict=False):
        ax.set(xticks=[], yticks=[], xlim=(0, SIDE), ylim=(SIDE, 0), aspect="equal")
        ax.set_title(title, fontsize=7.5, fontweight="normal", loc="center", color=INK, pad=3)
        small = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        dyed = small.filter(ImageFilter.MedianFilter(3)).quantize(DYES, dither=Image.Dither.NONE)
        dyes, place = np.array(dyed.getpalette()).reshape(-1, 3) / 255, np.asarray(dyed)
        ground, *others = np.argsort(-np.bincount(place.ravel(), minlength=DYES), kind="stable")
        ax.set_facecolor(dyes[ground])
        for dye in others:
            if path := _outlines(place == dye):
                ax.add_patch(PathPatch(path, facecolor=dyes[dye], edgecolor=dyes[dye], linewidth=0.3))
    names = pd.DataFrame({"drawing": list(drawn)})
    return fig.tell(f"{count(len(drawn), 'drawing')} of cloth: {', '.join(drawn)}.", names, "what this project draws")


def _outlines(mask: NDArray[np.bool_]) -> Path | None:
    """The outlines of what is True, holes included, as one path in pixels."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    kept = [cv2.approxPolyDP(c, SLACK, closed=True)[:, 0] + 0.5 for c in found if cv2.contourArea(c) >= LEAST]
    rings = [Path(np.vstack([c, c[:1]]), closed=True) for c in kept if len(c) > 2]
    return Path.make_compound_path(*rings) if rings else None
