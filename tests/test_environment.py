"""The environment is what it says: locked by hash, without index lines, usable by conda."""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from batik_utils.experiment import keys
from batik_utils.models.kinds import KINDS
from batik_utils.study import ROOT

LOCK, LAB = ((ROOT / name).read_text(encoding="utf-8") for name in ("requirements.txt", "requirements-lab.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def versions(lock, ends=""):
    """{package: version}; with a pattern of how the line `ends`, of those lines alone."""
    return dict(re.findall(rf"^([a-z0-9._-]+)==(\S+) {ends}", lock, re.MULTILINE))


@pytest.mark.parametrize("lock", [LOCK, LAB], ids=["base", "lab"])
def test_every_locked_package_has_a_version_and_a_hash_and_no_address(lock):
    entries = re.split(r"\n(?=\S)", lock.strip())
    assert len(entries) > 100
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==\S+", entry) and "--hash=sha256:" in entry, entry[:60]
    assert "://" not in lock and "index-url" not in lock


def test_pip_would_install_the_lock_for_every_python_that_the_project_allows():
    # uv does not ask; pip, by which conda and Binder install the lock, refuses what does not admit its Python.
    pythons, checked = ["3.11.0", "3.12.0", "3.13.0"], 0
    for name, version in versions(LOCK, r"\\$").items():
        with contextlib.suppress(metadata.PackageNotFoundError):
            installed = metadata.distribution(name)
            if installed.version == version:
                admitted = SpecifierSet(installed.metadata.get("Requires-Python") or "")
                assert [*admitted.filter(pythons)] == pythons, f"{name} {version} wants Python {admitted}"
                checked += 1
    assert checked > 50


def test_the_lock_has_all_dependencies_the_lab_adds_to_it_and_each_machine_gets_the_tensorflow_that_exists_for_it():
    assert versions(LOCK).items() < versions(LAB).items()
    project = PROJECT["project"] | PROJECT["project"]["optional-dependencies"]
    for extra, lock in {"dependencies": LOCK, "dask": LOCK, "dev": LOCK, "lab": LAB}.items():
        direct = {plain(re.match(r"[A-Za-z0-9._-]+", wanted)[0]) for wanted in project[extra]}
        assert direct - {"batik-utils"} <= versions(lock).keys(), extra
    slim, full = (re.search(rf"^{name}==.*", LOCK, re.MULTILINE)[0] for name in ("tensorflow-cpu", "tensorflow"))
    assert "darwin" in full and "x86_64" in full and "x86_64" in slim and "darwin" not in slim


@pytest.mark.skipif(sys.platform == "win32", reason="the solver has no Windows build here")
def test_conda_can_solve_the_environment_and_binder_adds_the_project():
    from rattler import Channel, MatchSpec, VirtualPackage, solve
    from rattler.exceptions import GatewayError

    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    specs = [MatchSpec(d) for d in environment["dependencies"] if isinstance(d, str)]
    assert {s.name.normalized for s in specs} == {"python", "pip", "make"}
    assert environment["dependencies"][-1] == {"pip": ["-r requirements.txt"]}
    # The lock's hashes are checked, so that pip would refuse a project that has none: it comes afterwards.
    script = ROOT / "postBuild"
    assert os.access(script, os.X_OK) and re.search(r"pip install --no-deps .*--editable \.$", script.read_text(), re.M)
    channels = [Channel(name) for name in environment["channels"]]
    solving = solve(channels, specs, platforms=["linux-64", "noarch"], virtual_packages=VirtualPackage.detect())
    try:
        solved = {record.name.normalized: str(record.version) for record in asyncio.run(asyncio.wait_for(solving, 120))}
    except (GatewayError, TimeoutError):
        pytest.skip("conda's channel is not within reach: environment.yml was read, and not solved")
    assert {"python", "pip", "make"} <= {*solved}
    assert solved["python"] in SpecifierSet(PROJECT["project"]["requires-python"])


def say(command):
    """What a command says in the project's folder."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_installer_can_be_locked_alone_and_an_old_python_is_told_so(tmp_path):
    make = ["make", "-s", f"VENV={tmp_path / 'env'}", f"{tmp_path / 'env'}/.ready"]
    entry = say(["sh", "-c", re.search(r"^sed .*?(?= >)", say([*make, "-n"]), re.MULTILINE)[0]])
    assert entry.startswith("uv==") and entry.count("--hash") > 3
    assert not re.search(r"^(?!uv==)\S", entry, flags=re.MULTILINE)
    (tmp_path / "old").write_text('#!/bin/sh\nexec python3 -c "import sys; sys.version_info = (3, 9); $2"\n')
    (tmp_path / "old").chmod(0o755)
    refused = subprocess.run([*make, f"PYTHON={tmp_path / 'old'}"], cwd=ROOT, capture_output=True, text=True)
    assert refused.returncode and "Python 3.11 or newer is needed" in refused.stderr
    assert not (tmp_path / "env").exists()


def test_make_alone_prints_help_naming_every_target_and_settings_reach_the_command_line_whole():
    targets = re.findall(r"^  (\w+) ", say(["make", "-s"]), re.MULTILINE)
    assert {"report", "plan", "new", "watch", "test", "lab", "lint", "lock", "clean", "bench"} <= {*targets}
    words = ["make", "-n", "report", "STUDY=minimal", "SET=models.scratch.epochs=2 grouped.folds=2", "DATA=a folder"]
    assert '--data "a folder" --set "models.scratch.epochs=2" --set "grouped.folds=2"' in say(words)


def test_the_hooks_run_what_is_installed_and_refuse_pictures():
    hooks = {h["id"]: h for h in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]}
    assert {hook["language"] for hook in hooks.values()} == {"system", "fail"}
    refused, drawn = (re.compile(hooks["no-pictures"][which]) for which in ("files", "exclude"))
    tracked = say(["git", "ls-files"]).splitlines()
    assert refused.search("a/b.JPG") and refused.search("reports/photographs/x/report.html")
    assert [name for name in tracked if refused.search(name)] == [name for name in tracked if drawn.search(name)]


def depends_on(name: str) -> set[str]:
    """The distributions that an installed one cannot do without; none where it is not installed."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return {plain(re.match(r"[\w.-]+", r)[0]) for r in metadata.requires(name) or () if "extra ==" not in r}
    return set()


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_in_a_key_names_every_package_that_can_change_a_number():
    code = keys.code(keys.FEATURES, *(name for kind in KINDS.values() for name in kind.code))
    text = "\n".join(path.read_text(encoding="utf-8") for path in map(keys.PACKAGE.joinpath, code))
    imported = {*re.findall(r"^ *(?:from|import) (\w+)", text, re.MULTILINE)}
    known = metadata.packages_distributions()
    used = {plain(name) for top in imported - {"batik_utils"} for name in known.get(top, ())}
    assert {"keras", "numpy", "opencv-python-headless", "scikit-learn"} <= used <= keys.NUMERIC
    # What they compute with: the arrays of NumPy.
    below = {name for numeric in keys.NUMERIC for name in depends_on(numeric) if "numpy" in depends_on(name)}
    # scikit-image reads and writes files by these; its descriptors, the only thing of it used here, do not.
    assert "ml-dtypes" in below and below - {"imageio", "tifffile"} <= keys.NUMERIC
    assert keys.lock().keys() == keys.NUMERIC
