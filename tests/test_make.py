"""A classifier made: what it holds was measured, of the recommended model; its gate, its sets and its calibration."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from results_factory import make_dataset, make_fit, make_results

from batik_utils.deploy import gate, make
from batik_utils.deploy.answers import Classifier, distances, members
from batik_utils.errors import BatikError
from batik_utils.experiment import make_plan, run_plan
from batik_utils.models import backbones
from batik_utils.stats.calibration import calibrate, fit_temperature, quality, scale
from batik_utils.study_models import Image
from batik_utils.values import Hyper, Results, Source


class Backbone(tiny.TinyBackbone):
    def build(self, size, **options):
        return super().build(size)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One for all plans, which share their fits."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def plan(monkeypatch, cache):
    monkeypatch.setenv("BATIK_CACHE", str(cache))
    monkeypatch.setitem(backbones.BACKBONES, "tiny", Backbone())  # type: ignore[misc]
    monkeypatch.setattr(gate, "LEAST_AUROC", 0.0)
    monkeypatch.setattr(make, "recommended", lambda study, results: "tiny")
    return tiny.plan()


def left_out(features, kept):
    return distances(features, features, 1, kept[:, None] == kept)


def fitted(plan):
    return run_plan(plan, executor="serial", progress=False)


def test_a_pretrained_model_is_given_out_with_all_that_is_measured_of_it(plan, monkeypatch):
    plan = replace(plan, dataset=replace(plan.dataset, source=Source("published", "tiny")))
    monkeypatch.setattr(make, "other_motifs", lambda motifs, folder: (["batik-other/0.png"] * 3, []))
    monkeypatch.setattr(make, "read_image", lambda path, **image: (255 - plan.dataset.images[0], {}))
    monkeypatch.setattr(make, "find_photographs", lambda data, motifs: [Path()])
    monkeypatch.setattr(make, "uneven", lambda counts: counts.sum() == 24)
    bundle, found = make.make_classifier(plan, fitted(plan))
    assert json.loads(json.dumps(found)) == found
    about = bundle.about
    assert (about.model.name, about.model.parameters) == (found["model"], found["parameters"]) == ("tiny", 1190)
    assert about.image == plan.study.image and about.accuracy and about.accuracy.n == 24
    assert about.accuracy.balanced == pytest.approx(about.accuracy.value), "as many of each motif in every fold"
    assert about.gate and about.gate.auroc == pytest.approx(found["gate"]["auroc"], abs=1e-6) and about.sets
    assert found["unseen"].keys() == {"motifs", "images", "auroc"}
    assert (found["unseen"]["motifs"], found["unseen"]["images"]) == (1, 3)
    assert found["agreement"] >= 0.99 and found["compared"] == 24 and found["bytes"] == len(bundle.model)
    answer = Classifier(bundle).ask(plan.dataset.images[0])
    features = Classifier(bundle)._runtime.ask(plan.dataset.images[0])["features"]
    np.testing.assert_allclose(bundle.training[0], features, atol=1e-3)
    assert "distance" in answer and set(answer["probabilities"]) == set(tiny.MOTIFS)


def test_what_was_trained_on_the_pictures_has_no_gate_and_with_another_setting_is_not_given_out(plan, monkeypatch):
    results = fitted(plan)
    other = [replace(r, fit=replace(r.fit, hyper=Hyper(9))) if r.fit.protocol == "published" else r for r in results]
    with pytest.raises(BatikError, match="another setting on the published split than in cross-validation"):
        make.make_classifier(plan, Results(tuple(other)))
    monkeypatch.setattr(make, "recommended", lambda study, results: "scratch")
    bundle, found = make.make_classifier(plan, results)
    assert (found["model"], found["gate"], found["auroc"], found["unseen"]) == ("scratch", None, None, None)
    assert bundle.about.gate is None and bundle.about.evidence == "exact" and bundle.about.accuracy.balanced is None


def test_with_sources_all_is_set_and_measured_with_whole_sources_on_one_side(plan):
    source = {"name": "shop", "why": "one mark", "pictures": list(plan.dataset.paths[:2])}
    fours = replace(plan.dataset, sources=np.arange(24) // 4)
    plan = make_plan(tiny.study(sources=[source]), fours, backbones={"tiny": tiny.TinyBackbone()})
    results = fitted(plan)
    bundle, found = make.make_classifier(plan, results)
    assert (bundle.about.protocol, found["protocol"]) == ("sources", "sources")
    assert found["calibration"]["n"] == found["sets"]["measured"]["n"] == 24 and found["gate"]["n_own"] == 12
    assert {row.fingerprint for row in bundle.about.training.rows} and bundle.about.sources_accuracy
    near, far = (left_out(bundle.training, kept) for kept in (fours.groups, fours.sources))
    assert (far >= near).all() and (far > near).any(), "a picture is not compared with its own source"
    others = Results(tuple(r for r in results if r.fit.protocol != "sources"))
    assert make.judged_by(others, "tiny") == "grouped"


GROUPS = np.arange(100) // 2
JUDGES = np.arange(80) % 2 == 1


def test_a_distance_is_the_mean_to_the_nearest_and_a_copy_does_not_count_as_near():
    training = np.array([[1.0, 0], [1, 0], [0, 1], [-1, 0]])
    assert distances(np.array([[1.0, 0]]), training, 3) == pytest.approx([1 / 3])
    assert left_out(training, np.array([0, 0, 1, 2])) == pytest.approx([1, 1, 1, 1])
    assert left_out(training, np.array([0, 1, 2, 3]))[0] == pytest.approx(0)


def test_a_gate_that_can_tell_turns_away_others_keeps_to_its_aim_and_judges_have_no_say_in_it():
    rng = np.random.default_rng(0)
    own, ordinary, odd = rng.normal(0.3, 0.05, 100), rng.normal(0.6, 0.08, 80), GROUPS % 2 == 1
    found, how_well = gate.make_gate(own, GROUPS, ordinary, JUDGES)
    assert found and found.auroc == how_well > 0.98 and (found.n_ordinary, found.n_own) == (40, 50)
    assert 0.3 < found.threshold < 0.6 and found.own_turned_away <= 0.1 and found.ordinary_turned_away > 0.85
    assert found.own_turned_away == (own[odd] > found.threshold).mean()
    assert found.ordinary_turned_away == (ordinary[JUDGES] > found.threshold).mean()
    other = gate.make_gate(np.where(odd, own - 0.1, own), GROUPS, ordinary + JUDGES, JUDGES)[0]
    assert other and other.threshold == found.threshold


def test_there_is_no_gate_where_features_cannot_tell():
    rng = np.random.default_rng(2)
    own, ordinary = rng.normal(0.3, 0.1, 100), rng.normal(0.35, 0.1, 80)
    found, how_well = gate.make_gate(own, GROUPS, ordinary, JUDGES)
    assert found is None and 0.5 < how_well < 0.9
    assert gate.auroc(own, own) == 0.5


def test_ordinary_pictures_are_many_of_every_sort_and_the_same_every_time():
    image = Image(size=64, resize="bilinear", fit="crop")
    (pictures, judges), (again, _) = (gate.ordinary_pictures(image) for _ in range(2))
    assert pictures.tobytes() == again.tobytes() and pictures.shape[1:] == (64, 64, 3)
    assert len(pictures) > 150 and 0.4 < judges.mean() < 0.6
    sides = [{picture.tobytes() for picture in pictures[which]} for which in (judges, ~judges)]
    assert not sides[0] & sides[1], "what sets the threshold does not judge it"


DATA = make_dataset()
KEPT = {path: row for row, path in enumerate(DATA.paths)}


def sets_of(protocol="grouped", kept=KEPT, folds=4):
    results = make_results({"lite": 0.8}, repeats=4, seeds=2, folds=folds, motifs=DATA.motifs)
    return make.prediction_sets(results, "lite", 1.0, protocol, DATA.motifs, kept)


def test_sets_hold_the_truth_as_often_as_promised():
    found = sets_of()
    assert found and found.measured.value == pytest.approx(0.9, abs=0.05) and 1 <= found.mean_size < 3
    assert found.measured.n == 150 and found.measured.low < found.measured.value < found.measured.high
    assert list(found.per_motif) == list(DATA.motifs) and [part.n for part in found.per_motif.values()] == [50] * 3
    few = sets_of(kept={path: n // 5 for path, n in KEPT.items()})
    assert few and few.measured.low < found.measured.low, "five pictures of one source say no more than one"
    assert sets_of("sources") is None and sets_of(folds=1) is None, "nothing was held out"
    assert members(np.array([[0.4, 0.35, 0.25]]), 0.1).tolist() == [[True, False, False]], "a set is never empty"
    assert members(np.array([[0.5, 0.4, 0.1]]), 0.6).tolist() == [[True, True, False]]


@pytest.mark.parametrize(("n", "held"), [(3, 3), (9, 9), (19, 18), (100, 91)])
def test_a_threshold_holds_the_share_that_another_picture_asks_for(n, held):
    """Of n pictures and one more, nine in ten: ceil(0.9 (n + 1)), where there are so many."""
    truth = np.random.default_rng(0).permutation(np.arange(1, n + 1) / (n + 1))
    limit = make.threshold(np.zeros(n, int), np.column_stack([truth, 1 - truth]))
    assert (1 - truth <= limit).sum() == held


def honest(n=20000, seed=0):
    """Labels drawn from the very probabilities that are stated."""
    rng = np.random.default_rng(seed)
    y_prob = rng.dirichlet([1.0, 1.0, 1.0], n)
    return (rng.random((n, 1)) > y_prob.cumsum(axis=1)).sum(axis=1), y_prob


def test_calibration_errors_by_hand_and_hardly_any_where_probabilities_mean_what_they_say():
    y_prob = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    assert quality(np.array([0, 0, 1, 1]), y_prob).ece == pytest.approx(0.5 * 0.1 + 0.5 * 0.6)
    sure = quality(np.arange(3), np.eye(3))
    assert sure.reliability.to_numpy().tolist() == [[1.0, 1.0, 3]], "all in the last bin"
    assert sure.brier == 0 and quality(np.array([1, 2, 0]), np.eye(3)).brier == 2
    assert quality(np.arange(3), np.full((3, 3), 1 / 3)).brier == pytest.approx(2 / 3)
    found = quality(*honest())
    table, big = found.reliability, found.reliability[found.reliability["count"] > 300]
    assert found.ece < 0.015 and np.allclose(big["accuracy"], big["confidence"], atol=0.08)
    assert table["count"].sum() == 20000 and table["confidence"].is_monotonic_increasing


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_temperature_that_was_put_in_is_found_again(temperature):
    y_true, y_prob = honest()
    scaled = scale(y_prob, 3.0)
    assert np.allclose(scaled.sum(axis=1), 1) and (scaled.argmax(axis=1) == y_prob.argmax(axis=1)).all()
    assert scaled.max(axis=1).mean() < y_prob.max(axis=1).mean()
    assert fit_temperature(y_true, scale(y_prob, 1 / temperature)) == pytest.approx(temperature, rel=0.05)


def test_an_over_sure_model_is_mended_by_a_temperature_that_never_sees_the_fold_it_is_for():
    results = make_results({"m": 0.7}, repeats=2, seeds=1, sure=0.98)
    found = calibrate(results, "m")
    assert found.before.confidence == pytest.approx(0.98) and found.before.ece > 0.2
    assert found.after.ece < 0.06
    assert found.after.brier < found.before.brier and found.after.log_loss < found.before.log_loss
    assert np.median(found.temperatures) > 1.5 and len(found.temperatures) == 10
    assert found.after.accuracy == found.before.accuracy
    once = [r for r in results.select("m") if r.fit.repeat == 0]
    wrong = make_fit("m", [False] * 30, once[0].y_true, once[0].paths, protocol="grouped", sure=0.98)
    first, second = (calibrate(Results(tuple(fits)), "m").temperatures for fits in (once, [wrong, *once[1:]]))
    assert second[0] == first[0] and all(b > a for a, b in zip(first[1:], second[1:], strict=True))
    assert calibrate(Results(results.items[:1]), "m") is None, "one fold alone cannot be calibrated"
    assert calibrate(results, "another") is None
