"""Pictures of one source: proposed from files and pictures, confirmed in YAML, and kept on one side."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
from PIL import Image
from typer.testing import CliRunner

from batik_utils import cli
from batik_utils.audit.sources import contact_sheet, propose_sources
from batik_utils.data.obtain import published_files
from batik_utils.dataset import load_dataset, unite
from batik_utils.errors import BatikError
from batik_utils.study_file import load_study, read_yaml

LABEL = np.kron(np.random.default_rng(7).integers(0, 2, (5, 10)), np.ones((4, 4))).astype(bool)
MOTIFS = tiny.MOTIFS


def cloth(seed, size=(120, 160), cells=30):
    """[h, w, 3], a patterned cloth like no other."""
    coarse = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)).copy()


def save(folder, name, pixels, **how):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path, "JPEG", **how)


def photographs(folder):
    """40 pictures of two motifs, sizes and qualities as they come; among them four sources."""
    for i in range(28):
        save(folder, f"{MOTIFS[i % 2]}/{i}.jpg", cloth(i, (100 + 7 * i, 150 - 2 * (i % 5))), quality=60 + i % 5)
    for i in (40, 41, 42):  # a label below on the right
        pixels = cloth(i)
        pixels[100:120, 120:160] = np.where(LABEL, 255, 0)[..., None]
        save(folder, f"{MOTIFS[i % 2]}/{i}.jpg", pixels, quality=70 + i % 40)
    for i in (50, 51):  # one camera
        exif = Image.Exif()
        exif[0x010F], exif[0x0110] = "Nikon", "D40"
        save(folder, f"{MOTIFS[0]}/{i}.jpg", cloth(i, (90 + i, 140)), quality=60 + i % 5, exif=exif)
    for i in (60, 61, 62):  # one size and quality of their own
        save(folder, f"{MOTIFS[1]}/{i}.jpg", cloth(i, (77, 333)), quality=93)
    for i in (70, 71):  # one garment before one ground, in two colours
        pixels = np.full((140, 100 + i, 3), 250, np.uint8)
        pixels[20:120, 30:130] = cloth(i, (100, 100), 40) // 4 + np.array([90, 40, 10 * (i - 69)], np.uint8)
        save(folder, f"{MOTIFS[0]}/{i}.jpg", pixels, quality=60 + i % 5)
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
    assert unite(tiny.study(), data, groups).tolist() == groups.tolist()


def test_published_names_mean_the_published_pictures_and_may_be_missing():
    def united(kind, *paths):
        source = replace(tiny.dataset().source, kind=kind)
        data = replace(tiny.dataset(), motifs=("batik-bali", "batik-celup"), paths=paths, source=source)
        confirmed = [one("batik-bali/1.jpg", "batik-bali/2.jpg", "batik-celup/3.jpg")]
        return unite(tiny.study(motifs=list(data.motifs), sources=confirmed), data, np.arange(len(paths))).tolist()

    assert united("published", "batik-bali/1.jpg", "batik-celup/2.jpg", "batik-celup/3.jpg") == [0, 1, 0]
    assert united("folder", "batik-bali/1.jpg", "batik-bali/2.jpg") == [0, 1]  # somebody's own pictures


def test_without_confirmed_sources_each_group_is_one_and_a_corrected_list_spoils_no_other_result():
    data = tiny.dataset()
    assert data.sources is data.groups
    assert replace(data, sources=np.zeros(24, np.int64)).fingerprint == data.fingerprint


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
    (tmp_path / "data").mkdir()
    photographs(tmp_path / "data")
    return tmp_path / "data"


def test_loading_a_study_joins_its_sources_and_names_a_picture_that_there_is_none_of(data):
    (data / MOTIFS[0] / "page.jpg").write_text("<html>")
    confirmed = one(f"{MOTIFS[0]}/40.jpg", f"{MOTIFS[1]}/41.jpg", f"{MOTIFS[0]}/page.jpg")
    loaded = load_dataset(tiny.study(sources=[confirmed]), data)
    number = dict(zip(loaded.paths, loaded.sources.tolist(), strict=True))
    assert number[f"{MOTIFS[0]}/40.jpg"] == number[f"{MOTIFS[1]}/41.jpg"]
    assert len(np.unique(loaded.sources)) == len(np.unique(loaded.groups)) - 1
    with pytest.raises(BatikError, match=rf"source 'a vendor' names {MOTIFS[0]}/99.jpg"):
        load_dataset(tiny.study(sources=[one(f"{MOTIFS[0]}/99.jpg")]), data)


def test_the_command_writes_sheets_and_prints_yaml_that_a_study_takes(data, tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "load_study", lambda name: tiny.study(name="cloth"))
    said = CliRunner().invoke(cli.app, ["sources", "cloth", "--data", str(data)], catch_exceptions=False)
    proposed = tiny.study(sources=read_yaml(said.stdout.encode(), "proposals")).sources
    assert sorted(len(source.pictures) for source in proposed) == [2, 2, 3, 3]
    written = {path.stem for path in (tmp_path / "cache" / "sources" / "cloth").glob("*.png")}
    assert written == {source.name for source in proposed} | {"lone-001", "lone-002"}
    monkeypatch.undo()
    assert "draws its own pictures" in str(CliRunner().invoke(cli.app, ["sources", "sample"]).exception)
