"""The classifier page in real browsers, opened from a file with no network: what a person can do with it."""

import base64
import csv
import gzip
import io
import re
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from browsing import KINDS, browse
from classifiers import CLOTHS, COLOURS, cloth, write_page
from PIL import Image

from batik_utils.deploy.answers import Classifier

RED, GREEN, BLUE = COLOURS.values()
VIOLET, WHITE = (140, 20, 140), (250, 250, 250)
HEIC = b"\x00\x00\x00\x18ftypheic" + bytes(40) + b"ispe" + bytes(4) + b"\0\0\1\0" * 2
DONE = "document.querySelectorAll('.card:not(.waiting)').length === {}"
TAB = "#item-0 [role=tab]:nth-child(2)"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The page with the exact map, that without, which crops its pictures, and the first one's classifier."""
    exact, bundle = write_page(tmp_path_factory.mktemp("exact"))
    return exact, write_page(tmp_path_factory.mktemp("covered"), evidence=False)[0], bundle


@pytest.fixture(scope="module", params=KINDS)
def one(request):
    with browse(request.param) as browser:
        browser.call("viewport", width=1280, height=900)
        yield browser


@pytest.fixture
def page(one, made):
    """The page opened anew and ready."""
    return ready(one, made[0])


def ready(browser, page):
    browser.open(page)
    browser.wait("['Ready.', 'Siap.'].includes(document.getElementById('status').textContent)")
    return browser


def texts(browser, selector=".card h3"):
    """What elements say: the titles of answers, or others."""
    return browser.evaluate("return [...document.querySelectorAll(s)].map((e) => e.textContent)", s=selector)


def save(folder, name, pixels, **options):
    Image.fromarray(pixels).save(folder / name, **options)
    return folder / name


def saved(page):
    """The rows of the table that its button saves."""
    page.evaluate("""URL.createObjectURL = (blob) => { globalThis.saved = blob; return "blob:none"; };
        HTMLAnchorElement.prototype.click = function () { globalThis.savedName = this.download; };
        document.getElementById("save").click();""")
    assert page.evaluate("return savedName") == "batik.csv"
    return list(csv.DictReader(io.StringIO(page.evaluate("return await saved.text()"))))


def choose(page, *files, before=0):
    page.call("upload", selector="#files", files=[str(file) for file in files])
    page.wait(DONE.format(before + len(files)))


def test_where_it_cannot_start_it_says_so(one, made, tmp_path):
    text = made[0].read_text(encoding="utf-8")
    runtime = re.search(r'id="runtime">(.*?)</script>', text, re.DOTALL)[1]
    (tmp_path / "page.html").write_text(text.replace(runtime, base64.b64encode(gzip.compress(b"no program")).decode()))
    one.open(tmp_path / "page.html")
    one.wait("document.getElementById('status').textContent.includes('WebAssembly')")
    choose(one, save(tmp_path, "red.png", cloth(RED)))
    assert texts(one) == ["red.png could not be read"]


ASK = """
    const way = async (ask) => { try { await ask(); } catch { /* refused */ } };
    await way(() => fetch(`${server}fetch`, { mode: "no-cors" }));
    await way(() => navigator.sendBeacon(`${server}beacon`, "picture"));
    await way(() => new Promise((done) => {
        Object.assign(new Image(), { onload: done, onerror: done, src: `${server}image` });
    }));
    await way(() => new WebSocket(server.replace("http", "ws") + "socket"));
    await way(() => document.head.append(Object.assign(document.createElement("script"), { src: `${server}script` })));
    await new Promise((done) => setTimeout(done, 300));"""


def test_its_policy_lets_nothing_out(page, tmp_path):
    """A server within the browser's reach hears from a page without a policy, and never from ours."""
    heard = []

    class Ear(BaseHTTPRequestHandler):
        def parse_request(self):
            heard.append(self.raw_requestline.decode().split()[1])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ear)
    with server, ThreadPoolExecutor(1) as threads:
        threads.submit(server.serve_forever)
        address = f"http://127.0.0.1:{server.server_port}/"
        try:
            page.evaluate(ASK, server=address)
            assert heard == []
            (tmp_path / "open.html").write_text("<!doctype html><title>x</title>")
            page.open(tmp_path / "open.html")
            page.evaluate(ASK, server=address)
            assert {"/fetch", "/image"} <= set(heard)
        finally:
            server.shutdown()


