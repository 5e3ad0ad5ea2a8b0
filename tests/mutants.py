"""Mutated pictures, looked at in a process of their own: python tests/mutants.py 1000 [folder of photographs]."""

import io
import resource
import select
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from batik_utils.sample import SAMPLE_MOTIFS, draw

SECONDS, KILOBYTES = 10, 2_000_000  # that one picture may take, and the process that looks at it
FORMATS = [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("GIF", {}), ("WEBP", {}), ("BMP", {})]
FORMATS += [("TIFF", {"compression": how}) for how in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg")]


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


def look_at(pictures: list[Image.Image], count: int) -> Counter[str]:
    """How many mutants were a "picture" or "refused"; anything else is said with its number, and must not be."""
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path, worker = Path(folder, "1.jpg"), None
        for number in range(count):
            path.write_bytes(mutant(pictures[number % len(pictures)], number))
            if worker is None or worker.poll() is not None:
                command = [sys.executable, __file__]
                worker = subprocess.Popen(command, stdin=-1, stdout=-1, stderr=subprocess.STDOUT, text=True, bufsize=1)
                assert worker.stdout.readline() == "ready\n"  # importing may take longer than a picture may
            worker.stdin.write(f"{path}\n")
            answered = select.select([worker.stdout], [], [], SECONDS)[0]
            said = worker.stdout.readline().strip() or "crash" if answered else "hang"
            if said not in {"picture", "refused"}:  # what is printed against our will comes here, too
                said = f"{number}: {said}"
                worker.kill()
                worker.communicate()
            outcomes[said] += 1
        if worker.returncode is None:
            worker.communicate()
    return outcomes


def peak() -> int:
    """The most memory of this process so far, kilobytes; getrusage counts that of the parent that started it, too."""
    if (status := Path("/proc/self/status")).is_file():
        return int(status.read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def look_at_named_files() -> None:
    """Look at each file named on the standard input, as a study and as the audit do."""
    from batik_utils.audit.look import look
    from batik_utils.data.decode import NotAnImage, read_image

    warnings.simplefilter("ignore")
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            read_image(Path(line.strip()), 64, "nearest")
            look(Path(line.strip()), "1.jpg")
            said = "picture"
        except NotAnImage as error:
            said = f"{error.reason!r}" if "\n" in str(error) else "refused"
        used = peak()
        print(said if used < KILOBYTES else f"{used:,} kB of memory", flush=True)


if __name__ == "__main__":
    files = [path for folder in sys.argv[2:] for path in sorted(Path(folder).glob("*/*.jpg"))[::97]]
    shown = [image.convert("RGB").resize((320, 240)) for image in map(Image.open, files)]
    if sys.argv[1:]:
        print(look_at(shown or [Image.fromarray(draw(motif, 0, 256)) for motif in SAMPLE_MOTIFS], int(sys.argv[1])))
    else:
        look_at_named_files()
