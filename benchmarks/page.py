"""The classifier's page against Python on real pictures: the same answers, how fast, how large.

python -m benchmarks.page MODEL.tflite [--pictures 200] [--folder data]; what it finds goes to the cache's page.json.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from batik_utils.app.build import build_page
from batik_utils.data.decode import NotAnImage, open_image, read_image
from batik_utils.data.obtain import cache_dir, find_photographs
from batik_utils.deploy.bundle import Bundle, read_bundle
from batik_utils.deploy.litert import Runtime
from batik_utils.files import write_json
from batik_utils.study import ROOT

sys.path.insert(0, str(ROOT / "tests"))
from browsing import Browser, browse

ORIENTATION = 0x0112
READY = "['Ready.', 'Siap.'].includes(document.getElementById('status').textContent)"
ANSWERS = """return [...document.querySelectorAll('#cards article')]
    .sort((a, b) => a.id.slice(5) - b.id.slice(5))
    .map((card) => Object.fromEntries([...card.querySelectorAll('[data-motif]')]
        .map((bar) => [bar.dataset.motif, Number(bar.dataset.probability)])))"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    bundle = read_bundle(given.model)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        page, large = folder / "classifier.html", folder / "large.jpg"
        page.write_bytes(build_page(bundle))
        files = pictures(given.folder or find_photographs(None, ["batik-bali"])[0], given.pictures, folder)
        with Image.open(files[0]) as first:
            first.convert("RGB").resize((4000, 3000)).save(large, quality=92)
        expected = ask_python(bundle, files)
        found: dict[str, Any] = {"pictures": len(files), "megabytes": page.stat().st_size / 1e6}
        for kind, times in (("firefox", 1), ("chromium", 1), ("chromium", 4)):
            with browse(kind) as browser:
                if times > 1:
                    browser.call("throttle", times=times)
                one = timed(browser, page, files[: 20 if times > 1 else None], large)
            said = np.array([[answer[motif] for motif in bundle.about.motifs] for answer in one.pop("answers")])
            apart = np.abs(said - expected[: len(said)])
            one |= {"most_apart": float(apart.max()), "median_apart": float(np.median(apart.max(1)))}
            one |= {"agreement": float((said.argmax(1) == expected[: len(said)].argmax(1)).mean())}
            found[f"{kind} {times}×"] = one
    write_json(cache_dir() / "page.json", found)
    Console().print(table(found))


def pictures(photographs: Path, count: int, folder: Path) -> list[Path]:
    """Photographs, evenly spread; every fourth saved anew in `folder`, lying on one of its sides by its EXIF tag."""
    every = sorted(path for path in photographs.glob("*/*") if path.is_file())
    chosen = [every[i] for i in np.linspace(0, len(every) - 1, count + 20).astype(int)]
    kept: list[Path] = []
    for path in chosen:
        try:
            image, facts = open_image(path)
        except NotAnImage:
            continue
        if facts["format"] in {"TIFF", "PPM"}:  # which no browser reads
            continue
        if len(kept) % 4 == 3:
            exif = Image.Exif()
            exif[ORIENTATION] = 2 + len(kept) // 4 % 7
            path = folder / f"{len(kept)}.jpg"
            image.save(path, quality=92, exif=exif)
        kept.append(path)
    return kept[:count]


def ask_python(bundle: Bundle, files: list[Path]) -> NDArray[np.float32]:
    """What LiteRT says in Python, [n, motifs]."""
    runtime, about = Runtime(bundle.model), bundle.about
    return np.stack([runtime.ask(read_image(f, about.size, about.resize)[0])["probabilities"] for f in files])


def timed(browser: Browser, page: Path, files: list[Path], large: Path) -> dict[str, Any]:
    """Seconds from opening to ready, a picture, and one of 12 megapixels; and the answers."""

    def seconds(files: list[Path]) -> float:
        browser.evaluate("document.getElementById('clear').click()")
        began = time.perf_counter()
        browser.call("upload", selector="#files", files=[str(file) for file in files])
        browser.wait(f"document.querySelectorAll('article:not(.waiting)').length === {len(files)}", 600)
        return time.perf_counter() - began

    began = time.perf_counter()
    browser.open(page)
    browser.wait(READY)
    ready = time.perf_counter() - began
    seconds(files[:1])  # the first answer compiles what it needs
    twelve = seconds([large])
    each = seconds(files) / len(files)
    return {"ready": ready, "each": each, "twelve_megapixels": twelve, "answers": browser.evaluate(ANSWERS)}


def table(found: dict[str, Any]) -> Table:
    out = Table(title=f"{found['pictures']} pictures; the page has {found['megabytes']:.1f} MB")
    rows = {"ready": "seconds to ready", "each": "seconds a picture", "twelve_megapixels": "seconds for 12 megapixels"}
    rows |= {"most_apart": "max |Δp|", "median_apart": "median |Δp|", "agreement": "agreement"}
    kinds = [kind for kind, one in found.items() if isinstance(one, dict)]
    for column in ("", *kinds):
        out.add_column(column, justify="right" if column else "left")
    for key, title in rows.items():
        out.add_row(title, *(f"{found[kind][key]:.4g}" for kind in kinds))
    return out


if __name__ == "__main__":
    main()
