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

from batik_utils.data.audit.pictures import Picture

DIHEDRAL: tuple[tuple[int, bool], ...] = tuple((turn, flip) for flip in (False, True) for turn in range(4))
"""(quarter turns counter-clockwise, mirrored left to right first) of the eight ways to lay a picture down."""

HASH_BITS = 14
"""Of 64: two pictures whose phash and dhash differ by fewer on average are candidates (chance: 32)."""
VOTERS = 200
"""Local features of each picture that vote."""
VOTE_COSINE = 0.90
"""A feature votes for the picture that has one at least so similar."""
NEIGHBOURS = 4
"""Candidates that each picture's features may propose, in each parity."""
LEAST_VOTES = 6
UPRIGHT = 15.0
"""Degrees: a copy is turned by quarters, give or take."""
SHIFT = 64.0
"""Side of a cell of agreeing shifts, pixels."""


@dataclass(frozen=True, order=True)
class Candidate:
    """Two rows that may show one picture."""

    a: int
    b: int


def propose(pictures: Sequence[Picture], jobs: int = 1) -> list[Candidate]:
    """All candidate pairs (a < b), by hash or by votes; most are false, which is what confirming is for."""
    found = set(_by_hash(pictures, jobs)) | set(_by_votes(pictures, jobs))
    return sorted(Candidate(a, b) for a, b in found)


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


def votes(pictures: Sequence[Picture], jobs: int = 1) -> NDArray[np.int64]:
    """[2, n, n]: like features of rows a and b that agree on one way to lay a on b, upright and mirrored.

    Batik repeats itself, so likeness alone says little: each matched feature also names a quarter turn, a scale
    and a shift (Jégou et al. 2008, weak geometric consistency), and only the largest agreeing set counts.
    """
    n = len(pictures)
    book = _Features.of(pictures)

    def count(row: int) -> NDArray[np.int64]:
        return np.array([_agreeing(book, row, mirrored) for mirrored in (False, True)])

    with threadpool_limits(1):
        counted = Parallel(jobs, prefer="threads")(delayed(count)(row) for row in range(n))
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

        centres = [(np.array(p.grey.shape[::-1]) - 1) / 2 for p in pictures]
        places = [(p.points - c).astype(np.float32) for p, c in zip(pictures, centres, strict=True)]
        return cls(
            padded([p.descriptors for p in pictures], 0),
            padded([p.mirrored for p in pictures], 0),
            padded([(xy[:, 0] + 1j * xy[:, 1]).astype(np.complex64) for xy in places], 0),
            padded([p.angles for p in pictures], 0),
            padded([p.sizes for p in pictures], 1),
        )


def _agreeing(book: _Features, row: int, mirrored: bool) -> NDArray[np.int64]:
    n = len(book.places)
    own = (book.mirrored if mirrored else book.descriptors)[row]
    places = -book.places[row].conj() if mirrored else book.places[row]
    angles = 180 - book.angles[row] if mirrored else book.angles[row]
    likeness = (book.descriptors[row:].reshape(-1, 128) @ own.T).reshape(n - row, VOTERS, VOTERS)
    best = likeness.argmax(axis=1)
    like = np.take_along_axis(likeness, best[:, None], axis=1)[:, 0] >= VOTE_COSINE
    like[0] = False
    other, feature = np.nonzero(like)
    match = best[other, feature]
    turn = (book.angles[row + other, match] - angles[feature]) / 90
    scale = book.sizes[row + other, match] / book.sizes[row, feature]
    straight = np.abs(turn - np.round(turn)) < UPRIGHT / 90
    other, feature, match, scale = (v[straight] for v in (other, feature, match, scale))
    quarter = np.round(turn[straight]).astype(int) % 4
    shift = book.places[row + other, match] - scale * 1j**quarter * places[feature]
    cell = SHIFT * np.maximum(scale, 1)
    counts = np.zeros(n, dtype=np.int64)
    for offset in (0.0, 0.5):  # Two grids, half a cell apart: no agreement is cut in two by both.
        bins = [2 * np.log2(scale), shift.real / cell, shift.imag / cell]
        x, y, z = (np.floor(b + offset).astype(int) + 64 for b in bins)
        key = (((other * 4 + quarter) * 128 + x) * 128 + y) * 128 + z
        keys, sizes = np.unique(key, return_counts=True)
        np.maximum.at(counts, row + keys // (4 * 128**3), sizes)
    return counts


def _by_votes(pictures: Sequence[Picture], jobs: int) -> list[tuple[int, int]]:
    found = []
    for counts in votes(pictures, jobs):
        # Busy pictures collect votes from everybody: each picture proposes only its strongest few.
        for row, line in enumerate(counts):
            strongest = np.argsort(-line, kind="stable")[:NEIGHBOURS]
            found += [(min(row, int(c)), max(row, int(c))) for c in strongest if line[c] >= LEAST_VOTES]
    return found
