"""A network's three answers, in Keras and in LiteRT: the same numbers, and a map that is its own arithmetic."""

import subprocess
import sys

import numpy as np
import pytest
from classifiers import SIZE, TEMPERATURE, network, pictures

import batik_utils.backend  # noqa: F401  (before keras)

# isort: split
import keras

from batik_utils.deploy import convert
from batik_utils.deploy.convert import ask_keras, ask_litert, faithful, to_litert, with_three_outputs, write_keras
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
    said = ask_litert(to_litert(three), images)
    assert said.keys() == expected.keys()
    for output, value in said.items():  # whose weights are rounded to eleven bits
        np.testing.assert_allclose(value, expected[output], rtol=1e-2, atol=5e-3)


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
        made.append(to_litert(with_three_outputs(network(), TEMPERATURE)))
        build_scratch("pooled_cnn", SIZE, 3, 0.5)
    assert made[0] == made[1]


def test_what_is_not_what_keras_says_is_not_given_out(monkeypatch):
    three, asked = with_three_outputs(network(), TEMPERATURE), convert.ask_litert
    assert faithful(three, pictures())[1] == 1.0
    turned = lambda *given: {"probabilities": -asked(*given)["probabilities"]}  # noqa: E731
    monkeypatch.setattr(convert, "ask_litert", turned)
    with pytest.raises(BatikError, match="they agree on 0% of pictures"):
        faithful(three, pictures())


def test_a_keras_file_needs_nothing_of_this_project_and_says_what_the_network_says(tmp_path):
    networks = [make() for make in NETWORKS.values()]
    for number, whole in enumerate(networks):
        write_keras(whole, pictures(), tmp_path / f"{number}.keras")
    given = pictures().astype(np.float32)
    np.save(tmp_path / "given", given)
    code = "import sys, keras, numpy\nfor number in range(5):\n  model = keras.models.load_model(f'{number}.keras')\n"
    code += "  numpy.save(f'{number}', model.predict(numpy.load('given.npy'), verbose=0))\n"
    code += "assert 'batik_utils' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    for number, whole in enumerate(networks):
        np.testing.assert_allclose(np.load(tmp_path / f"{number}.npy"), whole.predict(given, verbose=0), atol=1e-5)


def test_a_keras_file_that_says_something_else_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(keras.models, "load_model", lambda path: network(seed=1))
    with pytest.raises(BatikError, match=r"up to [\d.]+ off"):
        write_keras(network(), pictures(), tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())
