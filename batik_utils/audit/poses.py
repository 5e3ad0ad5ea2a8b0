"""Ways to lay one picture on another, as its matched local features propose them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from batik_utils.audit.look import Picture

UPRIGHT = 15.0  # degrees: a copy is turned by quarters, give or take; another photograph of a like cloth by any angle
CELL = 64.0  # side of a cell of agreeing shifts, pixels of the larger picture
LIKE = 0.85  # cosine from which two features are matched when a pair is looked at closely

_BINS = 128


def cells(
    turn: NDArray, scale: NDArray, place: NDArray, onto: NDArray
) -> tuple[NDArray[np.bool_], list[NDArray[np.int64]]]:
    """Sort matches by the pose that each one alone proposes.

    turn [m] in degrees, scale [m], place and onto [m] complex x + iy from the centres of the two pictures.
    Returns which matches are turned by about a quarter [m], and for those the number of their cell, once for
    each of two grids that lie half a cell apart (no agreement is cut in two by both). A cell is a quarter turn,
    half an octave of scale, and a shift (weak geometric consistency, Jégou et al. 2008).
    """
    quarters = np.round(turn / 90)
    straight = np.abs(turn - 90 * quarters) < UPRIGHT
    quarter = quarters[straight].astype(np.int64) % 4
    scale, place, onto = scale[straight], place[straight], onto[straight]
    shift = (onto - scale * 1j**quarter * place) / (CELL * np.maximum(scale, 1))
    grids = []
    for offset in (0.0, 0.5):
        number = quarter
        for value in (2 * np.log2(scale), shift.real, shift.imag):
            number = number * _BINS + (np.floor(value + offset).astype(np.int64) + _BINS // 2) % _BINS
        grids.append(number)
    return straight, grids


NUMBERS = 4 * _BINS**3  # cell numbers are below this


def centred(picture: Picture) -> NDArray[np.complex64]:
    """[k], the picture's feature places as x + iy from its centre."""
    xy = picture.points - (np.array(picture.grey.shape[::-1], dtype=np.float32) - 1) / 2
    return (xy[:, 0] + 1j * xy[:, 1]).astype(np.complex64)


def mirror(places: NDArray, angles: NDArray) -> tuple[NDArray, NDArray]:
    """Places (complex, from the centre) and angles (degrees) as they are in the mirrored picture."""
    return -places.conj(), 180 - angles


def agreements(a: Picture, b: Picture, mirrored: bool, most: int = 2) -> list[tuple[NDArray, NDArray]]:
    """The largest sets of matched features that agree on one pose: points in a [m, 2] and in b [m, 2]."""
    if min(len(a.points), len(b.points)) < 4:
        return []
    likeness = (a.mirrored if mirrored else a.descriptors) @ b.descriptors.T
    match = likeness.argmax(axis=1)
    own = np.flatnonzero(likeness[np.arange(len(match)), match] >= LIKE)
    match = match[own]
    places, angles = centred(a), a.angles
    if mirrored:
        places, angles = mirror(places, angles)
    straight, grids = cells(
        b.angles[match] - angles[own], b.sizes[match] / a.sizes[own], places[own], centred(b)[match]
    )
    own, match = own[straight], match[straight]
    found = []
    for grid in grids:
        numbers, sizes = np.unique(grid, return_counts=True)
        for largest in np.argsort(-sizes, kind="stable")[:most]:
            if sizes[largest] >= 4:
                chosen = grid == numbers[largest]
                found.append((a.points[own[chosen]], b.points[match[chosen]]))
    return sorted(found, key=lambda pair: -len(pair[0]))
