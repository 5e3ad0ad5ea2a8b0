"""`batik predict`: a second from the start, whatever it is given, and nothing that was not there before."""

import csv
import io
import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import tiny
from classifiers import ABOUT, MOTIFS, bundle, changed, pictures
from mutants import KILOBYTES, mutant
from PIL import Image

from batik_utils.deploy import predict
from batik_utils.deploy.answers import Classifier
from batik_utils.errors import BatikError


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A folder with a classifier, and cloth/ with three pictures, one of them in a folder below."""
    (tmp_path / "classifier.tflite").write_bytes(bundle().to_bytes())
    (tmp_path / "cloth" / "below").mkdir(parents=True)
    for name, pixels in zip(("b.png", "a.jpg", "below/c.png"), pictures(3), strict=True):
        Image.fromarray(np.kron(pixels, np.ones((2, 2, 1), np.uint8))).save(tmp_path / "cloth" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command, **options):
    """A process of its own, which finds what this one finds."""
    path = {"PYTHONPATH": os.pathsep.join([*map(str, sys.path), os.path.dirname(__file__)])}
    options = {"capture_output": True, "text": True, "errors": "replace", "timeout": 60} | options
    return subprocess.run(command, env=os.environ | path, **options)


def batik(*words, model="classifier.tflite", also="", **options):
    """`batik predict`, by a Python that does something also at its end."""
    code = f"from batik_utils.cli import app, main\nimport sys\ntry: main()\nfinally:\n  {also or 'pass'}"
    return run([sys.executable, "-c", code, "predict", *words, "--model", model], **options)


def here(*words, model="classifier.tflite"):
    """The same in this process, where nothing is asked of the process itself."""
    return tiny.batik("predict", *words, "--model", model)


def rows(done):
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_the_first_line_names_the_model_and_each_picture_has_one(room):
    done = batik("cloth", "--top", "1")
    first, *answers = done.stdout.splitlines()
    assert first.startswith("Small, ") and "Red, Blue and Grey" in first and "90.0" in first
    assert [line.partition(":")[0] for line in answers] == ["cloth/a.jpg", "cloth/b.png", "cloth/below/c.png"]
    assert done.returncode == 0 and done.stderr == ""


def test_where_motifs_differ_in_size_accuracy_does_not_stand_alone():
    accuracy = ABOUT["accuracy"] | {"balanced": 0.52}
    said = predict.named(changed(accuracy=accuracy).about).replace("\xa0", " ")
    assert "is right for 33.3 %, and with every motif weighing alike it is 52.0 %, by chance 33.3 %" in said
    assert "alike" not in predict.named(bundle().about)


def test_csv_and_json_say_the_same_as_the_model_and_need_neither_tensorflow_nor_keras_nor_scikit_learn(room):
    done = batik("cloth", "--csv", also="print(*sys.modules, file=sys.stderr)")
    assert not {"tensorflow", "keras", "sklearn", "pandas", "scipy", "matplotlib", "skimage"} & {*done.stderr.split()}
    about, *lines = map(json.loads, here("cloth", "--json").stdout.splitlines())
    assert about["motifs"] == list(MOTIFS) and about["accuracy"]["value"] == 0.9 and len(lines) == 3
    classifier = Classifier(bundle())
    for row, line in zip(rows(done), lines, strict=True):
        answer = classifier.ask(classifier.read(room / row["file"])[0])
        assert row["file"] == line["file"] and row["answer"] == line["answer"] == answer["answer"]
        assert {m: pytest.approx(float(row[m]), abs=1e-6) for m in MOTIFS} == line["probabilities"]
        assert row["one_of"].split("|") == line["one_of"] == answer["one_of"]
        assert float(row["distance"]) == pytest.approx(line["distance"], abs=1e-6) and row["looks_like_batik"] == "yes"


def test_it_says_where_a_file_was_meant_otherwise_than_it_is_read(room):
    Image.fromarray(np.full((40, 40), 3000, np.uint16)).save(room / "dark.png")
    said = "only 12 of 16 bits used, nearly black"
    dark, plain = map(json.loads, here("dark.png", "cloth/a.jpg", "--json").stdout.splitlines()[1:])
    assert (dark["remarks"], plain["remarks"]) == ([said], [])
    assert f" ({said})\n" in here("dark.png").stdout and rows(here("dark.png", "--csv"))[0]["remarks"] == said


def test_names_come_from_the_standard_input_too_whatever_ends_their_lines(room):
    done = batik("-", "--csv", input="cloth/a.jpg\r\n\ncloth/below\n")
    assert [row["file"] for row in rows(done)] == ["cloth/a.jpg", "cloth/below/c.png"]


def test_what_is_no_picture_is_told_at_the_end_and_what_never_ends_is_not_waited_for(room):
    cloth = room / "cloth"
    (cloth / "page.jpg").write_text("<html>")
    (cloth / "0.jpg").write_bytes(b"")
    os.mkfifo(cloth / "pipe.jpg")
    (cloth / "loop").symlink_to(cloth)
    (cloth / "self.jpg").symlink_to(cloth / "self.jpg")
    (cloth / "endless.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind("cloth/plug")
        done = batik("cloth", "cloth/pipe.jpg", "gone.jpg", "=1+1.jpg", "x" * 300, "--csv", timeout=30)
    found = {row["file"]: row["error"] for row in rows(done)}
    assert done.returncode == 1 and "Traceback" not in done.stderr and found["x" * 300]
    assert found["cloth/page.jpg"] == "a web page (HTML), not an image" and found["cloth/a.jpg"] == ""
    assert found["gone.jpg"] == found["'=1+1.jpg"] == "there is no such file", "and no spreadsheet sees a formula"
    assert {found[f"cloth/{name}"] for name in ("pipe.jpg", "endless.png", "plug")} == {"not a regular file"}
    assert found["cloth/self.jpg"] and not any("loop" in name for name in found)
    assert "cloth/0.jpg: the file is empty." in map(str.strip, done.stderr.splitlines())


def test_five_hundred_mutated_pictures_and_some_bombs_are_answered_or_refused_in_bounded_memory(room):
    picture = Image.fromarray(np.kron(pictures(1)[0], np.ones((4, 4, 1), np.uint8)))
    header = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (30_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    bombs = {"huge.png": header, "none.png": header.replace((30_000).to_bytes(4, "big"), bytes(4)), "a.svg": b"<svg/>"}
    (room / "mutants").mkdir()
    for name, content in (bombs | {f"{n:03d}.jpg": mutant(picture, n) for n in range(500)}).items():
        (room / "mutants" / name).write_bytes(content)
    done = batik("mutants", "--csv", also="from mutants import peak; print(peak(), file=sys.stderr)")
    found = {row["file"].partition("/")[2]: row for row in rows(done)}
    assert done.returncode == 1 and len(found) == 503 and "Traceback" not in done.stderr
    refused = {name for name, row in found.items() if row["error"]}
    assert bombs.keys() <= refused and 50 < len(refused) < 450
    assert all(found[name]["answer"] in MOTIFS for name in found.keys() - refused)
    assert int(done.stderr.splitlines()[-1]) < KILOBYTES


def test_odd_names_are_shown_so_that_they_do_nothing(room):
    with open("cloth/\x1b[31m\u202e\n.png".encode() + b"\xff", "wb") as file:
        file.write((room / "cloth/b.png").read_bytes())
    before = sorted(os.listdir(b"."))
    for form in ([], ["--csv"], ["--json"]):
        done = here("cloth", *form)
        assert done.returncode == 0 and (form == ["--csv"] or "\x1b" not in done.stdout)
        assert len(done.stdout.splitlines()) >= 5
    assert sorted(os.listdir(b".")) == before


def test_what_is_unlike_all_is_given_no_name_and_what_cannot_be_told_several(room):
    Image.new("RGB", (40, 40), "white").save(room / "white.png")
    strict, no_gate = {"gate": ABOUT["gate"] | {"threshold": 0.0}}, {"gate": None, "sets": None}
    unsure = no_gate | {"sets": ABOUT["sets"] | {"threshold": 1.0}}
    models = {"strict": strict, "own": strict | {"batik": False}, "no gate": no_gate, "unsure": unsure}
    for name, changes in models.items():
        (room / name).write_bytes(changed(**changes).to_bytes())
    assert "white.png: this does not look like batik\n" in here("white.png", model="strict").stdout
    assert "like its training pictures" in here("white.png", model="own").stdout
    (row,) = rows(here("white.png", "--csv", model="no gate"))
    assert {*row} == {"file", "answer", "one_of", "remarks", "error", *MOTIFS}, "nobody asked: does it look like batik?"
    _, line = here("white.png", "--json", model="no gate").stdout.splitlines()
    assert not {"looks_like_batik", "distance"} & {*json.loads(line)}
    said = here("cloth/a.jpg", model="unsure").stdout
    assert "cloth/a.jpg: one of these three: " in said and said.count("%") >= 4


def test_a_reader_that_has_seen_enough_ends_it_quietly(room):
    command = f"{sys.executable} -c 'from batik_utils.cli import main; main()' predict --model classifier.tflite"
    done = run(["bash", "-c", f"{command} $(yes cloth | head -2000) | head -1"])
    assert done.stdout.count("\n") == 1 and "Traceback" not in done.stderr and "rror" not in done.stderr


def test_the_newest_classifier_is_found(tmp_path):
    with pytest.raises(BatikError, match="make one with `make report`"):
        predict.newest_classifier(tmp_path)
    for seconds, name in ((2, "new"), (1, "old")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "classifier.tflite").touch()
        os.utime(tmp_path / name / "classifier.tflite", (seconds, seconds))
    assert predict.newest_classifier(tmp_path).parent.name == "new"
