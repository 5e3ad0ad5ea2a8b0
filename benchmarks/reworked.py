"""A study's pictures made anew in other ways, to see what recipes make of them."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from batik_utils.data.decode import open_image
from batik_utils.files import digest
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


def framed(dataset: Dataset, folder: Path) -> dict[str, Dataset]:
    """The pictures with their proportions kept: cropped to the middle square, or filled with their mirror images."""
    made: dict[str, list[NDArray[np.uint8]]] = {"cropped": [], "filled with their mirror images": []}
    for path in dataset.paths:
        image = open_image(folder / path)[0]
        for edge, images in zip((min(image.size), max(image.size)), made.values(), strict=True):
            sides = [max(1, round(dataset.size * side / edge)) for side in image.size]
            pixels = np.asarray(image.resize(sides, Image.Resampling.BILINEAR))
            images.append(_square(pixels, dataset.size))
    return {name: _with(dataset, images) for name, images in made.items()}


def _square(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The middle of what is longer than size, and about what is shorter its own mirror image."""
    for axis in (0, 1):
        short = size - pixels.shape[axis]
        if short < 0:
            pixels = pixels.take(np.arange(size) - short // 2, axis)
        ends = [(max(short, 0) // 2, max(short, 0) - max(short, 0) // 2) if a == axis else (0, 0) for a in range(3)]
        pixels = np.pad(pixels, ends, "symmetric")
    return pixels


def _with(dataset: Dataset, images: list[NDArray[np.uint8]]) -> Dataset:
    return replace(dataset, images=np.stack(images), sha256=tuple(digest(image.tobytes()) for image in images))
