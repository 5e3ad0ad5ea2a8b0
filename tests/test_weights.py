"""Weight files: sources, hashes, and reading a .pth without running it."""

import hashlib
import io
import os
import pickle
import struct
import threading
import zipfile
from collections import OrderedDict

import h5py
import numpy as np
import pytest

from batik_utils.errors import BatikError
from batik_utils.models import weights
from batik_utils.models.pth import MAGIC, PROTOCOL, read_pth
from batik_utils.models.weights import WEIGHTS, Weights, Wheel, drop_top, sha256_of, weights_file

needs_index = pytest.mark.skipif(os.environ.get("BATIK_OFFLINE") == "1", reason="BATIK_OFFLINE=1")
CACHED, SHARED = "keras/models/tiny.h5", "shared/weights/tiny.h5"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty Keras cache, a checkout with no shared folder, and no network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("BATIK_OFFLINE", "1")
    monkeypatch.setattr(weights, "ROOT", tmp_path / "checkout")
    return tmp_path


@pytest.fixture
def register(monkeypatch):
    """Makes "tiny" known, a file with this content."""

    def add(content: bytes = b"right", algorithm: str = "sha256", **more) -> Weights:
        entry = Weights("tiny.h5", hashlib.new(algorithm, content).hexdigest(), **more)
        monkeypatch.setitem(WEIGHTS, "tiny", entry)
        return entry

    return add


def put(path, content: bytes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
@pytest.mark.parametrize("files", [{CACHED: b"right"}, {SHARED: b"right"}, {CACHED: b"wrong", SHARED: b"right"}])
def test_the_first_right_file_is_used_from_keras_cache(home, register, algorithm, files):
    register(algorithm=algorithm)
    for name, content in files.items():
        put(home / name, content)
    assert weights_file("tiny") == home / CACHED
    assert (home / CACHED).read_bytes() == b"right"
    sha256_of.cache_clear()
    assert sha256_of("tiny") == hashlib.sha256(b"right").hexdigest()


def test_a_wrong_file_is_not_used_and_is_named(home, register):
    entry = register(url="https://example.invalid/tiny.h5")
    wrong = put(home / CACHED, b"wrong")
    with pytest.raises(BatikError) as error:
        weights_file("tiny")
    text = str(error.value)
    for part in ("'tiny'", "Keras' cache: its file has another sha256", "../shared/weights: No such file"):
        assert part in text
    assert "Keras' download: not tried, BATIK_OFFLINE=1" in text
    assert f"Put tiny.h5 with sha256 {entry.digest} into $KERAS_HOME/models" in text
    assert str(home) not in text and "\n" not in text
    assert wrong.read_bytes() == b"wrong"


def test_a_file_that_is_altered_after_it_was_used_is_noticed(home, register):
    register()
    put(home / CACHED, b"right")
    weights_file("tiny")
    put(home / CACHED, b"wrong")
    with pytest.raises(BatikError, match="Keras' cache: its file has another sha256"):
        weights_file("tiny")


def test_the_download_is_checked_and_never_half_there(home, register, monkeypatch):
    source = put(home / "storage/tiny.h5", b"right")
    monkeypatch.delenv("BATIK_OFFLINE")
    monkeypatch.setattr(weights, "_unreachable", lambda url: "")
    register(url=source.as_uri())
    assert weights_file("tiny", progress=False).read_bytes() == b"right"

    register(b"another", url=source.as_uri())
    (home / CACHED).unlink()
    with pytest.raises(BatikError, match="Keras' download: its file has another sha256, not used"):
        weights_file("tiny", progress=False)
    assert list((home / "keras/models").iterdir()) == []


def test_storage_that_does_not_answer_is_given_up_at_once(monkeypatch):
    monkeypatch.setattr(weights, "PROBE_SECONDS", 0.05)
    hang = threading.Event()
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: hang.wait())
    try:
        assert weights._unreachable("https://example.invalid/never") == "no answer within 0.05 s"
    finally:
        hang.set()


