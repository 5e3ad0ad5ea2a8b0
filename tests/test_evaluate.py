"""`batik evaluate`: somebody's labelled pictures, without those that the classifier has learnt from."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from classifiers import bundle, changed, pictures
from PIL import Image
from typer.testing import CliRunner

from batik_utils.cli import app
from batik_utils.deploy.evaluate import plain
from batik_utils.deploy.gate import HALVES, copy_of, fingerprint
from batik_utils.sample import SAMPLE_MOTIFS, draw


def cloth(number, size=96):
    return draw(SAMPLE_MOTIFS[number % len(SAMPLE_MOTIFS)], number, size)


def known(*pictures):
    """A classifier whose training pictures are these."""
    rows = [
        {"name": f"a/{i}.png", "motif": 0, "palette": [], "fingerprint": fingerprint(p)} for i, p in enumerate(pictures)
    ]
    return changed(training={"width": bundle().about.training.width, "rows": rows}).about


@pytest.fixture
def room(tmp_path):
    """A classifier, and a folder of labelled pictures: a red motif, a blue one, and a name that it does not know."""
    whole, rng = bundle(), np.random.default_rng(7)
    (tmp_path / "c.tflite").write_bytes(whole.to_bytes())
    for name, channel in (("Red", 0), ("batik_blue ", 2), ("elsewhere", 1)):
        (tmp_path / "cloth" / name).mkdir(parents=True)
        for i in range(4):
            pixels = rng.integers(0, 90, (40, 60, 3))
            pixels[..., channel] += 120
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "cloth" / name / f"{i}.png")
    return tmp_path


def evaluated(room, *words):
    done = CliRunner().invoke(app, ["evaluate", str(room / "c.tflite"), str(room / "cloth"), *words])
    return done.exit_code, done.stdout, done.exception


def test_names_are_matched_by_what_they_spell():
    assert {plain(name) for name in ("batik-kawung", "Kawung", "kawung ", "Batik_Kawung", "BATIK KAWUNG")} == {"kawung"}
    assert plain("batik-bali") != plain("batik-betawi") and plain("batik") == "batik"


def test_a_copy_is_found_re_encoded_resized_mirrored_and_turned_and_another_picture_is_not(tmp_path):
    pictures = [cloth(i) for i in range(12)]
    about = known(*pictures)
    for place, picture in enumerate(pictures):
        image = Image.fromarray(picture)
        image.save(tmp_path / "a.jpg", quality=40)
        changes = [Image.open(tmp_path / "a.jpg"), image.resize((300, 260)), image.resize((50, 50)), image.rotate(90)]
        changes += [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)]
        assert [copy_of(np.asarray(c), about) for c in changes] == [f"a/{place}.png"] * len(changes)
    assert [copy_of(cloth(i), about) for i in range(12, 60)] == [None] * 48
    assert max(HALVES) < 0.2 * 256, "two pictures differ in half of the bits"


def test_numbers_are_those_of_the_folder(room):
    code, text, _ = evaluated(room, "--json")
    found = json.loads(text)
    assert code == 0 and found["unmatched"] == ["elsewhere"] and found["pictures"] == 8 and not found["copies"]
    confusion = np.array(found["confusion"])
    assert confusion.sum(axis=1).tolist() == [4, 4, 0]
    assert found["accuracy"]["value"] == confusion.trace() / 8
    assert set(found["per_motif"]) == {"batik-red", "batik-blue"}
    assert found["per_motif"]["batik-red"]["recall"] == confusion[0, 0] / 4
    bins = found["calibration"]["bins"]
    assert sum(row["count"] for row in bins) == 8
    assert sum(row["count"] * row["accuracy"] for row in bins) == pytest.approx(confusion.trace())
    table = pd.read_csv(io.StringIO(evaluated(room, "--csv")[1]))
    assert table["motif"].tolist() == ["batik-red"] * 4 + ["batik-blue"] * 4 and "batik-red" in table
    assert (table["right"] == "yes").sum() == (table["motif"] == table["answer"]).sum() == confusion.trace()
    assert all(row.answer in row.one_of.split("|") for row in table.itertuples())
    assert found["turned_away"] == (table["looks_like_batik"] == "no").sum()


def test_what_is_left_out_and_what_cannot_be_read_is_told(room):
    red = room / "cloth" / "Red"
    Image.fromarray(pictures()[0]).resize((64, 64)).save(red / "copy.jpg", quality=95)
    (red / "page.jpg").write_text("<html>")
    (red / "cut.png").write_bytes((red / "0.png").read_bytes()[:200])
    (red / "empty.jpg").write_bytes(b"")
    code, text, error = evaluated(room, "--json")
    found = json.loads(text)
    assert code == 1 and isinstance(error, SystemExit) and found["pictures"] == 8
    assert [one["of"] for one in found["copies"]] == ["batik-red/0.png"]
    assert sorted(one["file"].split("/")[-1] for one in found["unread"]) == ["cut.png", "empty.jpg", "page.jpg"]
    _, words, _ = evaluated(room)
    for said in (
        "elsewhere",
        "1 picture left out as copies",
        "page.jpg: a web page",
        "of 8 pictures right",
        "Balanced accuracy",
        "Red",
    ):
        assert said in words, words


def test_without_a_gate_nothing_is_said_of_batik_and_without_pictures_nothing_of_accuracy(room):
    (room / "c.tflite").write_bytes(changed(gate=None).to_bytes())
    assert json.loads(evaluated(room, "--json")[1])["turned_away"] is None
    assert "rejected" not in evaluated(room)[1]
    for name in ("Red", "batik_blue "):
        for path in (room / "cloth" / name).iterdir():
            path.unlink()
    assert "No picture is left" in evaluated(room)[1]
    assert "accuracy" not in json.loads(evaluated(room, "--json")[1])


def test_folders_of_no_known_name_are_a_mistake_in_one_line(room):
    for name in ("Red", "batik_blue "):
        (room / "cloth" / name).rename(room / f"x{name}")
    _, _, error = evaluated(room)
    assert "elsewhere; none is named like one of the motifs" in str(error) and "\n" not in str(error)
