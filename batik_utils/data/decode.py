"""One file to one square RGB picture: by content, never by extension, and safely whatever the file holds."""

from __future__ import annotations

import io
import warnings
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from batik_utils.errors import BatikError

MAX_PIXELS = 64_000_000
"""Width x height above which a file is refused before any pixel is decoded (a decompression bomb)."""

RESAMPLING = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR}
"""nearest is Keras' load_img; bilinear is Pillow's antialiased filter, as torchvision's Resize((s, s))."""

# Only formats of photographs: Pillow also knows ones that run other programs (EPS) or fetch parts of a file.
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
_EXTENSIONS = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "MPO": {".mpo", ".jpg", ".jpeg"},  # cameras and phones write MPO under the name of JPEG
    "PNG": {".png", ".apng"},
    "GIF": {".gif"},
    "WEBP": {".webp"},
    "BMP": {".bmp"},
    "TIFF": {".tif", ".tiff"},
    "PPM": {".ppm", ".pgm", ".pbm", ".pnm"},
}
_MAGIC = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\x00", b"MM\x00*")


class NotAnImage(BatikError):
    """A file that holds no usable picture; `reason` says why, `name` is the file's name without its folder."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}."


def read_image(
    path: Path, size: int, resize: Literal["nearest", "bilinear"]
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Decode one file to RGB and resize it to a square, not keeping its aspect ratio.

    Returns uint8 [size, size, 3] in 0-255 and the file's facts: format (Pillow's name), mode, width and height
    (pixels, as stored), bytes, orientation (EXIF tag, 1-8), extension_agrees. The first frame of an animation
    or MPO is taken, transparency is laid over white, 16 bits keep the upper eight, CMYK goes through its
    embedded ICC profile where that is sound and through Pillow's plain conversion otherwise, and EXIF
    orientation is honoured (Keras' and torchvision's loaders ignore it).

    Raises NotAnImage for anything that is not a whole picture of at most MAX_PIXELS pixels. No warning of
    Pillow's leaks. Not for use from several threads at once (the warnings filter is the process's).
    """
    if not path.is_file():
        raise NotAnImage(path.name, "there is no such file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with path.open("rb") as file:
                return _decode(file, path, size, RESAMPLING[resize])
        except NotAnImage:
            raise
        except Image.DecompressionBombError:
            raise NotAnImage(path.name, _too_large()) from None
        except UnidentifiedImageError:
            raise NotAnImage(path.name, _what_is_it(path)) from None
        except PermissionError:
            raise NotAnImage(path.name, "the file may not be read") from None
        except MemoryError:
            raise NotAnImage(path.name, "not enough memory to decode it") from None
        except Exception as error:
            # Pillow's decoders meet hostile bytes with a dozen exception types (OSError, SyntaxError, EOFError,
            # struct.error, zlib.error, IndexError ...); each means the same to the reader: damaged.
            text = " ".join(str(error).split()) or type(error).__name__
            cut = "truncated" if "truncated" in text.lower() else "damaged"
            raise NotAnImage(path.name, f"a {cut} image ({text})") from None


def _decode(
    file: BinaryIO, path: Path, size: int, filter_: Image.Resampling
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    stored = path.stat().st_size
    if stored == 0:
        raise NotAnImage(path.name, "the file is empty")
    with Image.open(file, formats=_FORMATS) as image:
        width, height = image.size
        if width < 1 or height < 1:
            raise NotAnImage(path.name, "the picture has no pixels")
        if width * height > MAX_PIXELS:
            raise NotAnImage(path.name, _too_large(width, height))
        facts: dict[str, Any] = {
            "format": image.format,
            "mode": image.mode,
            "width": width,
            "height": height,
            "bytes": stored,
            "orientation": 1,
            "extension_agrees": path.suffix.lower() in _EXTENSIONS.get(image.format or "", set()),
        }
        image.load()
        upright, facts["orientation"] = _upright(image)
        rgb = _to_rgb(upright, path.name)
    return np.asarray(rgb.resize((size, size), filter_), dtype=np.uint8), facts


def _upright(image: Image.Image) -> tuple[Image.Image, int]:
    try:
        tag = image.getexif().get(ExifTags.Base.Orientation, 1)
        if not isinstance(tag, int) or not 2 <= tag <= 8:
            return image, 1
        return ImageOps.exif_transpose(image), tag
    except Exception:  # junk where EXIF should be says nothing about the pixels, which are sound
        return image, 1


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "F":
        raise NotAnImage(name, "its pixels are floating-point numbers of unknown range")
    if image.mode == "I" or image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255 and would turn nearly every pixel white.
        values = np.clip(np.asarray(image), 0, 65535).astype(np.uint16)
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "CMYK":
        return _cmyk_to_rgb(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _cmyk_to_rgb(image: Image.Image) -> Image.Image:
    # Adobe's inverted CMYK has been turned round by Pillow's JPEG decoder already.
    if profile := image.info.get("icc_profile"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            return ImageCms.profileToProfile(image, source, _srgb(), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
            pass  # a damaged profile, or one for another colour space: the plain conversion serves
    return image.convert("RGB")


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _too_large(width: int | None = None, height: int | None = None) -> str:
    shape = f" ({width} × {height})" if width else ""
    return f"its header claims more than {MAX_PIXELS // 1_000_000} million pixels{shape}, so it was not decoded"


def _what_is_it(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(512)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<!--")):
        return "a web page (HTML), not an image"
    if start.startswith(_MAGIC):
        return "a damaged image (its header cannot be read)"
    return "not an image"
