"""The classifier's page against LiteRT and Keras on real pictures: the same answers, how fast, how large.

python -m benchmarks.page STUDY [--pictures 200] [--folder data], after `make report`; what it finds goes to the
cache's page.json.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from batik_utils.app.build import build_page
from batik_utils.data.decode import NotAnImage, open_image, read_image
from batik_utils.data.obtain import cache_dir, find_photographs
from batik_utils.deploy import CLASSIFIER
from batik_utils.deploy.bundle import read_bundle
from batik_utils.deploy.convert import agreement, ask_keras, ask_litert
from batik_utils.deploy.graph import with_three_outputs
from batik_utils.deploy.make import train_recommended
from batik_utils.experiment import open_plan, run_plan
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
    parser.add_argument("study")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    bundle = read_bundle(ROOT / "reports/photographs" / given.study / CLASSIFIER)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        page, large = folder / "classifier.html", folder / "large.jpg"
        page.write_bytes(build_page(bundle))
        files = pictures(given.folder or find_photographs(None, ["batik-bali"])[0], given.pictures, folder)
        with Image.open(files[0]) as first:
            first.convert("RGB").resize((4000, 3000)).save(large, quality=92)
        arrays = np.stack([read_image(f, **dict(bundle.about.image))[0] for f in files])
        plan = open_plan(given.study)
        results = run_plan(plan, retry=False)
        made = train_recommended(plan, results)
        network = with_three_outputs(made.network, made.temperature)
        python = {
            "LiteRT": ask_litert(bundle.model, arrays)["probabilities"],
            "Keras": ask_keras(network, arrays)["probabilities"],
        }
        found: dict[str, Any] = {"pictures": len(files), "megabytes": page.stat().st_size / 1e6}
        for kind, times in (("firefox", 1), ("chromium", 1), ("chromium", 4)):
            with browse(kind) as browser:
                if times > 1:
                    browser.call("throttle", times=times)
                one = timed(browser, page, files[: 20 if times > 1 else None], large)
            said = np.array([[answer[motif] for motif in bundle.about.motifs] for answer in one.pop("answers")])
            for name, all_expected in python.items():
                expected = all_expected[: len(said)]
                apart = np.abs(said - expected).max(axis=1)
                one |= {f"{name}: max |Δp|": float(apart.max()), f"{name}: median |Δp|": float(np.median(apart))}
                one[f"{name}: agreement"] = agreement(said, expected)
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
    said = {"seconds to ready": ready, "seconds a picture": each, "seconds for 12 megapixels": twelve}
    return {**said, "answers": browser.evaluate(ANSWERS)}


def table(found: dict[str, Any]) -> Table:
    out = Table(title=f"{found['pictures']} pictures; the page has {found['megabytes']:.1f} MB")
    kinds = [kind for kind, one in found.items() if isinstance(one, dict)]
    for column in ("", *kinds):
        out.add_column(column, justify="right" if column else "left")
    for key in found[kinds[0]]:
        out.add_row(key, *(f"{found[kind][key]:.4g}" for kind in kinds))
    return out


if __name__ == "__main__":
    main()
