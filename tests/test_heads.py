"""Heads in NumPy learn what plain Keras would teach them; baselines learn what they are given, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
from scipy.special import softmax

from batik_utils.models.baselines import BASELINES, baseline_inputs, fit_baseline
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
    kinds = LABELS[:, None, None] == np.arange(D) % CLASSES
    noise = np.abs(np.random.default_rng(1).normal(size=(30, 1 + VIEWS + corruptions, D)))
    return (noise + kinds).astype(np.float32)


def _task(hidden: int = 5, fits=range(4), hyper=HYPER, views=VIEWS, untrained=False, **more) -> Task:
    rows = [np.random.default_rng(i).permutation(30) for i in range(4)]
    # Between 20 and 23 training rows: three steps each, the last ones of different lengths.
    splits = [Split("grouped", i, 0, r[: 20 + i].tolist(), tuple(r[23:24]), tuple(r[24:])) for i, r in enumerate(rows)]
    model = {"kind": "pretrained", "title": "T", "backbone": "t", "epochs": 3, "batch_size": BATCH}
    return Task(
        model=PretrainedModel(**model, hidden=hidden, untrained=untrained),
        fits=tuple(Fit("tiny", "t", "grouped", i, 0, 0, hyper) for i in fits),
        splits=tuple(splits[i] for i in fits),
        labels=tuple(LABELS.tolist()),
        classes=CLASSES,
        features=FeatureSpec(tiny.TinyBackbone(), Image(size=32), Augmentation(), views, more.get("corruptions", ())),
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
    longer, short = (
        train_heads(_task(5, (0,), replace(HYPER, epochs=epochs), checkpoints=(1, 2)), PATHS, _features())[0][0]
        for epochs in (3, 2)
    )
    assert np.array_equal(longer.checkpoints[2]["test"], short.y_prob)


@pytest.mark.parametrize("views", [0, VIEWS])
def test_an_untrained_head_says_what_it_was_drawn_with_and_a_trained_one_does_not(views):
    def said(untrained, epochs):
        task = _task(5, (0,), replace(HYPER, epochs=epochs), views, untrained)
        return train_heads(task, PATHS, _features())[0][0].y_prob

    assert np.array_equal(said(True, 1), said(True, 5)) and not np.array_equal(said(False, 1), said(False, 5))


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


def test_corruptions_and_checkpoints_come_from_their_own_columns():
    features = _features(corruptions=2)
    features[:, 1 + VIEWS] = features[:, 0]
    asked = {"corruptions": ("same", "other"), "checkpoints": (3,)}
    result, _ = train_heads(_task(**asked), PATHS, features)[0]
    assert np.array_equal(result.corruptions["same"], result.y_prob)
    assert not np.array_equal(result.corruptions["other"], result.y_prob)
    assert np.array_equal(result.checkpoints[3]["test"], result.y_prob)
    assert result.paths == tuple(PATHS[i] for i in _task().splits[0].test)


ROWS = Split("grouped", 0, 0, tuple(i for i in range(30) if i % 5), (), tuple(range(0, 30, 5)))


def _data(telling: bool = True, **changes):
    """Each class has its own colour, and its own width where that is telling."""
    images = np.random.default_rng(0).integers(0, 80, (30, 16, 16, 3), dtype=np.uint8)
    images[np.arange(30), :, :, LABELS] += 150
    width = 300 + 100 * LABELS * telling
    facts = [{"format": "JPEG", "mode": "RGB", "width": int(w), "height": 200, "bytes": 30 * int(w)} for w in width]
    rows = {"images": images, "labels": LABELS, "paths": tuple(PATHS), "facts": tuple(facts)}
    return replace(tiny.dataset(), **rows | changes)


@pytest.mark.parametrize("name", [model.inputs for model in BASELINES.values()])
def test_each_baseline_learns_from_what_it_sees(name):
    features = np.eye(3)[LABELS] + np.random.default_rng(1).normal(0, 0.1, (30, 3))
    inputs = baseline_inputs(name, _data(), np.stack([features, 1 - features], axis=1))
    y_prob = fit_baseline(inputs, LABELS, 3, ROWS)
    assert y_prob.shape == (6, 3) and np.allclose(y_prob.sum(axis=1), 1)
    assert (y_prob.argmax(axis=1) == LABELS[list(ROWS.test)]).all()
    assert (y_prob == fit_baseline(inputs, LABELS, 3, ROWS)).all()


@pytest.mark.parametrize("dataset", [_data(facts=()), _data(telling=False)], ids=["no facts", "all alike"])
def test_metadata_that_says_nothing_is_one_constant_column_and_chance(dataset):
    inputs = baseline_inputs("metadata", dataset)
    assert inputs.shape == (30, 1) and np.ptp(inputs) == 0
    assert np.allclose(fit_baseline(inputs, LABELS, 3, ROWS), 1 / 3, atol=1e-3)


def test_metadata_never_opens_an_image_and_colour_does_not_see_where_a_colour_is():
    data = _data()
    blind, turned = (replace(data, images=images) for images in (None, data.images[:, ::-1]))
    assert (baseline_inputs("metadata", blind) == baseline_inputs("metadata", data)).all()
    assert (baseline_inputs("colour", turned) == baseline_inputs("colour", data)).all()


def test_a_class_that_a_split_does_not_train_with_has_no_probability():
    lacking = replace(ROWS, train=tuple(row for row in ROWS.train if LABELS[row] < 2))
    assert (fit_baseline(baseline_inputs("colour", _data()), LABELS, 3, lacking)[:, 2] == 0).all()
