"""From a folder of whatever people have to one Dataset, decoded once."""

import hashlib
from unittest.mock import Mock

import numpy as np
import pytest
import tiny
from PIL import Image

from batik_utils import dataset as rooms
from batik_utils.data import obtain
from batik_utils.dataset import load_dataset
from batik_utils.errors import BatikError

BALI, TIMUR = "batik-bali", "batik Jawa Timur ✿ 蠟染"
NAMES = ("1.jpg", "10.jpg", "11.jpg", "foto ke 2 – é.jpg")


def study(*motifs, size=32, **more):
    return tiny.study(motifs=list(motifs or (BALI, TIMUR)), image={"size": size}, **more)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Two motifs, four pictures each (PNG named .jpg), a cache of its own, nothing else around."""
    monkeypatch.setattr(obtain, "ROOT", tmp_path / "here" / "project")
    for name, value in (("BATIK_CACHE", "cache"), ("KAGGLEHUB_CACHE", "kagglehub"), ("BATIK_OFFLINE", "1")):
        monkeypatch.setenv(name, str(tmp_path / value))
    noise = np.random.default_rng(0)
    for motif in (BALI, TIMUR):
        (tmp_path / "data" / motif).mkdir(parents=True)
        for name in NAMES:
            image = Image.fromarray(noise.integers(0, 256, (48, 60, 3), dtype=np.uint8))
            image.save(tmp_path / "data" / motif / name, "PNG")
    return tmp_path / "data"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache" / "images"


def test_rows_keep_pictures_labels_paths_hashes_and_facts_together(data):
    (data / BALI / "12.jpg").write_text("<html>not found</html>")
    (data / BALI / "13.jpg").write_bytes((data / BALI / "1.jpg").read_bytes()[:200])
    got = load_dataset(study(TIMUR, BALI), data)
    assert got.motifs == (TIMUR, BALI) and got.labels.tolist() == [0] * 4 + [1] * 4
    assert got.paths == tuple(f"{motif}/{name}" for motif in (TIMUR, BALI) for name in NAMES)
    assert got.images.shape == (8, 32, 32, 3) and got.images.dtype == np.uint8
    assert isinstance(got.images, np.memmap) and not got.images.flags.writeable
    for image, path, sha, facts in zip(got.images, got.paths, got.sha256, got.facts, strict=True):
        file = data / path
        assert sha == hashlib.sha256(file.read_bytes()).hexdigest()
        with Image.open(file) as picture:
            assert np.array_equal(image, np.asarray(picture.resize((32, 32), Image.Resampling.NEAREST)))
        assert (facts["format"], facts["extension_agrees"], facts["bytes"]) == ("PNG", False, file.stat().st_size)
    assert got.groups.dtype == np.int64 and len(got.groups) == 8
    (first, web_page), (second, _) = got.skipped  # what is not an image is listed
    assert (first, second) == (f"{BALI}/12.jpg", f"{BALI}/13.jpg") and "web page" in web_page
    assert (got.source.kind, got.source.description) == ("folder", "a folder of the reader's own")


def test_pictures_are_the_published_ones_where_half_of_those_used_are(data, monkeypatch):
    digests = [hashlib.md5((data / BALI / name).read_bytes()).hexdigest() for name in NAMES[:3]]
    listed = dict(zip((f"{BALI}/{name}" for name in (*NAMES, "gone.jpg")), (*digests, "0" * 32, ""), strict=True))
    monkeypatch.setattr(obtain, "published_files", lambda: listed)
    source = load_dataset(study(), data).source
    assert (source.identical, source.altered, source.missing, source.unlisted) == (3, 1, 1, 4)
    assert source.kind == "folder"
    (data / TIMUR / "1.jpg").write_text("<html>")  # not used, so that three of six are left
    (data / TIMUR / "10.jpg").unlink()
    got = load_dataset(study(), data)
    assert (got.source.kind, got.source.description) == ("published", "data folder given by DATA")
    assert not got.source.is_drawn
    assert [f["status"] for f in got.facts[:4]] == ["identical", "identical", "identical", "altered"]


def test_pictures_are_decoded_once_for_each_size_file_and_byte(data, cache, monkeypatch):
    first = load_dataset(study(), data)
    assert len([*cache.iterdir()]) == 2
    other = load_dataset(study(size=40), data)
    assert other.size == 40 and first.pictures(study().image) is first.images
    Image.new("RGB", (60, 48)).save(data / BALI / "3.jpg")
    load_dataset(study(), data)
    assert len([*cache.iterdir()]) == 6
    (data / BALI / "3.jpg").unlink()
    monkeypatch.setattr(rooms, "read_image", lambda *a, **k: pytest.fail("decoded again"))
    assert np.array_equal(first.pictures(study(size=40).image), other.images)
    again = load_dataset(study(), data)
    assert np.array_equal(first.images, again.images)
    assert again.fingerprint == first.fingerprint and again.facts == first.facts


@pytest.mark.parametrize("suffix", [".rgb", ".npz"])
@pytest.mark.parametrize("how", ["cut", "flipped", "gone"])
def test_a_damaged_cache_is_computed_again(data, cache, suffix, how):
    whole = np.array(load_dataset(study(), data).images)
    (file,) = cache.glob(f"*{suffix}")
    kept = file.read_bytes()
    content = bytearray(kept)
    if how == "flipped":
        content[len(content) // 2] ^= 1
    file.unlink()
    if how != "gone":
        file.write_bytes(content[: len(content) // 2] if how == "cut" else content)
    assert np.array_equal(load_dataset(study(), data).images, whole)
    assert file.read_bytes() == kept
    assert len([path for path in cache.iterdir() if path.suffix != ".bad"]) == 2


@pytest.mark.parametrize(("kept", "says"), [(0, "no usable image"), (1, "only one usable image")])
@pytest.mark.parametrize("others", ["gone", "web pages"])
def test_motifs_that_lack_two_images_are_told_together(data, kept, says, others):
    for path in [path for motif in (BALI, TIMUR) for path in sorted((data / motif).iterdir())[kept:]]:
        path.unlink() if others == "gone" else path.write_text("<html>")
    with pytest.raises(BatikError) as caught:
        load_dataset(study(), data)
    for motif, line in zip((BALI, TIMUR), str(caught.value).split("\n"), strict=True):
        assert line.startswith(f"The folder {motif} has {says}") and ("web page" in line) == (others == "web pages")


def test_an_interruption_leaves_no_cache_and_a_folder_that_cannot_be_written_is_one_line(data, cache, monkeypatch):
    picture = rooms.read_image(data / BALI / "1.jpg", 32, "nearest")
    # As Ctrl-C does; a signal would not come where the shell runs the tests in the background.
    monkeypatch.setattr(rooms, "read_image", Mock(side_effect=[picture, KeyboardInterrupt]))
    with pytest.raises(KeyboardInterrupt):
        load_dataset(study(), data)
    assert not any(cache.iterdir())
    (cache / "file").write_text("")
    monkeypatch.setenv("BATIK_CACHE", str(cache / "file"))
    with pytest.raises(BatikError, match="BATIK_CACHE"):
        load_dataset(study(), data)


def test_processes_side_by_side_give_the_same_pictures(data, tmp_path, monkeypatch):
    alone = load_dataset(study(), data)
    monkeypatch.setattr(rooms, "_SERIAL", 0)
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path / "second"))
    together = load_dataset(study(), data, progress=True)
    assert np.array_equal(alone.images, together.images) and alone.fingerprint == together.fingerprint


def test_the_sample_is_drawn_once_and_says_what_it_is(data, cache, monkeypatch):
    monkeypatch.setattr(rooms, "SAMPLE_PER_MOTIF", 3)
    drawn = study("sample-kawung", "sample-parang", data="sample")
    with pytest.raises(BatikError, match="draws its own pictures"):
        load_dataset(drawn, data)
    with pytest.raises(BatikError, match="no motif 'sample-kawun'"):
        load_dataset(study("sample-kawun", "sample-parang", data="sample"))
    got = load_dataset(drawn)
    assert got.source.kind == "drawn" and got.source.is_drawn and "not batik photographs" in got.source.description
    assert got.paths[:2] == ("sample-kawung/01.png", "sample-kawung/02.png") and len(got) == 6
    assert got.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert got.sha256[4] == hashlib.sha256(np.array(got.images[4]).tobytes()).hexdigest()
    assert len(set(got.sha256)) == 6
    monkeypatch.setattr(rooms, "_draw", lambda *a: pytest.fail("drawn again"))
    assert load_dataset(drawn).fingerprint == got.fingerprint and len([*cache.iterdir()]) == 2
