"""Each corruption takes away what it says, and only that."""

import hashlib

import numpy as np
import pytest

from batik_utils.models.corruptions import CORRUPTIONS, tamper

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 66, 66, 3), dtype=np.uint8)
HASHES = [hashlib.sha256(bytes([i])).hexdigest() for i in range(3)]


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_corruption_is_a_pure_function_of_each_image(corruption):
    before = IMAGES.copy()
    out = tamper(IMAGES, corruption, HASHES)
    assert out.shape == IMAGES.shape and out.dtype == np.uint8
    assert (before == IMAGES).all() and not (out == IMAGES).all()
    assert (tamper(IMAGES[1:2], corruption, HASHES[1:2])[0] == out[1]).all()


def test_what_each_takes_away():
    grey, blur, patches, border = (tamper(IMAGES, name, HASHES) for name in ("greyscale", "blur", "patches", "border"))
    assert (np.ptp(grey, axis=3) == 0).all()
    assert blur.std() < 0.5 * IMAGES.std() and abs(blur.mean() - IMAGES.mean()) < 1
    assert (border[:, :8] == IMAGES[:, :8]).all() and (border[:, :, -8:] == IMAGES[:, :, -8:]).all()
    assert (np.ptp(border[:, 8:-8, 8:-8], axis=(1, 2)) == 0).all()
    assert (np.sort(IMAGES, axis=None) == np.sort(patches, axis=None)).all()  # every pixel is kept
    same = (patches == IMAGES)[:, :64, :64].reshape(3, 4, 16, 4, 16, 3).all(axis=(2, 4, 5))
    assert (same.sum(axis=(1, 2)) < 8).all()
    again = tamper(IMAGES[[0, 0]], "patches", HASHES[:2])
    assert not (again[0] == again[1]).all()  # The order follows the hash.
