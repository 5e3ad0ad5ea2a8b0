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
from classifiers import MOTIFS, bundle, changed, pictures
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


def python(code, *words, timeout=60, given=""):
    """A process of its own, which finds what this one finds."""
    path = os.pathsep.join([*map(str, sys.path), os.path.dirname(__file__)])
    options = {"capture_output": True, "text": True, "errors": "replace", "timeout": timeout, "input": given}
    return subprocess.run([sys.executable, "-c", code, *words], env=os.environ | {"PYTHONPATH": path}, **options)


def batik(*words, **options):
    return python("from batik_utils.cli import main; main()", "predict", *words, **options)


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_the_first_line_names_the_model_and_each_picture_has_one(room):
    done = batik("cloth", "--model", "classifier.tflite", "--top", "1")
    first, *answers = done.stdout.splitlines()
    assert first.startswith("Small, ") and "Red, Blue and Grey" in first and "90.0" in first
    assert [line.partition(":")[0] for line in answers] == ["cloth/a.jpg", "cloth/b.png", "cloth/below/c.png"]
    assert done.returncode == 0 and done.stderr == ""


def test_where_motifs_differ_in_size_accuracy_does_not_stand_alone():
    accuracy = bundle().about.model_dump()["accuracy"] | {"balanced": 0.52}
    said = predict.named(changed(accuracy=accuracy).about).replace("\xa0", " ")
    assert "is right for 33.3 %, and with every motif weighing alike it is 52.0 %, by chance 33.3 %" in said
    assert "alike" not in predict.named(bundle().about)


def test_it_imports_neither_tensorflow_nor_keras_nor_scikit_learn(room):
    code = "import sys\nfrom batik_utils.cli import app\n"
    code += "app(['predict', 'cloth', '--csv', '--model', 'classifier.tflite'], standalone_mode=False)\n"
    code += "print(*sys.modules, file=sys.stderr)"
    done = python(code)
    assert len(rows(done.stdout)) == 3
    assert not {"tensorflow", "keras", "sklearn", "pandas", "scipy", "matplotlib", "skimage"} & {*done.stderr.split()}


def test_csv_and_json_say_the_same_as_the_model(room):
    table = rows(batik("cloth", "--csv", "--model", "classifier.tflite").stdout)
    about, *lines = map(json.loads, batik("cloth", "--json", "--model", "classifier.tflite").stdout.splitlines())
    assert about["motifs"] == list(MOTIFS) and about["accuracy"]["value"] == 0.9
    classifier = Classifier(bundle())
    for row, line in zip(table, lines, strict=True):
        answer = classifier.ask(classifier.read(room / row["file"]))
        assert row["file"] == line["file"] and row["answer"] == line["answer"] == answer["answer"]
        assert {m: pytest.approx(float(row[m]), abs=1e-6) for m in MOTIFS} == line["probabilities"]
        assert row["one_of"].split("|") == line["one_of"] == answer["one_of"]
        assert float(row["distance"]) == pytest.approx(line["distance"], abs=1e-6) and row["looks_like_batik"] == "yes"


def test_names_come_from_the_standard_input_too_whatever_ends_their_lines(room):
    done = batik("-", "--csv", "--model", "classifier.tflite", given="cloth/a.jpg\r\n\ncloth/below\n")
    assert [row["file"] for row in rows(done.stdout)] == ["cloth/a.jpg", "cloth/below/c.png"]


def test_what_is_no_picture_is_told_at_the_end_and_the_rest_is_done(room):
    (room / "cloth" / "page.jpg").write_text("<html>")
    (room / "cloth" / "0.jpg").write_bytes(b"")
    done = batik("cloth", "gone.jpg", "=1+1.jpg", "x" * 300, "--model", "classifier.tflite", "--csv")
    found = {row["file"]: row["error"] for row in rows(done.stdout)}
    assert done.returncode == 1 and len(found) == 8 and "Traceback" not in done.stderr
    assert found["cloth/page.jpg"] == "a web page (HTML), not an image" and found["cloth/b.png"] == ""
    assert found["gone.jpg"] == found["'=1+1.jpg"] == "there is no such file", "and no spreadsheet sees a formula"
    assert done.stderr.splitlines()[2].strip() == "cloth/0.jpg: the file is empty."


