"""The audit finds every planted copy, and nothing that is merely alike."""

import io
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from batik_utils.audit import find, grouping, groups_from_pairs, oddities
from batik_utils.audit.find import find_pairs, lay_on
from batik_utils.audit.look import look
from batik_utils.dataset import load_dataset
from batik_utils.errors import BatikError
from batik_utils.sample import SAMPLE_MOTIFS, draw
from batik_utils.stats.mistakes import twins_across
from batik_utils.study_file import load_study
from batik_utils.values import Dataset, Pair, Source, Split

SIZE = 256
ORIGINALS = 32


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def crop(image: np.ndarray, top: float, left: float, share: float = 0.85) -> np.ndarray:
    side = round(share * len(image))
    y, x = (round(at * (len(image) - side)) for at in (top, left))
    return image[y : y + side, x : x + side]


def half(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def collage(image: np.ndarray) -> np.ndarray:
    cells = [draw("sample-megamendung", 40, SIZE), draw("sample-celup", 41, SIZE), draw("sample-parang", 42, SIZE)]
    return np.vstack([np.hstack([cells[0], image]), np.hstack(cells[1:])])


# (row of the original, how the copy is made, what it should be called)
PLANTED = [
    (0, lambda i: i.copy(), "exact"),
    (1, lambda i: jpeg(i, 60), "re-encoded"),
    (2, half, "resized"),
    (3, lambda i: i[:, ::-1], "mirrored"),
    (4, lambda i: np.rot90(i), "rotated"),
    (5, lambda i: np.rot90(i, 2), "rotated"),
    (6, lambda i: crop(i, 0.5, 0.5), "cropped"),
    (7, lambda i: crop(i, 0.0, 0.9), "cropped"),
    (8, lambda i: jpeg(crop(i, 1.0, 0.2)[:, ::-1].copy(), 80), "mirrored"),
    (9, lambda i: np.rot90(jpeg(i, 60), 3), "rotated"),
    (10, lambda i: cv2.resize(i, (110, 250)), "resized"),  # its aspect not kept
    (11, lambda i: i[..., [0, 2, 1]] // 2 + 60, "re-encoded"),  # in another dye
    (12, collage, "cropped"),
]


@pytest.fixture(scope="module")
def planted() -> tuple[list[np.ndarray], list[str], set[tuple[str, str, str]]]:
    places = [(SAMPLE_MOTIFS[i % len(SAMPLE_MOTIFS)], i // len(SAMPLE_MOTIFS)) for i in range(ORIGINALS)]
    images = [draw(motif, index, SIZE) for motif, index in places]
    names = [f"{motif}/{index:02d}.png" for motif, index in places]
    expected = set()
    for number, (row, how, kind) in enumerate(PLANTED):
        images.append(np.ascontiguousarray(how(images[row])))
        names.append(f"zz-other/{number:02d}.png")  # Another label, and last in the order of names.
        expected.add((names[row], names[-1], kind))
    return images, names, expected


def test_all_planted_copies_are_found_under_their_names_and_no_other_pair(planted):
    images, names, expected = planted
    pairs = find_pairs(images, names)
    assert {(p.a, p.b, p.kind) for p in pairs} == expected
    assert all(p.labels_differ and "\n" not in p.reason for p in pairs)


def test_files_are_found_as_arrays_are_and_one_that_is_no_image_is_named(tmp_path: Path):
    image = draw("sample-kawung", 0, SIZE)
    Image.fromarray(image).save(tmp_path / "a b.png")
    Image.fromarray(image).save(tmp_path / "ü.jpg", quality=60)
    (pair,) = find_pairs([tmp_path / "a b.png", tmp_path / "ü.jpg"], ["m/a b.png", "m/ü.jpg"])
    assert (pair.kind, pair.labels_differ) == ("re-encoded", False)
    (tmp_path / "x.jpg").write_text("<html>")
    with pytest.raises(BatikError, match=r"m/x\.jpg"):
        find_pairs([tmp_path / "x.jpg"], ["m/x.jpg"])


def test_pictures_of_any_shape_and_plain_ones_are_no_copies_of_one_another():
    random = np.random.default_rng(0)
    shapes = [(1, 1), (3, 200), (1, 5000), (2000, 1), (2, 2)]
    odd = [random.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]
    plain = [np.full((64, 64, 3), value, dtype=np.uint8) for value in (0, 128, 255)]
    images = [*odd, *plain, draw("sample-parang", 3, 128)]
    assert find_pairs(images, [f"m/{number}.png" for number in range(len(images))]) == ()
    assert find_pairs(odd[:1], ["m/1.png"]) == () == find_pairs([], [])


def test_a_flood_of_near_copies_is_one_group_without_comparing_all(monkeypatch):
    base = draw("sample-megamendung", 3, 200)
    images = [jpeg(base[k // 9 : k // 9 + 190, k % 9 : k % 9 + 190], 60 + k) for k in range(36)]
    names = [f"m/{number:02d}.png" for number in range(len(images))]
    laid = []
    monkeypatch.setattr(find, "MOST", 4)
    monkeypatch.setattr(find, "lay_on", lambda a, b: laid.append(0) or lay_on(a, b))
    assert set(groups_from_pairs(names, find_pairs(images, names))) == {0}
    assert len(laid) <= 36 * 4


def test_mirrored_descriptors_are_those_of_the_mirrored_picture():
    image = draw("sample-parang", 1, SIZE)
    plain, mirrored = look(image, "a"), look(np.ascontiguousarray(image[:, ::-1]), "b")
    likeness = plain.features.mirrored.descriptors @ mirrored.features.descriptors.T
    assert np.median(likeness.max(axis=1)) > 0.99


def pair(a: str, b: str) -> Pair:
    return Pair(a, b, "exact", False, "")


def test_groups_are_numbered_by_first_appearance():
    paths = ["a", "b", "c", "d", "e"]
    found = [pair("b", "d"), pair("d", "e")]
    assert groups_from_pairs(paths, found).tolist() == [0, 1, 2, 1, 1]
    assert groups_from_pairs(paths, []).tolist() == [0, 1, 2, 3, 4]


def dataset_of(images: list[np.ndarray], names: list[str]) -> Dataset:
    motifs = tuple(sorted({name.split("/")[0] for name in names}))
    return Dataset(
        motifs=motifs,
        images=np.stack(images),
        labels=np.array([motifs.index(name.split("/")[0]) for name in names]),
        paths=tuple(names),
        sha256=tuple(look(image, name).sha256 for image, name in zip(images, names, strict=True)),
        groups=np.arange(len(names)),
        source=Source("drawn", "test"),
    )


def test_grouping_is_kept_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path))
    image, other = draw("sample-megamendung", 0, 128), draw("sample-megamendung", 1, 128)
    data = dataset_of([image, other, np.ascontiguousarray(image[:, ::-1])], ["m/1.png", "m/2.png", "n/3.png"])
    groups, pairs = grouping(data, None)
    assert groups.tolist() == [0, 1, 0] and groups.dtype == np.int64
    monkeypatch.setattr(sys.modules[grouping.__module__], "find_pairs", None)  # A second search would fail.
    again, kept = grouping(data, None)
    assert (again.tolist(), kept) == (groups.tolist(), pairs)
    (file,) = (tmp_path / "audit").iterdir()
    assert str(tmp_path).encode() not in file.read_bytes()


def test_the_audit_says_what_is_odd_and_names_paths_inside_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "photographs"
    study = load_study("bali-betawi-celup")
    for number, motif in enumerate(study.motifs):
        (folder / motif).mkdir(parents=True)
        for index in range(2):
            image = Image.fromarray(draw(SAMPLE_MOTIFS[number], index, 128))
            image.save(folder / motif / f"{index + 1}.jpg", quality=90)
    image = Image.open(folder / study.motifs[0] / "1.jpg").transpose(Image.Transpose.ROTATE_90)
    image.save(folder / study.motifs[1] / "9.jpg", quality=90)
    (folder / study.motifs[2] / "7.jpg").write_text("<html></html>")
    data = load_dataset(study, folder)
    copies, altered, misnamed, unused = oddities(data).values()
    assert copies == ["batik-bali/1.jpg and batik-betawi/9.jpg: rotated, in two folders"] and misnamed == []
    assert unused[0].startswith("batik-celup/7.jpg: ") and len(unused) == 1
    assert data.groups.tolist() == [0, 1, 2, 3, 0, 4, 5]
    # The folder's names are those of the published list, its files are not.
    assert len(altered) == 7 == data.source.altered - 1


def test_twins_across_are_test_rows_whose_group_also_trains():
    split = Split("published", 0, 0, train=(0, 1), val=(2,), test=(5, 3, 4))
    assert twins_across(split, np.array([0, 1, 2, 0, 2, 1])).tolist() == [3, 5]
