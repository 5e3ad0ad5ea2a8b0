"""The audit finds every planted copy and no other, and proposes pictures of one source, kept on one side."""

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tiny
from PIL import Image
from typer.testing import CliRunner

from batik_utils import cli
from batik_utils.audit import find, grouping, groups_from_pairs, oddities
from batik_utils.audit.find import find_pairs, lay_on
from batik_utils.audit.sources import contact_sheet, propose_sources
from batik_utils.data.obtain import published_files
from batik_utils.dataset import load_dataset, unite
from batik_utils.errors import BatikError
from batik_utils.sample import SAMPLE_MOTIFS, draw
from batik_utils.stats.mistakes import twins_across
from batik_utils.study_file import load_study, read_yaml
from batik_utils.values import Pair, Split

SIZE = 256
ORIGINALS = 32


def jpeg(image, quality):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def crop(image, top, left, share=0.85):
    side = round(share * len(image))
    y, x = (round(at * (len(image) - side)) for at in (top, left))
    return image[y : y + side, x : x + side]


def half(image):
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def collage(image):
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


def test_all_planted_copies_are_found_under_their_names_and_no_other_pair():
    places = [(SAMPLE_MOTIFS[i % len(SAMPLE_MOTIFS)], i // len(SAMPLE_MOTIFS)) for i in range(ORIGINALS)]
    images = [draw(motif, index, SIZE) for motif, index in places]
    names = [f"{motif}/{index:02d}.png" for motif, index in places]
    expected = set()
    for number, (row, how, kind) in enumerate(PLANTED):
        images.append(np.ascontiguousarray(how(images[row])))
        names.append(f"zz-other/{number:02d}.png")  # Another label, and last in the order of names.
        expected.add((names[row], names[-1], kind))
    pairs = find_pairs(images, names)
    assert {(p.a, p.b, p.kind) for p in pairs} == expected
    assert all(p.labels_differ and "\n" not in p.reason for p in pairs)


def test_files_are_found_as_arrays_are_and_one_that_is_no_image_is_named(tmp_path):
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


def test_groups_are_numbered_by_first_appearance():
    found = [Pair(*ab, "exact", False, "") for ab in ("bd", "de")]
    assert groups_from_pairs([*"abcde"], found).tolist() == [0, 1, 2, 1, 1]
    assert groups_from_pairs([*"abcde"], []).tolist() == [0, 1, 2, 3, 4]


def test_the_audit_says_what_is_odd_by_paths_inside_the_folder_and_keeps_what_it_found(tmp_path, monkeypatch):
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path / "cache"))
    study, folder = load_study("bali-betawi-celup"), tmp_path / "photographs"
    for number, motif in enumerate(study.motifs):
        for index in range(2):
            save(folder, f"{motif}/{index + 1}.jpg", draw(SAMPLE_MOTIFS[number], index, 128), quality=90)
    turned = np.rot90(Image.open(folder / study.motifs[0] / "1.jpg"))
    save(folder, f"{study.motifs[1]}/9.jpg", turned, quality=90)
    (folder / study.motifs[2] / "7.jpg").write_text("<html></html>")
    data = load_dataset(study, folder)
    copies, altered, misnamed, unused = oddities(data).values()
    assert copies == ["batik-bali/1.jpg and batik-betawi/9.jpg: rotated, in two folders"] and misnamed == []
    assert unused[0].startswith("batik-celup/7.jpg: ") and len(unused) == 1
    assert data.groups.tolist() == [0, 1, 2, 3, 0, 4, 5] and data.groups.dtype == np.int64
    # The folder's names are those of the published list, its files are not.
    assert len(altered) == 7 == data.source.altered - 1
    monkeypatch.setattr("batik_utils.audit.find_pairs", None)  # A second search would fail.
    assert grouping(data, folder)[1] == data.pairs
    (file,) = (tmp_path / "cache" / "audit").iterdir()
    assert str(tmp_path).encode() not in file.read_bytes()


def test_twins_across_are_test_rows_whose_group_also_trains():
    split = Split("published", 0, 0, train=(0, 1), val=(2,), test=(5, 3, 4))
    assert twins_across(split, np.array([0, 1, 2, 0, 2, 1])).tolist() == [3, 5]


