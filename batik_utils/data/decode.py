"""One file to one RGB picture: by content, never by extension, and safely whatever the file holds."""

import contextlib
import ctypes
import io
import logging
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError

from batik_utils.errors import BatikError, printable

MAX_PIXELS = 64_000_000  # width × height; this and the next are decided before any pixel is decoded
MAX_SIDE = 32_768  # pixels: Pillow's memory grows with rows, too
MAX_BYTES = 256_000_000
MAX_DIGITS = 16_000_000  # bytes of a PPM that spells its pixels out, which Pillow reads slowly
MAX_SCANS = 64  # of a JPEG; cameras and programs write at most about 20
MAX_SCANNED = 1_000_000_000  # pixels × scans of a JPEG, a few seconds' work
VISIBLE = 8  # of 255: what a colour profile changes less than this is not worth a remark
_COLOURS = np.array([[(r, g, b) for r in (0, 128, 255) for g in (0, 128, 255) for b in (0, 128, 255)]], np.uint8)

# Only formats of photographs: Pillow also knows ones that run other programs (EPS) or fetch parts of a file.
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "HEIF")
_NAMED = {**Image.registered_extensions(), ".heic": "HEIF", ".heif": "HEIF"}  # known before its plugin is loaded
EXTENSIONS = frozenset(suffix for suffix, format_ in _NAMED.items() if format_ in _FORMATS)
_MAGIC = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\x00", b"MM\x00*")
_BOXED = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypavif")
# What libtiff and Pillow print of damaged files comes as an exception as well.
logging.getLogger("PIL").addHandler(logging.NullHandler())
with contextlib.suppress(AttributeError, OSError):  # a build of Pillow that hides its libtiff, or has none
    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)

_REASONS: dict[type[Exception], str] = {
    FileNotFoundError: "there is no such file",
    IsADirectoryError: "there is no such file",
    PermissionError: "the file may not be read",
    MemoryError: "not enough memory to decode it",
    Image.DecompressionBombError: f"its header claims more than {MAX_PIXELS // 1_000_000} million pixels, "
    "so it was not decoded",
}


