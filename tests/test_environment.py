"""The environment is what it says: locked by hash, without index lines, usable by conda."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from batik_utils import bootstrap
from batik_utils.study import ROOT

LOCK, LAB = ((ROOT / name).read_text(encoding="utf-8") for name in ("requirements.txt", "requirements-lab.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def names(lock):
    return {line.split(" ")[0] for line in lock.splitlines() if re.match(r"[a-z0-9]", line)}


@pytest.mark.parametrize("lock", [LOCK, LAB], ids=["base", "lab"])
def test_every_locked_package_has_a_version_and_a_hash_and_no_address(lock):
    entries = re.split(r"\n(?=\S)", lock.strip())
    assert len(entries) > 100
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==\S+", entry), entry[:60]
        assert "--hash=sha256:" in entry, entry[:60]
    assert "://" not in lock and "index-url" not in lock


def test_the_lab_adds_to_the_environment_and_changes_nothing_in_it():
    assert names(LOCK) < names(LAB)
    assert any(name.startswith("jupyterlab==") for name in names(LAB) - names(LOCK))


def test_mac_and_arm_get_the_tensorflow_that_exists_for_them():
    full = next(line for line in LOCK.splitlines() if line.startswith("tensorflow=="))
    slim = next(line for line in LOCK.splitlines() if line.startswith("tensorflow-cpu=="))
    assert "darwin" in full and "x86_64" in full
    assert "x86_64" in slim and "darwin" not in slim


@pytest.mark.parametrize("extra", ["", "dask", "dev", "lab"])
def test_every_direct_dependency_is_in_the_lock(extra):
    project = PROJECT["project"]
    wanted = project["optional-dependencies"][extra] if extra else project["dependencies"]
    locked = {name.split("==")[0] for name in names(LAB if extra == "lab" else LOCK)}
    direct = {re.match(r"[A-Za-z0-9._-]+", w)[0].lower().replace("_", "-") for w in wanted}
    assert direct - {"batik-utils"} <= locked


@pytest.mark.skipif(sys.platform == "win32", reason="the parser has no Windows build here")
def test_conda_can_parse_the_environment():
    from rattler import MatchSpec

    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    specs = [MatchSpec(d) for d in environment["dependencies"] if isinstance(d, str)]
    assert {s.name.normalized for s in specs} == {"python", "pip", "make"}
    assert environment["dependencies"][-1] == {"pip": ["-r requirements.txt"]}


def test_the_installer_can_be_locked_alone():
    entry = bootstrap.locked("uv", LOCK)
    assert entry.startswith("uv==") and entry.count("--hash") > 3
    assert not re.search(r"^(?!uv==)\S", entry, flags=re.MULTILINE)


def test_make_alone_prints_help_naming_every_target():
    help_text = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("report", "plan", "new", "watch", "test", "lab", "lint", "lock", "clean", "bench"):
        assert re.search(rf"^  {target} ", help_text, flags=re.MULTILINE), target


def test_a_setting_of_several_fields_reaches_the_command_line_whole():
    words = ["make", "-n", "report", "STUDY=minimal", "SET=models.scratch.epochs=2 grouped.folds=2", "DATA=a folder"]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert '--data "a folder" --set "models.scratch.epochs=2" --set "grouped.folds=2"' in said


def test_the_hooks_run_what_is_installed_and_refuse_pictures():
    hooks = {h["id"]: h for h in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]}
    assert {hook["language"] for hook in hooks.values()} == {"system", "fail"}
    refused = re.compile(hooks["no-pictures"]["files"])
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    assert refused.search("a/b.JPG") and refused.search("reports/photographs/x/report.html")
    assert not [name for name in tracked if refused.search(name)]