def test_what_never_ends_is_not_waited_for(room):
    cloth = room / "cloth"
    os.mkfifo(cloth / "pipe.jpg")
    (cloth / "loop").symlink_to(cloth)
    (cloth / "self.jpg").symlink_to(cloth / "self.jpg")
    (cloth / "endless.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind("cloth/plug")
        done = batik("cloth", "cloth/pipe.jpg", "--model", "classifier.tflite", "--csv", timeout=30)
    found = {row["file"]: row["error"] for row in rows(done.stdout)}
    assert {found[f"cloth/{name}"] for name in ("pipe.jpg", "endless.png", "plug")} == {"not a regular file"}
    assert found["cloth/a.jpg"] == "" and found["cloth/self.jpg"] and not any("loop" in name for name in found)


def test_five_hundred_mutated_pictures_and_some_bombs_are_answered_or_refused_in_bounded_memory(room):
    picture = Image.fromarray(np.kron(pictures(1)[0], np.ones((4, 4, 1), np.uint8)))
    (room / "mutants").mkdir()
    for number in range(500):
        (room / "mutants" / f"{number:03d}.jpg").write_bytes(mutant(picture, number))
    header = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (30_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    bombs = {"huge.png": header, "none.png": header.replace((30_000).to_bytes(4, "big"), bytes(4)), "a.svg": b"<svg/>"}
    for name, content in bombs.items():
        (room / "mutants" / name).write_bytes(content)
    code = "import sys\nfrom mutants import peak\nfrom batik_utils.cli import app\n"
    code += "try: app(['predict', 'mutants', '--csv', '--model', 'classifier.tflite'])\n"
    code += "finally: print(peak(), file=sys.stderr)"
    done = python(code)
    found = {row["file"].partition("/")[2]: row for row in rows(done.stdout)}
    assert done.returncode == 1 and len(found) == 503 and "Traceback" not in done.stderr
    refused = {name for name, row in found.items() if row["error"]}
    assert bombs.keys() <= refused and 50 < len(refused) < 450
    assert all(found[name]["answer"] in MOTIFS for name in found.keys() - refused)
    assert int(done.stderr.splitlines()[-1]) < KILOBYTES


def test_odd_names_are_shown_so_that_they_do_nothing(room):
    odd = "cloth/\x1b[31m\u202e\n.png".encode() + b"\xff"
    with open(odd, "wb") as file:
        file.write((room / "cloth/b.png").read_bytes())
    before = sorted(os.listdir(b"."))
    for form in ([], ["--csv"], ["--json"]):
        done = batik("cloth", "--model", "classifier.tflite", *form)
        assert done.returncode == 0 and (form == ["--csv"] or "\x1b" not in done.stdout)
        assert len(done.stdout.splitlines()) >= 5
    assert sorted(os.listdir(b".")) == before


def test_a_picture_that_is_unlike_all_is_not_given_a_name(room):
    Image.new("RGB", (40, 40), "white").save(room / "white.png")
    gate = bundle().about.model_dump()["gate"] | {"threshold": 0.0}
    (room / "strict.tflite").write_bytes(changed(gate=gate).to_bytes())
    assert "white.png: this does not look like batik\n" in batik("white.png", "--model", "strict.tflite").stdout
    (room / "own.tflite").write_bytes(changed(gate=gate, batik=False).to_bytes())
    assert "like its training pictures" in batik("white.png", "--model", "own.tflite").stdout
    (room / "none.tflite").write_bytes(changed(gate=None, sets=None).to_bytes())
    (row,) = rows(batik("white.png", "--csv", "--model", "none.tflite").stdout)
    assert {*row} == {"file", "answer", "one_of", "error", *MOTIFS}, "nobody asked whether it looks like batik"
    _, line = batik("white.png", "--json", "--model", "none.tflite").stdout.splitlines()
    assert not {"looks_like_batik", "distance"} & {*json.loads(line)}


def test_motifs_that_cannot_be_ruled_out_are_named_together(room):
    (room / "unsure.tflite").write_bytes(
        changed(sets=bundle().about.model_dump()["sets"] | {"threshold": 1.0}).to_bytes()
    )
    said = batik("cloth/a.jpg", "--model", "unsure.tflite").stdout
    assert "cloth/a.jpg: one of these three: " in said and said.count("%") >= 4


def test_a_model_that_is_none_is_one_line(room):
    (room / "bad.tflite").write_bytes(b"TFL3" * 100)
    for name in ("bad.tflite", "absent.tflite"):
        done = batik("cloth", "--model", name)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and name in done.stderr and not done.stdout


def test_a_reader_that_has_seen_enough_ends_it_quietly(room):
    command = f"{sys.executable} -c 'from batik_utils.cli import main; main()' predict --model classifier.tflite"
    code = f"{command} $(yes cloth | head -2000) | head -1"
    path = {"PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, env=os.environ | path)
    assert done.stdout.count("\n") == 1 and "Traceback" not in done.stderr and "rror" not in done.stderr


def test_the_newest_classifier_is_found(tmp_path):
    with pytest.raises(BatikError, match="make one with `make report`"):
        predict.newest_classifier(tmp_path)
    for seconds, name in ((2, "new"), (1, "old")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "classifier.tflite").touch()
        os.utime(tmp_path / name / "classifier.tflite", (seconds, seconds))
    assert predict.newest_classifier(tmp_path).parent.name == "new"
