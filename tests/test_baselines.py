"""Baselines learn what they are given, and nothing from what says nothing."""

from dataclasses import replace

import numpy as np
import pytest

from batik_utils.models.baselines import BASELINES, baseline_inputs, fit_baseline
from batik_utils.values import Dataset, Source, Split

N = 30


def data(facts: bool = True, telling: bool = True) -> Dataset:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], N // 3)
    images = rng.integers(0, 80, (N, 16, 16, 3), dtype=np.uint8)
    images[np.arange(N), :, :, labels] += 150  # Each class has its own colour.
    width = 300 + 100 * labels * telling
    rows = tuple({"format": "JPEG", "mode": "RGB", "width": int(w), "height": 200, "bytes": 30 * int(w)} for w in width)
    return Dataset(
        ("a", "b", "c"),
        images,
        labels,
        tuple(f"{'abc'[label]}/{i}.jpg" for i, label in enumerate(labels)),
        tuple(f"{i:064x}" for i in range(N)),
        np.arange(N),
        Source("folder", "test"),
        facts=rows if facts else (),
    )


SPLIT = Split("grouped", 0, 0, train=tuple(i for i in range(N) if i % 5), val=(), test=tuple(range(0, N, 5)))


@pytest.mark.parametrize("name", [model.inputs for model in BASELINES.values()])
def test_each_baseline_learns_from_what_it_sees(name):
    dataset = data()
    features = np.eye(3)[dataset.labels] + np.random.default_rng(1).normal(0, 0.1, (N, 3))
    inputs = baseline_inputs(name, dataset, np.stack([features, 1 - features], axis=1))
    y_prob = fit_baseline(inputs, dataset.labels, 3, SPLIT)
    assert y_prob.shape == (len(SPLIT.test), 3)
    assert np.allclose(y_prob.sum(axis=1), 1)
    assert (y_prob.argmax(axis=1) == dataset.labels[list(SPLIT.test)]).all()
    assert (y_prob == fit_baseline(inputs, dataset.labels, 3, SPLIT)).all()


@pytest.mark.parametrize("dataset", [data(facts=False), data(telling=False)], ids=["no facts", "all alike"])
def test_metadata_that_says_nothing_is_one_constant_column_and_chance(dataset):
    inputs = baseline_inputs("metadata", dataset)
    assert inputs.shape == (N, 1) and np.ptp(inputs) == 0
    y_prob = fit_baseline(inputs, dataset.labels, 3, SPLIT)
    assert np.allclose(y_prob, 1 / 3, atol=1e-3)


def test_metadata_never_opens_an_image_and_colour_does_not_see_where_a_colour_is():
    dataset = data()
    blind, turned = (replace(dataset, images=images) for images in (None, dataset.images[:, ::-1]))
    assert (baseline_inputs("metadata", blind) == baseline_inputs("metadata", dataset)).all()
    assert (baseline_inputs("colour", turned) == baseline_inputs("colour", dataset)).all()
    split = Split("grouped", 0, 0, train=tuple(range(20)), val=(), test=(25, 26))  # none of the third class
    assert (fit_baseline(baseline_inputs("colour", dataset), dataset.labels, 3, split)[:, 2] == 0).all()
