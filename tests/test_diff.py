"""What changed between two metrics.json is said in words, and nothing else is."""

import copy
import json
import re

import pytest
from paper import make_analysis
from typer.testing import CliRunner

from batik_utils.cli import app
from batik_utils.report.metrics import build_metrics, changes, headline, scores_of
from batik_utils.wording import NBSP

BASE = build_metrics(make_analysis("published", True, claims=True))


def place(metrics, path):
    """The part of the metrics at "models/lite" or at "scores/lite/grouped" (an accuracy's record), and its last key."""
    *keys, last = path.split("/")
    if keys and keys[0] == "scores":
        return scores_of(metrics)[keys[1], keys[2]], last
    if keys and keys[0] == "primary":
        return headline(metrics), last
    for key in keys:
        metrics = metrics[int(key) if isinstance(metrics, list) else key]
    return metrics, last


def told(change):
    """The sentences for a copy of the metrics that a function has changed."""
    other = copy.deepcopy(BASE)
    change(other)
    return [line.replace(NBSP, " ") for line in changes(BASE, other)]


def change(path, value):
    def apply(metrics):
        part, last = place(metrics, path)
        part[last] = value(part[last]) if callable(value) else value

    return apply


def without(model, protocol):
    """The scores but for those of one model under one protocol."""
    return lambda scores: [s for s in scores if (s["model"], s["protocol"]) != (model, protocol)]


ACCURACY = scores_of(BASE)["lite", "grouped"]["value"]
CHANGES = [
    ("study", "other", "The study changed from made to other."),
    ("verdict/word", "better", "The verdict changed from “too few fits” to “better”."),
    ("data/fingerprint", "0", "The pictures are not the same: their files, labels or groups differ."),
    ("data/images", 21, "The number of pictures changed from 20 to 21."),
    ("data/per_motif/alder", 9, "The number of pictures of alder changed from 10 to 9."),
    ("data/per_motif/oak", 3, "The number of pictures of oak was added: 3."),
    ("models/new", BASE["models"]["lite"] | {"title": "New"}, "The model new was added: New, 1,000 parameters."),
    ("models/lite/parameters", 5, "The model lite changed from Lite, 1,000 parameters to Lite, 5 parameters."),
    ("scores", without("lite", "permuted"), "The accuracy of Lite with shuffled labels was removed: "),
    ("scores/lite/grouped/fits", 7, "The accuracy of Lite in grouped cross-validation changed from "),
    ("scores/lite/grouped/value", ACCURACY - 0.01, "The accuracy of Lite in grouped cross-validation changed from "),
    ("claims/0/verdict", "not reproduced", "The verdict on the published number c1 changed from "),
    ("claims", lambda claims: [], "The verdict on the published number c1 was removed: "),
    ("primary/difference", lambda gap: gap + 0.01, "The difference A − B changed from "),
]


@pytest.mark.parametrize(("path", "value", "line"), CHANGES, ids=[path for path, _, _ in CHANGES])
def test_each_change_is_one_sentence(path, value, line):
    (found,) = told(change(path, value))
    assert found.startswith(line)


def test_an_accuracy_is_told_with_its_interval_and_fits():
    (line,) = told(lambda metrics: scores_of(metrics)["lite", "grouped"].update(value=0.5, low=0.4))
    assert re.search(r"to 50\.0 % \(40\.0–[\d.]+ %\) of 12 fits\.$", line)


def test_what_no_reader_sees_moves_nothing():
    assert told(lambda metrics: None) == []
    (line,) = told(change("scores/lite/grouped/n", 3))
    assert line == "Only details differ, and no accuracy of a protocol as it is shown: scores."


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
