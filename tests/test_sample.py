"""The procedural sample: pure, varied, alike at every size, and not to be solved by colour."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from batik_utils.errors import BatikError
from batik_utils.sample import SAMPLE_MOTIFS, draw
from batik_utils.study_file import load_study


def _shrink(image: np.ndarray, size: int) -> np.ndarray:
    """Area average of uint8 [k·size, k·size, 3] to float [size, size, 3]."""
    k = image.shape[0] // size
    return image.astype(float).reshape(size, k, size, k, 3).mean(axis=(1, 3))


def _colours(image: np.ndarray) -> np.ndarray:
    """Square roots of a 4×4×4 colour histogram, float [64]."""
    counts, _ = np.histogramdd(image.reshape(-1, 3), bins=4, range=[(0, 256)] * 3)
    return np.sqrt(counts.ravel() / counts.sum())


def test_a_picture_is_the_same_bytes_twice_and_in_another_process_whatever_the_global_random_state():
    script = "import test_sample; print(test_sample.digest())"
    environment = {**os.environ, "PYTHONHASHSEED": "5", "PYTHONPATH": os.pathsep.join(sys.path)}
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    for seed in (3, 4):
        np.random.seed(seed)
        state = np.random.get_state()[1].copy()
        assert digest() == other.stdout.strip() and np.array_equal(np.random.get_state()[1], state)


def digest() -> str:
    """Of one picture of each motif."""
    return hashlib.sha256(b"".join(draw(motif, 7, 64).tobytes() for motif in SAMPLE_MOTIFS)).hexdigest()


def test_no_two_pictures_are_alike():
    assert tuple(load_study("sample").motifs) == SAMPLE_MOTIFS
    drawn = [draw(motif, index, 33) for motif in SAMPLE_MOTIFS for index in range(6)]
    assert len({image.tobytes() for image in drawn}) == len(drawn)
    assert all(image.shape == (33, 33, 3) and image.dtype == np.uint8 and image.std() > 8 for image in drawn)
    first, second, *_, other = (image.astype(float) for image in drawn)
    assert all(np.abs(first - image).mean() > 10 for image in (second, other))


@pytest.mark.parametrize("motif", SAMPLE_MOTIFS)
def test_every_size_shows_the_same_picture(motif):
    for index in range(3):
        small = draw(motif, index, 64).mean(axis=2)
        shrunk = (_shrink(draw(motif, i, 128), 64).mean(axis=2) for i in (index, index + 1))
        same, other = (np.corrcoef(small.ravel(), large.ravel())[0, 1] for large in shrunk)
        assert same > 0.98 and other < 0.5


def test_colour_alone_does_not_tell_the_motifs_apart():
    features = np.array([[_colours(draw(motif, i, 48)) for i in range(30)] for motif in SAMPLE_MOTIFS])
    labels, held = (np.repeat(np.arange(len(SAMPLE_MOTIFS)), n) for n in (20, 10))
    train, test = features[:, 10:].reshape(-1, 64), features[:, :10].reshape(-1, 64)
    for model in (LogisticRegression(C=10, max_iter=2000), KNeighborsClassifier(1)):
        assert model.fit(train, labels).score(test, held) < 0.5


def test_a_motif_that_is_not_in_the_sample_is_answered_with_the_nearest():
    for motif, nearest in (("sample-parnag", "sample-parang"), ("batik-kawung", "sample-kawung")):
        with pytest.raises(BatikError, match=f"did you mean '{nearest}'"):
            draw(motif, 0, 32)