def test_its_table_is_what_python_answers_without_a_word_to_the_network_or_the_console(page, made, tmp_path):
    classifier, rng, exif = Classifier(made[2]), np.random.default_rng(3), Image.Exif()
    exif[0x0112] = 6
    files = [
        save(tmp_path, "a.png", rng.integers(0, 256, (321, 123, 3), dtype=np.uint8)),
        save(tmp_path, "b.png", cloth(VIOLET, (700, 900))),
        save(tmp_path, "w.png", cloth(WHITE)),
        save(tmp_path, "c.jpg", cloth(RED, (90, 160)), quality=90, exif=exif),
    ]
    choose(page, *files)
    for file, row in zip(files, saved(page), strict=True):
        expected = classifier.ask(classifier.read(file)[0])
        assert {m: pytest.approx(float(row[m]), abs=1e-5) for m in CLOTHS} == expected["probabilities"]
        assert float(row["distance"]) == pytest.approx(expected["distance"], abs=1e-5)
        assert sorted(row["one_of"].split("|")) == sorted(expected["one_of"])
        assert row["looks_like_batik"] == ("yes" if expected["looks_like_batik"] else "no")
    assert all(address.startswith(("file:", "data:", "blob:")) for address in page.call("requests"))
    assert page.call("complaints") == []


def test_many_pictures_are_answered_in_order_the_bad_ones_kindly_refused_and_no_formula_saved(page, tmp_path):
    refused = {"broken.jpg": b"\xff\xd8\xff\xe0 no more", "phone.heic": HEIC, "=bad name.png": b""}
    for name, content in refused.items():
        (tmp_path / name).write_bytes(content)
    red, blue, green = (save(tmp_path, f"{n}, old.png", cloth(c)) for n, c in enumerate((RED, BLUE, GREEN)))
    choose(page, red, *map(tmp_path.joinpath, refused), blue)
    assert texts(page) == ["Bali", *(f"{name} could not be read" for name in refused), "Celup (jumputan)"]
    (said,) = texts(page, "#item-2 p")
    assert "HEIC" in said and "JPEG" in said
    rows = saved(page)
    assert [row["file"] for row in rows] == ["0, old.png", "broken.jpg", "phone.heic", "'=bad name.png", "1, old.png"]
    assert [row["answer"] for row in rows] == ["batik-bali", "", "", "", "batik-celup"]
    assert [row["looks_like_batik"] for row in rows] == ["yes", "", "", "", "yes"]
    assert rows[3]["error"] == "The file is empty."
    choose(page, green, before=5)
    assert texts(page)[:2] == ["Betawi", "Bali"], "what was given last is shown first"


def test_two_motifs_are_named_where_one_cannot_be_and_none_for_what_is_not_batik(page, tmp_path):
    choose(page, save(tmp_path, "violet.png", cloth(VIOLET)), save(tmp_path, "white.png", cloth(WHITE)))
    two, none = texts(page)
    assert two in {"One of these two: Bali or Celup (jumputan)", "One of these two: Celup (jumputan) or Bali"}
    assert none == "This does not look like batik"
    assert page.evaluate("return document.querySelector('#item-1 details').open") is False


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_a_picture_can_be_pasted_or_dropped(page, way, tmp_path):
    script = """
        const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0)), data = new DataTransfer();
        data.items.add(new File([bytes], "given.png", { type: "image/png" }));
        document.body.dispatchEvent(way === "paste"
            ? Object.defineProperty(new Event("paste", { bubbles: true }), "clipboardData", { value: data })
            : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));"""
    content = base64.b64encode(save(tmp_path, "x.png", cloth(GREEN)).read_bytes()).decode()
    page.evaluate(script, content=content, way=way)
    page.wait(DONE.format(1))
    assert texts(page) == ["Betawi"]


def colours(page, selector):
    """A canvas' pixels [h, w, 4]."""
    script = """const c = document.querySelector(selector);
        const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
        return [c.height, c.width, [...data]];"""
    height, width, values = page.evaluate(script, selector=selector)
    return np.array(values).reshape(height, width, 4)


def pick(page, selector, value):
    script = """const s = document.querySelector(selector); s.value = value;
        for (const name of ["input", "change"]) s.dispatchEvent(new Event(name));"""
    page.evaluate(script, selector=selector, value=value)


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "covered"])
def test_evidence_lies_where_it_is_for_any_motif(one, made, exact, tmp_path):
    ready(one, made[0 if exact else 1])
    half = cloth(RED, (128, 128))
    half[:, 64:] = cloth(BLUE, (128, 64))
    choose(one, save(tmp_path, "half.png", half))
    assert texts(one, ".overlay") == []
    one.call("click", selector=TAB)
    if not exact:
        one.call("click", selector="#item-0 .evidence button")
        one.wait("document.querySelector('.overlay canvas').width === 7")
        assert "covered" in texts(one, ".controls .note")[0]
    for motif, sure, other in ((0, slice(0, 3), slice(4, None)), (2, slice(4, None), slice(0, 3))):
        pick(one, "#item-0 select", str(motif))
        seen = colours(one, ".overlay canvas")
        warm = (seen[..., 0] > seen[..., 2]) & (seen[..., 3] > 100)
        assert warm[:, sure].all() and not warm[:, other].any()
    pick(one, "#item-0 input[type=range]", "25")
    assert one.evaluate("return document.querySelector('.overlay canvas').style.opacity") == "0.25"
    near = texts(one, ".alike li")
    assert len(near) == 5 and "likeness" in near[0]


