"""A network's three answers, in Keras and in LiteRT: the same numbers, and a map that is its own arithmetic."""

import numpy as np
import pytest
from classifiers import SIZE, TEMPERATURE, network, pictures

import batik_utils.backend  # noqa: F401  (before keras)

# isort: split
import keras

from batik_utils.deploy import convert
from batik_utils.deploy.convert import PRECISIONS, agreement, ask_keras, ask_litert, demand_parity, faithful, to_litert
from batik_utils.deploy.graph import with_three_outputs
from batik_utils.errors import BatikError
from batik_utils.models.scratch import ask_all_views, build_scratch


def softened(network, images):
    logits = np.log(np.asarray(network.predict_on_batch(images.astype(np.float32)), np.float64)) / TEMPERATURE
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


NETWORKS = {
    "a head": lambda: network(),
    "a head with a hidden layer": lambda: network(hidden=5),
    "a scratch network of pooled maps": lambda: build_scratch("pooled_cnn", SIZE, 3, 0.5),
    "a scratch network of flat maps": lambda: build_scratch("seed_cnn", SIZE, 3, 0.5),
    "the mean of several views, shrunk": lambda: ask_all_views(build_scratch("small_cnn", 24, 3, 0.5), SIZE),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_answers_are_the_networks_and_litert_gives_them_too(name):
    whole = NETWORKS[name]()
    three, images = with_three_outputs(whole, TEMPERATURE), pictures(3)
    expected = ask_keras(three, images)
    np.testing.assert_allclose(expected["probabilities"], softened(whole, images), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(expected["features"], axis=1), 1, atol=1e-5)
    (content,) = to_litert(three, ["float32"], images)
    said = ask_litert(content, images)
    assert said.keys() == expected.keys()
    for output, value in said.items():
        np.testing.assert_allclose(value, expected[output], atol=1e-4)


@pytest.mark.parametrize("hidden", [0, 24])
def test_the_mean_of_the_evidence_is_the_logits_and_other_weights_give_another_map(hidden):
    images, maps = pictures(3), []
    for seed in (0, 1):
        said = ask_keras(with_three_outputs(network(seed, hidden), TEMPERATURE), images)
        logits = said["evidence"].mean(axis=(1, 2))
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(shares, said["probabilities"], atol=1e-5)
        maps.append((said["evidence"] - said["evidence"].mean(axis=-1, keepdims=True)).ravel())
    assert abs(np.corrcoef(*maps)[0, 1]) < 0.9


def test_the_same_network_gives_the_same_bytes_whatever_was_built_before():
    made = []
    for _ in range(2):
        keras.utils.clear_session()
        made.append(to_litert(with_three_outputs(network(), TEMPERATURE), PRECISIONS, pictures()))
        build_scratch("pooled_cnn", SIZE, 3, 0.5)
    assert made[0] == made[1]
    whole, half, rough = (len(content) for content in made[0])
    assert whole > half > 0 and rough > 0


def test_what_is_not_what_keras_says_is_not_given_out(monkeypatch):
    three = with_three_outputs(network(), TEMPERATURE)
    assert faithful(three, pictures())[0] == "float16"
    monkeypatch.setattr(convert, "LEAST_AGREEMENT", 1.01)
    assert faithful(three, pictures())[0] == "float32"
    near = np.array([[0.5, 0.5], [0.2, 0.8]], np.float32)
    with pytest.raises(BatikError, match=r"up to 0\.00011 off"):
        demand_parity(near + np.float32(1.1e-4), near)
    assert agreement(near, near[:, ::-1]) == 0.5
