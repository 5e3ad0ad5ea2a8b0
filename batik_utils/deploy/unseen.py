"""Motifs that a classifier does not know: whether anything tells their cloth from that which it knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batik_utils.data.decode import NotAnImage, read_image
from batik_utils.data.obtain import hash_files, motif_files, published_files
from batik_utils.study import Study

EACH = 10
"""Pictures of each motif, evenly spread over its files."""


def other_motifs(study: Study, folder: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """(motif, picture [s, s, 3]) of the published collection's motifs that a study does not have, as far as they are
    in the folder as they were published.
    """
    for motif in sorted({path.partition("/")[0] for path in published_files()} - {*study.motifs}):
        if (folder / motif).is_dir():
            listed, *_ = hash_files(folder, [motif], motif_files(folder, motif)[0])
            same = [row.path for row in listed if row.status == "identical"]
            for row in np.unique(np.linspace(0, len(same) - 1, min(EACH, len(same))).astype(int)):
                try:
                    yield motif, read_image(folder / same[row], **dict(study.image))[0]
                except NotAnImage:
                    continue
