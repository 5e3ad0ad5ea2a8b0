"""A study's classifier made: what its file holds is what was measured, and both are of the recommended model."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tiny

from batik_utils.deploy import gate, make
from batik_utils.deploy.answers import Classifier
from batik_utils.experiment import run_plan
from batik_utils.models import backbones
from batik_utils.values import Source


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
    bundle, found = make.make_classifier(plan, results)
    assert json.loads(json.dumps(found)) == found
    about = bundle.about
    assert (about.model.name, about.model.parameters) == (found["model"], found["parameters"]) == ("tiny", 1190)
    assert about.image == plan.study.image and about.accuracy and about.accuracy.images == 24
    assert about.gate and about.gate.auroc == pytest.approx(found["gate"]["auroc"], abs=1e-6) and about.sets
    assert found["unseen"].keys() == {"motifs", "images", "auroc", "auroc_confidence"}
    assert (found["unseen"]["motifs"], found["unseen"]["images"]) == (1, 3)
    assert found["agreement"] >= 0.99 and found["compared"] == 24 and found["bytes"] == len(bundle.model)
    answer = Classifier(bundle).ask(plan.dataset.images[0])
    features = Classifier(bundle)._runtime.ask(plan.dataset.images[0])["features"]
    np.testing.assert_allclose(bundle.training[0], features, atol=1e-3)
    assert answer.distance is not None and set(answer.probabilities) == set(tiny.MOTIFS)


def test_what_was_trained_on_the_pictures_themselves_has_no_gate(plan, monkeypatch):
    results = run_plan(plan, executor="serial", progress=False)
    monkeypatch.setattr(make, "recommended", lambda study, results: "scratch")
    bundle, found = make.make_classifier(plan, results)
    assert (found["model"], found["gate"], found["auroc"], found["unseen"]) == ("scratch", None, None, None)
    assert bundle.about.gate is None and bundle.about.evidence == "exact"
