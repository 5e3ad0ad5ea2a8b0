"""Files and names that mean harm: one clear line, and nothing half."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mutants import KILOBYTES, mutant
from PIL import Image

from batik_utils.cache import read_kept, write_kept
from batik_utils.errors import BatikError
from batik_utils.report.freshness import read_json
from batik_utils.report.metrics import read_metrics
from batik_utils.sample import draw
from batik_utils.study_file import read_yaml


def batik(*words, **environment):
    command = [sys.executable, "-c", "from batik_utils.cli import main; main()", *words]
    return subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii", **environment})


def test_a_hundred_mutated_pictures_are_read_or_refused_in_bounded_memory_and_nothing_else_is_said(tmp_path):
    picture = Image.fromarray(draw("sample-kawung", 0, 200))
    paths = [tmp_path / f"{number}.jpg" for number in range(100)]
    for number, path in enumerate(paths):
        path.write_bytes(mutant(picture, number))
    command = [sys.executable, Path(__file__).with_name("mutants.py"), *paths]
    *said, peak = subprocess.check_output(command, stderr=subprocess.STDOUT, text=True).split("\n")[:-1]
    assert set(said) == {"picture", "refused"} and len(said) == 100, said
    assert min(map(said.count, set(said))) > 20 and int(peak) < KILOBYTES


@pytest.mark.parametrize("words", [["report", "x" * 304], ["new", "a", "x" * 304], ["new", "a", b"\xff\x1b[31m"]])
def test_a_name_that_no_file_can_have_or_no_terminal_can_show_is_one_line(words):
    done = batik(*words)
    assert done.returncode == 2 and done.stderr.isascii()
    assert done.stderr.count(b"\n") == 1 and b"\x1b" not in done.stderr


def test_names_are_printed_so_that_a_terminal_of_ascii_can_show_them(tmp_path):
    for motif in (b"plain", "蠟染".encode()):
        os.makedirs(folder := os.path.join(os.fsencode(tmp_path), b"cloth", motif))
        for index, name in enumerate((b"1.png", "é.png".encode(), b"\xff.png", b"\x1b[31m.png")):
            with open(os.path.join(folder, name), "wb") as file:
                Image.fromarray(draw("sample-kawung", index % 2, 64)).save(file, "PNG")
    done = batik("audit", "--data", tmp_path / "cloth", BATIK_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0 and done.stdout.isascii() and b"\x1b" not in done.stdout + done.stderr
    assert rb"\u881f\u67d3/\xe9.png" in done.stdout and rb"plain/\x1b[31m.png: its name has" in done.stdout
    (tmp_path / "cloth" / "plain").rename(tmp_path / "cloth" / "\x1b[31m")
    assert batik("new", "a", tmp_path / "cloth").stderr.startswith(b"Names with characters that cannot be shown: ")


def test_what_is_nested_without_end_and_what_cannot_be_shown_is_damaged(tmp_path):
    plain = tmp_path / "metrics.json"
    plain.write_bytes(b"[" * 100_000)
    assert read_json(plain) == {}
    with pytest.raises(BatikError, match="is not JSON"):
        read_metrics(plain)
    with pytest.raises(BatikError, match=r"^a\.yaml .* cannot be shown at line 1"):
        read_yaml(rb'title: "\e[31m"', "a.yaml")


def npz(*arrays, **options):
    np.savez(file := io.BytesIO(), *arrays, **options)
    return file.getvalue()


WRITTEN = {"none": None, "rows": [np.arange(6.0).reshape(2, 3), {"name": "é"}]}


@pytest.fixture
def kept(tmp_path):
    """A cached file and its bytes."""
    write_kept(tmp_path / "kept.npz", WRITTEN)
    return tmp_path / "kept.npz", (tmp_path / "kept.npz").read_bytes()


TEXT = np.frombuffer(b'{"array": 1}', np.uint8)
FOREIGN = {
    "empty": b"",
    "cut": b"PK half",
    "nested without end": npz(np.frombuffer(b"[" * 100_000, np.uint8)),
    "an array that is not there": npz(TEXT),
    "a pickle, which would run code": npz(TEXT, np.array([print], object), allow_pickle=True),
    "other names": npz(TEXT, arr_7=np.zeros(3)),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_cached_file_that_is_not_what_was_written_is_set_aside(kept, content):
    path, whole = kept
    assert str(read_kept(path)) == str(WRITTEN)
    for wrong in (content, whole[: len(whole) // 2]):
        path.write_bytes(wrong)
        assert read_kept(path) is None and [p.name for p in path.parent.iterdir()] == ["kept.npz.bad"]
    path.write_bytes(whole)
    assert read_kept(path, lambda value: value["no such field"]) is None and not path.exists()


def test_no_bit_that_is_turned_over_in_a_cached_file_is_believed(kept):
    path, whole = kept
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        # A zip has a few bits that say nothing, such as dates.
        assert str(read_kept(path)) in {"None", str(WRITTEN)}, place
