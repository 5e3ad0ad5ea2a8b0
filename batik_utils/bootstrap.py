"""Make the virtual environment: python3 batik_utils/bootstrap.py FOLDER [LOCK].

Runs on a bare Python, so it imports nothing but the standard library. uv installs the locked set in seconds; where uv
cannot be used, pip installs the same set, slower. Every file is checked against the hashes in the lock.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(folder: Path, lock: "Path | None" = None) -> None:
    """Make the environment of requirements.txt, or turn it into that of another lock; SystemExit says why not."""
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    hashed = [*pip, "install", "--require-hashes", "--requirement"]
    if lock is None:
        lock, alone = ROOT / "requirements.txt", folder / "uv.txt"
        _bare(folder)
        alone.write_text(locked("uv", lock.read_text(encoding="utf-8")), encoding="utf-8")
        subprocess.run([*hashed, str(alone), "--no-deps"], check=False)
    sync = [python, "-m", "uv", "pip", "sync", "--python", python, "--quiet", "--require-hashes", "--compile-bytecode"]
    if subprocess.run([*sync, str(lock)], env={**os.environ, **_index(pip)}).returncode:
        print("uv could not install the locked packages; trying pip …", flush=True)
        if subprocess.run([*hashed, str(lock)]).returncode:
            sys.exit("The locked packages could not be installed: is a package index within reach?")
    own = [*pip, "install", "--no-deps", "--no-build-isolation", "--no-index", "--editable", str(ROOT)]
    done = subprocess.run(own, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"The project itself could not be installed: {done.stderr.strip()}")
    (folder / (".lab" if "lab" in lock.name else ".ready")).touch()


def _bare(folder: Path) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs on whatever Python is there
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"Python 3.11 or newer is needed, this is {found}. Try: make PYTHON=python3.12 …")
    print(f"Setting up {folder} (once; a few hundred megabytes) …", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    if subprocess.run([sys.executable, "-m", "venv", str(folder)], stdout=subprocess.DEVNULL).returncode:
        sys.exit("Python's venv module is not complete; on Debian and Ubuntu: apt install python3-venv.")


def locked(name: str, lock: str) -> str:
    """The lines of one package in a lock file: its version and the hashes below it."""
    return re.findall(rf"^{name}==.*\n(?: .*\n?)*", lock, re.MULTILINE)[0]


def _index(pip: list[str]) -> dict[str, str]:
    """What pip is configured with, in uv's words, so that one mirror serves both."""
    asked = subprocess.run([*pip, "config", "get", "global.index-url"], capture_output=True, text=True)
    url, certificates = os.environ.get("PIP_INDEX_URL") or asked.stdout.strip(), os.environ.get("PIP_CERT")
    found = {"UV_DEFAULT_INDEX": url, "SSL_CERT_FILE": certificates}
    return {name: value for name, value in found.items() if value and name not in os.environ}


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
