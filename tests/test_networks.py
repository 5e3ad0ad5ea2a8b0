"""Networks layer by layer: every number that they hold is accounted for."""

from dataclasses import replace

import pytest
from paper import LITE, SCRATCH, make_analysis, said

from batik_utils.models.backbones import backbone
from batik_utils.models.scratch import build_scratch
from batik_utils.report.analysis import Analysis
from batik_utils.report.networks import layers
from batik_utils.study_file import load_study
from batik_utils.values import Results


@pytest.fixture(scope="module")
def seed():
    study = load_study("bali-betawi-celup")
    return layers(study, list(study.models))


def test_the_seeds_network_is_listed_as_the_seed_lists_it(seed):
    rows = seed["Scratch CNN"]
    assert [row.layer for row in rows][1:4] == [
        "Conv2D, 32 filters of 3 × 3, relu",
        "MaxPooling2D, 2 × 2",
        "Conv2D, 64 filters of 3 × 3, relu",
    ]
    assert rows[1].gives == "222 × 222 × 32" and rows[-1] == ("Dense, 3 units, softmax", "3", 387)
    assert "Dropout, 0.5" in [row.layer for row in rows]
    assert sum(row.parameters for row in rows) == 11_169_347


def test_a_frozen_backbone_is_one_row_and_models_built_alike_share_a_table(seed):
    (titles,) = set(seed) - {"Scratch CNN"}
    assert titles == "MobileNetV2; MobileNetV2 (as published)"
    assert seed[titles][0].parameters == backbone("mobilenet_v2").parameters and "frozen" in seed[titles][0].layer
    assert sum(row.parameters for row in seed[titles]) == 2_422_339


@pytest.mark.parametrize("architecture", ["pooled_cnn", "small_cnn"])
def test_every_parameter_is_counted(architecture):
    made = make_analysis(motifs=2).study
    spec = made.models["small"].model_copy(update={"architecture": architecture})
    study = made.model_copy(update={"models": {"small": spec}, "image": made.image.model_copy(update={"size": 64})})
    rows = layers(study, ["small"])["Small CNN"]
    assert sum(row.parameters for row in rows) == build_scratch(architecture, 64, 2, 0.5).count_params()


def test_the_report_shows_them_and_the_curves_of_every_one():
    words = said(make_analysis())
    assert "Conv2D" in words["tbl-layers-1"] and "frozen" in words["tbl-layers-2"]
    assert "fig-curves" in words and "fig-curves-2" not in words
    made = make_analysis(models={"small": SCRATCH, "lite": LITE, "third": LITE | {"title": "Third"}})
    again = [replace(r, fit=replace(r.fit, model="third")) for r in made.results.select("lite")]
    more = Analysis(made.study, made.dataset, Results((*made.results, *again)), clean_features=made.clean_features)
    assert said(more)["fig-curves-2"].strip() == "Accuracy and loss of Third."
