"""Recipes: pooled features, a choice made inside each fit's training rows, and one network that can be saved."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import tiny
from scipy.special import softmax
from sklearn.metrics import brier_score_loss

from batik_utils.errors import BatikError
from batik_utils.experiment import make_plan, run_plan
from batik_utils.models import recipe as recipes
from batik_utils.models.extract import Extractor
from batik_utils.models.features import compute_features
from batik_utils.models.kinds import KINDS
from batik_utils.models.texture import describe
from batik_utils.models.work import Task
from batik_utils.study_models import Part
from batik_utils.values import Fit, Hyper, Split

PARTS = {
    "mean": {"backbone": "tiny", "layers": ["maps"], "pooling": ["average"]},
    "second": {"backbone": "tiny", "layers": ["maps", "early"], "pooling": ["gem", "covariance"]},
    "texture": {"texture": "patterns"},
}
RECIPE = {
    "kind": "recipe",
    "title": "Recipe",
    "parts": PARTS,
    "candidates": {"plain": ["mean"], "rich": ["mean", "second"], "texture": ["texture"]},
    "heads": {"ridge": [0.01, 1.0], "logistic": [10.0], "svm": [1.0]},
    "inner_folds": 3,
}


@dataclass(frozen=True)
class Layered(tiny.TinyBackbone):
    """The tiny backbone with named layers and a batch normalisation, as the real ones."""

    def build(self, size: int) -> Any:
        model = self.architecture(size)
        draw = np.random.default_rng(0)
        for layer in model.layers:
            kernels = layer.name != "early"  # a normalisation's variances are positive
            values = [
                draw.normal(0, 0.02, w.shape) if kernels else draw.uniform(0.5, 1.5, w.shape) for w in layer.weights
            ]
            layer.set_weights(values)
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
    return Extractor.of({name: Part.model_validate_json(_json(PARTS[name])) for name in names}, KNOWN)


def _json(raw: Any) -> str:
    import json

    return json.dumps(raw)


def _task(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, split: Split, **changes: Any) -> Task:
    """One fit on the features of one block, of which the candidate "plain" is the first half."""
    study, classes = _study(**changes), int(labels.max()) + 1
    model = study.models["recipe"]
    fit = Fit("tiny", "recipe", "grouped", 0, 0, 0, Hyper(0, 0.0, 0.0))
    spec = KINDS["recipe"].features(model, study, KNOWN)
    return Task(
        model=model,
        fits=(fit,),
        splits=(split,),
        labels=tuple(labels.tolist()),
        groups=tuple(groups.tolist()),
        classes=classes,
        features=spec,
    )


def _given(rows: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features [rows, 1, d] of the extractor's blocks that tell something of the labels; labels; groups of two."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(rows // 2) % classes, 2)
    blocks = []
    for _, width in _extractor(*PARTS).blocks:
        block = draw.normal(size=(rows, width)) + 1.5 * draw.normal(size=(classes, width))[labels]
        blocks.append(block / np.linalg.norm(block, axis=1, keepdims=True))
    return np.concatenate(blocks, axis=1)[:, None].astype(np.float32), labels, np.repeat(np.arange(rows // 2), 2)


def _fit(task: Task, features: np.ndarray):
    paths = [str(row) for row in range(len(features))]
    assert task.features is not None
    grams = recipes.gram_matrices(features, task.features.backbone)  # type: ignore[arg-type]
    return recipes.fit_recipe(task, paths, grams)[0]


def test_poolings_are_what_numpy_says():
    from batik_utils.models.pooling import pool, pooled_width

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


def test_the_choice_never_sees_the_test_rows():
    features, labels, groups = _given(60, 3)
    split = Split("grouped", 0, 0, tuple(range(40)), (), tuple(range(40, 60)))
    first, weights = _fit(_task(features, labels, groups, split), features)
    changed = features.copy()
    changed[40:] = changed[40:][::-1] * -1
    relabelled = np.concatenate([labels[:40], (labels[40:] + 1) % 3])
    second, same = _fit(_task(changed, relabelled, groups, split), changed)
    assert first.chosen == second.chosen != ""
    assert not np.array_equal(first.y_prob, second.y_prob)
    assert all(np.array_equal(weights[name], same[name]) for name in weights)  # type: ignore[index,call-overload]


def test_inner_folds_keep_groups_whole_and_every_row_is_judged_once():
    _, labels, groups = _given(60, 3)
    folds = recipes.inner_folds(labels, groups, 5, 0)
    assert len(folds) == 5
    assert sorted(row for _, judge in folds for row in judge) == list(range(60))
    assert all(not set(groups[learn]) & set(groups[judge]) for learn, judge in folds)
    assert len(recipes.inner_folds(labels[:18], groups[:18], 5, 0)) == 3  # three groups of each motif
    with pytest.raises(BatikError, match="only one different picture"):
        recipes.inner_folds(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]), 5, 0)


def test_the_best_of_the_candidates_is_chosen_and_each_is_asked_alone():
    features, labels, groups = _given(90, 3)
    # Nothing but texture tells the motifs apart.
    features[:, :, :47] = np.random.default_rng(1).normal(size=(90, 1, 47)) / 10
    split = Split("grouped", 0, 0, tuple(range(60)), (), tuple(range(60, 90)))
    task = _task(features, labels, groups, split)
    result, _ = _fit(task, features)
    assert result.chosen.startswith("texture, ")
    assert len(result.trials) == task.model.settings
    assert result.trials[result.chosen] == min(result.trials.values())
    accuracy = {name: np.mean(said.argmax(1) == result.y_true) for name, said in result.alone.items()}
    assert accuracy["texture"] > 0.9 > 0.7 > max(accuracy["plain"], accuracy["rich"])
    assert np.array_equal(result.alone["texture"], result.y_prob)
    assert result.parameters == (177 + 1) * 3


def test_a_linear_head_on_the_kernel_is_that_on_the_features():
    from sklearn.linear_model import RidgeClassifier

    features, labels, _ = _given(60, 3)
    x = features[:, 0].astype(np.float64)
    same, back = recipes.coordinates(x[:40] @ x[:40].T)
    slopes, bias = recipes.linear(recipes.HEADS["ridge"](0.1), same, labels[:40], 3)
    whole = RidgeClassifier(alpha=0.1).fit(x[:40], labels[:40])
    np.testing.assert_allclose(same @ slopes + bias, whole.decision_function(x[:40]), atol=1e-4)
    np.testing.assert_allclose(x[40:] @ x[:40].T @ back @ slopes + bias, whole.decision_function(x[40:]), atol=1e-4)


def test_with_shuffled_labels_it_is_at_chance():
    right = []
    for seed in range(6):
        features, labels, groups = _given(120, 2, seed)
        dealt = np.repeat(np.random.default_rng(seed).permutation(labels[::2]), 2)
        split = Split("permuted", 0, 0, tuple(range(60)), (), tuple(range(60, 120)))
        result, _ = _fit(_task(features, dealt, groups, split), features)
        right.append(np.mean(result.y_prob.argmax(1) == result.y_true))
    assert abs(np.mean(right) - 0.5) < 0.12


@pytest.mark.parametrize("motifs", [2, 3])
def test_probabilities_are_calibrated(motifs):
    features, labels, groups = _given(300, motifs)
    noisy = np.repeat(np.where(np.random.default_rng(0).random(150) < 0.3, (labels[::2] + 1) % motifs, labels[::2]), 2)
    split = Split("grouped", 0, 0, tuple(range(200)), (), tuple(range(200, 300)))
    result, _ = _fit(_task(features, noisy, groups, split), features)
    assert result.y_prob.max(1).mean() == pytest.approx(np.mean(result.y_prob.argmax(1) == result.y_true), abs=0.12)


def test_the_choice_is_by_the_brier_score_and_not_swayed_by_one_row_that_is_sure_and_wrong():
    y = np.repeat([0, 1], 50)
    bold = np.where(np.eye(2)[y] > 0, 4.0, -4.0)
    bold[0] = -40.0, 40.0
    meek = np.where(np.arange(100)[:, None] % 5 > 0, 1.0, -1.0) * np.where(np.eye(2)[y] > 0, 1.0, -1.0)
    (brier_bold, _), (brier_meek, temperature) = (recipes.calibrated(decisions, y) for decisions in (bold, meek))
    said = softmax(temperature * meek, axis=1)
    assert brier_meek == pytest.approx(brier_score_loss(y, said, labels=[0, 1], scale_by_half=False))
    assert brier_bold < brier_meek


def test_a_study_runs_and_puts_its_recipe_together(monkeypatch, tmp_path):
    from batik_utils.deploy.graph import with_three_outputs
    from batik_utils.experiment import final_weights
    from batik_utils.models import kinds

    monkeypatch.setenv("BATIK_CACHE", str(tmp_path))
    monkeypatch.setattr(kinds, "BACKBONES", KNOWN)
    networks = {name: RECIPE["candidates"][name] for name in ("plain", "rich")}  # type: ignore[index]
    plan = make_plan(_study(candidates=networks), tiny.dataset(), backbones=KNOWN)
    plan = replace(plan, tasks=tuple(t for t in plan.tasks if t.fits[0].model == "recipe"))
    results = run_plan(plan, executor="serial", progress=False)
    assert not results.missing and {r.fit.protocol for r in results} == {"published", "grouped", "curve-2", "permuted"}
    published = results.select("recipe", "published").items[0]
    assert set(published.corruptions) == set(plan.tasks[0].corruptions) and set(published.alone) == {"plain", "rich"}

    weights = final_weights(plan, "recipe", on="published")
    model = plan.study.models["recipe"]
    network = KINDS["recipe"].assemble(model, weights, tiny.SIZE, tiny.MOTIFS, 0.0)
    rows = [plan.dataset.paths.index(path) for path in published.paths]
    said = network.predict_on_batch(plan.dataset.images[rows].astype(np.float32))
    np.testing.assert_allclose(said, published.y_prob, atol=1e-5)
    three = with_three_outputs(network, 1.0).predict_on_batch(plan.dataset.images[rows])
    np.testing.assert_allclose(three["probabilities"], said, atol=1e-5)
    assert three.keys() == {"probabilities", "features"} and np.ptp(three["features"], axis=0).max() > 0


def test_texture_cannot_be_saved_as_a_network():
    with pytest.raises(BatikError, match="texture: texture is not computed by a network"):
        _extractor("texture").assemble(np.zeros((177, 2)), np.zeros(2), tiny.SIZE)


def test_readers_are_told_the_budget_and_whether_other_pictures_were_seen():
    kind, model = KINDS["recipe"], _study().models["recipe"]
    assert "12 settings × 3 inner folds = 36 fits" in kind.describe(model).words
    assert kind.describe(model).starts == "ImageNet"
    texture = _study(candidates={"texture": ["texture"]}, parts={"texture": PARTS["texture"]}).models["recipe"]
    assert kind.describe(texture).starts == "none" and kind.weights_sha256(texture) is None


def test_a_layer_that_is_not_there_is_named():
    part = Part(backbone="tiny", layers=("map",), pooling=("gem",))
    with pytest.raises(BatikError, match="tiny has no layer 'map' with feature maps, did you mean 'maps'"):
        Extractor.of({"wrong": part}, KNOWN).blocks  # noqa: B018


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidates": {"rich": ["secnd"]}}, "the candidate rich names the part 'secnd', did you mean 'second'"),
        ({"candidates": {"none": []}}, "needs one value or more"),
        ({"heads": {"ridge": [0.0]}}, "greater than 0"),
        ({"parts": PARTS | {"mean": {"layers": ["maps"]}}}, "a part has either a backbone or a texture"),
        ({"parts": PARTS | {"mean": {"backbone": "tiny"}}}, "layers and pooling go with a backbone"),
    ],
)
def test_a_mistake_in_a_recipe_is_explained(changes, message):
    with pytest.raises(BatikError, match=message):
        _study(**changes)
