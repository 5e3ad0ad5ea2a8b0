"""A report that was made anew here says what the committed one says: another processor may round differently."""

import json
import subprocess

import pytest

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
    assert after["data"] == before["data"] and after["motifs"] == before["motifs"]
    assert after["comparison"]["verdict"] == before["comparison"]["verdict"]
    assert set(after["models"]) == set(before["models"])
    for name, model in before["models"].items():
        for protocol in ("published", "grouped"):
            then, now = model.get(protocol) or {}, after["models"][name].get(protocol) or {}
            assert now.get("accuracy") == pytest.approx(then.get("accuracy"), abs=TOLERANCE), (name, protocol)
            assert now.get("n_test") == then.get("n_test")