class NotAnImage(BatikError):
    """A file that holds no usable picture; `reason` says why, `name` is the file's name without its folder."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return printable(f"{self.name}: {self.reason}.")


def read_image(
    path: Path, size: int, resize: Literal["nearest", "bilinear"], fit: Literal["stretch", "crop"] = "stretch"
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Decode one file to RGB uint8 [size, size, 3] in 0-255, the whole squeezed or the middle cropped; and its facts.

    nearest is Keras' load_img; bilinear is Pillow's antialiased filter, as torchvision's Resize((s, s)). A crop keeps
    proportions: it is the largest square in the middle, a pixel to the left or above where there are two such.
    Raises NotAnImage. Not for use from several threads at once (the filter that silences Pillow is the process's).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image, facts = open_image(path)
    return squared(image, size, resize, fit), facts


def squared(
    image: Image.Image, size: int, resize: Literal["nearest", "bilinear"], fit: Literal["stretch", "crop"]
) -> NDArray[np.uint8]:
    """An RGB picture as read_image gives it, uint8 [size, size, 3]."""
    if fit == "crop":
        side = min(image.size)
        left, top = ((length - side) // 2 for length in image.size)
        image = image.crop((left, top, left + side, top + side))
    return np.asarray(image.resize((size, size), Image.Resampling[resize.upper()]), dtype=np.uint8)


def open_image(path: Path, name: str = "", draft: int | None = None) -> tuple[Image.Image, dict[str, Any]]:
    """Decode one file to an upright RGB image and its facts.

    The facts are format (Pillow's name), mode, width and height (pixels, as stored), bytes, orientation (EXIF tag,
    1-8), extension_agrees, and remarks, a list of what its maker meant otherwise. The first frame of an animation or
    MPO is taken, transparency is laid over white, 16 bits keep the upper eight (of those that a TIFF says it uses),
    CMYK goes through its embedded ICC profile where that is sound, RGB does not, and EXIF orientation is honoured
    (Keras' and torchvision's loaders ignore it). A JPEG is decoded to a fraction of its size (an eighth, quarter or
    half) while that leaves `draft` pixels or more.

    Raises NotAnImage, under `name`, for what is not a whole picture within the limits above.
    """
    try:
        return _decode(path, draft)
    except NotAnImage as error:
        reason = error.reason
    except UnidentifiedImageError:
        with path.open("rb") as file:
            start = file.read(512)
        text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
        known = start.startswith(_MAGIC) or start[4:].startswith(_BOXED)
        reason = "a damaged image (its header cannot be read)" if known else "not an image"
        if text.startswith((b"<!doctype html", b"<html", b"<head", b"<!--")):
            reason = "a web page (HTML), not an image"
    # Pillow's decoders meet hostile bytes with a dozen exception types (OSError, SyntaxError, EOFError,
    # struct.error, zlib.error, IndexError ...); each means the same to the reader: damaged.
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        damage = f"a {'truncated' if 'truncated' in said.lower() else 'damaged'} image ({said})"
        reason = _REASONS.get(type(error), damage)
    raise NotAnImage(name or path.name, reason)


def _decode(path: Path, draft: int | None) -> tuple[Image.Image, dict[str, Any]]:
    # Opened here, as Pillow would map an uncompressed file into memory, which another program may cut short.
    with path.open("rb") as file:
        stored = path.stat().st_size
        if not 0 < stored <= MAX_BYTES:
            large = f"the file has more than {MAX_BYTES // 1_000_000} MB"
            raise NotAnImage("", large if stored else "the file is empty")
        boxed, _ = file.read(8)[4:] == b"ftyp", file.seek(0)
        if boxed:  # an iPhone's; what reads it takes a tenth of a second to load
            from pillow_heif import register_heif_opener

            register_heif_opener()
        with Image.open(file, formats=_FORMATS if boxed else _FORMATS[:-1]) as image:
            _demand_modest(image, path)
            facts: dict[str, Any] = {"format": image.format, "mode": image.mode, "width": image.width}
            facts |= {"height": image.height, "bytes": stored, "orientation": 1}
            named = _NAMED.get(path.suffix.lower())
            # Cameras and phones write MPO under the name of JPEG.
            facts["extension_agrees"] = named == image.format or (named, image.format) == ("JPEG", "MPO")
            if draft:
                image.draft(None, (draft, draft))
            image.load()
            upright: Image.Image = image
            bits = 16
            # A TIFF may say which is the largest of its numbers, or one of each band.
            with contextlib.suppress(Exception):
                bits = int(np.max(getattr(image, "tag_v2", {})[281])).bit_length()
            facts["remarks"] = _remarks(image, bits)
            with contextlib.suppress(Exception):  # junk where EXIF should be says nothing about the pixels
                tag = image.getexif().get(ExifTags.Base.Orientation, 1)
                if isinstance(tag, int) and 2 <= tag <= 8:
                    upright, facts["orientation"] = ImageOps.exif_transpose(image), tag
            return _to_rgb(upright, bits), facts


def _demand_modest(image: ImageFile.ImageFile, path: Path) -> None:
    width, height = image.size
    if min(width, height) < 1:
        raise NotAnImage("", "the picture has no pixels, so it was not decoded")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        limits = f"{MAX_PIXELS // 1_000_000} million pixels or {MAX_SIDE} on a side"
        raise NotAnImage("", f"its header claims more than {limits} ({width} × {height}), so it was not decoded")
    if image.format == "PPM" and image.tile[0][0] == "ppm_plain" and path.stat().st_size > MAX_DIGITS:
        raise NotAnImage("", f"it is a PPM with more than {MAX_DIGITS // 1_000_000} MB of digits")
    if image.format in {"JPEG", "MPO"}:
        # Within a scan the byte FF is always followed by 00, so that this is a scan's start (or a thumbnail's).
        scans = path.read_bytes().count(b"\xff\xda")
        if scans > min(MAX_SCANS, MAX_SCANNED // (width * height)):
            raise NotAnImage("", f"it is a JPEG of {width} × {height} in {scans} scans, so it was not decoded")


def _remarks(image: Image.Image, bits: int) -> list[str]:
    remarks = []
    if image.mode not in ("CMYK", "L", "1") and (profile := image.info.get("icc_profile")):
        with contextlib.suppress(ImageCms.PyCMSError, OSError, TypeError, ValueError):
            meant = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            seen = Image.fromarray(_COLOURS)
            honoured = ImageCms.profileToProfile(seen, meant, ImageCms.createProfile("sRGB")) or seen
            if np.abs(np.asarray(honoured).astype(int) - _COLOURS).max() > VISIBLE:
                remarks.append(f"colours of {ImageCms.getProfileDescription(meant).strip()}, read as sRGB")
    if image.mode.startswith("I") and 0 < (used := int(np.asarray(image).max()).bit_length()) < min(bits, 13):
        remarks.append(f"only {used} of {bits} bits used, nearly black")
    return remarks


def _to_rgb(image: Image.Image, bits: int) -> Image.Image:
    if image.mode == "F":
        raise NotAnImage("", "its pixels are floating-point numbers of unknown range")
    if image.mode == "I" or image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255 and would turn nearly every pixel white.
        values = np.clip(np.asarray(image), 0, 65535).astype(np.uint16) >> max(bits - 8, 0)
        return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "CMYK" and (profile := image.info.get("icc_profile")):
        # Adobe's inverted CMYK has been turned round by Pillow's JPEG decoder already.
        # A damaged profile, or one for another colour space, is passed over: the plain conversion serves.
        with contextlib.suppress(ImageCms.PyCMSError, OSError, TypeError, ValueError):
            srgb = ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(image, io.BytesIO(profile), srgb, outputMode="RGB") or image
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")
