"""Reading one file: whatever it is called and whatever is in it."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from batik_utils.data.decode import MAX_PIXELS, NotAnImage, read_image
from batik_utils.errors import BatikError

RED, GREEN, BLUE = (220, 30, 40), (20, 160, 60), (30, 40, 200)


def quarters(mode="RGB", size=(40, 40)):
    """Red, green, blue and black quarters, so that every turn and flip shows."""
    image = Image.new("RGB", size, "black")
    w, h = size[0] // 2, size[1] // 2
    for colour, at in ((RED, (0, 0)), (GREEN, (w, 0)), (BLUE, (0, h))):
        image.paste(colour, (*at, at[0] + w, at[1] + h))
    return image.convert(mode)


def noise(size=(97, 61)):
    values = np.random.default_rng(3).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    return Image.fromarray(values)


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


def refusal(path):
    with pytest.raises(NotAnImage) as caught:
        read_image(path, 16, "nearest")
    text = str(caught.value)
    assert isinstance(caught.value, BatikError)
    assert text.startswith(path.name) and "\n" not in text and str(path.parent) not in text
    return text


@pytest.mark.parametrize("format_", ["PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_a_file_is_what_its_content_says_not_its_name(tmp_path, format_):
    path = tmp_path / "1.jpg"
    options = {"lossless": True} if format_ == "WEBP" else {}
    quarters().save(path, format_, **options)
    pixels, facts = read_image(path, 20, "nearest")
    assert corners(pixels) == [RED, GREEN, BLUE, (0, 0, 0)]
    assert facts["format"] == format_ and facts["extension_agrees"] is False
    assert (facts["width"], facts["height"], facts["bytes"]) == (40, 40, path.stat().st_size)


def test_resizing_is_keras_nearest_and_torchvisions_antialiased_bilinear(tmp_path):
    from batik_utils import backend  # noqa: F401  (before keras)

    keras = pytest.importorskip("keras")
    path = tmp_path / "1.jpg"
    noise().save(path, "JPEG")
    ours, facts = read_image(path, 32, "nearest")
    theirs = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(32, 32)))
    assert ours.dtype == np.uint8 and np.array_equal(ours, theirs)
    assert facts["extension_agrees"] is True and facts["mode"] == "RGB" and facts["orientation"] == 1
    smooth, _ = read_image(path, 8, "bilinear")
    with Image.open(path) as image:
        assert np.array_equal(smooth, np.asarray(image.resize((8, 8), Image.Resampling.BILINEAR)))
    assert smooth.std() < 0.6 * ours.std()  # antialiasing averages noise away; picking pixels does not


@pytest.mark.parametrize("format_", ["GIF", "MPO"])
def test_only_the_first_picture_of_several_is_read(tmp_path, format_):
    path = tmp_path / ("moving.gif" if format_ == "GIF" else "camera.jpg")
    more = [Image.new("RGB", (40, 40), "white")] * 3
    quarters().save(path, format_, save_all=True, append_images=more)
    pixels, facts = read_image(path, 20, "nearest")
    assert close(corners(pixels)[2], BLUE, 25)
    assert facts["format"] == format_ and facts["extension_agrees"] is True


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(tmp_path, orientation):
    path = tmp_path / "phone.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    quarters(size=(40, 20)).save(path, exif=exif)
    pixels, facts = read_image(path, 20, "nearest")
    upright = ["RGBK", "GRKB", "KBGR", "BKRG", "RBGK", "BRKG", "KGBR", "GKRB"][orientation - 1]
    assert corners(pixels) == [{"R": RED, "G": GREEN, "B": BLUE, "K": (0, 0, 0)}[letter] for letter in upright]
    assert (facts["orientation"], facts["width"], facts["height"]) == (orientation, 40, 20)


@pytest.mark.parametrize(
    "junk", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x7f\1\x12"]
)
def test_junk_where_exif_should_be_changes_nothing_and_warns_nobody(tmp_path, junk, recwarn):
    plain, path = tmp_path / "plain.jpg", tmp_path / "junk.jpg"
    quarters().save(plain, "JPEG")
    quarters().save(path, "JPEG", exif=junk)
    pixels, facts = read_image(path, 20, "nearest")
    assert np.array_equal(pixels, read_image(plain, 20, "nearest")[0])
    assert facts["orientation"] == 1 and not recwarn.list


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(tmp_path, mode):
    path = tmp_path / "clear.png"
    image = Image.new("RGBA", (40, 40), (*RED, 255))
    image.paste((0, 0, 0, 0), (0, 0, 20, 40))
    image.convert(mode).save(path)
    pixels, facts = read_image(path, 20, "nearest")
    left, right = corners(pixels)[:2]
    assert facts["mode"] == mode and left == (255, 255, 255)
    assert right == (RED if mode == "RGBA" else (right[0],) * 3) and right != left


def test_half_transparency_and_a_transparent_palette_entry_are_mixed_with_white(tmp_path):
    half, palette = tmp_path / "half.png", tmp_path / "palette.png"
    Image.new("RGBA", (10, 10), (0, 0, 0, 128)).save(half)
    assert close(corners(read_image(half, 8, "nearest")[0])[0], (127, 127, 127), 1)
    image = quarters().quantize(4)
    image.save(palette, transparency=image.getpixel((5, 5)))
    pixels, facts = read_image(palette, 20, "nearest")
    assert facts["mode"] == "P" and corners(pixels)[:2] == [(255, 255, 255), GREEN]


def test_sixteen_bits_keep_their_greys_and_floating_point_is_refused(tmp_path):
    path = tmp_path / "deep.png"
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)
    Image.fromarray(np.tile(ramp, (64, 1))).save(path)
    pixels, facts = read_image(path, 64, "nearest")
    assert facts["mode"].startswith("I;16")
    assert np.array_equal(pixels[0, :, 0], (ramp >> 8).astype(np.uint8))
    path = tmp_path / "float.tiff"
    Image.fromarray(np.ones((8, 8), np.float32)).save(path)
    assert "floating-point" in refusal(path)


def test_cmyk_becomes_the_colours_it_stands_for(tmp_path):
    # Pillow writes CMYK as Adobe does, inverted; a decoder that missed it would show the negative.
    path = tmp_path / "print.jpg"
    quarters("CMYK").save(path, "JPEG", quality=95)
    pixels, facts = read_image(path, 20, "nearest")
    assert facts["mode"] == "CMYK"
    assert all(close(got, want, 25) for got, want in zip(corners(pixels)[:3], (RED, GREEN, BLUE), strict=True))


@pytest.mark.parametrize("what", ["junk", "profile of another colour space"])
def test_an_icc_profile_that_does_not_fit_cmyk_is_passed_over(tmp_path, what):
    plain, path = tmp_path / "plain.jpg", tmp_path / "profile.jpg"
    profile = b"not a profile"
    if what != "junk":
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    quarters("CMYK").save(plain, "JPEG")
    quarters("CMYK").save(path, "JPEG", icc_profile=profile)
    assert np.array_equal(read_image(path, 20, "nearest")[0], read_image(plain, 20, "nearest")[0])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "web page (HTML)"),
        (b"hello", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (b"<svg/>", "not an image"),
        (b"", "empty"),
        (png(0, 5, (b"IDAT", zlib.compress(b""))), "a damaged image"),
    ],
)
def test_what_holds_no_picture_of_a_photograph_s_format_is_not_an_image(tmp_path, content, says):
    path = tmp_path / "3.jpg"
    path.write_bytes(content)
    assert says in refusal(path)
    refusal(tmp_path / "absent.jpg")
    refusal(tmp_path)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
def test_a_truncated_file_is_refused_never_half_read(tmp_path, format_, part):
    memory = io.BytesIO()
    noise((120, 120)).save(memory, format_)
    path = tmp_path / "cut.jpg"
    path.write_bytes(memory.getvalue()[: int(part * memory.tell())])
    assert any(word in refusal(path) for word in ("truncated", "damaged"))


def jpeg_of_scans(count):
    """A progressive JPEG whose last scan comes again and again."""
    memory = io.BytesIO()
    noise((120, 120)).save(memory, "JPEG", progressive=True)
    whole = memory.getvalue()
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * (count - whole.count(b"\xff\xda")) + b"\xff\xd9"


def sparse(size):
    """A plain PPM of over so many bytes, which cost no disk."""
    return b"P3\n4000 4000\n255\n", size


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (png(9_000, 9_000, (b"IDAT", zlib.compress(bytes(10_000)))), "64 million pixels"),
        (png(60_000, 60_000, (b"IDAT", zlib.compress(bytes(10_000)))), "million pixels"),
        (png(1, MAX_PIXELS, (b"IDAT", zlib.compress(bytes(10_000)))), "32768 on a side (1 × 64000000)"),
        (jpeg_of_scans(3_000), "in 3000 scans"),
        (sparse(20_000_000), "of digits"),
        (sparse(300_000_000), "more than 256 MB"),
    ],
)
def test_what_would_cost_too_much_is_refused_by_its_header(tmp_path, content, says, monkeypatch, recwarn):
    path = tmp_path / "bomb.png"
    start, size = content if isinstance(content, tuple) else (content, len(content))
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    assert says in refusal(path) and not recwarn.list


def test_an_ordinary_progressive_jpeg_passes_and_a_cut_one_does_not(tmp_path):
    path = tmp_path / "web.jpg"
    path.write_bytes(jpeg_of_scans(20))
    read_image(path, 16, "nearest")
    path.write_bytes(jpeg_of_scans(10)[:2_000])
    assert "truncated" in refusal(path)


def test_a_compressed_text_chunk_cannot_blow_up_either(tmp_path):
    path = tmp_path / "text.png"
    body = b"note\0\0" + zlib.compress(bytes(80_000_000))
    path.write_bytes(png(4, 4, (b"zTXt", body), (b"IDAT", zlib.compress(bytes(4 * 13)))))
    refusal(path)


def test_a_hundred_mutated_files_are_pictures_or_refused_in_a_line(tmp_path, recwarn):
    random = np.random.default_rng(9)
    path = tmp_path / "mutant.jpg"
    for number in range(100):
        memory = io.BytesIO()
        format_ = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM")[number % 7]
        noise((60, 40)).save(memory, format_)
        content = np.frombuffer(memory.getvalue(), np.uint8).copy()
        places = random.integers(0, len(content) if number % 2 else 80, random.integers(1, 9))
        content[places] = random.integers(0, 256, len(places))
        path.write_bytes(content.tobytes())
        try:
            assert read_image(path, 16, "nearest")[0].shape == (16, 16, 3)
        except NotAnImage as error:
            assert "\n" not in str(error)
    assert not recwarn.list


def test_the_refusal_survives_the_way_out_of_a_worker():
    import pickle

    error = pickle.loads(pickle.dumps(NotAnImage("1\x1b[31m.jpg", "the file is empty")))
    assert str(error) == "1\\x1b[31m.jpg: the file is empty." and error.reason == "the file is empty"