def test_one_that_crops_sees_and_shows_the_middle_square(one, made, tmp_path):
    wide = np.concatenate([cloth(RED, (64, 70)), cloth(BLUE, (64, 64)), cloth(RED, (64, 70))], axis=1)
    for page, answer, square in ((made[0], "batik-bali", False), (made[1], CLOTHS[2], True)):
        ready(one, page)
        choose(one, save(tmp_path, "wide.png", wide))
        assert one.evaluate("return document.querySelector('.bars li').dataset.motif") == answer
        shape = one.evaluate("const i = document.querySelector('.preview'); return [i.naturalWidth, i.naturalHeight]")
        assert (shape[0] == shape[1]) is square
        said = ",".join(texts(one, "dd"))
        assert ("largest square in the middle" in said) is square is ("each weighing alike it is 40" in said)


def test_it_works_by_keyboard_alone(page):
    page.evaluate("document.querySelector('#examples button').focus()")
    page.call("press", keys=["Enter"])
    page.wait(DONE.format(1))
    page.evaluate("document.querySelector('.card [role=tab]').focus()")
    page.call("press", keys=["ArrowRight"])
    assert page.evaluate("return document.activeElement.ariaSelected") == "true"
    hidden = "return [...document.querySelectorAll('[role=tabpanel]')].map((p) => p.hidden)"
    assert page.evaluate(hidden) == [True, False]
    page.call("press", keys=["Tab", "Tab", "ArrowLeft"])
    slider = "return [document.activeElement.type, document.querySelector('canvas').style.opacity]"
    assert page.evaluate(slider) == ["range", "0.69"]
    page.evaluate("document.getElementById('clear').focus()")
    page.call("press", keys=["Enter"])
    empty = "return [document.activeElement.id, document.getElementById('answers').hidden]"
    assert page.evaluate(empty) == ["files", True]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("language", "dark"), [("en-GB", False), ("id-ID", True)], ids=["en-light", "id-dark"])
def test_in_either_language_and_light_it_is_accessible_and_fits_a_phone(kind, made, language, dark, tmp_path):
    (tmp_path / "a file with a very long name indeed_0123456789_0123456789_0123456789.jpg").write_bytes(b"x")
    files = [save(tmp_path, name, cloth(c)) for name, c in (("r.png", RED), ("v.png", VIOLET), ("w.png", WHITE))]
    with browse(kind, language, dark) as browser:
        browser.call("viewport", width=390, height=844)
        ready(browser, made[0])
        assert browser.evaluate("return document.documentElement.lang") == language[:2]
        choose(browser, *files, next(tmp_path.glob("*.jpg")))
        browser.call("click", selector=TAB)
        browser.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        for width in (390, 1280):
            browser.call("viewport", width=width, height=844)
            assert browser.call("axe") == []
            assert browser.evaluate("return document.documentElement.scrollWidth <= innerWidth")
        assert browser.evaluate("return matchMedia('(prefers-color-scheme: dark)').matches") is dark
        other = "id" if language.startswith("en") else "en"
        browser.call("click", selector=f"[data-language={other}]")
        assert browser.evaluate("return document.documentElement.lang") == other
        none = {"id": "Ini tampaknya bukan batik", "en": "This does not look like batik"}[other]
        assert texts(browser, "#item-2 h3") == [none]
        assert browser.evaluate("return document.querySelector(tab).ariaSelected", tab=TAB) == "true"
        assert browser.call("axe") == []


def test_a_phone_is_offered_its_camera(made):
    with browse("chromium") as browser:
        browser.call("viewport", width=390, height=844, touch=True)
        browser.open(made[0])
        shown = "return [...document.querySelectorAll('.drop label')].map((label) => label.offsetWidth > 0)"
        assert browser.evaluate(shown) == [True, True]
        assert browser.evaluate("return document.getElementById('camera').getAttribute('capture')") == "environment"
        browser.call("viewport", width=1280, height=844, touch=False)
        browser.open(made[0])
        assert browser.evaluate(shown) == [True, False]
