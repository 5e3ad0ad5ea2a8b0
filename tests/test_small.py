"""A small scratch network, trained on crops: repeatable, and put together as what was judged."""

import numpy as np
import pytest

from batik_utils.errors import BatikError
from batik_utils.models import texture
from batik_utils.models.kinds import KINDS
from batik_utils.models.texture import DESCRIPTORS
from batik_utils.models.work import Task
from batik_utils.study_models import Regularisation, ScratchModel
from batik_utils.values import Fit, Hyper, Split

LABELS = np.arange(24) % 2
HOW = Regularisation(crop=32, side=48)


@pytest.fixture(scope="module")
def pictures():
    images = np.random.default_rng(0).integers(0, 256, (24, 64, 64, 3), dtype=np.uint8)
    images[LABELS == 1] //= 3
    return images


def fit(pictures, rate=2e-3, epochs=6, seed=0):
    model = ScratchModel(
        kind="scratch", title="Small", epochs=epochs, batch_size=8, architecture="small_cnn", regularised=HOW
    )
    split = Split("published", 0, 0, tuple(range(16)), (), tuple(range(16, 24)))
    task = Task(
        model=model,
        fits=(Fit("study", "small", "published", 0, 0, seed, Hyper(epochs, rate, 0.1)),),
        splits=(split,),
        labels=tuple(LABELS.tolist()),
        classes=2,
        history=True,
        corruptions=("greyscale",),
    )
    names = [str(row) for row in range(24)]
    return model, *KINDS["scratch"].fit(task, names, [f"{row:064x}" for row in range(24)], pictures)[0]


@pytest.fixture(scope="module")
def fitted(pictures):
    return fit(pictures)


def test_it_learns_and_is_repeatable_whatever_ran_before(pictures, fitted):
    _, result, _ = fitted
    assert result.history["accuracy"][-1] > 0.8 > result.history["accuracy"][0]
    assert result.parameters < 1_000_000
    fit(pictures, epochs=1, seed=1)
    assert fit(pictures)[1].y_prob.tobytes() == result.y_prob.tobytes()


def test_the_network_that_is_put_together_is_the_one_that_was_judged(pictures, fitted):
    model, result, weights = fitted
    network = KINDS["scratch"].assemble(model, weights, 64, ["a", "b"], 0.1)
    said = network.predict_on_batch(pictures[16:].astype(np.float32))
    # The judged pictures were rounded to whole numbers between shrinking and asking.
    assert np.abs(np.asarray(said) - result.y_prob).max() < 1e-3


def test_a_loss_that_is_not_finite_is_named(pictures):
    with pytest.raises(BatikError, match="epoch"):
        fit(pictures * 1, rate=0.999999e30)


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_descriptors_are_finite_of_the_stated_length_and_blind_to_nothing(name):
    describe, length = DESCRIPTORS[name]
    plain, noise = np.zeros((64, 64, 3), np.uint8), np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert describe(plain).shape == describe(noise).shape == (length,)
    assert np.isfinite(describe(plain)).all() and np.isfinite(describe(noise)).all()
    assert not np.allclose(describe(plain), describe(noise))
    assert np.linalg.norm(texture.describe(noise, name)) == pytest.approx(1, abs=1e-6)


def test_local_binary_patterns_do_not_see_brightness():
    describe, _ = DESCRIPTORS["patterns"]
    image = np.random.default_rng(0).integers(0, 100, (64, 64, 3), np.uint8)
    grey = np.repeat(image[..., :1], 3, axis=2)
    # Shares of patterns; a few pixels that equal a neighbour fall otherwise by a rounding.
    np.testing.assert_allclose(describe(grey) ** 2, describe(grey + 100) ** 2, atol=0.01)
