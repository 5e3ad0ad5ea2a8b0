"""Who trains and who tests."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import tiny
from PIL import Image

from batik_utils.data import split as split_module
from batik_utils.data.split import PROTOCOLS, grouped_splits, published_split
from batik_utils.errors import BatikError
from batik_utils.study import ROOT, PictureSource, Published, Repetition

MOTIFS = ("batik-bali", "batik-betawi", "batik-celup")


def study(split="keras-validation-split", folds=5, curve=(5, 10, 20)):
    return tiny.study(motifs=list(MOTIFS), published={"split": split}, grouped={"folds": folds, "curve": list(curve)})


def dataset(per_motif=50, groups=None, names=None):
    names = sorted(names or [f"{i}.jpg" for i in range(1, per_motif + 1)])
    n = len(names) * len(MOTIFS)
    return replace(
        tiny.dataset(),
        motifs=MOTIFS,
        images=np.zeros((n, 2, 2, 3), np.uint8),
        labels=np.repeat(np.arange(len(MOTIFS)), len(names)),
        paths=tuple(f"{m}/{name}" for m in MOTIFS for name in names),
        sha256=tuple(f"{i:064x}" for i in range(n)),
        groups=np.arange(n) if groups is None else np.asarray(groups),
        sources=None,
        facts=(),
    )


PAIRS = np.arange(150) // 2  # neighbours are near-duplicates of each other, two and two


def curve(study, data, repeats):
    return [s for part in PROTOCOLS["curve"](study, data, Repetition(repeats=repeats)) for s in part.splits]


def whole(split, n):
    return sorted((*split.train, *split.val, *split.test)) == list(range(n))


def labels(data, rows):
    return Counter(data.labels[list(rows)].tolist())


def parted(split, groups):
    """Whether no group is both trained with and tested."""
    return not set(groups[list(split.train)]) & set(groups[list(split.test)])


@pytest.mark.parametrize("count", [5, 9, 14])
def test_the_published_split_is_what_keras_itself_does(tmp_path, count):
    from batik_utils import backend  # noqa: F401  (before keras)

    image = pytest.importorskip("keras.src.legacy.preprocessing.image")
    names = [f"{i}.jpg" for i in range(1, count + 1)]
    names += ["Ämne 1.PNG", "b 2.jpeg", "tied.gif", "web.webp", "Z.TIF", "_a.bmp"]
    for motif in MOTIFS:
        (tmp_path / motif).mkdir()
        for name in names:
            Image.new("RGB", (4, 4)).save(tmp_path / motif / name)
    keras, data = image.ImageDataGenerator(validation_split=0.2), dataset(names=names)
    split = published_split(study(), data)
    for rows, subset in ((split.test, "validation"), (split.train, "training")):
        flow = keras.flow_from_directory(tmp_path, (4, 4), classes=list(MOTIFS), subset=subset, shuffle=False)
        assert [data.paths[i] for i in rows] == flow.filenames
    assert split.val == ()


@pytest.mark.parametrize(
    ("kind", "sizes", "too_few"), [("keras-validation-split", (40, 0, 10), 4), ("stratified-80-10-10", (40, 5, 5), 6)]
)
def test_a_published_split_is_stratified_knows_nothing_of_groups_and_says_where_images_are_too_few(
    kind, sizes, too_few
):
    data = dataset()
    split = published_split(study(kind), data)
    for rows, each in zip((split.train, split.val, split.test), sizes, strict=True):
        assert whole(split, 150) and labels(data, rows) == (dict.fromkeys(range(3), each) if each else {})
    assert split == published_split(study(kind), dataset(groups=PAIRS))
    with pytest.raises(BatikError, match="batik-bali"):
        published_split(study(kind), dataset(too_few))


def test_a_listed_split_is_what_its_file_says_and_leaves_out_what_it_does_not_name(monkeypatch, tmp_path):
    monkeypatch.setattr(split_module, "ROOT", tmp_path)
    data, listed = dataset(), study().model_copy(update={"published": Published(split="listed", files="some")})
    with pytest.raises(BatikError, match=r"published\.files names some\.csv"):
        published_split(listed, data)
    file = tmp_path / "studies" / "splits" / "some.csv"
    file.parent.mkdir(parents=True)
    cells = {path: ("test", "val", "", "train")[min(i % 50, 3)] for i, path in enumerate(data.paths)}
    lines = ["path,part", *(f"{path},{part}" for path, part in cells.items() if part), "batik-elsewhere/1.jpg,test"]
    file.write_text("\n".join(lines))
    split = published_split(listed, data)
    assert (split.test, split.val) == ((0, 50, 100), (1, 51, 101)) and len(split.train) == 141
    file.write_text("\n".join(line for line in lines if not line.endswith("val")))
    assert published_split(listed, data).val == ()
    file.write_text("\n".join(lines[:1] + lines[2:]))
    with pytest.raises(BatikError, match="batik-bali has no image to test"):
        published_split(listed, data)


def test_the_list_of_study_two_names_40_5_and_5_of_each_motif():
    rows = (ROOT / "studies" / "splits" / "sidoluhur-tambal-betawi-seed.csv").read_text().splitlines()[1:]
    parts = Counter((row.split("/")[0], row.split(",")[1]) for row in rows)
    assert sorted(parts.values()) == [5] * 6 + [40] * 3 and {
        n for (_, part), n in parts.items() if part == "train"
    } == {40}
    assert "batik-tambal/43.jpg,test" in rows and "batik-tambal/39.jpg,train" in rows


@pytest.mark.parametrize("groups", [None, PAIRS])
def test_grouped_folds_test_every_image_once_and_never_divide_a_group(groups):
    data = dataset(groups=groups)
    splits = grouped_splits(study(), data, repeats=3)
    assert [(s.repeat, s.fold) for s in splits] == [(r, f) for r in range(3) for f in range(5)]
    for split in splits:
        assert whole(split, 150) and split.val == () and split.protocol == "grouped"
        assert parted(split, data.groups)
        assert all(8 <= n <= 12 for n in labels(data, split.test).values()) and len(labels(data, split.test)) == 3
        assert sorted(i for s in splits if s.repeat == split.repeat for i in s.test) == list(range(150))
    assert splits[0].test != splits[5].test and splits == grouped_splits(study(), data, repeats=3)
    shared = np.arange(150)
    shared[[60, 120]] = 3  # one picture in all three motifs
    for split in grouped_splits(study(), dataset(groups=shared), repeats=2):
        assert len({i in split.test for i in (3, 60, 120)}) == 1


def test_sources_are_kept_together_where_a_study_confirms_some():
    sources = np.arange(150) // 2
    sources[100:117] = 99  # one vendor gives 17 of 50
    data = replace(dataset(groups=PAIRS), sources=sources)
    named = study().model_copy(update={"sources": (PictureSource(name="a", why="b", pictures=("c/1.jpg",)),)})
    (part,) = PROTOCOLS["sources"](named, data, Repetition(sources=2))
    assert [(s.repeat, s.fold) for s in part.splits] == [(r, f) for r in (0, 1) for f in range(5)]
    for split in part.splits:
        assert whole(split, 150) and parted(split, sources) and split.protocol == "sources"
    assert not list(PROTOCOLS["sources"](named, data, Repetition(sources=0)))
    assert not list(PROTOCOLS["sources"](study(), data, Repetition()))
    few = replace(data, sources=np.where(data.labels == 1, np.arange(150) % 4 + 500, sources))
    with pytest.raises(BatikError, match=r"batik-betawi has 4 different sources.*5 folds"):
        list(PROTOCOLS["sources"](named, few, Repetition()))


def test_too_few_groups_are_an_error_that_names_the_motif():
    groups = np.arange(150)
    groups[50:100] = np.arange(50) % 4 + 1000
    with pytest.raises(BatikError, match=r"batik-betawi has 4 different images.*5 folds; set .*folds to 4 or lower\."):
        grouped_splits(study(), dataset(groups=groups), repeats=1)
    chained = np.arange(150)
    chained[:100] = np.tile(np.arange(50) // 9, 2) + 1000  # every bali is also a betawi, in six uneven groups
    for split in grouped_splits(study(folds=2), dataset(groups=chained), repeats=1):
        assert set(labels(dataset(), split.test)) == {0, 1, 2}


def test_learning_curves_are_nested_and_balanced_and_keep_the_folds_test_images():
    data = dataset(groups=PAIRS)
    found = curve(study(), data, 2)
    grouped = {(s.repeat, s.fold): s for s in grouped_splits(study(), data, repeats=2)}
    assert [s.protocol for s in found[::10]] == ["curve-5", "curve-10", "curve-20"] and len(found) == 30
    by_k = {k: {(s.repeat, s.fold): s for s in found if s.protocol == f"curve-{k}"} for k in (5, 10, 20)}
    for place, fold in grouped.items():
        five, ten, twenty = (by_k[k][place] for k in (5, 10, 20))
        assert set(five.train) < set(ten.train) < set(twenty.train) <= set(fold.train)
        assert five.test == ten.test == fold.test
        assert labels(data, five.train) == dict.fromkeys(range(3), 5)
        assert labels(data, twenty.train) == dict.fromkeys(range(3), 20)
    assert len({s.train for s in by_k[5].values()}) == 10
    assert found == curve(study(), data, 2)
    few = dataset(per_motif=10)
    for split in curve(study(curve=(5, 10)), few, 1):  # a motif with fewer in a fold gives all it has
        assert labels(few, split.train) == dict.fromkeys(range(3), 5 if split.protocol == "curve-5" else 8)
    with pytest.raises(
        BatikError, match="for 1,000 pictures of each motif, but batik-bali has 10, and 5 folds train on 8"
    ):
        curve(study(curve=(5, 1000)), few, 1)


def test_permuted_labels_are_chance_copies_share_theirs_and_each_round_has_its_own_splits():
    data = dataset(groups=PAIRS)
    rounds = list(PROTOCOLS["permuted"](study(), data, Repetition(permuted=2)))
    assert [{(s.protocol, s.repeat) for s in part.splits} for part in rounds] == [{("permuted", r)} for r in (0, 1)]
    for part in rounds:
        assert len(part.splits) == 5
        assert Counter(part.labels.tolist()) == Counter(data.labels.tolist())
        assert 0.15 < np.mean(part.labels == data.labels) < 0.55
        for split in part.splits:
            assert len(set(part.labels[list(split.test)])) == 3 and parted(split, PAIRS)
    assert not np.array_equal(rounds[0].labels, rounds[1].labels)
    (again,) = PROTOCOLS["permuted"](study(), replace(data, labels=np.arange(150) % 3), Repetition(permuted=1))
    assert all(
        len(set(dealt[g == PAIRS])) == 1 for dealt in (rounds[0].labels, again.labels) for g in set(PAIRS.tolist())
    )
    for name in ("curve", "permuted"):  # only where they are asked for
        assert not list(PROTOCOLS[name](study(), data, Repetition(curve=0, permuted=0)))
