"""Batched heads: each learns what it would learn alone, and what plain Keras would teach it."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from batik_utils.models.heads import Replicate, _Stream, softmax, train_heads
from batik_utils.models.work import steps_per_epoch
from batik_utils.values import Hyper

CLASSES, VIEWS, BATCH = 3, 4, 8
HYPER = Hyper(epochs=3, learning_rate=1e-3, dropout=0.5)


def _features(rows: int = 30, d: int = 16, corruptions: int = 0) -> np.ndarray:
    draw = np.random.default_rng(1)
    kinds = np.arange(rows)[:, None, None] % CLASSES == np.arange(d) % CLASSES
    return (np.abs(draw.normal(size=(rows, 1 + VIEWS + corruptions, d))) + kinds).astype(np.float32)


def _labels(rows: int = 30) -> np.ndarray:
    return np.arange(rows) % CLASSES


def _replicates(count: int = 4) -> list[Replicate]:
    rows = [np.random.default_rng(i).permutation(30) for i in range(count)]
    # Between 20 and 23 training rows: three steps each, the last ones of different lengths.
    return [Replicate(r[: 20 + i], {"test": r[24:], "val": r[23:24]}, seed=i) for i, r in enumerate(rows)]


def _train(replicates: list[Replicate], hidden: int, **more):
    return train_heads(
        _features(), _labels(), replicates, HYPER, CLASSES, hidden=hidden, batch_size=BATCH, views=VIEWS, **more
    )


@pytest.mark.parametrize("hidden", [0, 5])
def test_a_replicate_among_others_equals_the_same_replicate_alone(hidden):
    batch = _train(_replicates(), hidden, history=True, checkpoints=(1, 2))
    for replicate, together in zip(_replicates(), batch, strict=True):
        (alone,) = _train([replicate], hidden, history=True, checkpoints=(1, 2))
        for name, weight in alone.weights.items():
            np.testing.assert_allclose(together.weights[name], weight, rtol=1e-6, atol=1e-7)
        for name, said in alone.probabilities.items():
            np.testing.assert_allclose(together.probabilities[name], said, rtol=1e-6)
        for name, values in alone.history.items():
            np.testing.assert_allclose(together.history[name], values, rtol=1e-5)
        np.testing.assert_allclose(together.checkpoints[2]["val"], alone.checkpoints[2]["val"], rtol=1e-6)


@pytest.mark.parametrize("hidden", [0, 5])
def test_a_replicate_equals_an_ordinary_keras_model_fed_the_same_batches(hidden):
    import keras

    replicate = _replicates()[1]
    features, labels = _features(), _labels()
    (head,) = _train([replicate], hidden, history=True)

    mask = keras.Input((hidden or 16,))
    inputs = keras.Input((16,))
    x = keras.layers.Dense(hidden, activation="relu")(inputs) if hidden else inputs
    outputs = keras.layers.Dense(CLASSES, activation="softmax")(keras.layers.multiply([x, mask]))
    plain = keras.Model([inputs, mask], outputs)
    plain.compile(keras.optimizers.Adam(HYPER.learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    steps = steps_per_epoch(len(replicate.train), BATCH)
    stream = _Stream(replicate, VIEWS, BATCH, steps)
    plain.set_weights(
        [w.reshape(v.shape) for w, v in zip(stream.initial(16, hidden, CLASSES), plain.weights, strict=True)]
    )
    for epoch in range(HYPER.epochs):
        rows = stream.order()[: len(replicate.train)]
        masks = stream.masks(HYPER.dropout, hidden or 16)[: len(rows)]
        plain.reset_metrics()
        seen = features[rows, stream.view(epoch)]
        plain.fit([seen, masks], labels[rows], batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
        if epoch == 0:
            said = plain.history.history
            assert head.history["accuracy"][0] == pytest.approx(said["accuracy"][0], rel=1e-5)
            assert head.history["loss"][0] == pytest.approx(said["loss"][0], rel=1e-5)
    weights = dict(zip(head.weights, plain.get_weights(), strict=True))
    for name, weight in weights.items():
        np.testing.assert_allclose(head.weights[name], weight, rtol=1e-5, atol=1e-6)
    test = features[np.asarray(replicate.evaluate["test"]), 0]
    said = plain.predict([test, np.ones((len(test), hidden or 16))], verbose=0)
    np.testing.assert_allclose(head.probabilities["test"], said, rtol=1e-5)


def test_a_second_batch_in_the_same_process_starts_from_nothing():
    first, again = _train(_replicates(), 5), _train(_replicates(), 5)
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one.probabilities["test"], two.probabilities["test"])


def test_every_epoch_shows_a_fresh_view_and_every_row_once():
    replicate = _replicates()[0]
    stream = _Stream(replicate, VIEWS, BATCH, 3)
    assert sorted(stream.view(e) for e in range(VIEWS)) == [1, 2, 3, 4]
    assert sorted(stream.order()[:20]) == sorted(replicate.train)
    assert stream.weight.sum() == pytest.approx(3)
    assert not stream.weight[20:].any()


def test_corruptions_and_checkpoints_come_from_their_own_columns():
    features = _features(corruptions=2)
    features[:, 1 + VIEWS] = features[:, 0]
    head, *_ = train_heads(features, _labels(), _replicates(), HYPER, CLASSES, 5, BATCH, VIEWS, ("same", "other"), (3,))
    assert np.array_equal(head.corruptions["same"], head.probabilities["test"])
    assert not np.array_equal(head.corruptions["other"], head.probabilities["test"])
    assert np.array_equal(head.checkpoints[3]["test"], head.probabilities["test"])


def test_heads_learn_what_can_be_learnt():
    heads = train_heads(
        _features(), _labels(), _replicates(), Hyper(40, 1e-2, 0.2), CLASSES, 8, BATCH, VIEWS, history=True
    )
    for head in heads:
        assert head.history["loss"][-1] < head.history["loss"][0] / 2
        assert np.allclose(head.probabilities["test"].sum(1), 1)


def test_replicates_with_other_numbers_of_steps_are_refused():
    few = Replicate(range(5), {"test": range(20, 30)}, 0)
    with pytest.raises(ValueError, match="steps"):
        _train([few, _replicates()[0]], 5)


def test_softmax_stands_large_numbers():
    assert softmax(np.float32([[1e4, 0]])).tolist() == [[1.0, 0.0]]


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_jax_learns_the_same_up_to_rounding():
    code = (
        "import sys; sys.path.insert(0, 'tests'); import test_heads as t; "
        "print([h.probabilities['test'].tolist() for h in t._train(t._replicates(), 5)])"
    )
    said = {}
    for backend in ("tensorflow", "jax"):
        env = {**os.environ, "KERAS_BACKEND": backend}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        said[backend] = np.array(json.loads(done.stdout))
    np.testing.assert_allclose(said["jax"], said["tensorflow"], rtol=1e-4)
