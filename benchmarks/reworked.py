"""A study's pictures made anew in other ways, to see what recipes make of them."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from batik_utils.cache import digest
from batik_utils.data.decode import open_image
from batik_utils.values import Dataset


def made_alike(dataset: Dataset, side: int, quality: int) -> Dataset:
    """Every picture brought to side × side pixels and one JPEG quality, and back to its size."""
    images = []
    for image in dataset.images:
        buffer = io.BytesIO()
        Image.fromarray(image).resize((side, side), Image.Resampling.BOX).save(buffer, "JPEG", quality=quality)
        with Image.open(buffer) as small:
            images.append(np.asarray(small.resize(image.shape[1::-1], Image.Resampling.BILINEAR)))
    return _with(dataset, images)


def filled(dataset: Dataset, folder: Path) -> Dataset:
    """The pictures brought to size on their longer side, and what lacks of a square filled with their mirror images."""
    images = []
    for path in dataset.paths:
        image = open_image(folder / path)[0]
        sides = [max(1, round(dataset.size * side / max(image.size))) for side in image.size]
        pixels = np.asarray(image.resize(sides, Image.Resampling.BILINEAR))
        for axis in (0, 1):
            short = dataset.size - pixels.shape[axis]
            ends = [(short // 2, short - short // 2) if a == axis else (0, 0) for a in range(3)]
            pixels = np.pad(pixels, ends, "symmetric")
        images.append(pixels)
    return _with(dataset, images)


def _with(dataset: Dataset, images: list[NDArray[np.uint8]]) -> Dataset:
    return replace(dataset, images=np.stack(images), sha256=tuple(digest(image.tobytes()) for image in images))
