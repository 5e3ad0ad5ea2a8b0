"""Recipes: pooled features, a metric learnt from other motifs, a linear head, and one network that can be saved."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import tiny
from scipy.special import softmax
from sklearn.linear_model import RidgeClassifier

from batik_utils.errors import BatikError
from batik_utils.experiment import final_weights, make_plan, run_plan
from batik_utils.models import kinds
from batik_utils.models import recipe as recipes
from batik_utils.models.extract import Extractor
from batik_utils.models.features import compute_features
from batik_utils.models.kinds import KINDS
from batik_utils.models.pooling import pool, pooled_width
from batik_utils.models.texture import describe
from batik_utils.models.work import Task
from batik_utils.study_models import Part
from batik_utils.values import Fit, Hyper, Split

PARTS = {
    "mean": {"backbone": "tiny", "layers": ["maps"], "pooling": ["average"]},
    "second": {"backbone": "tiny", "layers": ["maps", "early"], "pooling": ["gem", "covariance"]},
    "texture": {"texture": "patterns"},
}
RECIPE = {"kind": "recipe", "title": "Recipe", "parts": PARTS, "strength": 0.1}


@dataclass(frozen=True)
class Layered(tiny.TinyBackbone):
    """The tiny backbone with named layers and a batch normalisation, as the real ones."""

    def build(self, size: int) -> Any:
        model, draw = self.architecture(size), np.random.default_rng(0)
        for layer in model.layers:
            if layer.name == "early":  # a normalisation's variances are positive
                layer.set_weights([draw.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
            else:
                layer.set_weights([draw.normal(0, 0.02, weight.shape) for weight in layer.weights])
        return model

    def architecture(self, size: int) -> Any:
        import batik_utils.backend  # noqa: F401  (before keras)

        # isort: split
        import keras

        x = inputs = keras.Input((size, size, 3), name="image")
        x = keras.layers.Conv2D(4, 4, strides=4, use_bias=False, name="early_conv")(x)
        x = keras.layers.BatchNormalization(name="early")(x)
        x = keras.layers.Conv2D(6, 2, strides=2, activation="relu", name="maps")(x)
        return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x), name="tiny")


KNOWN: dict[str, Any] = {"tiny": Layered()}


def _study(**changes: Any):
    return tiny.study(models=tiny.models() | {"recipe": RECIPE | changes})


def _extractor(*names: str) -> Extractor:
    return Extractor.of({name: _study().models["recipe"].parts[name] for name in names}, KNOWN)


WIDTHS = [width for _, width in _extractor(*PARTS).blocks]


def _fit(features, labels, groups, train=40, others=None):
    """(result, weights, blocks) of one fit of the recipe to the first rows, which is judged by the rest."""
    study = _study()
    rows = tuple(range(len(labels)))
    task = Task(
        model=study.models["recipe"],
        fits=(Fit("tiny", "recipe", "grouped", 0, 0, 0, Hyper(0, 0.0, 0.0)),),
        splits=(Split("grouped", 0, 0, rows[:train], (), rows[train:]),),
        labels=tuple(labels.tolist()),
        groups=tuple(groups.tolist()),
        classes=int(labels.max()) + 1,
        features=KINDS["recipe"].features(study.models["recipe"], study, KNOWN),
    )
    blocks = recipes.learn_blocks(WIDTHS, 10.0 if others else 0.0, others)
    return *recipes.fit_recipe(task, [str(row) for row in rows], recipes.kernels(features, blocks), 1)[0], blocks


def _given(rows: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features [rows, 1, d] of the extractor's blocks that tell something of the labels; labels; groups of two."""
    draw = np.random.default_rng(0)
    labels = np.repeat(np.arange(rows // 2) % classes, 2)
    blocks = []
    for width in WIDTHS:
        block = draw.normal(size=(rows, width)) + 1.5 * draw.normal(size=(classes, width))[labels]
        blocks.append(block / np.linalg.norm(block, axis=1, keepdims=True))
    return np.concatenate(blocks, axis=1)[:, None].astype(np.float32), labels, np.repeat(np.arange(rows // 2), 2)


def test_poolings_are_what_numpy_says():
    maps = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    flat = maps.reshape(2, 12, 5).astype(np.float64)
    matrices = np.stack([np.cov(one.T, bias=True)[np.triu_indices(5)] for one in flat])
    expected = {
        "average": flat.mean(1),
        "gem": np.cbrt((np.maximum(flat, 1e-6) ** 3).mean(1)),
        "covariance": np.sign(matrices) * np.sqrt(np.abs(matrices)),
    }
    for how, values in expected.items():
        assert values.shape[1] == pooled_width(5, how)
        unit = values / np.linalg.norm(values, axis=1, keepdims=True)
        np.testing.assert_allclose(np.asarray(pool(maps, how)), unit, atol=1e-5)


def test_features_stand_in_the_order_of_the_parts_and_corruptions_come_last():
    study, data = _study(), tiny.dataset()
    spec = KINDS["recipe"].features(study.models["recipe"], study, KNOWN)
    found = compute_features(spec, data.images[0], data.sha256[0])
    widths = [("mean", 6), ("second", 6), ("second", 21), ("second", 4), ("second", 10), ("texture", 177)]
    assert spec.backbone.blocks == tuple(widths) and found.shape == spec.shape == (1 + len(spec.corruptions), 224)
    np.testing.assert_allclose(found[0, 47:], describe(data.images[0], "patterns"), atol=1e-6)
    alone = _extractor("mean").build(tiny.SIZE).predict_on_batch(data.images[:1].astype(np.float32))
    np.testing.assert_allclose(found[0, :6], alone[0], atol=1e-5)


def test_nothing_of_a_fit_comes_from_the_test_rows():
    features, labels, groups = _given(60, 3)
    first, weights, _ = _fit(features, labels, groups)
    features[40:] = features[40:][::-1] * -1
    labels[40:] = (labels[40:] + 1) % 3
    second, same, _ = _fit(features, labels, groups)
    assert not np.array_equal(first.y_prob, second.y_prob)
    assert all(np.array_equal(weights[name], same[name]) for name in weights)


def test_inner_folds_keep_groups_whole_and_every_row_is_judged_once():
    _, labels, groups = _given(60, 3)
    folds = recipes.inner_folds(labels, groups, 0)
    assert len(folds) == 5
    assert sorted(row for _, judge in folds for row in judge) == list(range(60))
    assert all(not set(groups[learn]) & set(groups[judge]) for learn, judge in folds)
    assert len(recipes.inner_folds(labels[:18], groups[:18], 0)) == 3  # three groups of each motif
    assert recipes.inner_folds(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]), 0) == []


def test_a_linear_head_on_the_kernel_is_that_on_the_features():
    features, labels, groups = _given(60, 3)
    result, *_ = _fit(features, labels, groups)
    x = features[:, 0] / np.sqrt(len(WIDTHS))
    decided = RidgeClassifier(alpha=0.1).fit(x[:40], labels[:40]).decision_function(x[40:])
    logs = np.log(result.y_prob)
    logs, decided = (a - a.mean(axis=1, keepdims=True) for a in (logs, decided))
    warmth = (logs * decided).sum() / (decided**2).sum()
    np.testing.assert_allclose(logs, warmth * decided, atol=1e-3)


def test_the_metric_is_the_whitening_of_the_scatter_within_other_motifs():
    draw = np.random.default_rng(0)
    others, motif = draw.normal(size=(40, 7)).astype(np.float32) * np.arange(1, 8, dtype=np.float32), np.arange(40) % 4
    features = draw.normal(size=(9, 2, 7)).astype(np.float32)
    blocks = recipes.learn_blocks([7], 10.0, (others, motif))
    apart = others - np.stack([others[motif == m].mean(axis=0) for m in motif])
    scatter = apart.T @ apart / 40
    beta = 10 * np.trace(scatter) / 7
    values, vectors = np.linalg.eigh(scatter)
    root = vectors @ np.diag((values / beta + 1) ** -0.5) @ vectors.T  # (S + βI)^(-1/2), its scale apart
    moved = (features - others.mean(axis=0)) @ root
    expected = np.stack([moved[:, v] @ moved[:, 0].T for v in range(2)])
    np.testing.assert_allclose(recipes.kernels(features, blocks), expected, rtol=1e-3, atol=1e-3)


def test_the_metric_is_in_the_weights_on_the_features_themselves():
    features, labels, groups = _given(60, 3)
    others = np.random.default_rng(3).normal(0.1, 0.2, (50, sum(WIDTHS))).astype(np.float32), np.arange(50) % 5
    noisy, found = np.where(np.arange(60) % 4 > 1, (labels + 1) % 3, labels), []
    for known in (others, None):
        result, weights, blocks = _fit(features, noisy, groups, others=known)
        primal = recipes.primal_weights(weights, features, blocks)
        found.append(softmax(features[40:, 0] @ primal["kernel"] + primal["bias"], axis=1))
        np.testing.assert_allclose(found[-1], result.y_prob, atol=1e-4)
    assert np.abs(found[0] - found[1]).max() > 1e-3


@pytest.mark.parametrize("motifs", [2, 3])
def test_probabilities_are_calibrated(motifs):
    features, labels, groups = _given(300, motifs)
    noisy = np.repeat(np.where(np.random.default_rng(0).random(150) < 0.3, (labels[::2] + 1) % motifs, labels[::2]), 2)
    result, *_ = _fit(features, noisy, groups, train=200)
    assert result.y_prob.max(1).mean() == pytest.approx(np.mean(result.y_prob.argmax(1) == result.y_true), abs=0.12)


def test_a_study_runs_and_puts_its_recipe_together(monkeypatch, tmp_path):
    from batik_utils.deploy.convert import with_three_outputs

    monkeypatch.setenv("BATIK_CACHE", str(tmp_path))
    monkeypatch.setattr(kinds, "BACKBONES", KNOWN)
    data = tiny.dataset()
    apart = replace(tiny.dataset(), motifs=("a", "b", "c"), labels=np.arange(24) % 3)
    networks = {name: PARTS[name] for name in ("mean", "second")}
    study = _study(parts=networks, metric={"scale": 10.0})
    alone, plan = (make_plan(study, replace(data, others=other), backbones=KNOWN) for other in (None, apart))
    moved = replace(apart, labels=np.arange(24) % 2)
    again = make_plan(study, replace(data, others=moved), backbones=KNOWN)
    keys = [{t.key for t in one.tasks if t.fits[0].model == "recipe"} for one in (alone, plan, again)]
    assert not (keys[0] & keys[1] or keys[1] & keys[2])  # who the others are is in every fit's key
    plan = replace(plan, tasks=tuple(t for t in plan.tasks if t.fits[0].model == "recipe"))
    results = run_plan(plan, executor="serial", progress=False)
    assert not results.missing and {r.fit.protocol for r in results} == {"published", "grouped", "curve-2", "permuted"}
    (published,) = results.select("recipe", "published").items  # no seed has a say
    assert set(published.corruptions) == set(plan.tasks[0].corruptions) != set()

    weights = final_weights(plan, "recipe", on="published")
    network = KINDS["recipe"].assemble(study.models["recipe"], weights, tiny.SIZE, tiny.MOTIFS, 0.0)
    rows = [plan.dataset.paths.index(path) for path in published.paths]
    plain = final_weights(alone, "recipe", on="published")
    assert not np.allclose(plain["kernel"], weights["kernel"])
    said = network.predict_on_batch(plan.dataset.images[rows].astype(np.float32))
    np.testing.assert_allclose(said, published.y_prob, atol=1e-5)
    three = with_three_outputs(network, 1.0).predict_on_batch(plan.dataset.images[rows])
    np.testing.assert_allclose(three["probabilities"], said, atol=1e-5)
    assert three.keys() == {"probabilities", "features"} and np.ptp(three["features"], axis=0).max() > 0


def test_texture_cannot_be_saved_as_a_network_and_is_described_as_what_it_is():
    with pytest.raises(BatikError, match="texture: texture is not computed by a network"):
        _extractor("texture").assemble(np.zeros((177, 2)), np.zeros(2), tiny.SIZE)
    chosen = {"settings": 12, "trios": 30, "motifs": ["a", "b"], "command": "x"}
    models = (_study().models["recipe"], _study(parts={"texture": PARTS["texture"]}, chosen=chosen).models["recipe"])
    assert [KINDS["recipe"].describe(model).starts for model in models] == ["ImageNet", "none"]
    assert KINDS["recipe"].weights_sha256(models[1]) is None


def test_a_layer_that_is_not_there_is_named():
    part = Part(backbone="tiny", layers=("map",), pooling=("gem",))
    with pytest.raises(BatikError, match="tiny has no layer 'map' with feature maps, did you mean 'maps'"):
        Extractor.of({"wrong": part}, KNOWN).blocks  # noqa: B018


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parts": {}}, "at least 1 item"),
        ({"metric": {"scale": -1.0}}, "greater than 0"),
        ({"parts": PARTS | {"mean": {"layers": ["maps"]}}}, "a part has either a backbone or a texture"),
        ({"parts": PARTS | {"mean": {"backbone": "tiny"}}}, "layers and pooling go with a backbone"),
    ],
)
def test_a_mistake_in_a_recipe_is_explained(changes, message):
    with pytest.raises(BatikError, match=message):
        _study(**changes)
