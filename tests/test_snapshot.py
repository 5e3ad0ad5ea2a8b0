"""What is kept is checked; a snapshot is an analysis with all it derives; a kernel opens only the user's own, whole."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results_factory import make_dataset, make_results, make_study

from batik_utils.cache import write_kept
from batik_utils.errors import BatikError
from batik_utils.report import freshness as snapshot
from batik_utils.report.analysis import Analysis, open_analysis


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
    content = snapshot.dump(analysis, "made")
    write_kept(tmp_path / "snapshot", content)
    return tmp_path / "snapshot", analysis, content


def test_it_comes_back_with_everything_derived_and_images_in_a_file_of_their_own(kept, tmp_path, monkeypatch):
    path, analysis, _ = kept
    monkeypatch.setenv(snapshot.VARIABLE, str(path))
    again = open_analysis("no-such-study")
    assert again.study == analysis.study and again.comparisons == analysis.comparisons
    assert {"comparisons", "oofs", "scores", "word"} <= set(vars(again))
    assert again.clean_features("efficientnet_lite2").shape == (2, 3)
    assert snapshot.load(path)[1] == "made" and (again.dataset.images[5] == 7).all()
    assert isinstance(again.dataset.images, np.memmap) and not again.dataset.images.flags.writeable


def test_it_holds_nothing_of_the_code_that_draws(kept):
    assert b"batik_utils.report.analysis" in kept[2] and b"batik_utils.figures" not in kept[2]


def test_a_damaged_a_foreign_and_a_bereft_one_are_refused(kept, tmp_path, monkeypatch):
    path, _, content = kept
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(BatikError, match="snapshot is not there or damaged; run `make report` again"):
        snapshot.load(path)
    monkeypatch.undo()
    (tmp_path / "images.rgb").write_bytes((tmp_path / "images.rgb").read_bytes()[::-1])
    with pytest.raises(BatikError, match="has lost its decoded pictures"):
        snapshot.load(path)
    path.write_bytes(content)
    with pytest.raises(BatikError, match="damaged"):
        snapshot.load(path)


def test_what_is_kept_is_checked_and_the_oldest_goes(tmp_path):
    kept = snapshot.Kept(tmp_path)
    for number in range(kept.most + 1):
        kept.write("run", str(number), {"text": "said"})
        os.utime(kept.path("run", str(number)), ns=(number, number))
    kept.write("run", "last", {"text": "said", "file": b"bytes"})
    assert kept.read("run", "last")["file"].tobytes() == b"bytes" and kept.read("run", "0") is None
    kept.path("run", "last").write_bytes(kept.path("run", "last").read_bytes().replace(b"said", b"sAid"))
    assert kept.read("run", "last") is None


def test_opening_an_analysis_needs_no_tensorflow():
    code = "import sys, test_build, batik_utils.report.freshness as snapshot\n"
    code += "snapshot.dump(test_build.whole()); print(*sys.modules)"
    path = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)])}
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | path, capture_output=True, text=True)
    heavy = {"tensorflow", "keras", "jax", "torch"}
    assert done.returncode == 0 and not heavy & {*done.stdout.split()}, done.stderr
