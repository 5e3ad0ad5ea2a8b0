"""A change of whatever a report depends on is seen, at once; what is kept is checked, and opened by its user alone."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results_factory import make_dataset, make_results, make_study

from batik_utils.cache import write_kept
from batik_utils.errors import BatikError
from batik_utils.models.kinds import KINDS
from batik_utils.report import freshness
from batik_utils.report.analysis import Analysis, open_analysis
from batik_utils.report.freshness import FACES, FIGURES, PAGES, inputs
from batik_utils.report.pages import provenance

NOTEBOOK = '{"cells": [{"cell_type": "code", "source": ["%s"], "metadata": {}, "outputs": [%s]}]}'


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A project of two files; house() gives the inputs of its study. What else there is, test_build changes."""
    (tmp_path / "batik_utils").mkdir()
    (tmp_path / "batik_utils/cli.py").write_text("x = 1\n")
    (tmp_path / "requirements.txt").write_text("numpy==2\n")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/01.ipynb").write_text(NOTEBOOK % ("1", ""))
    for motif in ("one", "two"):
        (tmp_path / "data" / motif).mkdir(parents=True)
        (tmp_path / "data" / motif / "1.jpg").write_bytes(b"a picture")
    monkeypatch.setattr(freshness, "ROOT", tmp_path)

    def look(place="data folder", **changes):
        return inputs(make_study(motifs=["one", "two"], **changes), tmp_path / "data", place)

    return look


def test_what_changes_is_named_and_a_setting_another_place_and_another_python_are_seen(house, tmp_path, monkeypatch):
    before = house()
    assert house() == before
    (tmp_path / "data/two/1.jpg").rename(tmp_path / "data/two/0.jpg")
    after = house()
    assert [n for n in {*before, *after} if before.get(n) != after.get(n)] == ["pictures of two"]
    assert house(title="Other")["study"] != before["study"]
    assert house(place="shared folder")["pictures of one"] != before["pictures of one"]
    (tmp_path / "requirements.txt").unlink()  # a folder that is no checkout
    assert house()["requirements.txt"] == ""
    monkeypatch.setattr(freshness.platform, "python_version", lambda: "3.99.0")
    assert house()["Python"] != before["Python"]


def test_line_ends_and_outputs_change_nothing(house, tmp_path):
    before = house()
    (tmp_path / "batik_utils" / "cli.py").write_bytes(b"x = 1\r\n")
    (tmp_path / "notebooks/01.ipynb").write_text(NOTEBOOK % ("1", '{"text": "said"}'))
    assert house() == before


def test_what_is_named_is_there():
    package = Path(freshness.__file__).parent.parent
    named = [p.removeprefix("batik_utils/") for p in (*PAGES, *FACES, *FIGURES)]
    assert all(list((package / name).parent.glob(f"{Path(name).name}*")) for name in named)


def test_whether_anything_changed_is_answered_without_anything_heavy():
    ask = "import sys, batik_utils.cli, batik_utils.report.build, batik_utils.models.backbones; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "pandas", "sklearn", "matplotlib", "nbformat"} & set(done.stdout.split())


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
    lines = re.findall(r'"((?:from [\w.]+ )?import [\w., ]+?)(?:\\n)?"', cells)
    code = "\n".join(["import sys, batik_utils.report.export", *lines, "print(*sys.modules)"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    used = {f"{name.replace('.', '/')}.py" for name in done.stdout.split() if name.startswith("batik_utils.")}
    assert {"batik_utils/report/analysis.py", "batik_utils/stats/scores.py", "batik_utils/models/kinds.py"} <= used
    assert not {name for name in used if name.startswith(FACES)}


@pytest.fixture
def kept(tmp_path):
    """(path of a snapshot, the analysis that it is of, its bytes)."""
    dataset = make_dataset()
    images = np.memmap(tmp_path / "images.rgb", np.uint8, "w+", shape=dataset.images.shape)
    images[5] = 7
    images.flush()
    images = np.memmap(tmp_path / "images.rgb", np.uint8, "r", shape=images.shape)
    results = make_results({"scratch": 0.6, "efficientnet_lite2": 0.9}, published={"scratch": [15]})
    analysis = Analysis(make_study(), replace(dataset, images=images), results)
    analysis.clean_features = {"efficientnet_lite2": np.ones((2, 3), np.float32)}.__getitem__
    analysis.models = ["efficientnet_lite2"]
    content = freshness.dump(analysis, "made")
    write_kept(tmp_path / "snapshot", content)
    return tmp_path / "snapshot", analysis, content


def test_it_comes_back_with_everything_derived_and_images_in_a_file_of_their_own(kept, tmp_path, monkeypatch):
    path, analysis, _ = kept
    monkeypatch.setenv(freshness.VARIABLE, str(path))
    again = open_analysis("no-such-study")
    assert again.study == analysis.study and again.comparisons == analysis.comparisons
    assert {"comparisons", "oofs", "scores", "word"} <= set(vars(again))
    assert again.clean_features("efficientnet_lite2").shape == (2, 3)
    assert freshness.load(path)[1] == "made" and (again.dataset.images[5] == 7).all()
    assert isinstance(again.dataset.images, np.memmap) and not again.dataset.images.flags.writeable


def test_it_holds_nothing_of_the_code_that_draws(kept):
    assert b"batik_utils.report.analysis" in kept[2] and b"batik_utils.figures" not in kept[2]


def test_a_damaged_a_foreign_and_a_bereft_one_are_refused(kept, tmp_path, monkeypatch):
    path, _, content = kept
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(BatikError, match="snapshot is not there or damaged; run `make report` again"):
        freshness.load(path)
    monkeypatch.undo()
    (tmp_path / "images.rgb").write_bytes((tmp_path / "images.rgb").read_bytes()[::-1])
    with pytest.raises(BatikError, match="has lost its decoded pictures"):
        freshness.load(path)
    path.write_bytes(content)
    with pytest.raises(BatikError, match="damaged"):
        freshness.load(path)


def test_what_is_kept_is_checked_and_the_oldest_goes(tmp_path):
    kept = freshness.Kept(tmp_path)
    for number in range(kept.most + 1):
        kept.write("run", str(number), {"text": "said"})
        os.utime(kept.path("run", str(number)), ns=(number, number))
    kept.write("run", "last", {"text": "said", "file": b"bytes"})
    assert kept.read("run", "last")["file"].tobytes() == b"bytes" and kept.read("run", "0") is None
    kept.path("run", "last").write_bytes(kept.path("run", "last").read_bytes().replace(b"said", b"sAid"))
    assert kept.read("run", "last") is None


def test_opening_an_analysis_needs_no_tensorflow():
    code = "import sys, test_build, batik_utils.report.freshness as freshness\n"
    code += "freshness.dump(test_build.whole()); print(*sys.modules)"
    path = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)])}
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | path, capture_output=True, text=True)
    heavy = {"tensorflow", "keras", "jax", "torch"}
    assert done.returncode == 0 and not heavy & {*done.stdout.split()}, done.stderr
