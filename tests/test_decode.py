"""Reading one file: whatever it is called and whatever is in it."""

import io
import os
import pickle
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms
from pillow_heif import register_heif_opener

from batik_utils.data.decode import MAX_PIXELS, NotAnImage, read_image
from batik_utils.errors import BatikError

RED, GREEN, BLUE, BLACK, WHITE = (220, 30, 40), (20, 160, 60), (30, 40, 200), (0, 0, 0), (255, 255, 255)


def quarters(mode="RGB", size=(40, 40)):
    """Red, green, blue and black quarters, so that every turn and flip shows."""
    four = np.array([[RED, GREEN], [BLUE, BLACK]], np.uint8)
    return Image.fromarray(four).resize(size, Image.Resampling.NEAREST).convert(mode)


def noise(width, height):
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8))


def saved(image, format_, **options):
    image.save(memory := io.BytesIO(), format_, **options)
    return memory.getvalue()


def corners(pixels):
    """The colour in the middle of each quarter: top left, top right, bottom left, bottom right."""
    near, far = len(pixels) // 4, 3 * len(pixels) // 4
    return [tuple(int(v) for v in pixels[y, x]) for y in (near, far) for x in (near, far)]


def png(width, height, *chunks):
    """The bytes of a PNG with any header that one likes."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunk(*c) for c in chunks) + chunk(b"IEND", b"")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "1.jpg"


def refusal(path):
    with pytest.raises(NotAnImage) as caught:
        read_image(path, 16, "nearest")
    error = pickle.loads(pickle.dumps(caught.value))  # which is the way out of a worker
    assert isinstance(error, BatikError) and str(error) == f"1.jpg: {error.reason}."
    assert "\n" not in error.reason and str(path.parent) not in error.reason
    return error.reason


@pytest.mark.parametrize("format_", ["PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_a_file_is_what_its_content_says_not_its_name(path, format_):
    path.write_bytes(saved(quarters(), format_, lossless=True))
    pixels, facts = read_image(path, 20, "nearest")
    assert corners(pixels) == [RED, GREEN, BLUE, BLACK]
    assert facts["format"] == format_ and facts["extension_agrees"] is False
    assert (facts["width"], facts["height"], facts["bytes"]) == (40, 40, path.stat().st_size)


def test_resizing_is_keras_nearest(path):
    from batik_utils import backend  # noqa: F401  (before keras)

    keras = pytest.importorskip("keras")
    noise(97, 61).save(path, "JPEG")
    ours, facts = read_image(path, 32, "nearest")
    theirs = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(32, 32)))
    assert ours.dtype == np.uint8 and np.array_equal(ours, theirs)
    assert facts["extension_agrees"] is True and facts["mode"] == "RGB" and facts["orientation"] == 1


@pytest.mark.parametrize("shape", [(97, 61), (61, 97), (61, 61)])
@pytest.mark.parametrize("resize", ["nearest", "bilinear"])
@pytest.mark.parametrize("fit", ["stretch", "crop"])
def test_bilinear_is_torchvisions_antialiased_one_and_a_crop_the_middle_square(path, shape, resize, fit):
    picture = noise(*shape)
    picture.save(path, "PNG")
    box = {(97, 61): (18, 0, 79, 61), (61, 97): (0, 18, 61, 79)}.get(shape) if fit == "crop" else None
    pixels, facts = read_image(path, 32, resize, fit)
    expected = picture.crop(box).resize((32, 32), Image.Resampling[resize.upper()])
    assert np.array_equal(pixels, np.asarray(expected)) and (facts["width"], facts["height"]) == shape


@pytest.mark.parametrize(("format_", "agrees"), [("GIF", False), ("MPO", True)])
def test_only_the_first_picture_of_several_is_read(path, format_, agrees):
    quarters().save(path, format_, save_all=True, append_images=[Image.new("RGB", (40, 40), "white")] * 3)
    pixels, facts = read_image(path, 20, "nearest")
    np.testing.assert_allclose(corners(pixels)[2], BLUE, atol=25)
    assert (facts["format"], facts["extension_agrees"]) == (format_, agrees)


@pytest.mark.parametrize(
    ("orientation", "upright"), list(enumerate(["RGBK", "GRKB", "KBGR", "BKRG", "RBGK", "BRKG", "KGBR", "GKRB"], 1))
)
def test_exif_orientation_is_honoured(path, orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    quarters(size=(40, 20)).save(path, "PNG", exif=exif)
    pixels, facts = read_image(path, 20, "nearest")
    assert corners(pixels) == [{"R": RED, "G": GREEN, "B": BLUE, "K": BLACK}[colour] for colour in upright]
    assert (facts["orientation"], facts["width"], facts["height"]) == (orientation, 40, 20)


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
JUNK = [("RGB", "exif", b"Exif\0\0" + rest) for rest in (b"", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x7f\1\x12")]
JUNK += [("CMYK", "icc_profile", b"not a profile"), ("CMYK", "icc_profile", SRGB)]


@pytest.mark.parametrize(("mode", "place", "junk"), JUNK)
def test_junk_in_exif_or_a_foreign_profile_changes_no_colour_and_warns_nobody(path, mode, place, junk, recwarn):
    pixels = []
    for options in ({}, {place: junk}):
        quarters(mode).save(path, "JPEG", quality=95, **options)
        found, facts = read_image(path, 20, "nearest")
        pixels.append(found)
    assert np.array_equal(*pixels) and (facts["orientation"], facts["mode"]) == (1, mode) and not recwarn.list
    # Pillow writes CMYK as Adobe does, inverted; a decoder that missed it would show the negative.
    np.testing.assert_allclose(corners(found)[:3], [RED, GREEN, BLUE], atol=25)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_over_white(path, mode):
    image = quarters("RGBA")
    image.putalpha(Image.fromarray(np.kron([[0, 255], [128, 255]], np.ones((20, 20))).astype(np.uint8)))
    palette = quarters().quantize(4)
    options = {"transparency": palette.getpixel((5, 5))} if mode == "P" else {}
    (palette if mode == "P" else image.convert(mode)).save(path, "PNG", **options)
    pixels, facts = read_image(path, 20, "nearest")
    colours = [image.convert(mode).convert("RGB").getpixel(at) for at in ((30, 5), (5, 30))]
    half = colours[1] if mode == "P" else np.add(colours[1], WHITE) / 2
    assert facts["mode"] == mode and corners(pixels)[0] == WHITE
    np.testing.assert_allclose(corners(pixels)[1:3], [colours[0], half], atol=1)


@pytest.mark.parametrize("format_", ["AVIF", "HEIF"])
def test_what_a_phone_writes_is_read_upright(path, format_):
    register_heif_opener()
    (exif := Image.Exif())[0x0112] = 6
    quarters(size=(80, 40)).save(path, format_, quality=95, exif=exif.tobytes())
    pixels, facts = read_image(path, 20, "nearest")
    np.testing.assert_allclose(corners(pixels), (BLUE, RED, BLACK, GREEN), atol=25)
    assert (facts["format"], facts["extension_agrees"], facts["remarks"]) == (format_, False, [])
    path.write_bytes(path.read_bytes()[:300])
    assert any(word in refusal(path) for word in ("truncated", "damaged"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_profile_that_changes_colours_is_remarked_and_srgb_is_not(path, mode):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"hold").replace(b"bXYZ", b"rXYZ").replace(b"hold", b"bXYZ")
    for profile, remarks in ((srgb, []), (swapped, ["colours of sRGB built-in, read as sRGB"]), (b"junk", [])):
        quarters(mode).save(path, "PNG", icc_profile=profile)
        pixels, facts = read_image(path, 20, "nearest")
        assert corners(pixels) == [RED, GREEN, BLUE, BLACK] and facts["remarks"] == remarks


def test_twelve_bits_in_sixteen_are_scaled_by_what_a_tiff_says_and_else_remarked(path):
    ramp = np.tile(np.linspace(0, 4095, 64).astype(np.uint16), (64, 1))
    dark = ["only 12 of 16 bits used, nearly black"]
    for tags, remarks, shown in (({281: 4095}, [], ramp >> 4), ({}, dark, ramp >> 8)):
        Image.fromarray(ramp).save(path, "TIFF", tiffinfo=tags)
        pixels, facts = read_image(path, 64, "nearest")
        assert facts["remarks"] == remarks and np.array_equal(pixels[:, :, 0], shown)


def test_sixteen_bits_keep_their_greys_and_floating_point_is_refused(path):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)
    Image.fromarray(np.tile(ramp, (64, 1))).save(path, "PNG")
    pixels, facts = read_image(path, 64, "nearest")
    assert facts["mode"].startswith("I;16")
    assert np.array_equal(pixels[0, :, 0], (ramp >> 8).astype(np.uint8))
    Image.fromarray(np.ones((8, 8), np.float32)).save(path, "TIFF")
    assert "floating-point" in refusal(path)


TEXT_CHUNK = (b"zTXt", b"note\0\0" + zlib.compress(bytes(80_000_000)))  # which cannot blow up either
NO_PHOTOGRAPH = {
    "web page": (b"\n<!DOCTYPE html><html><body>404</body></html>", "web page (HTML)"),
    "text": (b"hello", "not an image"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    "SVG": (b"<svg/>", "not an image"),
    "empty": (b"", "the file is empty"),
    "no file": (None, "no such file"),
    "flat": (png(0, 5, (b"IDAT", zlib.compress(b""))), ""),
    "text chunk": (png(4, 4, TEXT_CHUNK, (b"IDAT", zlib.compress(bytes(52)))), ""),
}


@pytest.mark.parametrize(("content", "says"), NO_PHOTOGRAPH.values(), ids=NO_PHOTOGRAPH)
def test_what_is_no_photograph_is_refused(path, content, says):
    if content is not None:
        path.write_bytes(content)
    assert says in refusal(path)


@pytest.mark.parametrize("format_", ["JPEG", "JPEG progressive", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
def test_a_truncated_file_is_refused_never_half_read(path, format_, part):
    content = saved(noise(120, 120), format_.split()[0], progressive="progressive" in format_)
    path.write_bytes(content[: int(part * len(content))])
    assert any(word in refusal(path) for word in ("truncated", "damaged"))


def scans(count):
    """A progressive JPEG whose last scan comes again and again."""
    whole = saved(noise(120, 120), "JPEG", progressive=True)
    return whole[:-2] + whole[whole.rindex(b"\xff\xda") : -2] * (count - whole.count(b"\xff\xda")) + b"\xff\xd9"


TEN_KB = (b"IDAT", zlib.compress(bytes(10_000)))
TOO_COSTLY = {
    "PNG": (png(9_000, 9_000, TEN_KB), 0, "64 million pixels"),
    "large PNG": (png(60_000, 60_000, TEN_KB), 0, "million pixels"),
    "long PNG": (png(1, MAX_PIXELS, TEN_KB), 0, "32768 on a side (1 × 64000000)"),
    "scans": (scans(3_000), 0, "in 3000 scans"),
    "digits": (b"P3\n4000 4000\n255\n", 20_000_000, "MB of digits"),
    "bytes": (b"P6\n4000 4000\n255\n", 300_000_000, "more than 256 MB"),
}


@pytest.mark.parametrize(("content", "size", "says"), TOO_COSTLY.values(), ids=TOO_COSTLY)
def test_what_would_cost_too_much_is_refused_before_decoding(path, content, size, says, monkeypatch, recwarn):
    path.write_bytes(scans(20))
    read_image(path, 16, "nearest")  # an ordinary progressive JPEG is no such file
    path.write_bytes(content)
    os.truncate(path, max(size, len(content)))  # zeros that cost no disk
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    assert says in refusal(path) and not recwarn.list


def test_libtiff_keeps_quiet_about_a_damaged_file(path, capfd):
    whole = saved(noise(40, 40), "TIFF", compression="tiff_lzw")
    path.write_bytes(whole.replace(whole[40:80], b"\xff" * 40))
    refusal(path)
    assert capfd.readouterr().err == ""
