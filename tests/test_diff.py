"""What changed between two metrics.json is said in words, and nothing else is."""

import copy
import json

import pytest
from paper import make_analysis
from typer.testing import CliRunner

from batik_utils.cli import app
from batik_utils.report.diff import changes
from batik_utils.wording import NBSP

ANALYSIS = make_analysis("published", True, claims=True)
vars(ANALYSIS).pop("metrics")  # they were made of a study without claims
BASE = ANALYSIS.metrics


def told(change):
    """The sentences for a copy of the metrics that a function has changed."""
    other = copy.deepcopy(BASE)
    change(other)
    return [line.replace(NBSP, " ") for line in changes(BASE, other)]


def change(place, value):
    def apply(metrics):
        *path, last = place.split("/")
        for key in path:
            metrics = metrics[key]
        if value is None:
            del metrics[last]
        else:
            metrics[last] = value(metrics[last]) if callable(value) else value

    return apply


ACCURACY = BASE["models"]["lite"]["grouped"]["accuracy"]
CHANGES = [
    ("comparison/verdict", "better", ["The verdict changed from “too few fits” to “better”."]),
    ("data/fingerprint", "0", ["The pictures are as many, but not the same: their files, labels or groups differ."]),
    ("data/images", 21, ["The number of pictures changed from 20 to 21."]),
    ("data/per_motif/alder", 9, ["The number of pictures of alder changed from 10 to 9."]),
    ("models/small", None, ["Model removed: Small CNN."]),
    ("models/new", BASE["models"]["lite"] | {"title": "New"}, ["Model added: New."]),
    ("models/lite/parameters", 5, ["The parameters of Lite changed from 1,000 to 5."]),
    ("models/lite/permuted", None, ["Lite with shuffled labels: no longer measured."]),
    ("models/lite/grouped/fits", 7, ["Lite in grouped cross-validation: 7 fits instead of 12."]),
    ("baselines/colour", None, ["Baseline removed: colour."]),
    ("claims/c1/verdict", "not reproduced", None),
    ("comparison/grouped/difference", lambda gap: gap + 0.01, None),
]


@pytest.mark.parametrize(("place", "value", "lines"), CHANGES, ids=[place for place, _, _ in CHANGES])
def test_each_change_is_one_sentence(place, value, lines):
    found = told(change(place, value))
    assert len(found) == 1 and (lines is None or found == lines), found


def test_a_moved_accuracy_is_given_in_points_and_set_against_its_interval():
    low = BASE["models"]["lite"]["grouped"]["interval"][0]
    (near,) = told(change("models/lite/grouped/accuracy", ACCURACY - 0.01))
    assert near.startswith("Lite in grouped cross-validation: accuracy moved by −1.0 points, from ")
    assert "within the new 95 % interval" in near
    (far,) = told(change("models/lite/grouped/interval", [ACCURACY + 0.001, 1.0]))
    assert far.startswith("Only details differ") and far.endswith("models.lite.grouped.interval.")
    moved = copy.deepcopy(BASE)
    moved["models"]["lite"]["grouped"] |= {"accuracy": low, "interval": [low - 0.01, low + 0.01]}
    assert any("outside the new 95" in line for line in changes(BASE, moved))


def test_what_no_reader_sees_moves_nothing():
    assert told(lambda metrics: None) == []
    (line,) = told(change("models/lite/grouped/accuracy", ACCURACY + 0.0004))
    assert line == "Only details differ, and no accuracy of a protocol by 0.1 points: models.lite.grouped.accuracy."


def run(*words):
    return CliRunner().invoke(app, ["diff", *map(str, words)], catch_exceptions=True)


def test_the_command_takes_files_and_folders_and_exits_with_one_where_anything_changed(tmp_path):
    for name, metrics in (("a", BASE), ("b", BASE | {"study": "other"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps(metrics))
    same = run(tmp_path / "a", tmp_path / "a/metrics.json")
    assert same.exit_code == 0 and same.stdout == "Nothing has changed.\n"
    differs = run(tmp_path / "a", tmp_path / "b")
    assert differs.exit_code == 1 and differs.stdout == "The study changed from made to other.\n"


def test_what_cannot_be_read_is_said_in_one_line(tmp_path):
    (tmp_path / "metrics.json").write_text("{")
    assert "is not JSON" in str(run(tmp_path, tmp_path).exception)
    assert f"There is no {tmp_path}/nowhere: name a" in str(run(tmp_path / "nowhere", tmp_path).exception)
    (tmp_path / "metrics.json").write_text(json.dumps({**BASE, "models": 5}))
    assert "not as a report writes it: models: Input should be" in str(run(tmp_path, tmp_path).exception)
    (tmp_path / "metrics.json").write_text(json.dumps({"version": 1}))
    assert "of another version" in str(run(tmp_path, tmp_path).exception)
