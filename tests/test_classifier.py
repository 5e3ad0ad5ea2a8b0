"""classifier.tflite: what Keras says, said by any runtime, checked before it is believed, and judged on one's own."""

import io
import json
import subprocess
import sys
import zipfile
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from classifiers import MOTIFS, SIZE, TEMPERATURE, bundle, changed, network, pictures
from PIL import Image
from typer.testing import CliRunner

import batik_utils.backend  # noqa: F401  (before keras)

# isort: split
import keras

from batik_utils.cli import app
from batik_utils.deploy import answers, convert
from batik_utils.deploy.answers import Classifier, Runtime
from batik_utils.deploy.bundle import read_bundle
from batik_utils.deploy.convert import ask_keras, ask_litert, faithful, to_litert, with_three_outputs, write_keras
from batik_utils.deploy.evaluate import plain
from batik_utils.deploy.gate import HALVES, copy_of, fingerprint
from batik_utils.errors import BatikError
from batik_utils.models.scratch import ask_all_views, build_scratch
from batik_utils.sample import SAMPLE_MOTIFS, draw

NETWORKS = {
    "a head with a hidden layer": lambda: network(hidden=5),
    "a scratch network of pooled maps": lambda: build_scratch("pooled_cnn", SIZE, 3, 0.5),
    "a scratch network of flat maps": lambda: build_scratch("seed_cnn", SIZE, 3, 0.5),
    "the mean of several views, shrunk": lambda: ask_all_views(build_scratch("small_cnn", 24, 3, 0.5), SIZE),
}


def shares(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_answers_are_the_networks_and_litert_gives_them_too(name):
    whole = NETWORKS[name]()
    three, images = with_three_outputs(whole, TEMPERATURE), pictures(3)
    expected = ask_keras(three, images)
    said = np.asarray(whole.predict_on_batch(images.astype(np.float32)), np.float64)
    np.testing.assert_allclose(expected["probabilities"], shares(np.log(said) / TEMPERATURE), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(expected["features"], axis=1), 1, atol=1e-5)
    if "evidence" in expected:  # whose mean is the logits
        mean = expected["evidence"].mean(axis=(1, 2))
        np.testing.assert_allclose(shares(mean), expected["probabilities"], atol=1e-5)
    said = ask_litert(to_litert(three), images)
    assert said.keys() == expected.keys()
    for output, value in said.items():  # whose weights are rounded to eleven bits
        np.testing.assert_allclose(value, expected[output], rtol=1e-2, atol=5e-3)


def test_other_weights_give_another_map_of_evidence():
    maps = []
    for seed in (0, 1):
        said = ask_keras(with_three_outputs(network(seed, hidden=24), TEMPERATURE), pictures(3))["evidence"]
        maps.append((said - said.mean(axis=-1, keepdims=True)).ravel())
    assert abs(np.corrcoef(*maps)[0, 1]) < 0.9


def test_the_same_network_gives_the_same_bytes_and_what_is_not_what_keras_says_is_not_given_out(tmp_path, monkeypatch):
    first = bundle().model
    keras.utils.clear_session()
    build_scratch("pooled_cnn", SIZE, 3, 0.5)  # whatever was built before
    three = with_three_outputs(network(), TEMPERATURE)
    assert faithful(three, pictures()) == (first, 1.0)
    monkeypatch.setattr(convert, "to_litert", lambda model: first)
    monkeypatch.setattr(convert, "ask_litert", lambda *given: {"probabilities": -ask_litert(*given)["probabilities"]})
    with pytest.raises(BatikError, match="they agree on 0% of pictures"):
        faithful(three, pictures())
    monkeypatch.setattr(keras.models, "load_model", lambda path: network(seed=1))
    with pytest.raises(BatikError, match=r"up to [\d.]+ off"):
        write_keras(network(), pictures(), tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())


def test_a_keras_file_needs_nothing_of_this_project_and_says_what_the_network_says(tmp_path):
    networks = [make() for make in NETWORKS.values()]
    for number, whole in enumerate(networks):
        write_keras(whole, pictures(), tmp_path / f"{number}.keras")
    given = pictures().astype(np.float32)
    np.save(tmp_path / "given", given)
    code = "import sys, keras, numpy\nfor number in range(4):\n  model = keras.models.load_model(f'{number}.keras')\n"
    code += "  numpy.save(f'{number}', model(numpy.load('given.npy')))\n"
    code += "assert 'batik_utils' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    for number, whole in enumerate(networks):
        np.testing.assert_allclose(np.load(tmp_path / f"{number}.npy"), whole.predict(given, verbose=0), atol=1e-5)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "classifier.tflite").write_bytes(bundle().to_bytes())
    return tmp_path / "classifier.tflite"


