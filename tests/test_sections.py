"""Sentences that depend on the study say what was done, and only that."""

from types import SimpleNamespace

import pytest

from batik_utils.report import sections
from batik_utils.study import load_study


def training(study, precision="float32"):
    return " ".join(sections.training(SimpleNamespace(study=load_study(study), precision=precision)))


def test_bfloat16_is_said_where_it_was_used():
    assert "Scratch networks compute in bfloat16" in training("bali-betawi-celup", "bfloat16")
    assert "bfloat16" not in training("bali-betawi-celup")


@pytest.mark.parametrize(("study", "moves"), [("bali-betawi-celup", True), ("sidoluhur-tambal-betawi", False)])
def test_edges_are_spoken_of_where_pictures_are_moved(study, moves):
    assert ("its edge pixels are repeated" in training(study)) == moves


def test_a_pair_under_two_labels_is_said():
    pairs = [SimpleNamespace(kind="exact", labels_differ=True), SimpleNamespace(kind="mirrored", labels_differ=False)]
    groups = SimpleNamespace(tolist=lambda: [0, 0, 1, 1, 2])
    dataset = type("Data", (), {"pairs": pairs, "groups": groups, "__len__": lambda self: 5})()
    said = sections.audit(SimpleNamespace(dataset=dataset, pictures="photographs"))
    assert "5 files show 3 distinct pictures" in said and "1 pair is under two different labels" in said
    pairs[0].labels_differ = False
    assert "None has two labels" in sections.audit(SimpleNamespace(dataset=dataset, pictures="photographs"))
