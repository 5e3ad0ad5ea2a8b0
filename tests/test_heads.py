"""Batched heads: each learns what it would learn alone, and what plain Keras would teach it."""

from dataclasses import replace

import numpy as np
import pytest
import tiny

from batik_utils.models.features import FeatureSpec
from batik_utils.models.heads import _Stream, softmax, train_heads
from batik_utils.models.work import Task, training_seed
from batik_utils.study import Augmentation, PretrainedModel
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
        features=FeatureSpec(tiny.TinyBackbone(), 32, Augmentation(), VIEWS, more.get("corruptions", ())),
        **more,
    )


@pytest.mark.parametrize("hidden", [0, 5])
def test_a_head_among_others_equals_the_same_head_alone(hidden):
    asked = {"history": True, "checkpoints": (1, 2)}
    for i, (together, weights) in enumerate(train_heads(_task(hidden, **asked), PATHS, _features())):
        ((alone, own),) = train_heads(_task(hidden, (i,), **asked), PATHS, _features())
        for name, weight in own.items():
            np.testing.assert_allclose(weights[name], weight, rtol=1e-6, atol=1e-7)
        for name in ("y_prob", "val_prob"):
            np.testing.assert_allclose(getattr(together, name), getattr(alone, name), rtol=1e-6)
        for name, values in alone.history.items():
            np.testing.assert_allclose(together.history[name], values, rtol=1e-5)
        np.testing.assert_allclose(together.checkpoints[2]["val"], alone.checkpoints[2]["val"], rtol=1e-6)


@pytest.mark.parametrize("hidden", [0, 5])
def test_a_head_equals_an_ordinary_keras_model_fed_the_same_batches(hidden):
    import keras

    features, task = _features(), _task(hidden, (1,), history=True)
    ((result, weights),) = train_heads(task, PATHS, features)
    mask, inputs = keras.Input((hidden or D,)), keras.Input((D,))
    x = keras.layers.Dense(hidden, activation="relu")(inputs) if hidden else inputs
    outputs = keras.layers.Dense(CLASSES, activation="softmax")(keras.layers.multiply([x, mask]))
    plain = keras.Model([inputs, mask], outputs)
    plain.compile(keras.optimizers.Adam(HYPER.learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    stream = _Stream(training_seed(task.fits[0]), task.splits[0].train, VIEWS, BATCH, 3)
    initial = zip(stream.initial(D, hidden, CLASSES), plain.weights, strict=True)
    plain.set_weights([w.reshape(v.shape) for w, v in initial])
    for epoch in range(HYPER.epochs):
        rows = stream.order()[:21]
        masks = stream.masks(HYPER.dropout, hidden or D)[:21]
        plain.reset_metrics()
        seen = features[rows, stream.view(epoch)]
        said = plain.fit([seen, masks], LABELS[rows], batch_size=BATCH, epochs=1, shuffle=False, verbose=0).history
        if epoch == 0:
            assert result.history["accuracy"][0] == pytest.approx(said["accuracy"][0], rel=1e-5)
            assert result.history["loss"][0] == pytest.approx(said["loss"][0], rel=1e-5)
    for weight, theirs in zip(weights.values(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(weight, theirs, rtol=1e-5, atol=1e-6)
    said = plain.predict([features[list(task.splits[0].test), 0], np.ones((6, hidden or D))], verbose=0)
    np.testing.assert_allclose(result.y_prob, said, rtol=1e-5)


def test_every_epoch_shows_a_fresh_view_and_every_row_once():
    stream = _Stream(0, range(20), VIEWS, BATCH, 3)
    assert sorted(stream.view(e) for e in range(VIEWS)) == [1, 2, 3, 4]
    assert sorted(stream.order()[:20]) == list(range(20))
    assert stream.weight.sum() == pytest.approx(3) and not stream.weight[20:].any()


def test_corruptions_and_checkpoints_come_from_their_own_columns_and_a_second_batch_starts_from_nothing():
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


def test_fits_with_other_numbers_of_steps_are_refused_and_softmax_stands_large_numbers():
    task = _task()
    few = Split("grouped", 0, 0, tuple(range(5)), (6,), tuple(range(20, 30)))
    with pytest.raises(ValueError, match="steps"):
        train_heads(replace(task, splits=(few, *task.splits[1:])), PATHS, _features())
    assert softmax(np.float32([[1e4, 0]])).tolist() == [[1.0, 0.0]]