def test_the_file_is_a_model_to_any_runtime_and_a_plain_archive_without_a_date_to_any_reader(path):
    found = read_bundle(path)
    assert found.model == bundle().model and found.about == bundle().about
    np.testing.assert_array_equal(found.training, bundle().training)
    assert found.to_bytes() == path.read_bytes(), "what is read is written as the same bytes again"
    whole, alone = Runtime(path.read_bytes()), Runtime(bundle().model)
    np.testing.assert_array_equal(*(r.ask(pictures()[0])["probabilities"] for r in (whole, alone)))
    with zipfile.ZipFile(path) as archive:
        members = [(m.filename, m.compress_type, m.date_time[0]) for m in archive.infolist()]
        assert members == [("classifier.json", 0, 1980), ("training.f16", 0, 1980)]
        assert json.loads(archive.read("classifier.json"))["motifs"] == list(MOTIFS)
        assert np.frombuffer(archive.read("training.f16"), "<f2").reshape(12, -1).shape == bundle().training.shape


def about(**changes):
    return json.dumps(bundle().about.model_dump() | changes).encode()


ROWS = {"width": 6, "rows": [{"name": "a", "motif": 7, "palette": [], "fingerprint": "0" * 128}] * 12}


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"classifier.json": about(format=3)}, "is damaged, or of another version: format"),
        ({"classifier.json": about(surprise=1)}, "is damaged, or of another version: surprise"),
        ({"classifier.json": b"[" * 100_000}, "is damaged|cannot be used"),
        ({"classifier.json": about(image={"size": 100_000})}, "is damaged, or of another version: image.size"),
        ({"classifier.json": about(sha256="0" * 64)}, "its model is not the one that was saved"),
        ({"classifier.json": about(training=ROWS)}, "no such numbers"),
        ({"classifier.json": None}, "is not a classifier that this project saved"),
        ({"classifier.json": b" " * (1 << 24) + b"{}"}, "is said to have 16,777,218 bytes"),
        ({"how": zipfile.ZIP_DEFLATED}, "is compressed, which a classifier's never is"),
        ({"training.f16": b"\0" * 10}, "has 10 bytes, not 12 × 6 × 2"),
        ({"training.f16": np.full((12, 6), np.nan, "<f2").tobytes()}, "no such numbers"),
    ],
)
def test_what_is_not_as_it_was_saved_is_refused_in_one_line(path, members, says):
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()} | members
    path.write_bytes(bundle().model)
    with zipfile.ZipFile(path, "a", kept.pop("how", zipfile.ZIP_STORED)) as archive:
        for name, content in kept.items():
            if content is not None:
                archive.writestr(name, content)
    with pytest.raises(BatikError, match=says) as error:
        read_bundle(path)
    assert "\n" not in str(error.value) and str(error.value).startswith("classifier.tflite")


def test_files_of_other_kinds_and_broken_ones_are_refused_in_one_line_or_read_as_what_they_were(path):
    whole, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for content in (b"hello", b"", bundle().model, whole[:-300]):
        path.write_bytes(content)
        with pytest.raises(BatikError, match=r"^classifier\.tflite [^\n]*$"):
            read_bundle(path)
    with pytest.raises(BatikError, match=r"^There is no model file [^\n]*absent; make one"):
        read_bundle(path.with_name("absent"))
    for place in rng.integers(0, len(whole), 100):
        broken = bytearray(whole)
        broken[place] ^= int(rng.integers(1, 256))
        path.write_bytes(broken)
        try:
            assert read_bundle(path).to_bytes() == whole
        except BatikError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused


def test_a_model_that_is_none_or_another_or_fails_or_wants_too_much_memory_is_one_line(monkeypatch):
    with pytest.raises(BatikError, match="no model that LiteRT can run"):
        Runtime(b"\x1c\0\0\0TFL3" + b"\0" * 100)
    for other in ({"motifs": ["batik-red", "batik-blue"]}, {"image": {"size": 64}}):
        with pytest.raises(BatikError, match="which is not what its file says of it"):
            Classifier(changed(**other))
    classifier = Classifier(bundle())
    monkeypatch.setattr(classifier._runtime, "_run", Mock(side_effect=RuntimeError("Node 3\nfailed to invoke")))
    with pytest.raises(BatikError, match=r"^The model fails as it runs: Node 3 failed to invoke$"):
        classifier.ask(pictures()[0])
    monkeypatch.setattr(answers, "MOST_BYTES", 1000)
    with pytest.raises(BatikError, match=r"it wants [\d,]+ bytes of memory"):
        Runtime(bundle().model)


def cloth(number):
    return draw(SAMPLE_MOTIFS[number % len(SAMPLE_MOTIFS)], number, 96)


@pytest.fixture
def room(path):
    """A classifier, and a folder of labelled pictures: a red motif, a blue one, and a name that it does not know."""
    rng = np.random.default_rng(7)
    for name, channel in (("Red", 0), ("batik_blue ", 2), ("elsewhere", 1)):
        (path.parent / "cloth" / name).mkdir(parents=True)
        for i in range(4):
            pixels = rng.integers(0, 90, (40, 60, 3))
            pixels[..., channel] += 120
            Image.fromarray(pixels.astype(np.uint8)).save(path.parent / "cloth" / name / f"{i}.png")
    return path.parent


def evaluated(room, *words):
    done = CliRunner().invoke(app, ["evaluate", str(room / "classifier.tflite"), str(room / "cloth"), *words])
    return done.exit_code, done.stdout, done.exception


def test_names_are_matched_by_what_they_spell():
    assert {plain(name) for name in ("batik-kawung", "Kawung", "kawung ", "Batik_Kawung", "BATIK KAWUNG")} == {"kawung"}
    assert plain("batik-bali") != plain("batik-betawi") and plain("batik") == "batik"


def test_a_copy_is_found_re_encoded_resized_mirrored_and_turned_and_another_picture_is_not(tmp_path):
    known = [{"name": f"{i}.png", "motif": 0, "palette": [], "fingerprint": fingerprint(cloth(i))} for i in range(8)]
    learnt = changed(training={"width": bundle().about.training.width, "rows": known}).about
    for place in range(8):
        image = Image.fromarray(cloth(place))
        image.save(tmp_path / "a.jpg", quality=40)
        changes = [Image.open(tmp_path / "a.jpg"), image.resize((300, 260)), image.resize((50, 50)), image.rotate(90)]
        changes += [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)]
        assert [copy_of(np.asarray(c), learnt) for c in changes] == [f"{place}.png"] * len(changes)
    assert [copy_of(cloth(i), learnt) for i in range(8, 36)] == [None] * 28
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
    bins = pd.DataFrame(found["calibration"]["bins"])
    assert bins["count"].sum() == 8 and (bins["count"] * bins["accuracy"]).sum() == pytest.approx(confusion.trace())
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
    words = evaluated(room)[1]
    for said in ("elsewhere", "1 picture left out as copies", "page.jpg: a web page", "of 8 pictures right", "Red"):
        assert said in words, words


def test_without_a_gate_nothing_is_said_of_batik_and_without_pictures_nothing_of_accuracy(room):
    (room / "classifier.tflite").write_bytes(changed(gate=None).to_bytes())
    assert json.loads(evaluated(room, "--json")[1])["turned_away"] is None
    assert "rejected" not in evaluated(room)[1]
    for path in [*(room / "cloth").glob("Red/*"), *(room / "cloth").glob("batik_blue /*")]:
        path.unlink()
    assert "No picture is left" in evaluated(room)[1]
    assert "accuracy" not in json.loads(evaluated(room, "--json")[1])
    for name in ("Red", "batik_blue "):
        (room / "cloth" / name).rename(room / f"x{name}")
    error = str(evaluated(room)[2])
    assert "elsewhere; none is named like one of the motifs" in error and "\n" not in error