LABEL = np.kron(np.random.default_rng(7).integers(0, 2, (5, 10)), np.ones((4, 4))).astype(bool)


def cloth(seed, size=(120, 160), cells=30):
    """[h, w, 3], a patterned cloth like no other."""
    coarse = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)).copy()


def save(folder, name, pixels, **how):
    (folder / name).parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(pixels).save(folder / name, "JPEG", **how)


def photographs(folder):
    """40 pictures of two motifs, sizes and qualities as they come; among them four sources."""
    for i in range(28):
        save(folder, f"{tiny.MOTIFS[i % 2]}/{i}.jpg", cloth(i, (100 + 7 * i, 150 - 2 * (i % 5))), quality=60 + i % 5)
    for i in (40, 41, 42):  # a label below on the right
        pixels = cloth(i)
        pixels[100:120, 120:160] = np.where(LABEL, 255, 0)[..., None]
        save(folder, f"{tiny.MOTIFS[i % 2]}/{i}.jpg", pixels, quality=70 + i % 40)
    for i in (50, 51):  # one camera
        exif = Image.Exif()
        exif[0x010F], exif[0x0110] = "Nikon", "D40"
        save(folder, f"{tiny.MOTIFS[0]}/{i}.jpg", cloth(i, (90 + i, 140)), quality=60 + i % 5, exif=exif)
    for i in (60, 61, 62):  # one size and quality of their own
        save(folder, f"{tiny.MOTIFS[1]}/{i}.jpg", cloth(i, (77, 333)), quality=93)
    for i in (70, 71):  # one garment before one ground, in two colours
        pixels = np.full((140, 100 + i, 3), 250, np.uint8)
        pixels[20:120, 30:130] = cloth(i, (100, 100), 40) // 4 + np.array([90, 40, 10 * (i - 69)], np.uint8)
        save(folder, f"{tiny.MOTIFS[0]}/{i}.jpg", pixels, quality=60 + i % 5)
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.jpg"))


def one(*pictures, name="a vendor", why="its mark"):
    return {"name": name, "why": why, "pictures": list(pictures)}


def test_sources_are_proposed_from_marks_cameras_encoders_and_layouts_and_from_nothing_else(tmp_path):
    paths = photographs(tmp_path)
    found = propose_sources(tmp_path, paths)
    numbered = [(sorted(int(p.split("/")[1][:-4]) for p in pictures), why) for pictures, why in found]
    assert {tuple(numbers): tuple(why) for numbers, why in numbered} == {
        (40, 41, 42): ("one mark or frame",),
        (50, 51): ("one camera",),
        (60, 61, 62): ("one size and encoder",),
        (70, 71): ("one layout", "one mark or frame"),
    }


def test_a_contact_sheet_shows_each_picture_at_its_place(tmp_path):
    for i, colour in enumerate(((255, 0, 0), (0, 255, 0), (0, 0, 255))):
        save(tmp_path, f"a/{i}.jpg", np.full((50, 60, 3), colour, np.uint8))
    contact_sheet(tmp_path, [f"a/{i}.jpg" for i in range(3)], tmp_path / "sheets" / "one.png", columns=2, cell=100)
    with Image.open(tmp_path / "sheets" / "one.png") as sheet:
        assert sheet.size == (200, 200)
        shown = [sheet.getpixel((x + 30, y + 40)) for x, y in ((0, 0), (100, 0), (0, 100))]
    assert [int(np.argmax(pixel)) for pixel in shown] == [0, 1, 2]


def test_a_source_takes_in_whole_groups_of_near_duplicates_and_never_divides_one():
    data = tiny.dataset()
    paths, groups = data.paths, np.arange(24)
    groups[[1, 2]] = 1  # 1 and 2 are one picture
    confirmed = [one(paths[0], paths[1]), one(paths[2], paths[5], name="another"), one(paths[8], "batik-else/1.jpg")]
    sources = unite(tiny.study(sources=confirmed), data, groups)
    joined = [np.flatnonzero(sources == number).tolist() for number in np.unique(sources)]
    assert [rows for rows in joined if len(rows) > 1] == [[0, 1, 2, 5]] and len(joined) == 21
    assert unite(tiny.study(), data, groups).tolist() == groups.tolist() and data.sources is data.groups
    assert replace(data, sources=sources).fingerprint == data.fingerprint, "a corrected list spoils no other result"


