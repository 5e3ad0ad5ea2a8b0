"""Pages as files, and in front of everyone: by screen reader, keyboard, phone, in light and dark, in two languages."""

import base64
import hashlib
import json
import re
from urllib.parse import unquote

import matplotlib.pyplot as plt
import numpy as np
import pytest
import tiny_report
from browsing import KINDS, browse, had, html_faults
from classifiers import NEVER, of_colours, write_page
from tiny_report import shown

from batik_utils import figures
from batik_utils.app import build
from batik_utils.app.build import FOLDER, PARTS, SCRIPTS
from batik_utils.errors import BatikError
from batik_utils.report import display
from batik_utils.report.export import export
from batik_utils.study import ROOT
from batik_utils.study_file import load_study

REPORTS = {path.parent.name: path for path in sorted((ROOT / "reports").glob("*/report.html"))}
PAGES = [*REPORTS.values(), ROOT / "reports" / "index.html"]
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
WORDS = json.loads((PARTS / "words.json").read_text(encoding="utf-8"))
SOURCES = (*map(PARTS.joinpath, (*SCRIPTS, "page.html")), FOLDER / "build.py")
CODE = "".join(path.read_text(encoding="utf-8") for path in SOURCES)


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    plt.close("all")


def folds(best=0.9):
    """A figure that knows its numbers."""
    scores = {"MobileNetV2": np.array([best, best]), "Scratch CNN": np.array([0.5, 0.6])}
    fig = figures.fold_dots(scores, {title: (0.4, 0.95) for title in scores}, chance=0.5)
    display.figure(fig, "fig-folds", "Accuracy on every held-out fold.")


def confusion():
    fig = figures.confusion_matrices({"A": np.array([[3, 1], [0, 4]])}, ["<b>", "C"])
    display.figure(fig, "fig-confusion", "Confusion.")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A report's page."""
    notebooks = tiny_report.notebooks()
    wide = tiny_report.pd.DataFrame({f"column {i}": [12345.5] for i in range(7)})
    wide_table = shown(lambda: display.table(wide, "tbl-wide", "Wide."))
    notebooks[1].cells += [shown(folds, source="folds()"), shown(confusion), wide_table]
    header = "Procedural sample, not batik photographs"
    about = {"title": "Two models", "subtitle": "Which is better?", "credit": ["By A"], "header": header, "drawn": True}
    page = tmp_path_factory.mktemp("access") / "report.html"
    page.write_text(export(notebooks, about, photos=False)[0], encoding="utf-8")
    return page


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A classifier's page, its text, and the classifier."""
    page, bundle = write_page(tmp_path_factory.mktemp("page"))
    return page, page.read_text(encoding="utf-8"), bundle


def block(text, name):
    return re.search(rf'<script type="[^"]*" id="{name}">(.*?)</script>', text, re.DOTALL)[1]


@pytest.fixture(scope="module")
def chromium():
    with browse("chromium") as browser:
        yield browser


@pytest.fixture(scope="module", params=KINDS)
def one(request):
    if request.param == "chromium":
        yield request.getfixturevalue("chromium")
    else:
        with browse(request.param) as browser:
            yield browser


def opened(browser, page, view):
    browser.call("viewport", **view)
    browser.open(page)
    return browser


def axe(browser, pages, view):
    """What it finds wrong with the pages."""
    found = {}
    for page in pages:
        opened(browser, page, view)
        found[page.parent.name] = browser.call("axe")
        assert browser.evaluate("return document.documentElement.scrollWidth;") == view["width"]
        assert browser.call("complaints") == [], "the page's own policy allows all that it does"
        assert all(url.startswith(("file:", "data:")) for url in browser.call("requests"))
    return {where: faults for where, faults in found.items() if faults}


