"""A study's classifier made: what its file holds is what was measured, and both are of the recommended model."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tiny

from batik_utils.deploy import gate, make
from batik_utils.deploy.answers import Classifier
from batik_utils.errors import BatikError
from batik_utils.experiment import make_plan, run_plan
from batik_utils.models import backbones
from batik_utils.values import Hyper, Results, Source


class Backbone(tiny.TinyBackbone):
    def build(self, size, **options):
        return super().build(size)


@pytest.fixture
def plan(monkeypatch, tmp_path):
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path))
    monkeypatch.setitem(backbones.BACKBONES, "tiny", Backbone())  # type: ignore[misc]
    return tiny.plan()


def test_a_pretrained_model_is_given_out_with_all_that_is_measured_of_it(plan, monkeypatch):
    monkeypatch.setattr(gate, "LEAST_AUROC", 0.0)
    plan = replace(plan, dataset=replace(plan.dataset, source=Source("published", "tiny")))
    others = [("batik-other", picture) for picture in 255 - plan.dataset.images[:3]]
    monkeypatch.setattr(gate, "other_motifs", lambda study, image, folder: others)
    monkeypatch.setattr(make, "find_photographs", lambda data, motifs: [None])
    results = run_plan(plan, executor="serial", progress=False)
    monkeypatch.setattr(make, "recommended", lambda study, results: "tiny")
    monkeypatch.setattr(make, "uneven", lambda counts: counts.sum() == 24)
    bundle, found = make.make_classifier(plan, results)
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


def test_what_was_trained_on_the_pictures_themselves_has_no_gate(plan, monkeypatch):
    results = run_plan(plan, executor="serial", progress=False)
    monkeypatch.setattr(make, "recommended", lambda study, results: "scratch")
    bundle, found = make.make_classifier(plan, results)
    assert (found["model"], found["gate"], found["auroc"], found["unseen"]) == ("scratch", None, None, None)
    assert bundle.about.gate is None and bundle.about.evidence == "exact" and bundle.about.accuracy.balanced is None


def test_with_sources_all_is_set_and_measured_with_whole_sources_on_one_side(plan, monkeypatch):
    monkeypatch.setattr(gate, "LEAST_AUROC", 0.0)
    monkeypatch.setattr(make, "recommended", lambda study, results: "tiny")
    source = {"name": "shop", "why": "one mark", "pictures": list(plan.dataset.paths[:2])}
    study = tiny.study(sources=[source])
    fours = replace(plan.dataset, sources=np.arange(24) // 4)
    plan = make_plan(study, fours, backbones={"tiny": tiny.TinyBackbone()})
    results = run_plan(plan, executor="serial", progress=False)
    bundle, found = make.make_classifier(plan, results)
    assert (bundle.about.protocol, found["protocol"]) == ("sources", "sources")
    assert found["calibration"]["n"] == found["sets"]["measured"]["n"] == 24 and found["gate"]["n_own"] == 12
    assert {row.fingerprint for row in bundle.about.training.rows} and bundle.about.sources_accuracy
    near, far = (gate.left_out(bundle.training, kept, 1) for kept in (fours.groups, fours.sources))
    assert (far >= near).all() and (far > near).any(), "a picture is not compared with its own source"
    others = Results(tuple(r for r in results if r.fit.protocol != "sources"))
    assert make.judged_by(others, "tiny") == "grouped"


def test_a_model_with_another_setting_than_was_judged_is_not_given_out(plan, monkeypatch):
    monkeypatch.setattr(make, "recommended", lambda study, results: "tiny")
    fits = (
        replace(r, fit=replace(r.fit, hyper=Hyper(9))) if r.fit.protocol == "published" else r
        for r in run_plan(plan, executor="serial", progress=False)
    )
    with pytest.raises(BatikError, match="another setting on the published split than in cross-validation"):
        make.make_classifier(plan, Results(tuple(fits)))