def test_published_names_mean_the_published_pictures_and_may_be_missing():
    def united(kind, *paths):
        source = replace(tiny.dataset().source, kind=kind)
        data = replace(tiny.dataset(), motifs=("batik-bali", "batik-celup"), paths=paths, source=source)
        confirmed = [one("batik-bali/1.jpg", "batik-bali/2.jpg", "batik-celup/3.jpg")]
        return unite(tiny.study(motifs=list(data.motifs), sources=confirmed), data, np.arange(len(paths))).tolist()

    assert united("published", "batik-bali/1.jpg", "batik-celup/2.jpg", "batik-celup/3.jpg") == [0, 1, 0]
    assert united("folder", "batik-bali/1.jpg", "batik-bali/2.jpg") == [0, 1]  # somebody's own pictures


def test_a_study_takes_a_shared_list_by_its_name_and_says_what_is_wrong_with_one():
    study = load_study("sidoluhur-tambal-betawi")
    assert study.sources == load_study("bali-betawi-celup").sources and len(study.sources) > 50
    assert {picture for source in study.sources for picture in source.pictures} <= set(published_files())
    names = [source.name for source in study.sources]
    assert len(set(names)) == len(names) and all(source.why for source in study.sources)
    assert load_study("bali-betawi-celup", ["sources=[]"]).sources == ()
    with pytest.raises(BatikError, match=r"no list 'indonesian-batik', did you mean 'indonesian-batik-motifs'"):
        tiny.study(sources="indonesian-batik")
    for wrong, said in (
        (one("a/1.jpg") | {"picture": "x"}, r"unknown key 'sources.0.picture', did you mean 'pictures'"),
        ({"name": "a", "pictures": ["a/1.jpg"]}, r"'sources.0.why' is missing"),
        (one(), r"'sources.0.pictures': needs one value or more"),
        (one(1), r"'sources.0.pictures.0'"),
    ):
        with pytest.raises(BatikError, match=said):
            tiny.study(sources=[wrong])


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The photographs in a folder, and a cache of their own."""
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path / "cache"))
    photographs(tmp_path / "data")
    return tmp_path / "data"


def test_loading_a_study_joins_its_sources_and_names_a_picture_that_there_is_none_of(data):
    (data / tiny.MOTIFS[0] / "page.jpg").write_text("<html>")
    confirmed = one(f"{tiny.MOTIFS[0]}/40.jpg", f"{tiny.MOTIFS[1]}/41.jpg", f"{tiny.MOTIFS[0]}/page.jpg")
    loaded = load_dataset(tiny.study(sources=[confirmed]), data)
    number = dict(zip(loaded.paths, loaded.sources.tolist(), strict=True))
    assert number[f"{tiny.MOTIFS[0]}/40.jpg"] == number[f"{tiny.MOTIFS[1]}/41.jpg"]
    assert len(np.unique(loaded.sources)) == len(np.unique(loaded.groups)) - 1
    with pytest.raises(BatikError, match=rf"source 'a vendor' names {tiny.MOTIFS[0]}/99.jpg"):
        load_dataset(tiny.study(sources=[one(f"{tiny.MOTIFS[0]}/99.jpg")]), data)


def test_the_command_writes_sheets_and_prints_yaml_that_a_study_takes(data, tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "load_study", lambda name: tiny.study(name="cloth"))
    said = CliRunner().invoke(cli.app, ["sources", "cloth", "--data", str(data)], catch_exceptions=False)
    proposed = tiny.study(sources=read_yaml(said.stdout.encode(), "proposals")).sources
    assert sorted(len(source.pictures) for source in proposed) == [2, 2, 3, 3]
    written = {path.stem for path in (tmp_path / "cache" / "sources" / "cloth").glob("*.png")}
    assert written == {source.name for source in proposed} | {"lone-001", "lone-002"}
    monkeypatch.undo()
    assert "draws its own pictures" in str(CliRunner().invoke(cli.app, ["sources", "sample"]).exception)
