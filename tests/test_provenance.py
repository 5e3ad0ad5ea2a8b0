"""Where a report came from is the same for the same inputs."""

import re
import subprocess
import sys
from pathlib import Path

from results_factory import make_dataset, make_study

from batik_utils.errors import BatikError
from batik_utils.models.kinds import KINDS
from batik_utils.report import freshness
from batik_utils.report.freshness import FACES
from batik_utils.report.provenance import provenance


def test_provenance_is_repeatable_and_knows_no_machine():
    rows = provenance(make_study(), make_dataset())
    assert rows == provenance(make_study(), make_dataset())
    assert str(Path.home()) not in str(rows)
    other = dict(provenance(make_study(title="Another"), make_dataset(per_class=49)))
    assert other["Study"] != dict(rows)["Study"] and other["Data"] != dict(rows)["Data"]
    assert "tensorflow 2" in dict(rows)["Packages"]


def test_weights_are_named_with_their_hash_or_as_not_to_be_had(monkeypatch):
    def weights_sha256(model):
        if model.backbone == "efficientnet_b2":
            raise BatikError("offline")
        return "5" * 64

    monkeypatch.setattr(KINDS["pretrained"], "weights_sha256", weights_sha256)
    rows = {what: value for what, value in provenance(make_study(), make_dataset()) if what.startswith("Weights")}
    assert rows == {"Weights, EfficientNet-Lite2": f"sha256 `{'5' * 64}`", "Weights, EfficientNet-B2": "not to be had"}


def test_nothing_that_a_notebook_or_page_is_made_with_is_left_out_of_the_code_hash():
    cells = "".join(path.read_text(encoding="utf-8") for path in freshness.notebooks())
    lines = re.findall(r'"((?:from [\w.]+ )?import .*?)(?:\\n)?"', cells)
    code = "\n".join(["import sys, batik_utils.report.export", *lines, "print(*sys.modules)"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    used = {f"{name.replace('.', '/')}.py" for name in done.stdout.split() if name.startswith("batik_utils.")}
    assert {"batik_utils/report/analysis.py", "batik_utils/stats/scores.py", "batik_utils/models/scratch.py"} <= used
    assert not {name for name in used if name.startswith(FACES)}
