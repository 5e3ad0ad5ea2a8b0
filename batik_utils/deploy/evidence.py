"""Where a classifier's evidence lies, and whether it does: what deleting it does, against deleting elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from batik_utils.deploy.litert import Answers
from batik_utils.deploy.measured import Deletion
from batik_utils.stats.intervals import mean_interval

GRID = 7
"""Fields a side that are covered one by one where a model gives no map of its own."""
SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
"""Of a picture that are deleted, one after the other."""
DRAWS = 3
"""Of random fields, for each picture."""
MOST_QUESTIONS = 500
"""To the model; the number of pictures follows. MobileNetV2 answers some 60 a second."""

Ask = Callable[[NDArray[np.uint8]], Answers]
Picture = NDArray[np.uint8]


def evidence_map(ask: Ask, picture: Picture, motif: int) -> NDArray[np.float64]:
    """How much each field of a picture [s, s, 3] speaks for a motif rather than for the others, [h, w].

    It is the model's own map where it has one, less the mean over motifs (the softmax sees differences only); else by
    how much the motif's log probability falls when the field is covered with the picture's mean colour (occlusion,
    Zeiler and Fergus 2014).
    """
    answers = ask(picture)
    if "evidence" in answers:
        evidence = answers["evidence"].astype(np.float64)
        return evidence[..., motif] - evidence.mean(axis=-1)
    whole = np.log(answers["probabilities"][motif])
    fields = [_covered(picture, GRID, [field]) for field in range(GRID**2)]
    without = np.array([np.log(ask(covered)["probabilities"][motif]) for covered in fields])
    return (whole - without).reshape(GRID, GRID)


def deletion_curves(ask: Ask, pictures: Picture, exact: bool) -> Deletion:
    """Both curves over some of these pictures [n, s, s, 3], evenly spread; the random fields are drawn anew for each.

    Source: Petsiuk, Das and Saenko, RISE, BMVC 2018, with random fields to compare.
    """
    each = 1 + (len(SHARES) - 1) * (1 + DRAWS) + (0 if exact else GRID**2)
    chosen = np.unique(np.linspace(0, len(pictures) - 1, min(len(pictures), MOST_QUESTIONS // each)).astype(int))
    marked, random = [], []
    for row in chosen:
        picture, rng = pictures[row], np.random.default_rng(int(row))
        said = ask(picture)["probabilities"]
        motif = int(said.argmax())
        evidence = evidence_map(ask, picture, motif)
        orders = [np.argsort(-evidence.ravel(), kind="stable"), *(rng.permutation(evidence.size) for _ in range(DRAWS))]
        first, *drawn = (_falls(ask, picture, motif, order, len(evidence)) for order in orders)
        marked.append([float(said[motif]), *first])
        random.append([float(said[motif]), *np.mean(drawn, axis=0).tolist()])
    means = {name: np.mean(curves, axis=0).tolist() for name, curves in (("marked", marked), ("random", random))}
    gaps = (np.array(random) - np.array(marked))[:, 1:].mean(axis=1)
    band = mean_interval(gaps) if len(gaps) > 1 else None
    return Deletion(shares=list(SHARES), images=len(chosen), gap=(band.low, band.high) if band else None, **means)


def _falls(ask: Ask, picture: Picture, motif: int, order: NDArray[np.int64], side: int) -> list[float]:
    """The motif's probability once each share but the first of the fields is covered, in this order."""
    cuts = [order[: round(share * len(order))].tolist() for share in SHARES[1:]]
    return [float(ask(_covered(picture, side, cut))["probabilities"][motif]) for cut in cuts]


def _covered(picture: Picture, side: int, fields: list[int]) -> Picture:
    """The picture with some fields of a grid, side × side, in its mean colour."""
    edges, covered = np.linspace(0, len(picture), side + 1).astype(int), picture.copy()
    mean = picture.mean(axis=(0, 1)).round().astype(np.uint8)
    for field in fields:
        y, x = divmod(field, side)
        covered[edges[y] : edges[y + 1], edges[x] : edges[x + 1]] = mean
    return covered
