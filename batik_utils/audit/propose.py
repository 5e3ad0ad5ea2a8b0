"""Candidates for a pair, proposed generously: perceptual hashes for whole copies, local features for crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import imagehash
import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from batik_utils.audit.look import Picture
from batik_utils.audit.poses import NUMBERS, cells, centred, mirror
from batik_utils.progress import Progress

DIHEDRAL: tuple[tuple[int, bool], ...] = tuple((turn, flip) for flip in (False, True) for turn in range(4))
"""(quarter turns counter-clockwise, mirrored left to right first) of the eight ways to lay a picture down."""

HASH_BITS = 14
"""Of 64: two pictures whose phash and dhash differ by fewer on average are candidates (chance: 32)."""
VOTERS = 200
"""Local features of each picture that vote."""
VOTE_COSINE = 0.90
"""A feature votes for the picture that has one at least so similar."""
MANY_VOTES = 10
"""So many votes make a candidate (two pictures taken at random have one or two)."""
FEW_VOTES = 5
NEIGHBOURS = 3
"""Each picture also proposes so many of its strongest neighbours, if they have FEW_VOTES."""


def propose(pictures: Sequence[Picture], jobs: int, bar: Progress) -> list[tuple[int, int]]:
    """All candidate pairs of rows (a < b), by hash or by votes; most are false, which confirming finds out."""
    return sorted(set(_by_hash(pictures, jobs)) | set(_by_votes(pictures, jobs, bar)))


def lay(grey: NDArray[np.uint8], way: tuple[int, bool]) -> NDArray[np.uint8]:
    """The picture mirrored and turned as one of DIHEDRAL says."""
    turns, flip = way
    return np.rot90(grey[:, ::-1] if flip else grey, turns)


def _by_hash(pictures: Sequence[Picture], jobs: int) -> list[tuple[int, int]]:
    bits = np.array(Parallel(jobs, prefer="threads")(delayed(_hashes)(p.grey) for p in pictures))
    signs = bits.astype(np.float32) * 2 - 1  # [n, 8, bits]; a dot product counts agreements
    upright = signs[:, 0]
    length = bits.shape[-1]
    differ = np.min([(length - upright @ signs[:, way].T) / 2 for way in range(len(DIHEDRAL))], axis=0)
    rows, columns = np.nonzero(np.triu(np.minimum(differ, differ.T) < HASH_BITS * length / 64, 1))
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _hashes(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    out = []
    for way in DIHEDRAL:
        image = Image.fromarray(lay(grey, way)).resize((64, 64), Image.Resampling.BOX)
        out.append(np.concatenate([imagehash.phash(image).hash.ravel(), imagehash.dhash(image).hash.ravel()]))
    return np.array(out)


def _votes(pictures: Sequence[Picture], jobs: int, bar: Progress) -> NDArray[np.int64]:
    """[2, n, n]: like features of rows a and b that agree on one way to lay a on b, upright and mirrored.

    Batik repeats itself, so likeness alone says little: each matched feature also proposes a pose, and only the
    largest set that agrees on one counts.
    """
    n = len(pictures)
    book = _Features.of(pictures)

    def count(row: int) -> NDArray[np.int64]:
        return np.array([_agreeing(book, row, mirrored) for mirrored in (False, True)])

    with threadpool_limits(1):
        work = Parallel(jobs, prefer="threads", return_as="generator")(delayed(count)(row) for row in range(n))
        counted = list(bar.watch(work))
    upper = np.stack(counted, axis=1)
    return upper + upper.transpose(0, 2, 1)


@dataclass(frozen=True, eq=False)
class _Features:
    """The voting features of all pictures, padded to one length; places are relative to a picture's centre."""

    descriptors: NDArray[np.float32]  # [n, v, 128]
    mirrored: NDArray[np.float32]
    places: NDArray[np.complex64]  # [n, v], x + iy, so that a turn is a multiplication
    angles: NDArray[np.float32]
    sizes: NDArray[np.float32]

    @classmethod
    def of(cls, pictures: Sequence[Picture]) -> _Features:
        def padded(values: list[NDArray], fill: float) -> NDArray:
            out = np.full((len(values), VOTERS, *values[0].shape[1:]), fill, dtype=values[0].dtype)
            for row, value in enumerate(values):
                out[row, : len(value[:VOTERS])] = value[:VOTERS]
            return out

        return cls(
            padded([p.descriptors for p in pictures], 0),
            padded([p.mirrored for p in pictures], 0),
            padded([centred(p) for p in pictures], 0),
            padded([p.angles for p in pictures], 0),
            padded([p.sizes for p in pictures], 1),
        )


def _agreeing(book: _Features, row: int, mirrored: bool) -> NDArray[np.int64]:
    n = len(book.places)
    own = (book.mirrored if mirrored else book.descriptors)[row]
    places, angles = book.places[row], book.angles[row]
    if mirrored:
        places, angles = mirror(places, angles)
    likeness = (book.descriptors[row:].reshape(-1, 128) @ own.T).reshape(n - row, VOTERS, VOTERS)
    best = likeness.argmax(axis=1)
    like = np.take_along_axis(likeness, best[:, None], axis=1)[:, 0] >= VOTE_COSINE
    like[0] = False
    other, feature = np.nonzero(like)
    match = best[other, feature]
    straight, grids = cells(
        book.angles[row + other, match] - angles[feature],
        book.sizes[row + other, match] / book.sizes[row, feature],
        places[feature],
        book.places[row + other, match],
    )
    counts = np.zeros(n, dtype=np.int64)
    for grid in grids:
        keys, sizes = np.unique(other[straight] * NUMBERS + grid, return_counts=True)
        np.maximum.at(counts, row + keys // NUMBERS, sizes)
    return counts


def _by_votes(pictures: Sequence[Picture], jobs: int, bar: Progress) -> list[tuple[int, int]]:
    found = []
    for counts in _votes(pictures, jobs, bar):
        for row, line in enumerate(counts):
            strongest = np.argsort(-line, kind="stable")[:NEIGHBOURS]
            chosen = {int(c) for c in strongest if line[c] >= FEW_VOTES}
            chosen |= set(np.flatnonzero(line >= MANY_VOTES).tolist())
            found += [(min(row, c), max(row, c)) for c in chosen]
    return found
