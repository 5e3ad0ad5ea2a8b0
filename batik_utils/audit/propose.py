"""Candidates for a pair, proposed generously: small versions for whole copies, local features for crops."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from batik_utils.audit.look import DIHEDRAL, Picture, lay
from batik_utils.audit.poses import NUMBERS, cells, centred, mirror
from batik_utils.progress import Progress

ALIKE = 0.70  # two pictures whose small versions correlate so much, in one of eight ways to lay them, are candidates
VOTERS = 200  # local features of each picture that vote
VOTE_COSINE = 0.90  # A feature votes for the picture that has one at least so similar
MANY_VOTES = 8  # so many votes make a candidate (two pictures taken at random have one or two)
FEW_VOTES = 5
NEIGHBOURS = 5  # each picture also proposes so many of its strongest neighbours, if they have FEW_VOTES
WORDS = 1024  # features are compared only where they share one of their HOMES nearest of so many words
HOMES = 3
MOST = 64  # so many features of a word, and so many pictures, a feature is compared with and votes for at most
_CHUNK = 4_000_000


def propose(pictures: Sequence[Picture], jobs: int, bar: Progress) -> list[tuple[int, int]]:
    """Candidate pairs of rows (a < b), the likeliest first; most are false, which confirming finds out."""
    if len(pictures) < 2:
        return []
    alike, counted = _alike(pictures), _votes(pictures, jobs, bar)
    votes = counted + counted.T
    strongest = np.argsort(-votes, axis=1, kind="stable")[:, :NEIGHBOURS]
    near = np.zeros_like(votes, dtype=bool)
    np.put_along_axis(near, strongest, True, axis=1)
    chosen = (alike >= ALIKE) | (votes >= MANY_VOTES) | ((near | near.T) & (votes >= FEW_VOTES))
    rows, columns = np.nonzero(np.triu(chosen, 1))
    strength = votes[rows, columns] + VOTERS * np.where(alike >= ALIKE, alike, 0)[rows, columns]
    order = np.argsort(-strength, kind="stable")
    return list(zip(rows[order].tolist(), columns[order].tolist(), strict=True))


def _alike(pictures: Sequence[Picture]) -> NDArray[np.float32]:
    """[n, n], symmetric: correlation of the small versions in the best of eight ways."""

    def normal(thumbs: NDArray[np.float32]) -> NDArray[np.float32]:
        flat = thumbs.reshape(len(thumbs), -1) - thumbs.mean(axis=(1, 2))[:, None]
        return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1.0)

    plain = normal(np.stack([p.thumb for p in pictures]))
    ways = (normal(np.stack([lay(p.thumb, way) for p in pictures])) for way in DIHEDRAL)
    best = np.max([plain @ way.T for way in ways], axis=0)
    return np.maximum(best, best.T)


def _best(key: NDArray, column: NDArray, cosine: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    order = np.lexsort((-cosine, key))
    order = order[np.flatnonzero(np.diff(key[order], prepend=-1))]
    return key[order], column[order], cosine[order]


def _joined(found: Sequence[tuple[NDArray, ...]]) -> tuple[NDArray, NDArray, NDArray]:
    return _best(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _votes(pictures: Sequence[Picture], jobs: int, bar: Progress) -> NDArray[np.int64]:
    """[n, n], upper half: like features of rows a and b that agree on one way to lay a on b, upright or mirrored.

    Batik repeats itself, so likeness alone says little: each matched feature also proposes a pose, and only the
    largest set that agrees on one counts. Like features are looked for among those near the same word (one of the
    features themselves), which finds nearly all of a copy's and saves nine tenths of the work.
    """
    n = len(pictures)

    def of_all(what: Callable[[Picture], NDArray]) -> NDArray:
        return np.concatenate([what(picture)[:VOTERS] for picture in pictures])

    owner = np.repeat(np.arange(n), [min(VOTERS, len(p.points)) for p in pictures])
    descriptors, turned = of_all(lambda p: p.descriptors), of_all(lambda p: p.mirrored)
    places, angles, sizes = of_all(centred), of_all(lambda p: p.angles), of_all(lambda p: p.sizes)

    def matches(own: NDArray, rows: NDArray, columns: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Each row's most similar column in its MOST like later pictures: row · n + picture, column, cosine."""
        found = []
        step = max(1, _CHUNK // len(columns))
        for low in range(0, len(rows), step):
            likeness = own[rows[low : low + step]] @ descriptors[columns].T
            like = likeness >= VOTE_COSINE
            crowded = np.flatnonzero(like.sum(axis=1) > MOST)  # hundreds of near-copies, whose work would be squared
            if len(crowded):
                best = likeness[crowded] * (owner[rows[low + crowded], None] < owner[columns])
                like[crowded] &= best >= np.partition(best, -MOST, axis=1)[:, -MOST, None]
            r, c = np.nonzero(like)
            row, column, cosine = rows[low + r], columns[c], likeness[r, c]
            later = owner[row] < owner[column]
            found.append((row[later] * n + owner[column[later]], column[later], cosine[later]))
        key, column, cosine = _joined(found)
        order = np.lexsort((-cosine, key // n))
        feature = key[order] // n
        order = order[np.arange(len(order)) - np.searchsorted(feature, feature) < MOST]
        return key[order], column[order].astype(np.int32), cosine[order]

    def agreeing(key: NDArray, match: NDArray, mirrored: bool) -> NDArray[np.int64]:
        feature, other = np.divmod(key, n)
        place, angle = places[feature], angles[feature]
        if mirrored:
            place, angle = mirror(place, angle)
        straight, grids = cells(angles[match] - angle, sizes[match] / sizes[feature], place, places[match])
        pair = (owner[feature] * n + other)[straight]
        counts = np.zeros(n * n, dtype=np.int64)
        for grid in grids:
            numbers, votes = np.unique(pair * NUMBERS + grid, return_counts=True)
            np.maximum.at(counts, numbers // NUMBERS, votes)
        return counts.reshape(n, n)

    agreed = np.zeros((n, n), dtype=np.int64)
    if not len(owner):
        return agreed
    count = min(WORDS, len(owner) // 64 + HOMES)
    words = descriptors[np.random.default_rng(0).choice(len(owner), count, replace=False)]
    homes = _homes(descriptors, words)
    bar.stage("Proposing", 2 * len(words), "words")
    for own, rows in ((descriptors, homes), (turned, _homes(turned, words))):
        work = (delayed(matches)(own, r, c) for r, c in zip(rows, homes, strict=True) if len(r) and len(c))
        key, match, _ = _joined(list(bar.watch(Parallel(jobs, prefer="threads", return_as="generator")(work))))
        agreed = np.maximum(agreed, agreeing(key, match, own is turned))
    return agreed


def _homes(descriptors: NDArray[np.float32], words: NDArray[np.float32]) -> list[NDArray[np.int64]]:
    """For each word the features that have it among their nearest HOMES, in order."""
    step = max(1, _CHUNK // len(words))
    parts = (descriptors[low : low + step] @ words.T for low in range(0, len(descriptors), step))
    homes = np.concatenate([np.argpartition(-part, HOMES - 1, axis=1)[:, :HOMES] for part in parts]).ravel()
    order = np.argsort(homes, kind="stable")
    return np.split(order // HOMES, np.searchsorted(homes[order], np.arange(1, len(words))))
