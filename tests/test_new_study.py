"""`batik new` looks at a folder of pictures, writes a study that fits it, and refuses kindly."""

import numpy as np
import pytest
from PIL import Image

from batik_utils.data.split import PROTOCOLS, published_split
from batik_utils.dataset import load_dataset
from batik_utils.errors import BatikError
from batik_utils.new_study import CHOICES, MINUTES, _affordable, new_study
from batik_utils.study_file import load_study


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """pictures(folder=count, …) makes noisy pictures; the folder of them."""
    monkeypatch.setenv("BATIK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("batik_utils.data.obtain.ROOT", tmp_path / "project" / "main")
    (tmp_path / "studies").mkdir()
    draw = np.random.default_rng(0)

    def make(mode="RGB", side=40, suffix=".png", **counts):
        for name, count in counts.items():
            (tmp_path / "data" / name).mkdir(parents=True)
            for i in range(count):
                pixels = draw.integers(0, 256, (side, side, 3), dtype=np.uint8)
                Image.fromarray(pixels).convert(mode).save(tmp_path / "data" / name / f"{i}{suffix}")
        return tmp_path / "data"

    return make


def written(tmp_path):
    return load_study(tmp_path / "studies" / "cloth.yaml")


@pytest.mark.parametrize(
    ("counts", "options", "folds"),
    [
        ({"plain": 8, "twill": 8}, {}, 4),
        ({"plain": 12, "twill": 26}, {"mode": "L", "side": 90}, 5),
        ({"plain": 11, "twill": 12}, {"suffix": ".webp"}, 5),
        ({f"weave {i}": 6 for i in range(7)}, {"side": 24}, 3),
    ],
    ids=["few", "grey and uneven", "webp", "seven"],
)
def test_the_study_is_sound_and_its_protocols_work(pictures, tmp_path, counts, options, folds):
    data = pictures(**options, **counts)
    said, study = new_study("cloth", data, tmp_path), written(tmp_path)
    assert set(study.motifs) == set(counts) and study.grouped.folds == folds
    recipe, chosen = study.models["recipe"], load_study("bali-betawi-celup").models["recipe"]
    assert (recipe.parts, recipe.strength) == (chosen.parts, chosen.strength)
    assert recipe.metric is None, "no pictures of other motifs are at hand"
    dataset = load_dataset(study, data, progress=False)
    for name, protocol in PROTOCOLS.items():
        rounds = list(protocol(study, dataset, study.grouped.pretrained))
        assert name == "runs" or all(split.test for part in rounds for split in part.splits)
    curve = study.grouped.curve
    assert len(curve) != 1 and max(curve, default=0) < min(counts.values()) * (folds - 1) / folds
    text = (tmp_path / "studies" / "cloth.yaml").read_text()
    assert all(f"# {n}\n" in text for n in counts.values())
    assert "minutes" in said[2] and said[-1] == f"Next: make report STUDY=cloth DATA={data}"


def test_where_published_pictures_of_other_motifs_are_at_hand_the_recipe_has_a_metric(pictures, tmp_path, monkeypatch):
    data = pictures(plain=8, twill=8)
    others = (data, [data / "plain" / "0.png"] * 30)
    monkeypatch.setattr("batik_utils.new_study.motifs_apart", lambda motifs, sources, folder: others)
    new_study("cloth", data, tmp_path)
    assert written(tmp_path).models["recipe"].metric.scale == 10


def test_it_says_beforehand_which_names_show_as_code_points(pictures, tmp_path):
    data = pictures(**{"plain": 6, "蠟染": 6})
    assert new_study("cloth", data, tmp_path)[1].endswith("show as code points: 蠟染 as ‹U+881F 67D3›.")
    for number, path in enumerate(sorted(data.rglob("*.png"))):
        path.rename(path.with_name(f"ไ{number}.png"))
    assert "ไ0.png as ‹U+0E44›0.png" in (said := new_study("cloth-2", data, tmp_path)[1]) and "and 3 more" in said


def test_copies_and_what_is_no_picture_are_not_counted(pictures, tmp_path):
    data = pictures(plain=8, twill=8)
    (data / "plain" / "copy.png").write_bytes((data / "plain" / "0.png").read_bytes())
    (data / "twill" / "page.jpg").write_text("<html>")
    assert "17 pictures in 2 classes of 8 to 9; 1 file cannot be used" in new_study("cloth", data, tmp_path)[0]
    assert "The smallest class has 8 pictures that are no copies" in (tmp_path / "studies/cloth.yaml").read_text()


@pytest.mark.parametrize("lacking", [False, True])
def test_parts_are_read_as_one_and_their_split_is_the_studys_own(pictures, tmp_path, monkeypatch, lacking):
    counts = {"Train/plain": 8, "Train/twill": 8, "valid/plain": 2, "valid/twill": 3, "valid/satin": 0}
    data = pictures(**{f"archive/{name}": n for name, n in counts.items() if not (lacking and name == "valid/twill")})
    monkeypatch.setattr("batik_utils.data.split.ROOT", tmp_path)
    said = new_study("cloth", data, tmp_path)
    kept = "not kept: one of them lacks a class" if lacking else "kept as the study's own, studies/splits/cloth.csv"
    assert said[1] == f"Train and valid in {data / 'archive'} are read as one; their split is {kept}."
    study = written(tmp_path)
    dataset = load_dataset(study, data)
    split = published_split(study, dataset)
    parts = [{dataset.paths[row].partition("/")[0] for row in rows} for rows in (split.train, split.test)]
    assert study.motifs == ("plain", "twill") and len(dataset) == (18 if lacking else 21)
    assert (parts == [{"Train"}, {"valid"}]) == (study.published.split == "listed") != lacking


def test_no_folder_is_chosen_among_several_and_what_a_phone_writes_is_found(pictures, tmp_path):
    data = pictures(**{"a/plain": 10, "a/twill": 10, "b/plain": 6, "b/twill": 6})
    with pytest.raises(BatikError, match=r"lie in .*data/a and .*data/b: give one of these as DATA"):
        new_study("cloth", data, tmp_path)
    for path in (data / "a").rglob("*.png"):
        Image.open(path).save(path.with_suffix(".AVIF" if path.parent.name == "twill" else ".HEIC"), "AVIF")
        path.unlink()
    assert new_study("cloth", data / "a", tmp_path)[0] == "20 pictures in 2 classes of 10."


@pytest.mark.parametrize(
    ("name", "counts", "message"),
    [
        ("My Cloth", {}, "small letters, digits and hyphens"),
        ("photographs", {}, "such as my-cloth, not 'photographs'"),
        ("taken", {}, "There is a study taken already"),
        ("cloth", {}, "There is no folder"),
        ("cloth", {"plain": 6}, "two or more folders of pictures, one for each class; it has only plain"),
        ("cloth", {"plain": 6, "twill": 0}, "it has only plain"),
        ("cloth", {"plain": 6, "twill": 6, "suffix": ".webp"}, "a class needs ten, or 6 that are all PNG or JPEG"),
        ("cloth", {"plain": 6, "twill": 4, "satin": 3}, r"too few are in satin \(3\), twill \(4\)"),
    ],
)
def test_it_refuses_kindly_and_writes_nothing(pictures, tmp_path, name, counts, message):
    data = pictures(**counts)
    (tmp_path / "studies" / "taken.yaml").write_text("name: taken\n")
    with pytest.raises(BatikError, match=message):
        new_study(name, data, tmp_path)
    assert [p.name for p in (tmp_path / "studies").iterdir()] == ["taken.yaml"]


def test_many_pictures_get_a_cheaper_study_and_small_ones_no_larger_pixels(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    large = {"width": 900, "height": 700}
    few, many, most = (_affordable(n, [large]) for n in (100, 2000, 10**6))
    assert few["here"] <= many["here"] <= MINUTES < most["here"]
    assert (few["size"], few["epochs"]) == (224, 20) and many["size"] < 224
    assert (most["size"], most["epochs"], most["repeats"]) == CHOICES[-1]
    assert _affordable(100, [{"width": 40, "height": 50}])["size"] == 96
