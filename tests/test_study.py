"""A study file is strict: what it does not know, it names, with the nearest right word."""

import copy

import pytest
import yaml

from batik_utils.errors import BatikError
from batik_utils.study import ROOT, load_study, parse_study, study_names


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
    assert (augmentation.rotation, augmentation.shift, augmentation.shear, augmentation.zoom) == (
        40,
        0.2,
        0.2,
        0.2,
    )
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


def test_an_unknown_study_names_the_nearest():
    with pytest.raises(BatikError, match="did you mean 'bali-betawi-celup'"):
        load_study("bali-betawi-cellup")


def test_a_file_that_is_no_yaml_is_one_clear_line(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: [", encoding="utf-8")
    with pytest.raises(BatikError, match=r"bad\.yaml is not valid YAML") as caught:
        load_study(bad)
    assert "\n" not in str(caught.value)
