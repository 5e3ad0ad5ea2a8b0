"""A study file is strict: what it does not know, it names, with the nearest right word."""

import copy
from typing import get_args

import pytest
import yaml

from batik_utils.errors import BatikError
from batik_utils.study import ROOT, Architecture, load_study, parse_study, study_names


@pytest.fixture
def raw():
    return yaml.safe_load((ROOT / "studies" / "bali-betawi-celup.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", study_names())
def test_every_study_file_is_valid_and_named_as_its_file(name):
    assert load_study(name).name == name


def test_the_first_study_is_the_seeds(raw):
    study = parse_study(raw)
    assert study.motifs == ("batik-bali", "batik-betawi", "batik-celup")
    augmentation = study.models["scratch"].augmentation
    assert (augmentation.rotation, augmentation.shift, augmentation.shear, augmentation.zoom) == (40, 0.2, 0.2, 0.2)
    assert study.models["scratch"].batch_size == 32


def test_an_unknown_key_is_named_with_the_nearest_right_one(raw):
    raw["models"]["scratch"]["epoch"] = 3
    with pytest.raises(BatikError, match=r"'models\.scratch\.epoch'.*did you mean 'epochs'"):
        parse_study(raw)


def test_a_value_of_the_wrong_type_is_not_coerced(raw):
    raw["models"]["scratch"]["epochs"] = "20"
    with pytest.raises(BatikError, match=r"models\.scratch\.epochs.*'20'"):
        parse_study(raw)


def test_every_mistake_is_listed_at_once(raw):
    raw["grouped"]["fold"] = 5
    raw["published"]["seeds"] = 0
    with pytest.raises(BatikError) as caught:
        parse_study(raw)
    assert "grouped.fold" in str(caught.value) and "published.seeds" in str(caught.value)


def test_a_claim_about_a_model_that_is_not_there_is_an_error(raw):
    raw = copy.deepcopy(raw)
    raw["claims"][0]["model"] = "scratsh"
    with pytest.raises(BatikError, match="'scratsh', did you mean 'scratch'"):
        parse_study(raw)


@pytest.mark.parametrize("order", [["scratch", "mobilenet_v2"], ["scratch", "scratch"]])
def test_the_verdict_is_of_a_pretrained_model_and_then_a_scratch_one(raw, order):
    raw["compare"] = order
    with pytest.raises(BatikError, match=r"compare is a pretrained model, then a scratch one, not scratch") as e:
        parse_study(raw)
    assert "\n" not in str(e.value)


def test_a_search_needs_a_split_with_validation_images(raw):
    raw["models"]["scratch"]["search"] = {"epochs": [5], "learning_rate": [0.001], "dropout": [0.5]}
    with pytest.raises(BatikError, match=r"models\.scratch\.search .* keras-validation-split has none"):
        parse_study(raw)
    raw["published"]["split"] = "stratified-80-10-10"
    assert parse_study(raw).models["scratch"].search.epochs == (5,)


@pytest.mark.parametrize(
    ("what", "values"),
    [
        *((what, []) for what in ("epochs", "learning_rate", "dropout")),
        *(("epochs", [value]) for value in (0, -1)),
        *(("learning_rate", [value]) for value in (0.0, -0.001, 1.0, float("inf"), float("nan"))),
        *(("dropout", [value]) for value in (-0.1, 1.0, float("nan"))),
    ],
)
def test_a_search_has_values_and_each_can_be_trained_with(raw, what, values):
    raw["published"]["split"] = "stratified-80-10-10"
    search = {"epochs": [5], "learning_rate": [0.001], "dropout": [0.5], what: values}
    raw["models"]["scratch"]["search"] = search
    with pytest.raises(BatikError, match=rf"'models\.scratch\.search\.{what}") as caught:
        parse_study(raw)
    assert "\n" not in str(caught.value)


def test_no_number_of_a_study_is_infinite_or_none(raw):
    raw["models"]["scratch"]["augmentation"]["rotation"] = float("nan")
    with pytest.raises(BatikError, match=r"models\.scratch\.augmentation\.rotation.*finite"):
        parse_study(raw)


def test_an_architecture_that_is_not_there_is_named_with_those_that_are(raw):
    raw["models"]["scratch"]["architecture"] = "sed_cnn"
    expected = r"models\.scratch\.architecture.*'seed_cnn' or 'pooled_cnn', not 'sed_cnn'"
    with pytest.raises(BatikError, match=expected):
        parse_study(raw)


def test_the_architectures_of_a_study_are_those_that_can_be_built():
    from batik_utils.models.scratch import ARCHITECTURES

    assert set(get_args(Architecture)) == set(ARCHITECTURES)


def test_an_unknown_study_names_the_nearest():
    with pytest.raises(BatikError, match="did you mean 'bali-betawi-celup'"):
        load_study("bali-betawi-cellup")


def test_a_file_that_is_no_yaml_is_one_clear_line(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: [", encoding="utf-8")
    with pytest.raises(BatikError, match=r"bad\.yaml is not valid YAML") as caught:
        load_study(bad)
    assert "\n" not in str(caught.value)
