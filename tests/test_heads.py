"""Heads in NumPy: each learns what plain Keras would teach it, whatever is trained beside it."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
from scipy.special import softmax

from batik_utils.models.features import FeatureSpec
from batik_utils.models.heads import Head, train_heads
from batik_utils.models.work import Task
from batik_utils.study_models import Augmentation, Image, PretrainedModel
from batik_utils.values import Fit, Hyper, Split

CLASSES, VIEWS, BATCH, D = 3, 4, 8, 16
HYPER = Hyper(epochs=3, learning_rate=1e-3, dropout=0.5)
LABELS = np.arange(30) % CLASSES
PATHS = [f"{i}.jpg" for i in range(30)]


def _features(corruptions: int = 0) -> np.ndarray:
    kinds = np.arange(30)[:, None, None] % CLASSES == np.arange(D) % CLASSES
    noise = np.abs(np.random.default_rng(1).normal(size=(30, 1 + VIEWS + corruptions, D)))
    return (noise + kinds).astype(np.float32)


def _task(hidden: int = 5, fits=range(4), hyper=HYPER, **more) -> Task:
    rows = [np.random.default_rng(i).permutation(30) for i in range(4)]
    # Between 20 and 23 training rows: three steps each, the last ones of different lengths.
    splits = [Split("grouped", i, 0, r[: 20 + i].tolist(), tuple(r[23:24]), tuple(r[24:])) for i, r in enumerate(rows)]
    return Task(
        model=PretrainedModel(kind="pretrained", title="T", backbone="t", hidden=hidden, epochs=3, batch_size=BATCH),
        fits=tuple(Fit("tiny", "t", "grouped", i, 0, 0, hyper) for i in fits),
        splits=tuple(splits[i] for i in fits),
        labels=tuple(LABELS.tolist()),
        classes=CLASSES,
        features=FeatureSpec(tiny.TinyBackbone(), Image(size=32), Augmentation(), VIEWS, more.get("corruptions", ())),
        **more,
    )


@pytest.mark.parametrize("hidden", [0, 5])
def test_a_head_is_the_same_to_the_last_bit_whatever_is_trained_beside_it(hidden):
    asked = {"history": True, "checkpoints": (1, 2)}
    for i, (together, weights) in enumerate(train_heads(_task(hidden, **asked), PATHS, _features())):
        ((alone, own),) = train_heads(_task(hidden, (i,), **asked), PATHS, _features())
        assert all(np.array_equal(weights[name], weight) for name, weight in own.items())
        np.testing.assert_equal(vars(together), vars(alone))


def test_a_shorter_fit_is_the_beginning_of_a_longer_one():
    (longer, _) = train_heads(_task(5, (0,), checkpoints=(1, 2)), PATHS, _features())[0]
    (short, _) = train_heads(_task(5, (0,), replace(HYPER, epochs=2)), PATHS, _features())[0]
    assert np.array_equal(longer.checkpoints[2]["test"], short.y_prob)


def test_every_epoch_shows_every_row_once_through_a_fresh_view(monkeypatch):
    """Every feature is its own number, so that what a head is given tells where it comes from."""
    features = np.arange(30 * (1 + VIEWS), dtype=np.float32).reshape(30, 1 + VIEWS, 1).repeat(D, 2)
    given: list[np.ndarray] = []
    learn = Head.learn
    monkeypatch.setattr(Head, "learn", lambda head, x, *rest: [given.append(x[:, 0]), learn(head, x, *rest)][1])
    train_heads(_task(5, (1,), replace(HYPER, epochs=VIEWS)), PATHS, features)
    assert [len(x) for x in given] == [8, 8, 5] * VIEWS
    epochs = np.concatenate(given).astype(int).reshape(VIEWS, 21)
    assert (np.sort(epochs // (1 + VIEWS)) == np.sort(_task().splits[1].train)).all()
    assert (epochs % (1 + VIEWS) == epochs[:, :1] % (1 + VIEWS)).all()
    assert sorted(epochs[:, 0] % (1 + VIEWS)) == [1, 2, 3, 4]


@pytest.mark.parametrize("hidden", [0, 5])
def test_a_head_takes_the_steps_of_the_same_keras_model(hidden):
    import keras

    head = Head(D, hidden, CLASSES, 0.5, np.random.default_rng(3))
    mask, inputs = keras.Input((hidden or D,)), keras.Input((D,))
    x = keras.layers.Dense(hidden, activation="relu")(inputs) if hidden else inputs
    outputs = keras.layers.Dense(CLASSES, activation="softmax")(keras.layers.multiply([x, mask]))
    plain = keras.Model([inputs, mask], outputs)
    plain.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    plain.set_weights(list(head.weights.values()))
    x = _features()[:, 0]
    for step in range(5):
        rows = np.random.default_rng(step).permutation(30)[: 8 - step % 2]
        kept = np.random.default_rng(step).random((len(rows), hidden or D), np.float32) >= 0.5
        said = head.learn(x[rows], LABELS[rows], 1e-2, np.random.default_rng(step))
        theirs = plain.train_on_batch([x[rows], kept * np.float32(2)], LABELS[rows], return_dict=True)
        assert said == pytest.approx({name: float(value) for name, value in theirs.items()}, rel=1e-4)
        for weight, other in zip(head.weights.values(), plain.get_weights(), strict=True):
            np.testing.assert_allclose(weight, other, rtol=1e-4, atol=1e-5)
    asked = plain.predict([x, np.ones((30, hidden or D))], verbose=0)
    np.testing.assert_allclose(softmax(head.logits(x), axis=1), asked, rtol=1e-4)


def test_first_weights_are_keras_own():
    first, keras_limit = Head(D, 5, CLASSES, 0.5, np.random.default_rng(0)).weights, np.sqrt(6 / (D + 5))
    assert 0.9 * keras_limit < np.abs(first["hidden_kernel"]).max() <= keras_limit
    assert not first["hidden_bias"].any() and not first["bias"].any()


def test_corruptions_and_checkpoints_come_from_their_own_columns_and_a_second_task_starts_from_nothing():
    features = _features(corruptions=2)
    features[:, 1 + VIEWS] = features[:, 0]
    asked = {"corruptions": ("same", "other"), "checkpoints": (3,)}
    (result, _), (again, _) = (train_heads(_task(**asked), PATHS, features)[0] for _ in range(2))
    assert np.array_equal(result.y_prob, again.y_prob)
    assert np.array_equal(result.corruptions["same"], result.y_prob)
    assert not np.array_equal(result.corruptions["other"], result.y_prob)
    assert np.array_equal(result.checkpoints[3]["test"], result.y_prob)
    assert result.paths == tuple(PATHS[i] for i in _task().splits[0].test)


def test_heads_learn_what_can_be_learnt():
    for result, _ in train_heads(_task(8, hyper=Hyper(40, 1e-2, 0.2), history=True), PATHS, _features()):
        assert result.history["loss"][-1] < result.history["loss"][0] / 2
        assert np.allclose(result.y_prob.sum(1), 1)
