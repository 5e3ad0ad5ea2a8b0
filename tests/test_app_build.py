"""The page as a file: the same bytes, its policy, its words in both languages, and where its parts come from."""

import base64
import hashlib
import json
import re

import pytest
from browsing import browse, had, html_faults
from tiny_classifier import NEVER, bundle, write_page

from batik_utils.app import build
from batik_utils.app.build import FOLDER, PARTS, SCRIPTS, build_page, packages
from batik_utils.errors import BatikError
from batik_utils.study import ROOT
from batik_utils.study_file import load_study

WORDS = json.loads((PARTS / "words.json").read_text(encoding="utf-8"))
CODE = "".join(
    path.read_text(encoding="utf-8") for path in (*map(PARTS.joinpath, (*SCRIPTS, "page.html")), FOLDER / "build.py")
)
LOCKS = [FOLDER, ROOT / "tests" / "browser"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("page"))


def block(page, name):
    return re.search(rf'<script type="[^"]*" id="{name}">(.*?)</script>', page, re.DOTALL)[1]


def test_the_same_classifier_gives_the_same_bytes(made):
    assert build_page(made[1]) == made[0].read_bytes()


def test_only_the_pages_own_script_and_style_may_run(made):
    page = made[0].read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    for tag, kind in (('script type="module"', "script-src"), ("style", "style-src")):
        text = re.search(rf"<{tag}>(.*?)</{tag.split()[0]}>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ") and "unsafe-inline" not in policy and "://" not in policy


def test_what_a_model_file_says_is_shown_as_text(made):
    page = made[0].read_text(encoding="utf-8")
    assert "<b>cloth" not in page and "Tiny &lt;b&gt;cloth&lt;/b&gt;" in page
    assert json.loads(block(page, "facts"))["study"]["title"] == "Tiny <b>cloth</b>"


def test_the_page_is_valid_html(made, tmp_path):
    page = made[0].read_text(encoding="utf-8")
    for name in ("runtime", "model", "training"):
        page = page.replace(block(page, name), "AA==")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    assert html_faults(tmp_path / "page.html") == []


def test_both_languages_say_everything_with_the_same_places():
    assert list(WORDS) == ["en", "id"] and list(WORDS["en"]) == list(WORDS["id"])
    for key, text in WORDS["en"].items():
        other = WORDS["id"][key]
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", other)), key
        assert text.strip() and other.strip()


def test_every_word_is_said_somewhere_and_none_is_missing():
    said = set(re.findall(r'"([a-z][a-z.]*)"', CODE)) & set(WORDS["en"])
    assert set(WORDS["en"]) == said
    asked = re.findall(r'say\("([^"]+)"|data-(?:word|label)="([^"{]+)"|Refusal\("([^"]+)"', CODE)
    assert {word for words in asked for word in words if word} <= set(WORDS["en"])


def test_motifs_are_told_of_in_both_languages_where_a_plate_is_known(made):
    facts = json.loads(block(made[0].read_text(encoding="utf-8"), "facts"))
    assert NEVER[-1] not in facts["plates"] and facts["names"][-1] == "My own cloth"
    bali = facts["plates"]["batik-bali"]
    assert set(bali["short"]) == {"en", "id"} and any("Kerlogue (2004)" in source for source in bali["sources"])


def test_a_report_renews_the_page_when_a_part_of_it_has_changed(tmp_path, monkeypatch):
    study, model, page = load_study("minimal"), tmp_path / "classifier.tflite", tmp_path / "out" / "classifier.html"
    assert not build.renew_page(study, model, page) and not page.exists()
    with pytest.raises(BatikError, match="make report STUDY=minimal"):
        build.make_page(study, model, page)
    model.write_bytes(bundle().to_bytes())
    had(FOLDER)
    assert [build.renew_page(study, model, page) for _ in range(2)] == [True, False]
    model.write_bytes(bundle(evidence=False).to_bytes())
    assert build.renew_page(study, model, page)
    monkeypatch.setattr(build, "place_of", lambda folder: tmp_path / "nothing")
    page.unlink()
    assert not build.renew_page(study, model, page), "no runtime is fetched for a report"


@pytest.mark.parametrize("folder", LOCKS, ids=lambda folder: folder.name)
def test_packages_are_locked_by_their_bytes_and_from_no_particular_place(folder):
    lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert lock[""]["dependencies"] == wanted and all(re.fullmatch(r"[\d.]+", version) for version in wanted.values())
    for name, entry in lock.items():
        assert not name or entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, name


def test_without_npm_one_line_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path))
    monkeypatch.setenv("BATIK_OFFLINE", "1")
    with pytest.raises(BatikError, match="not in the cache, and npm was not asked"):
        packages(FOLDER)


def test_without_a_browser_tests_are_skipped_with_a_reason_but_fail_in_ci(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    for variable, outcome in (("", pytest.skip.Exception), ("true", pytest.fail.Exception)):
        monkeypatch.setenv("CI", variable)
        with pytest.raises(outcome, match="firefox is not installed"), browse("firefox"):
            pass
