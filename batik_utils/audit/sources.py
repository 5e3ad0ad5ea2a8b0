"""Which pictures may come from one source (a vendor, camera, garment, website): proposed here, confirmed by people."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageDraw
from scipy.cluster.hierarchy import DisjointSet

from batik_utils.cache import atomic, digest_json
from batik_utils.data.decode import open_image

LIFT = 4.0  # a size and an encoder come together so many times as often as if they were independent
SIDE, CELLS = 96, 4  # pixels of the square in which marks are looked for, and its cells each way
MARK = 0.7  # correlation of one cell's fine detail in two pictures of one shape: a mark, label or frame over both
SHAPE = 0.02  # difference of the logarithms of two pictures' aspect ratios, at most
LAYOUT = 0.9  # correlation of two whole pictures blurred to 16 x 16: one garment, hanger or ground in one place
DETAIL = 6.0  # grey levels of standard deviation that a cell or a layout must have to be compared


def propose_sources(folder: Path, paths: Sequence[str]) -> list[tuple[tuple[str, ...], dict[str, int]]]:
    """Sets of pictures joined by links, the largest first, and how many of each kind; NotAnImage for what is none."""
    files = [folder / path for path in paths]
    links = [*_by_file(files), *_by_picture(files)]
    joined = DisjointSet(range(len(paths)))
    for a, b, _ in links:
        joined.merge(a, b)
    found = []
    for rows in (rows for rows in joined.subsets() if len(rows) > 1):
        reasons = Counter(reason for a, _, reason in links if a in rows)
        found.append((tuple(sorted(paths[row] for row in rows)), dict(sorted(reasons.items()))))
    return sorted(found, key=lambda proposal: (-len(proposal[0]), proposal[0]))


def _by_file(files: Sequence[Path]) -> Iterator[tuple[int, int, str]]:
    sizes, encoders = Counter[Any](), Counter[Any]()
    holders: dict[tuple[str, Any], list[int]] = defaultdict(list)
    for row, path in enumerate(files):
        with path.open("rb") as file, Image.open(file) as image:
            exif = {tag: str(value).strip("\0 \n") for tag, value in image.getexif().items()}
            tables = sorted((number, list(values)) for number, values in getattr(image, "quantization", {}).items())
            about = [image.format, str(image.info.get("comment")), tables, "progressive" in image.info]
            size, encoder = image.size, digest_json(about)
        sizes[size] += 1
        encoders[encoder] += 1
        holders["one size and encoder", (size, encoder)].append(row)
        if model := exif.get(ExifTags.Base.Model):
            holders["one camera", (exif.get(ExifTags.Base.Make), model, exif.get(ExifTags.Base.Software))].append(row)
        if artist := exif.get(ExifTags.Base.Artist):
            holders["one author", artist].append(row)
    for (reason, what), rows in holders.items():
        by_chance = sizes[what[0]] * encoders[what[1]] / len(files) if reason == "one size and encoder" else 0
        if len(rows) >= LIFT * by_chance:
            yield from ((rows[0], row, reason) for row in rows[1:])


def _by_picture(files: Sequence[Path]) -> Iterator[tuple[int, int, str]]:
    cells, layouts, shapes = [], [], []
    for path in files:
        image = open_image(path, draft=2 * SIDE)[0]
        grey = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)).astype(np.float32)
        fine = grey - cv2.GaussianBlur(grey, (0, 0), 3)
        cells.append(fine.reshape(CELLS, SIDE // CELLS, CELLS, -1).swapaxes(1, 2).reshape(CELLS**2, -1))
        layouts.append(cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA).ravel())
        shapes.append(np.log(image.width / image.height))
    alike = np.abs(np.subtract.outer(shapes, shapes)) <= SHAPE
    marks = np.max([_likeness(np.array(part)) for part in zip(*cells, strict=True)], axis=0)
    linked = {"one mark or frame": alike & (marks >= MARK), "one layout": _likeness(np.array(layouts)) >= LAYOUT}
    for reason, links in linked.items():
        yield from ((a, b, reason) for a, b in np.argwhere(np.triu(links, 1)).tolist())


def _likeness(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """[n, n] correlations of the rows; 0 for rows without detail."""
    values = values - values.mean(axis=1, keepdims=True)
    spread = values.std(axis=1, keepdims=True)
    values = np.where(spread >= DETAIL, values / np.maximum(spread, DETAIL), 0) / np.sqrt(values.shape[1])
    return values @ values.T


def contact_sheet(folder: Path, paths: Sequence[str], out: Path, columns: int = 5, cell: int = 300) -> None:
    """Write the pictures as one PNG, `cell` pixels each, in rows, each under its path."""
    sheet = Image.new("RGB", (columns * cell, -(-len(paths) // columns) * cell), "white")
    for i, path in enumerate(paths):
        x, y = i % columns * cell, i // columns * cell
        image = open_image(folder / path, draft=cell)[0]
        image.thumbnail((cell - 8, cell - 24))
        ImageDraw.Draw(sheet).text((x, y), path, fill="black", font_size=14)
        sheet.paste(image, (x, y + 18))
    with atomic(out) as part:
        sheet.save(part, "PNG")
