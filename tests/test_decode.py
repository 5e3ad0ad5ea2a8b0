"""Reading one file: whatever it is called and whatever is in it."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from batik_utils.data.decode import MAX_PIXELS, NotAnImage, read_image
from batik_utils.errors import BatikError

RED, GREEN, BLUE, BLACK = (220, 30, 40), (20, 160, 60), (30, 40, 200), (0, 0, 0)


def quarters(mode="RGB", size=(40, 40)):
    """Red, green, blue and black quarters, so that every turn and flip shows."""
    image = Image.new("RGB", size, "black")
    w, h = size[0] // 2, size[1] // 2
    for colour, at in ((RED, (0, 0)), (GREEN, (w, 0)), (BLUE, (0, h))):
        image.paste(colour, (*at, at[0] + w, at[1] + h))
    return image.convert(mode)


def noise(width, height):
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8))


def corners(pixels):
    """The colour in the middle of each quarter: top left, top right, bottom left, bottom right."""
    near, far = len(pixels) // 4, 3 * len(pixels) // 4
    return [tuple(int(v) for v in pixels[y, x]) for y in (near, far) for x in (near, far)]


def close(colour, expected, tolerance=12):
    return max(abs(a - b) for a, b in zip(colour, expected, strict=True)) <= tolerance


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
    text = str(caught.value)
    assert isinstance(caught.value, BatikError)
    assert text.startswith(path.name) and "\n" not in text and str(path.parent) not in text
    return text


@pytest.mark.parametrize("format_", ["PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_a_file_is_what_its_content_says_not_its_name(path, format_):
    quarters().save(path, format_, **({"lossless": True} if format_ == "WEBP" else {}))
    pixels, facts = read_image(path, 20, "nearest")
    assert corners(pixels) == [RED, GREEN, BLUE, BLACK]
    assert facts["format"] == format_ and facts["extension_agrees"] is False
    assert (facts["width"], facts["height"], facts["bytes"]) == (40, 40, path.stat().st_size)


def test_resizing_is_keras_nearest_and_torchvisions_antialiased_bilinear(path):
    from batik_utils import backend  # noqa: F401  (before keras)

    keras = pytest.importorskip("keras")
    noise(97, 61).save(path, "JPEG")
    ours, facts = read_image(path, 32, "nearest")
    theirs = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(32, 32)))
    assert ours.dtype == np.uint8 and np.array_equal(ours, theirs)
    assert facts["extension_agrees"] is True and facts["mode"] == "RGB" and facts["orientation"] == 1
    smooth, _ = read_image(path, 8, "bilinear")
    with Image.open(path) as image:
        assert np.array_equal(smooth, np.asarray(image.resize((8, 8), Image.Resampling.BILINEAR)))
    assert smooth.std() < 0.6 * ours.std()  # antialiasing averages noise away; picking pixels does not


@pytest.mark.parametrize(("shape", "box"), [((97, 61), (18, 0, 79, 61)), ((61, 97), (0, 18, 61, 79)), ((61, 61), None)])
@pytest.mark.parametrize("resize", ["nearest", "bilinear"])
def test_a_crop_is_the_middle_square_whose_proportions_are_kept(path, shape, box, resize):
    picture = noise(*shape)
    picture.save(path, "PNG")
    cropped, facts = read_image(path, 32, resize, "crop")
    expected = picture.crop(box).resize((32, 32), Image.Resampling[resize.upper()])
    assert np.array_equal(cropped, np.asarray(expected)) and (facts["width"], facts["height"]) == shape


@pytest.mark.parametrize(("format_", "agrees"), [("GIF", False), ("MPO", True)])
def test_only_the_first_picture_of_several_is_read(path, format_, agrees):
    quarters().save(path, format_, save_all=True, append_images=[Image.new("RGB", (40, 40), "white")] * 3)
    pixels, facts = read_image(path, 20, "nearest")
    assert close(corners(pixels)[2], BLUE, 25)
    assert (facts["format"], facts["extension_agrees"]) == (format_, agrees)


@pytest.mark.parametrize(
    ("orientation", "upright"), list(enumerate(["RGBK", "GRKB", "KBGR", "BKRG", "RBGK", "BRKG", "KGBR", "GKRB"], 1))
)
def test_exif_orientation_is_honoured(tmp_path, orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    quarters(size=(40, 20)).save(tmp_path / "phone.png", exif=exif)
    pixels, facts = read_image(tmp_path / "phone.png", 20, "nearest")
    assert corners(pixels) == [{"R": RED, "G": GREEN, "B": BLUE, "K": BLACK}[colour] for colour in upright]
    assert (facts["orientation"], facts["width"], facts["height"]) == (orientation, 40, 20)


@pytest.mark.parametrize(
    ("mode", "junk"),
    [
        ("RGB", {"exif": b"Exif\0\0"}),
        ("RGB", {"exif": b"Exif\0\0II*\0\xff\xff\xff\xff"}),
        ("RGB", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x7f\1\x12"}),
        ("CMYK", {"icc_profile": b"not a profile"}),
        ("CMYK", {"icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}),
    ],
)
def test_junk_in_exif_or_a_profile_that_does_not_fit_changes_nothing_and_warns_nobody(path, mode, junk, recwarn):
    plain = path.with_name("plain.jpg")
    quarters(mode).save(plain, "JPEG")
    quarters(mode).save(path, "JPEG", **junk)
    pixels, facts = read_image(path, 20, "nearest")
    assert np.array_equal(pixels, read_image(plain, 20, "nearest")[0])
    assert facts["orientation"] == 1 and not recwarn.list


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(path, mode):
    image = Image.new("RGBA", (40, 40), (*RED, 255))
    image.paste((0, 0, 0, 0), (0, 0, 20, 20))
    image.paste((0, 0, 0, 128), (0, 20, 20, 40))
    image.convert(mode).save(path, "PNG")
    pixels, facts = read_image(path, 20, "nearest")
    left, right, half, _ = corners(pixels)
    assert facts["mode"] == mode and left == (255, 255, 255) and close(half, (127, 127, 127), 1)
    assert right == (RED if mode == "RGBA" else (right[0],) * 3) and right != left


def test_a_transparent_palette_entry_is_white(path):
    image = quarters().quantize(4)
    image.save(path, "PNG", transparency=image.getpixel((5, 5)))
    pixels, facts = read_image(path, 20, "nearest")
    assert facts["mode"] == "P"
    assert corners(pixels)[:2] == [(255, 255, 255), GREEN]


def test_sixteen_bits_keep_their_greys(path):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)
    Image.fromarray(np.tile(ramp, (64, 1))).save(path, "PNG")
    pixels, facts = read_image(path, 64, "nearest")
    assert facts["mode"].startswith("I;16")
    assert np.array_equal(pixels[0, :, 0], (ramp >> 8).astype(np.uint8))


def test_floating_point_pixels_are_refused(path):
    Image.fromarray(np.ones((8, 8), np.float32)).save(path, "TIFF")
    assert "floating-point" in refusal(path)


def test_cmyk_becomes_the_colours_it_stands_for(path):
    # Pillow writes CMYK as Adobe does, inverted; a decoder that missed it would show the negative.
    quarters("CMYK").save(path, "JPEG", quality=95)
    pixels, facts = read_image(path, 20, "nearest")
    assert facts["mode"] == "CMYK"
    assert all(close(got, want, 25) for got, want in zip(corners(pixels)[:3], (RED, GREEN, BLUE), strict=True))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "web page (HTML)"),
        (b"hello", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (b"<svg/>", "not an image"),
        (b"", "the file is empty"),
        (png(0, 5, (b"IDAT", zlib.compress(b""))), ""),
        # A compressed text chunk cannot blow up either.
        (png(4, 4, (b"zTXt", b"note\0\0" + zlib.compress(bytes(80_000_000))), (b"IDAT", zlib.compress(bytes(52)))), ""),
    ],
    ids=["web page", "text", "EPS", "SVG", "empty", "flat", "text chunk"],
)
def test_what_is_no_photograph_is_refused(path, content, says):
    path.write_bytes(content)
    assert says in refusal(path)


def test_what_is_no_file_is_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "absent.jpg")
    assert "no such file" in refusal(tmp_path)


@pytest.mark.parametrize("format_", ["JPEG", "JPEG progressive", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
def test_a_truncated_file_is_refused_never_half_read(path, format_, part):
    memory = io.BytesIO()
    noise(120, 120).save(memory, format_.split()[0], progressive="progressive" in format_)
    path.write_bytes(memory.getvalue()[: int(part * memory.tell())])
    assert any(word in refusal(path) for word in ("truncated", "damaged"))


def scans(count):
    """A progressive JPEG whose last scan comes again and again."""
    memory = io.BytesIO()
    noise(120, 120).save(memory, "JPEG", progressive=True)
    whole = memory.getvalue()
    return whole[:-2] + whole[whole.rindex(b"\xff\xda") : -2] * (count - whole.count(b"\xff\xda")) + b"\xff\xd9"


def bomb(width, height):
    return png(width, height, (b"IDAT", zlib.compress(bytes(10_000))))


@pytest.mark.parametrize(
    ("content", "size", "says"),
    [
        (bomb(9_000, 9_000), 0, "64 million pixels"),
        (bomb(60_000, 60_000), 0, "million pixels"),
        (bomb(1, MAX_PIXELS), 0, "32768 on a side (1 × 64000000)"),
        (scans(3_000), 0, "in 3000 scans"),
        (b"P3\n4000 4000\n255\n", 20_000_000, "MB of digits"),
        (b"P6\n4000 4000\n255\n", 300_000_000, "more than 256 MB"),
    ],
    ids=["PNG", "large PNG", "long PNG", "scans", "digits", "bytes"],
)
def test_what_would_cost_too_much_is_refused_before_decoding(path, content, size, says, monkeypatch, recwarn):
    path.write_bytes(content)
    os.truncate(path, max(size, len(content)))  # zeros that cost no disk
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    assert says in refusal(path) and not recwarn.list


def test_an_ordinary_progressive_jpeg_is_no_such_file(path):
    path.write_bytes(scans(20))
    read_image(path, 16, "nearest")


def test_libtiff_keeps_quiet_about_a_damaged_file(path, capfd):
    memory = io.BytesIO()
    noise(40, 40).save(memory, "TIFF", compression="tiff_lzw")
    path.write_bytes(memory.getvalue().replace(memory.getvalue()[40:80], b"\xff" * 40))
    refusal(path)
    assert capfd.readouterr().err == ""


def test_the_refusal_survives_the_way_out_of_a_worker():
    import pickle

    error = pickle.loads(pickle.dumps(NotAnImage("1.jpg", "the file is empty")))
    assert str(error) == "1.jpg: the file is empty." and error.reason == "the file is empty"
