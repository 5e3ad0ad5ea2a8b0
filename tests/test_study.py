"""A study file is strict: what it does not know, it names, with the nearest right word."""

from functools import reduce
from typing import get_args

import pytest
import yaml

from batik_utils.errors import BatikError
from batik_utils.study import ROOT
from batik_utils.study_file import load_study, parse_study, study_names
from batik_utils.study_models import Architecture

FIRST = "bali-betawi-celup"
NAN, INF = float("nan"), float("inf")


@pytest.fixture
def raw():
    return yaml.safe_load((ROOT / "studies" / f"{FIRST}.yaml").read_text(encoding="utf-8"))


def refused(match, read, *arguments):
    with pytest.raises(BatikError, match=match) as caught:
        read(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", study_names())
def test_every_study_file_is_valid_and_named_as_its_file(name):
    assert load_study(name).name == name


def test_the_first_study_is_the_seeds(raw):
    study = parse_study(raw)
    scratch, augmentation = study.models["scratch"], study.models["scratch"].augmentation
    assert study.motifs == ("batik-bali", "batik-betawi", "batik-celup") and scratch.batch_size == 32
    assert (augmentation.rotation, augmentation.shift, augmentation.shear, augmentation.zoom) == (40, 0.2, 0.2, 0.2)
    assert study.seed_study.parameter_limit == 10_000_000 and "validation" in study.seed_study.notes.mispaired


def test_a_repetition_that_is_half_said_keeps_its_kinds_defaults(raw):
    raw["grouped"] = {"pretrained": {"repeats": 3}, "scratch": {"repeats": 2}}
    grouped = parse_study(raw).grouped
    often = {"repeats": 3, "seeds": 5, "curve": 10, "permuted": 2, "sources": 5, "others": True}
    seldom = {"repeats": 2, "seeds": 1, "curve": 0, "permuted": 0, "sources": 0, "others": False}
    assert (grouped.pretrained.model_dump(), grouped.scratch.model_dump()) == (often, seldom)


TUNED = {"settings": 2, "motifs": ["batik-bali"], "command": "x"}
ORDER = "compare is a pretrained model, then a scratch one, not scratch"


@pytest.mark.parametrize(
    ("place", "value", "match"),
    [
        ("models.scratch.epoch", 3, r"'models\.scratch\.epoch', did you mean 'epochs'"),
        ("models.scratch.hidden", 3, r"'models\.scratch\.hidden', known are: architecture, augmentation"),
        ("model", {}, "'model', did you mean 'models'"),
        ("seed_study.notes.traning", "", r"'seed_study\.notes\.traning', did you mean 'training'"),
        ("claims.0.modle", "", r"'claims\.0\.modle', did you mean 'model'"),
        ("models.scratch.epochs", "20", r"models\.scratch\.epochs.*'20'"),
        ("models.scratch.architecture", "small_cnn", r"small_cnn and the field regularised go together"),
        ("models.scratch.architecture", "sed_cnn", r"'dense128_cnn' or 'resnet18', not 'sed_cnn'"),
        ("models.scratch.augmentation", {"rotation": NAN}, r"models\.scratch\.augmentation\.rotation.*finite"),
        ("claims.0.model", "scratsh", "'scratsh', did you mean 'scratch'"),
        ("models.mobilenet_v2.variant_of", "scratch", "variant_of and mistake go together"),
        ("milliseconds", {"scratsh": 3.0}, "milliseconds names the model 'scratsh'"),
        ("models.scratch.tuned", TUNED, "a motif of the study"),
        ("compare", ["scratch", "mobilenet_v2"], ORDER),
        ("compare", ["scratch", "scratch"], ORDER),
        ("motifs", ["batik-bali", "batik-bali"], "one motif twice"),
        ("published", {"split": "listed"}, "go together"),
        ("published.files", "some", "go together"),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(raw, place, value, match):
    *steps, key = place.split(".")
    reduce(lambda part, step: part[int(step) if step.isdigit() else step], steps, raw)[key] = value
    refused(match, parse_study, raw)


def test_every_mistake_is_listed_at_once(raw):
    raw["grouped"]["fold"] = 5
    raw["published"]["seeds"] = 0
    with pytest.raises(BatikError, match=r"published\.seeds.*\n.*grouped\.fold'"):
        parse_study(raw)


WRONG_RUNS = {
    "epochs": ([], [0], [-1]),
    "learning_rate": ([], [0.0], [-0.001], [1.0], [INF], [NAN]),
    "dropout": ([], [-0.1], [1.0], [NAN]),
}


@pytest.mark.parametrize("what", WRONG_RUNS)
def test_runs_have_values_and_each_can_be_trained_with(raw, what):
    for values in WRONG_RUNS[what]:
        raw["models"]["scratch"]["runs"] = {"epochs": [5], "learning_rate": [0.001], "dropout": [0.5], what: values}
        refused(rf"'models\.scratch\.runs\.{what}", parse_study, raw)


def test_the_architectures_of_a_study_are_those_that_can_be_built():
    from batik_utils.models.scratch import ARCHITECTURES

    assert set(get_args(Architecture)) == set(ARCHITECTURES)


def test_settings_change_the_fields_that_they_name_and_no_others():
    # The YAML's models share one augmentation by an alias; a setting for one is for that one alone.
    settings = ["models.scratch.epochs=3", "grouped.scratch.repeats=10", "models.scratch.augmentation={}"]
    was, now = load_study(FIRST), load_study(FIRST, [*settings, "models.scratch.augmentation.shift=0.1"])
    scratch = now.models["scratch"]
    assert scratch.epochs == 3 and now.grouped.scratch.repeats == 10
    assert (scratch.augmentation.rotation, scratch.augmentation.shift) == (0, 0.1)
    assert now.models | {"scratch": was.models["scratch"]} == was.models


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ("models.scratch.epohcs=3", "unknown key 'models.scratch.epohcs', did you mean 'epochs'"),
        ("name=another", "a study's name is that of its file"),
        ("models.scratch.epochs='20'", "models.scratch.epochs.*'20'"),
        ("models.scrach.epochs=2", "no model 'scrach', did you mean 'scratch'"),
        ("models.scratch.title.x=2", "has no fields of its own"),
        ("models.scratch.epochs=[", "is not valid YAML"),
        ("models.scratch.epochs", "PLACE=VALUE"),
        ("=2", "PLACE=VALUE"),
    ],
)
def test_a_setting_is_checked_like_the_file(setting, match):
    refused(match, load_study, FIRST, [setting])


def test_a_file_that_is_no_mapping_takes_no_setting(tmp_path):
    (tmp_path / "list.yaml").write_text("- a")
    refused("models.a has no fields of its own", load_study, tmp_path / "list.yaml", ["models.a.title=b"])


LAUGHS = [f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"name: [", "is not valid YAML"),
        (b"name: a\nmodels: {}\nname: b\n", r"the key 'name' stands twice at line 3"),
        (b"models: {scratch: {title: a, title: b}}", "the key 'title' stands twice"),
        (b"? [a]\n: b\n", "a key must be a word"),
        (b"2024-01-01: b\n", "a key must be a word"),
        (b"\xff\xfe\x00\x01", "not text in UTF-8"),
        ("title: café".encode("latin-1"), "not text in UTF-8"),
        (b"title: \x00", "is not valid YAML"),
        (b"a: &a [*a]", "aliases stand for"),
        ("".join(["a: &a [x]\n", *LAUGHS]).encode(), "aliases stand for"),
        (b"[" * 20_000, "is not valid YAML"),
        (b"#" * 1_000_001, "larger than 1,000,000 bytes"),
        (b"minutes: 2024-13-45", "is not valid YAML"),
        (b"a: !!python/object/apply:os.getcwd []", "is not valid YAML"),
        (b"- a", "a study is a mapping"),
    ],
)
def test_a_file_that_is_no_study_is_one_clear_line(tmp_path, content, match):
    (tmp_path / "bad.yaml").write_bytes(content)
    refused(rf"^bad\.yaml.*{match}", load_study, tmp_path / "bad.yaml")


def test_an_unknown_study_names_the_nearest():
    refused("did you mean 'bali-betawi-celup'", load_study, "bali-betawi-cellup")
