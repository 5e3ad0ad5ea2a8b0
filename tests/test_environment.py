"""The environment is what it says: locked by hash, without index lines, usable by conda."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from batik_utils import bootstrap
from batik_utils.study import ROOT

LOCK = (ROOT / "requirements.txt").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_locked_package_has_a_version_and_a_hash():
    entries = re.split(r"\n(?=\S)", LOCK.strip())
    assert len(entries) > 100
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==\S+", entry), entry[:60]
        assert "--hash=sha256:" in entry, entry[:60]


def test_the_lock_names_no_index_and_no_address():
    assert "://" not in LOCK and "index-url" not in LOCK


def test_mac_and_arm_get_the_tensorflow_that_exists_for_them():
    full = next(line for line in LOCK.splitlines() if line.startswith("tensorflow=="))
    slim = next(line for line in LOCK.splitlines() if line.startswith("tensorflow-cpu=="))
    assert "darwin" in full and "x86_64" in full
    assert "x86_64" in slim and "darwin" not in slim


@pytest.mark.parametrize("extra", ["", "dask", "dev"])
def test_every_direct_dependency_is_in_the_lock(extra):
    project = PROJECT["project"]
    wanted = project["optional-dependencies"][extra] if extra else project["dependencies"]
    locked = {line.split("==")[0] for line in LOCK.splitlines() if re.match(r"[a-z0-9]", line)}
    names = {re.match(r"[A-Za-z0-9._-]+", w)[0].lower().replace("_", "-") for w in wanted}
    assert names - {"batik-utils"} <= locked


@pytest.mark.skipif(sys.platform == "win32", reason="the parser has no Windows build here")
def test_conda_can_parse_the_environment():
    from rattler import MatchSpec

    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    specs = [MatchSpec(d) for d in environment["dependencies"] if isinstance(d, str)]
    assert {s.name.normalized for s in specs} == {"python", "pip", "make"}
    assert environment["dependencies"][-1] == {"pip": ["-r requirements.txt"]}


def test_the_installer_can_be_locked_alone():
    entry = bootstrap._locked("uv", LOCK)
    assert entry.startswith("uv==") and entry.count("--hash") > 3
    assert not re.search(r"^(?!uv==)\S", entry, flags=re.MULTILINE)


def test_make_alone_prints_help_naming_every_target():
    help_text = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("report", "test", "lab", "clean", "bench"):
        assert re.search(rf"^  {target} ", help_text, flags=re.MULTILINE), target