@pytest.mark.parametrize("view", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing(tiny, chromium, view):
    assert axe(chromium, (tiny, *PAGES), view) == {}


def test_axe_finds_nothing_in_the_dark(tiny):
    with browse("chromium", dark=True) as browser:  # in which only colours differ
        assert axe(browser, (tiny, *PAGES), WIDE) == {}


def test_axe_would_find_a_link_that_only_its_colour_tells_from_the_text(tiny, chromium, tmp_path):
    text = re.sub(r"<meta http-equiv.*?>", "", tiny.read_text())
    (tmp_path / "worse.html").write_text(text.replace("a.ref {", "a.ref { text-decoration: none;"))
    faults = opened(chromium, tmp_path / "worse.html", WIDE).call("axe")
    assert [fault.split(" | ")[0] for fault in faults] == ["link-in-text-block"]


def test_the_html_is_valid(tiny, made, tmp_path):
    text = made[1]
    for name in ("runtime", "model", "training"):
        text = text.replace(block(text, name), "AA==")
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    assert html_faults(tmp_path / "page.html", tiny, *PAGES) == []


def test_a_figure_is_taken_along_as_picture_numbers_and_address(tiny, one):
    opened(one, tiny, WIDE)
    link = "document.querySelector('#fig-folds + .from a.{}')"
    taken = "const a = {}; return [a.download, a.href];"
    name, url = one.evaluate(taken.format(link.format("image")))
    assert name == "fig-folds.svg" and 'xmlns="http://www.w3.org/2000/svg"' in unquote(url)
    name, url = one.evaluate(taken.format(link.format("data")))
    first = "model,fold,accuracy,interval_low,interval_high\nMobileNetV2,1,0.9,0.4,0.95\n"
    assert name == "fig-folds.csv" and base64.b64decode(unquote(url).partition(",")[2]).decode().startswith(first)
    one.evaluate(f"{link.format('copy')}.focus();")
    one.call("press", keys=["Enter"])
    assert one.wait("document.getElementById('said').textContent").startswith(("Link copied", "The link is"))
    assert one.evaluate("return location.hash;") == "#fig-folds"
    said = one.evaluate("return document.querySelector('#fig-folds + .from').textContent;")
    assert said.startswith("From the fits of grouped cross-validation; 02-second.ipynb, cell 5.")


@pytest.mark.parametrize("view", [WIDE, PHONE], ids=["wide", "phone"])
def test_whoever_points_at_a_mark_is_told_what_it_is(tiny, one, view):
    pointed = """
        return [...document.querySelectorAll(figure + " title")].map((title) => {
          title.parentNode.scrollIntoView({ block: "center" });
          const { left, top, width, height } = title.parentNode.getBoundingClientRect();
          const under = document.elementFromPoint(left + width / 2, top + height / 2);
          return [title.textContent.replaceAll("\u00a0", " "), title.parentNode.contains(under)];
        });"""
    scratch = "Scratch CNN: 55.0 % (40.0–95.0 %)"
    folds = ["Scratch CNN: 50.0 %, 1 fold of 2", "Scratch CNN: 60.0 %, 1 fold of 2", scratch, scratch]
    cells = [f"A: true {i}, predicted {j}, {n}" for i, j, n in (("<b>", "<b>", 3), ("<b>", "C", 1), ("C", "<b>", 0))]
    opened(one, tiny, view)
    found = one.evaluate(pointed, figure="#fig-folds")
    assert found[0] == ["MobileNetV2: 90.0 %, 2 folds of 2", True]
    assert found[3:] == [[name, True] for name in folds]
    found = one.evaluate(pointed, figure="#fig-confusion")
    assert found[:3] == [[name, True] for name in cells] and len(found) == 4


def test_on_a_phone_contents_are_closed_figures_fit_and_a_table_too_wide_is_scrolled_by_keyboard(tiny, chromium):
    state = """
        const box = document.getElementById("tbl-wide").closest(".table-wrap");
        const images = [...document.querySelectorAll("figure :is(img, svg)")].map((i) => i.getBoundingClientRect());
        return [document.querySelector("nav details").open, box.tabIndex, box.scrollWidth > box.clientWidth,
          images.every(({ left, right, width }) => left >= 0 && right <= innerWidth && width > 200)];"""
    assert opened(chromium, tiny, PHONE).evaluate(state) == [False, 0, True, True]
    chromium.call("viewport", **WIDE)
    chromium.wait("document.getElementById('tbl-wide').closest('.table-wrap').tabIndex === -1")
    chromium.open(tiny)
    assert chromium.evaluate(state) == [True, -1, False, True]


def test_alternative_texts_say_what_a_figure_shows_follow_its_numbers_and_are_no_captions():
    said = {0.9: "MobileNetV2 90.0\u00a0%, Scratch CNN 55.0", 0.2: "Scratch CNN 55.0\u00a0%, MobileNetV2 20.0"}
    for best, first in said.items():
        alt = shown(lambda best=best: folds(best)).outputs[0].data[display.MIME]["alt"]
        assert alt.startswith(f"Mean accuracy over held-out folds, highest first: {first}")
    for page in REPORTS.values():
        text = page.read_text(encoding="utf-8")
        pairs = re.findall(r'<figure.*? (?:alt|aria-label)="([^"]*)".*?<figcaption>(.*?)</figcaption>', text, re.S)
        assert pairs and all(alt and alt not in caption for alt, caption in pairs)


def test_the_classifiers_page_is_the_same_bytes_and_only_its_own_script_and_style_may_run(made):
    path, page, bundle = made
    assert build.build_page(bundle) == path.read_bytes()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    for tag, kind in (('script type="module"', "script-src"), ("style", "style-src")):
        text = re.search(rf"<{tag}>(.*?)</{tag.split()[0]}>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ") and "unsafe-inline" not in policy and "://" not in policy


def test_what_a_model_file_says_is_shown_as_text_with_a_plate_where_one_is_known(made):
    facts = json.loads(block(made[1], "facts"))
    assert "<b>cloth" not in made[1] and "Tiny &lt;b&gt;cloth&lt;/b&gt;" in made[1]
    assert facts["study"]["title"] == "Tiny <b>cloth</b>"
    assert NEVER[-1] not in facts["plates"] and facts["names"][-1] == "My own cloth"
    bali = facts["plates"]["batik-bali"]
    assert set(bali["short"]) == {"en", "id"} and any("Kerlogue (2004)" in source for source in bali["sources"])


def test_both_languages_say_everything_with_the_same_places_and_nothing_is_missing_or_never_said():
    assert list(WORDS) == ["en", "id"] and list(WORDS["en"]) == list(WORDS["id"])
    for key, text in WORDS["en"].items():
        other = WORDS["id"][key]
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", other)), key
        assert text.strip() and other.strip()
    assert set(WORDS["en"]) <= set(re.findall(r'"([a-z][a-z.]*)"', CODE))
    asked = re.findall(r'say\("([^"]+)"|data-(?:word|label)="([^"{]+)"|Refusal\("([^"]+)"', CODE)
    assert {word for words in asked for word in words if word} <= set(WORDS["en"])


def test_a_report_renews_the_page_when_a_part_of_it_has_changed(tmp_path, monkeypatch):
    study, model, page = load_study("minimal"), tmp_path / "classifier.tflite", tmp_path / "out" / "classifier.html"
    assert not build.renew_page(study, model, page) and not page.exists()
    with pytest.raises(BatikError, match="make report STUDY=minimal"):
        build.make_page(study, model, page)
    model.write_bytes(of_colours().to_bytes())
    had(FOLDER)
    assert [build.renew_page(study, model, page) for _ in range(2)] == [True, False]
    model.write_bytes(of_colours(evidence=False).to_bytes())
    assert build.renew_page(study, model, page)
    monkeypatch.setattr(build, "place_of", lambda folder: tmp_path / "nothing")
    page.unlink()
    assert not build.renew_page(study, model, page), "no runtime is fetched for a report"


@pytest.mark.parametrize("folder", [FOLDER, ROOT / "tests" / "browser"], ids=lambda folder: folder.name)
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
        build.packages(FOLDER)


def test_without_a_browser_tests_are_skipped_with_a_reason_but_fail_in_ci(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    for variable, outcome in (("", pytest.skip.Exception), ("true", pytest.fail.Exception)):
        monkeypatch.setenv("CI", variable)
        with pytest.raises(outcome, match="firefox is not installed"), browse("firefox"):
            pass
