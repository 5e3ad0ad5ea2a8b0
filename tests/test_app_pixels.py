"""What a browser gives the model is what Python gives it: resized, turned and laid over white, pixel by pixel."""

import base64
import io
import json

import numpy as np
import pytest
from browsing import KINDS, browse
from PIL import Image

from batik_utils.app.build import unlinked
from batik_utils.data.decode import read_image
from batik_utils.study import ROOT

SIZES = [(1, 1), (64, 64), (64, 200), (200, 64), (37, 91), (500, 333), (1023, 777), (200, 999), (100, 137), (3000, 7)]
SIZES += [(20, 20)]
MODULES = ("resize.js", "header.js", "picture.js")


@pytest.fixture(scope="module", params=KINDS)
def browser(request, tmp_path_factory):
    """A page with nothing but the functions that read pictures."""
    code = "\n".join(unlinked((ROOT / "batik_utils/app/page" / name).read_text(encoding="utf-8")) for name in MODULES)
    page = tmp_path_factory.mktemp("pixels") / "page.html"
    script = f"<script type=module>{code}\nglobalThis.read = readPicture;</script>"
    page.write_text(f"<!doctype html><title>x</title>{script}")
    with browse(request.param) as one:
        one.open(page)
        yield one


def seen(browser, content, size, resize="bilinear", fit="stretch"):
    """A file's bytes as the page gives them to the model; the word of its refusal where it gives none."""
    script = """
        const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
        try {
            const { pixels } = await read(new File([bytes], "x"), { size, resize, fit });
            return btoa(String.fromCharCode(...pixels));
        } catch (error) { return error.word ?? String(error); }"""
    given = {"content": base64.b64encode(content).decode(), "size": size, "resize": resize, "fit": fit}
    said = browser.evaluate(script, **given)
    if "." in said or " " in said:
        return said
    return np.frombuffer(base64.b64decode(said), np.uint8).reshape(size, size, 3)


def encoded(image, format_="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def noise(width, height, channels=3):
    return Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width, channels), dtype=np.uint8))


def python_sees(tmp_path, content, size=32, resize="bilinear", fit="stretch"):
    (tmp_path / "file").write_bytes(content)
    return read_image(tmp_path / "file", size, resize, fit)[0]


def differ(browser, tmp_path, content):
    """By how much the page and Python differ where they differ most: in a decoder's last bit."""
    return np.abs(seen(browser, content, 32).astype(int) - python_sees(tmp_path, content)).max()


@pytest.mark.parametrize("resize", ["bilinear", "nearest"])
def test_pictures_of_all_sizes_are_resized_as_pillow_does_it_and_cropped_as_python_does_it(browser, tmp_path, resize):
    for width, height in SIZES:
        picture = noise(width, height)
        content, which = encoded(picture), f"{width} × {height}"
        expected = np.asarray(picture.resize((64, 64), Image.Resampling[resize.upper()]))
        np.testing.assert_array_equal(seen(browser, content, 64, resize), expected, which)
        expected = python_sees(tmp_path, content, 64, resize, "crop")
        np.testing.assert_array_equal(seen(browser, content, 64, resize, "crop"), expected, which)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright(browser, orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert differ(browser, tmp_path, encoded(noise(61, 40).resize((610, 400)), "JPEG", quality=95, exif=exif)) <= 1


def test_transparency_is_laid_over_white_and_only_the_first_frame_counts(browser, tmp_path):
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    for content in (
        encoded(noise(80, 60, 4)),
        encoded(noise(80, 60).convert("L")),
        encoded(noise(80, 60).quantize(16), "GIF"),
        encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        encoded(noise(80, 60), "BMP"),
        encoded(noise(80, 60), "WEBP", lossless=True),
        encoded(Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16)),
    ):
        assert differ(browser, tmp_path, content) <= 1, content[:8]


def png_claiming(width, height):
    content = bytearray(encoded(noise(8, 8)))
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return bytes(content)


REFUSED = {
    "empty": b"",
    "unknown": b"not a picture at all",
    "html": b"\n<!DOCTYPE html><html><body>404</body></html>",
    "svg": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "pixels": png_claiming(30_000, 30_000),
    "cut": encoded(noise(300, 300), "JPEG")[:20_000],
    "broken": png_claiming(0, 8),
    "heic": b"\x00\x00\x00\x18ftypheic" + bytes(40) + b"ispe" + bytes(6) + b"\x01\x00\0\0\x01\x00" + bytes(99),
}


@pytest.mark.parametrize("word", REFUSED)
def test_what_is_no_picture_is_refused_by_its_kind(browser, word):
    assert seen(browser, REFUSED[word], 32) == f"refused.{word}"


def test_no_damage_stops_the_page(browser):
    """Seeded mutations of real files: each is read or refused, and the page answers afterwards."""
    rng = np.random.default_rng(11)
    wholes = [encoded(noise(60, 50), kind) for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP")]
    for i in range(100):
        content = bytearray(wholes[i % 5])
        for place in rng.integers(0, len(content), rng.integers(1, 12)):
            content[place] = rng.integers(256)
        said = seen(browser, bytes(content[: rng.integers(1, len(content) + 1)] if i % 2 else content), 16)
        assert not isinstance(said, str) or said in {f"refused.{word}" for word in (*REFUSED, "failed")}, (i, said)
    assert seen(browser, wholes[0], 16).shape == (16, 16, 3)
    assert json.dumps(browser.call("complaints")) == "[]"
