"""Pictures that are not batik, from what is installed anyway: the gate is set and judged by them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from batik_utils.data.decode import NotAnImage, open_image, squared

LEAST_SIDE = 128  # pixels: smaller packaged pictures are drawings of a few dots
WORDS = "Nobody knows how many letters a page of cloth could hold, 1 2 3 4 5 6 7 8 9 0, or who would read them."


@dataclass(frozen=True, eq=False)
class Ordinary:
    """Ordinary pictures; some set a threshold and the others judge it, by what they were cut from."""

    pictures: NDArray[np.uint8]  # [n, s, s, 3]
    judges: NDArray[np.bool_]  # [n]


def ordinary_pictures(size: int, resize: Literal["nearest", "bilinear"], fit: Literal["stretch", "crop"]) -> Ordinary:
    """Photographs and scans of scikit-image, scikit-learn and matplotlib with five crops of each; drawn text, blank
    cloth and noise. The same versions of those libraries give the same pictures.
    """
    found: list[NDArray[np.uint8]] = []
    judges: list[bool] = []
    for pictures in (_packaged(), _pages(), _blank(), _noise()):  # half of each sort judges
        for place, cuts in enumerate(pictures):
            found += [squared(cut, size, resize, fit) for cut in cuts]
            judges += [place % 2 == 1] * len(cuts)
    return Ordinary(np.stack(found), np.array(judges))


def _packaged() -> list[list[Image.Image]]:
    import matplotlib
    import skimage.data
    import sklearn.datasets

    folders = [Path(skimage.data.__file__).parent, Path(sklearn.datasets.__file__).parent / "images"]
    folders.append(Path(matplotlib.get_data_path()) / "sample_data")
    by_subject: dict[str, Path] = {}  # of two views of one thing the first: both halves must not see it
    for path in (path for folder in folders for path in sorted(folder.iterdir())):
        if path.suffix in {".png", ".jpg"}:
            by_subject.setdefault(path.stem.split("_")[0], path)
    pictures = []
    for path in by_subject.values():
        try:
            image, _ = open_image(path)
        except NotAnImage:
            continue
        if min(image.size) >= LEAST_SIDE:
            pictures.append([image, *_crops(image)])
    return pictures


def _crops(image: Image.Image) -> list[Image.Image]:
    """The four quarters and the middle."""
    width, height = image.size
    places = [(0, 0), (0.5, 0), (0, 0.5), (0.5, 0.5), (0.25, 0.25)]
    corners = [(int(x * width), int(y * height)) for x, y in places]
    return [image.crop((x, y, x + width // 2, y + height // 2)) for x, y in corners]


def _pages() -> list[list[Image.Image]]:
    """Eight pages of text, small and large, dark on light and light on dark."""
    pages = []
    for number in range(8):
        ink, paper = ("#1c1c1c", "#f6f2e8") if number % 4 < 2 else ("#e8e8f0", "#20304a")
        page, step = Image.new("RGB", (448, 448), paper), (14, 22, 34, 56)[number // 2]
        draw, font = ImageDraw.Draw(page), ImageFont.load_default(step)
        for line, y in enumerate(range(0, 448, int(1.3 * step))):
            draw.text((8, y), (WORDS[line + 7 * number :] + WORDS) * 2, ink, font)
        pages.append([page])
    return pages


def _blank() -> list[list[Image.Image]]:
    """Twelve plain colours: in pairs perfectly so, or with a weave and light from one side."""
    rng, cloths = np.random.default_rng(0), []
    for hue in range(12):
        colour = np.asarray(Image.new("HSV", (1, 1), (hue * 21, 120, 170)).convert("RGB"), np.float64)[0, 0]
        y, x = np.mgrid[0:448, 0:448]
        weave = 6 * np.sin(x * 1.6) * np.sin(y * 1.6) + 30 * (x / 448 - 0.5) + rng.normal(0, 2, (448, 448))
        cloth = colour + weave[..., None] * (hue // 2 % 2)
        cloths.append([Image.fromarray(cloth.clip(0, 255).astype(np.uint8))])
    return cloths


def _noise() -> list[list[Image.Image]]:
    """Twelve of noise, grey and coloured, from single pixels to soft clouds."""
    rng, pictures = np.random.default_rng(1), []
    for number in range(12):
        values = rng.integers(0, 256, (448, 448, 3 if number // 2 % 2 else 1), dtype=np.uint8)
        image = Image.fromarray(np.broadcast_to(values, (448, 448, 3)).copy())
        pictures.append([image.filter(ImageFilter.GaussianBlur((0, 2, 8)[number // 4]))])
    return pictures
