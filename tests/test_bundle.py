"""classifier.tflite: any runtime opens it, any zip reader too, and nothing in it is believed that was not checked."""

import json
import zipfile

import numpy as np
import pytest
from classifiers import bundle, changed, pictures

from batik_utils.deploy import answers
from batik_utils.deploy.answers import Classifier, Runtime
from batik_utils.deploy.bundle import read_bundle
from batik_utils.errors import BatikError


@pytest.fixture
def path(tmp_path):
    (tmp_path / "classifier.tflite").write_bytes(bundle().to_bytes())
    return tmp_path / "classifier.tflite"


def test_what_is_written_is_read_and_is_the_same_bytes_again(path):
    found = read_bundle(path)
    assert found.model == bundle().model and found.about == bundle().about
    np.testing.assert_array_equal(found.training, bundle().training)
    assert found.to_bytes() == path.read_bytes()


def test_a_runtime_that_knows_nothing_of_the_archive_opens_the_file_as_it_is(path):
    whole, alone = Runtime(path.read_bytes()), Runtime(bundle().model)
    np.testing.assert_array_equal(*(r.ask(pictures()[0])["probabilities"] for r in (whole, alone)))


def test_the_archive_is_of_plain_stored_members_without_a_date(path):
    with zipfile.ZipFile(path) as archive:
        assert [(m.filename, m.compress_type, m.date_time[0]) for m in archive.infolist()] == [
            ("classifier.json", 0, 1980),
            ("training.f16", 0, 1980),
        ]
        assert json.loads(archive.read("classifier.json"))["motifs"] == ["batik-red", "batik-blue", "batik-grey"]
        assert np.frombuffer(archive.read("training.f16"), "<f2").reshape(12, -1).shape == bundle().training.shape


def rewritten(path, **members):
    """The file with other members (None: without it) after its model."""
    with zipfile.ZipFile(path) as archive:
        old = {name: archive.read(name) for name in archive.namelist()}
    path.write_bytes(bundle().model)
    with zipfile.ZipFile(path, "a", members.pop("how", zipfile.ZIP_STORED)) as archive:
        for name, content in old.items():
            content = members.get(name.partition(".")[0], content)
            if content is not None:
                archive.writestr(name, content)


def about(**changes):
    return json.dumps(bundle().about.model_dump() | changes).encode()


HUGE = {"size": 100_000}
ROWS = {"width": 6, "rows": [{"name": "a", "motif": 7, "palette": [], "fingerprint": "0" * 128}] * 12}


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"classifier": about(format=3)}, "is damaged, or of another version: format"),
        ({"classifier": about(surprise=1)}, "is damaged, or of another version: surprise"),
        ({"classifier": b"[" * 100_000}, "is damaged|cannot be used"),
        ({"classifier": about(image=HUGE)}, "is damaged, or of another version: image.size"),
        ({"classifier": about(sha256="0" * 64)}, "its model is not the one that was saved"),
        ({"classifier": about(training=ROWS)}, "no such numbers"),
        ({"classifier": None}, "is not a classifier that this project saved"),
        ({"classifier": b" " * (1 << 24) + b"{}"}, "is said to have 16,777,218 bytes"),
        ({"how": zipfile.ZIP_DEFLATED}, "is compressed, which a classifier's never is"),
        ({"training": b"\0" * 10}, "has 10 bytes, not 12 × 6 × 2"),
        ({"training": np.full((12, 6), np.nan, "<f2").tobytes()}, "no such numbers"),
    ],
)
def test_what_is_not_as_it_was_saved_is_refused_in_one_line(path, members, says):
    rewritten(path, **members)
    with pytest.raises(BatikError, match=says) as error:
        read_bundle(path)
    assert "\n" not in str(error.value) and str(error.value).startswith("classifier.tflite")


def test_files_of_other_kinds_and_broken_ones_are_refused_in_one_line(path):
    for content in (b"hello", b"", bundle().model, path.read_bytes()[:-300]):
        path.write_bytes(content)
        with pytest.raises(BatikError, match=r"^classifier\.tflite [^\n]*$"):
            read_bundle(path)
    with pytest.raises(BatikError, match=r"^There is no model file [^\n]*absent; make one"):
        read_bundle(path.with_name("absent"))


def test_a_damaged_file_is_refused_or_read_as_what_it_was(path):
    content, rng, said = path.read_bytes(), np.random.default_rng(0), set()
    for place in rng.integers(0, len(content), 100):
        broken = bytearray(content)
        broken[place] ^= int(rng.integers(1, 256))
        path.write_bytes(broken)
        try:
            assert read_bundle(path).to_bytes() == content
            said.add("read")
        except BatikError as error:
            said.add("refused")
            assert "\n" not in str(error)
    assert "refused" in said


def test_a_model_that_is_none_or_another_than_the_file_says_is_refused_before_it_answers():
    with pytest.raises(BatikError, match="no model that LiteRT can run"):
        Runtime(b"\x1c\0\0\0TFL3" + b"\0" * 100)
    with pytest.raises(BatikError, match="which is not what its file says of it"):
        Classifier(changed(motifs=["batik-red", "batik-blue"]))
    with pytest.raises(BatikError, match="which is not what its file says of it"):
        Classifier(changed(image={"size": 64}))


def test_a_model_that_fails_as_it_runs_is_one_line(monkeypatch):
    classifier = Classifier(bundle())

    def fail(**given):
        raise RuntimeError("Node 3\nfailed to invoke")

    monkeypatch.setattr(classifier._runtime, "_run", fail)
    with pytest.raises(BatikError, match=r"^The model fails as it runs: Node 3 failed to invoke$"):
        classifier.ask(pictures()[0])


def test_a_model_that_wants_more_memory_than_it_may_is_refused_before_it_takes_it(monkeypatch):
    monkeypatch.setattr(answers, "MOST_BYTES", 1000)
    with pytest.raises(BatikError, match=r"it wants [\d,]+ bytes of memory"):
        Runtime(bundle().model)
