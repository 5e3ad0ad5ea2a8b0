"""The procedural sample: pure, varied, alike at every size, and not to be solved by colour."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from batik_utils.errors import BatikError
from batik_utils.sample import SAMPLE_MOTIFS, draw
from batik_utils.study import load_study


def _shrink(image: np.ndarray, size: int) -> np.ndarray:
    """Area average of uint8 [k·size, k·size, 3] to float [size, size, 3]."""
    k = image.shape[0] // size
    return image.astype(float).reshape(size, k, size, k, 3).mean(axis=(1, 3))


def _colours(image: np.ndarray) -> np.ndarray:
    """Square roots of a 4×4×4 colour histogram, float [64]."""
    bins = (image // 64).astype(int)
    counts = np.bincount((bins[..., 0] * 16 + bins[..., 1] * 4 + bins[..., 2]).ravel(), minlength=64)
    return np.sqrt(counts / counts.sum())


@pytest.mark.parametrize("motif", SAMPLE_MOTIFS)
def test_every_motif_gives_a_picture_of_the_size_asked_for(motif):
    for size in (33, 64):
        image = draw(motif, 0, size)
        assert image.shape == (size, size, 3)
        assert image.dtype == np.uint8
        assert image.std() > 8


def test_the_sample_study_names_these_motifs():
    assert tuple(load_study("sample").motifs) == SAMPLE_MOTIFS


def test_a_picture_is_the_same_bytes_twice_and_in_another_process():
    script = (
        "import hashlib\nfrom batik_utils.sample import SAMPLE_MOTIFS, draw\n"
        "print(hashlib.sha256(b''.join(draw(m, 7, 64).tobytes() for m in SAMPLE_MOTIFS)).hexdigest())"
    )
    other = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "5"},
    ).stdout.strip()
    for _ in range(2):
        assert hashlib.sha256(b"".join(draw(m, 7, 64).tobytes() for m in SAMPLE_MOTIFS)).hexdigest() == other


def test_drawing_leaves_the_global_random_state_alone():
    np.random.seed(3)
    before = np.random.random()
    np.random.seed(3)
    draw("sample-tambal", 0, 32)
    assert np.random.random() == before


def test_no_two_pictures_are_alike():
    seen = {draw(motif, index, 48).tobytes() for motif in SAMPLE_MOTIFS for index in range(6)}
    assert len(seen) == 6 * len(SAMPLE_MOTIFS)
    pair = [draw("sample-kawung", index, 48).astype(float) for index in (0, 1)]
    assert np.abs(pair[0] - pair[1]).mean() > 10
    pair = [draw(motif, 0, 48).astype(float) for motif in ("sample-kawung", "sample-ceplok")]
    assert np.abs(pair[0] - pair[1]).mean() > 10


@pytest.mark.parametrize("motif", SAMPLE_MOTIFS)
def test_every_size_shows_the_same_picture(motif):
    for index in range(3):
        small = draw(motif, index, 64).mean(axis=2)
        same = np.corrcoef(small.ravel(), _shrink(draw(motif, index, 128), 64).mean(axis=2).ravel())[0, 1]
        other = np.corrcoef(small.ravel(), _shrink(draw(motif, index + 1, 128), 64).mean(axis=2).ravel())[0, 1]
        assert same > 0.98
        assert other < 0.5


def test_colour_alone_does_not_tell_the_motifs_apart():
    features = np.array([[_colours(draw(motif, i, 48)) for i in range(30)] for motif in SAMPLE_MOTIFS])
    labels = np.repeat(np.arange(len(SAMPLE_MOTIFS)), 20)
    held = np.repeat(np.arange(len(SAMPLE_MOTIFS)), 10)
    train, test = features[:, 10:].reshape(-1, 64), features[:, :10].reshape(-1, 64)
    regression = LogisticRegression(C=10, max_iter=2000).fit(train, labels).score(test, held)
    distance = ((test[:, None] - train[None]) ** 2).sum(axis=2)
    neighbour = (labels[distance.argmin(axis=1)] == held).mean()
    assert regression < 0.5
    assert neighbour < 0.5


def test_an_unknown_motif_names_the_nearest():
    with pytest.raises(BatikError, match="did you mean 'sample-parang'"):
        draw("sample-parnag", 0, 32)
    with pytest.raises(BatikError, match="did you mean 'sample-kawung'"):
        draw("batik-kawung", 0, 32)


@pytest.mark.parametrize(("index", "size"), [(-1, 32), (0, 4)])
def test_a_picture_that_cannot_be_drawn_is_a_clear_error(index, size):
    with pytest.raises(BatikError, match="index"):
        draw("sample-celup", index, size)
