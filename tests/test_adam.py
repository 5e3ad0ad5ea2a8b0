"""The fused Adam takes Keras' own steps."""

import keras
import numpy as np
import pytest

from batik_utils.models.fast.adam import FusedAdam


def steps(optimizer, count=5):
    """Weights after every step of a small regression, the learning rate changed in mid-way."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 4)).astype(np.float32), rng.normal(size=(16, 1)).astype(np.float32)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(1)])
    model.set_weights(
        [
            np.full(w.shape, 0.1 * (i + 1)) + np.arange(w.size).reshape(w.shape)
            for i, w in enumerate(model.get_weights())
        ]
    )
    model.compile(optimizer, "mse", jit_compile=False)
    seen = []
    for step in range(count):
        model.optimizer.learning_rate = 1e-2 if step < 3 else 1e-3
        model.train_on_batch(x, y)
        seen.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    return np.array(seen)


@pytest.mark.parametrize("settings", [{}, {"beta_1": 0.5, "epsilon": 1e-3}])
def test_it_takes_the_steps_of_keras_adam(settings):
    ours, theirs = steps(FusedAdam(**settings)), steps(keras.optimizers.Adam(**settings))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert np.abs(np.diff(ours, axis=0)).max(axis=1).min() > 1e-4  # every step moved something