def test_a_wheel_gives_one_checked_member_by_pip(home, register, monkeypatch):
    path = home / "links/batik_carrier-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("batik_carrier/tiny.h5", b"right")
        archive.writestr("batik_carrier/__init__.py", "raise SystemExit('imported')")
        info = "batik_carrier-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: batik-carrier\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("BATIK_OFFLINE")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    register(wheel=Wheel("batik-carrier", "1.0", digest, "batik_carrier/tiny.h5"))
    assert weights_file("tiny", progress=False).read_bytes() == b"right"
    assert [p.name for p in (home / "keras/models").iterdir()] == ["tiny.h5"]

    (home / CACHED).unlink()
    register(wheel=Wheel("batik-carrier", "1.0", "0" * 64, "batik_carrier/tiny.h5"))
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
    with_top, a, b = weights_file("mobilenet_v2"), tmp_path / "a.h5", tmp_path / "b.h5"
    drop_top(with_top, a)
    drop_top(with_top, b)
    assert a.read_bytes() == b.read_bytes()
    with h5py.File(with_top) as old, h5py.File(a) as new:
        assert set(old) - set(new) == {"average_pooling2d_1", "flatten_1", "Logits"}


class Named:
    """Pickles as a global of another module."""

    def __init__(self, module: str, name: str, *arguments):
        self.module, self.name, self.arguments = module, name, arguments


class Storage(str):
    """The key of six floats, which the stream keeps behind the pickle."""


def body(obj) -> bytes:
    """Protocol 2, with storages as persistent ids, as torch.save wrote it."""

    class Pickler(pickle._Pickler):
        def persistent_id(self, o):
            kept = ("storage", Named("torch", "FloatStorage"), str(o), "cpu", 6, None)
            return kept if isinstance(o, Storage) else None

        def save(self, o, save_persistent_id=True):
            if isinstance(o, Named):
                self.write(f"c{o.module}\n{o.name}\n".encode())
                if o.arguments:
                    super().save(o.arguments)
                    self.write(pickle.REDUCE)
            else:
                super().save(o, save_persistent_id)

    out = io.BytesIO()
    Pickler(out, 2).dump(obj)
    return out.getvalue()


def pth(**tensors) -> bytes:
    """A file of tensors given as (offset, shape, strides), or as whatever else is to be pickled."""
    state = OrderedDict()
    for name, place in tensors.items():
        made = Named("torch._utils", "_rebuild_tensor_v2", Storage("7"), *place) if isinstance(place, tuple) else place
        state[name] = made
    head = [MAGIC, PROTOCOL, {"protocol_version": PROTOCOL, "little_endian": True}]
    parts = [pickle.dumps(x, 2) for x in head] + [body(state), pickle.dumps(["7"], 2)]
    return b"".join([*parts, struct.pack("<q", 6), struct.pack("<6f", *range(6))])


GOOD = {"a": (0, (2, 3), (3, 1)), "transposed": (0, (3, 2), (1, 3)), "one": (5, (), ()), "nothing": (6, (0, 3), (3, 1))}


def test_a_pth_gives_its_tensors(tmp_path):
    found = read_pth(put(tmp_path / "tiny.pth", pth(**GOOD)))
    assert list(found) == list(GOOD)
    np.testing.assert_array_equal(found["a"], np.arange(6, dtype=np.float32).reshape(2, 3))
    np.testing.assert_array_equal(found["transposed"], found["a"].T)
    assert (found["one"].dtype, found["one"], found["nothing"].shape) == (np.float32, 5, (0, 3))


@pytest.mark.parametrize("name", [("os", "system"), ("builtins", "eval"), ("torch", "load")])
def test_a_pickle_that_asks_for_anything_else_is_refused_and_not_run(tmp_path, name):
    proof = tmp_path / "proof"
    path = put(tmp_path / "evil.pth", pth(a=Named(*name, f"touch {proof}")))
    with pytest.raises(BatikError, match=f"evil.pth is not .* asks for {name[0]}.{name[1]}"):
        read_pth(path)
    assert not proof.exists()


DAMAGED = {
    "buffer": pth(a=(1, (2, 3), (3, 1))),
    "strides": pth(a=(0, (1000, 1000), (1, 1))),
    "incompatible with shape": pth(a=(-1, (2,), (1,))),
    "not a dictionary of tensors": pth(a=(0, (6,), (1,)), b=3),
    "cut short": pth(**GOOD)[:-9],
    "Ran out of input": b"",
    "safely": b"hello",
    "read safely": pth(**GOOD)[:200],
}


@pytest.mark.parametrize("reason", DAMAGED)
def test_a_damaged_or_impossible_pth_gives_one_line_with_its_reason(tmp_path, reason):
    with pytest.raises(BatikError, match=rf"tiny\.pth is not a PyTorch weights file .*{reason}") as error:
        read_pth(put(tmp_path / "tiny.pth", DAMAGED[reason]))
    assert "\n" not in str(error.value)
