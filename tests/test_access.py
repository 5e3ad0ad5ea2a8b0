"""Everyone can read a report: by screen reader, keyboard, phone, in light and dark; its figures travel."""

import base64
import re
from contextlib import contextmanager
from urllib.parse import unquote

import matplotlib.pyplot as plt
import numpy as np
import pytest
import tiny_report
from browsing import KINDS, browse, html_faults
from tiny_report import shown

from batik_utils import figures
from batik_utils.report import display
from batik_utils.report.export import export
from batik_utils.study import ROOT

REPORTS = {path.parent.name: path for path in sorted((ROOT / "reports").glob("*/report.html"))}
INDEX = ROOT / "reports" / "index.html"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


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
    notebooks = tiny_report.notebooks()
    notebooks[1].cells.append(shown(folds, source="folds()"))
    notebooks[1].cells.append(shown(confusion))
    wide = tiny_report.pd.DataFrame({f"column {i}": [12345.5] for i in range(7)})
    notebooks[1].cells.append(shown(lambda: display.table(wide, "tbl-wide", "Wide.")))
    page = tmp_path_factory.mktemp("access") / "report.html"
    header = "Procedural sample, not batik photographs"
    about = {"title": "Two models", "subtitle": "Which is better?", "credit": ["By A"], "header": header, "drawn": True}
    page.write_text(export(notebooks, about, photos=False)[0], encoding="utf-8")
    return page


@contextmanager
def opened(page, view, kind="chromium", dark=False):
    with browse(kind, dark=dark) as browser:
        browser.call("viewport", **view)
        browser.open(page)
        yield browser


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_on_a_wide_screen_and_on_a_phone(tiny, dark):
    found = {}
    with browse("chromium", dark=dark) as browser:
        for page in (tiny, *REPORTS.values(), INDEX):
            for view in (WIDE, PHONE):
                browser.call("viewport", **view)
                browser.open(page)
                found[page.parent.name, view["width"]] = browser.call("axe")
                assert browser.evaluate("return document.documentElement.scrollWidth;") == view["width"]
                assert browser.call("complaints") == [], "the page's own policy allows all that it does"
                assert all(url.startswith(("file:", "data:")) for url in browser.call("requests"))
    assert {where: faults for where, faults in found.items() if faults} == {}


def test_axe_would_find_a_link_that_only_its_colour_tells_from_the_text(tiny, tmp_path):
    page = tmp_path / "worse.html"
    page.write_text(
        re.sub(r"<meta http-equiv.*?>", "", tiny.read_text()).replace("a.ref {", "a.ref { text-decoration: none;")
    )
    with opened(page, WIDE) as browser:
        assert [fault.split(" | ")[0] for fault in browser.call("axe")] == ["link-in-text-block"]


def test_the_html_is_valid(tiny):
    assert [fault for page in (tiny, *REPORTS.values(), INDEX) for fault in html_faults(page)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_is_taken_along_as_picture_numbers_and_address(tiny, kind):
    with opened(tiny, WIDE, kind) as browser:
        link = "document.querySelector('#fig-folds + .from a.{}')"
        name, url = browser.evaluate(f"const a = {link.format('image')}; return [a.download, a.href];")
        assert name == "fig-folds.svg" and 'xmlns="http://www.w3.org/2000/svg"' in unquote(url)
        name, url = browser.evaluate(f"const a = {link.format('data')}; return [a.download, a.href];")
        first = "model,fold,accuracy,interval_low,interval_high\nMobileNetV2,1,0.9,0.4,0.95\n"
        assert name == "fig-folds.csv" and base64.b64decode(unquote(url).partition(",")[2]).decode().startswith(first)
        browser.evaluate(f"{link.format('copy')}.focus();")
        browser.call("press", keys=["Enter"])
        assert browser.wait("document.getElementById('said').textContent").startswith(("Link copied", "The link is"))
        assert browser.evaluate("return location.hash;") == "#fig-folds"
        said = browser.evaluate("return document.querySelector('#fig-folds + .from').textContent;")
        assert said.startswith("From the fits of grouped cross-validation; 02-second.ipynb, cell 5.")


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_points_at_a_mark_is_told_what_it_is(tiny, kind):
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
    for view in (WIDE, PHONE):
        with opened(tiny, view, kind) as browser:
            found = browser.evaluate(pointed, figure="#fig-folds")
            assert found[0] == ["MobileNetV2: 90.0 %, 2 folds of 2", True]
            assert found[3:] == [[name, True] for name in folds]
            found = browser.evaluate(pointed, figure="#fig-confusion")
            assert found[:3] == [[name, True] for name in cells] and len(found) == 4


def test_on_a_phone_contents_are_closed_figures_fit_and_a_table_too_wide_is_scrolled_by_keyboard(tiny):
    state = """
        const box = document.getElementById("tbl-wide").closest(".table-wrap");
        const images = [...document.querySelectorAll("figure :is(img, svg)")].map((i) => i.getBoundingClientRect());
        return [document.querySelector("nav details").open, box.tabIndex, box.scrollWidth > box.clientWidth,
          images.every(({ left, right, width }) => left >= 0 && right <= innerWidth && width > 200)];"""
    with opened(tiny, PHONE) as browser:
        assert browser.evaluate(state) == [False, 0, True, True]
        browser.call("viewport", **WIDE)
        browser.wait("document.getElementById('tbl-wide').closest('.table-wrap').tabIndex === -1")
        browser.open(tiny)
        assert browser.evaluate(state) == [True, -1, False, True]


def test_alternative_texts_say_what_a_figure_shows_and_follow_its_numbers(tiny):
    for best, first in (
        (0.9, "MobileNetV2 90.0\u00a0%, Scratch CNN 55.0\u00a0%"),
        (0.2, "Scratch CNN 55.0\u00a0%, MobileNetV2 20.0"),
    ):
        alt = shown(lambda best=best: folds(best)).outputs[0].data[display.MIME]["alt"]
        assert alt.startswith(f"Mean accuracy over held-out folds, highest first: {first}")
    for page in REPORTS.values():
        text = page.read_text(encoding="utf-8")
        pairs = re.findall(r'<figure.*? (?:alt|aria-label)="([^"]*)".*?<figcaption>(.*?)</figcaption>', text, re.S)
        assert pairs and all(alt and alt not in caption for alt, caption in pairs)
