"""A report that was made anew here says what the committed one says: another processor may round differently."""

import json
import subprocess

import pytest

from batik_utils.report.metrics import VERSION, scores_of
from batik_utils.study import ROOT

TOLERANCE = 0.05
"""Of an accuracy: a rounding may turn a picture or two of a small test set."""


def committed(path):
    done = subprocess.run(["git", "show", f"HEAD:{path}"], cwd=ROOT, capture_output=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


@pytest.mark.parametrize("path", sorted(ROOT.glob("reports/*/metrics.json")), ids=lambda path: path.parent.name)
def test_a_report_holds_what_is_committed(path):
    before = committed(path.relative_to(ROOT).as_posix())
    if before is None:
        pytest.skip("a study that is not committed, or no repository")
    after = json.loads(path.read_text(encoding="utf-8"))
    assert after["version"] == VERSION
    assert after["data"] == before["data"]
    assert after["verdict"]["word"] == before["verdict"]["word"]
    assert set(after["models"]) == set(before["models"])
    then, now = scores_of(before), scores_of(after)
    assert set(then) == set(now)
    for key in ((m, p) for m, p in then if p in ("published", "grouped")):
        assert now[key]["value"] == pytest.approx(then[key]["value"], abs=TOLERANCE), key
        assert now[key]["n"] == then[key]["n"]
