"""Mutated pictures, and a process that looks at them: python tests/mutants.py FILE …"""

import io
import resource
import sys
import warnings
from pathlib import Path

import numpy as np
from PIL import Image
from pillow_heif import register_heif_opener

KILOBYTES = 2_000_000  # that a process which looks at pictures may take
FORMATS = [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("GIF", {}), ("WEBP", {}), ("BMP", {})]
FORMATS += [("TIFF", {"compression": how}) for how in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg")]
FORMATS += [("AVIF", {}), ("HEIF", {})]
register_heif_opener()


def mutant(picture: Image.Image, number: int) -> bytes:
    """The number-th mutant: a piece is cut out or doubled, or up to eleven bytes change, a third of them in headers."""
    random, memory = np.random.default_rng(number), io.BytesIO()
    format_, options = FORMATS[number % len(FORMATS)]
    picture.save(memory, format_, **options)
    content = memory.getvalue()
    places = random.integers(0, len(content) if number % 3 else 400, random.integers(2, 12))
    low, high = sorted(places[:2])
    if (how := random.integers(0, 8)) < 2:
        return content[:high] + content[low:] if how else content[:low] + content[high:]
    changed = bytearray(content)
    for place in places:
        changed[place % len(content)] = random.choice([0, 127, 128, 255]) if how < 4 else random.integers(0, 256)
    return bytes(changed)


def peak() -> int:
    """The most memory of this process so far, kilobytes; getrusage counts that of the parent that started it, too."""
    if (status := Path("/proc/self/status")).is_file():
        return int(status.read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def look_at(files: list[Path]) -> None:
    """Print what a study and the audit make of each file: "picture" or "refused", and after all the memory it took."""
    from batik_utils.audit.look import look
    from batik_utils.data.decode import NotAnImage, read_image

    warnings.simplefilter("ignore")
    for path in files:
        try:
            read_image(path, 64, "nearest")
            look(path, "1.jpg")
            print("picture", flush=True)
        except NotAnImage as error:
            print(repr(error.reason) if "\n" in str(error) else "refused", flush=True)
    print(peak())


if __name__ == "__main__":
    look_at([Path(name) for name in sys.argv[1:]])
