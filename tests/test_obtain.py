"""Where photographs are looked for, which files count, and how they compare with the published list."""

import hashlib
import shutil
import socket

import pytest

from batik_utils.data import obtain
from batik_utils.data.obtain import NoPhotographs, find_photographs, hash_files, motif_files, motif_of, other_motifs
from batik_utils.errors import BatikError

BALI, CELUP = "batik-bali", "batik-celup"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with nothing around it: no photographs, no network, no copy from Kaggle."""
    root = tmp_path / "here" / "project"
    root.mkdir(parents=True)
    monkeypatch.setattr(obtain, "ROOT", root)
    monkeypatch.setenv("BATIK_OFFLINE", "1")
    monkeypatch.setattr(obtain, "KAGGLE_INPUT", tmp_path / "kaggle/input")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kagglehub"))
    return root


def fill(folder, *motifs):
    for motif in motifs:
        (folder / motif).mkdir(parents=True)
        (folder / motif / "1.jpg").write_bytes(b"x")
    return folder


def complaint(data, *motifs, kind=BatikError):
    with pytest.raises(kind) as caught:
        find_photographs(data, motifs)
    assert type(caught.value) is kind and "\n" not in str(caught.value)
    return str(caught.value)


def test_places_are_tried_in_their_order_and_named_without_a_path(project, tmp_path):
    fill(tmp_path / "kagglehub/datasets/dionisiusdh/indonesian-batik-motifs/versions/2", BALI, CELUP)
    (tmp_path / "kagglehub/datasets/dionisiusdh/indonesian-batik-motifs/2.complete").touch()
    assert find_photographs(None, [BALI, CELUP])[1] == "Kaggle (dionisiusdh/indonesian-batik-motifs)"
    added = fill(tmp_path / "kaggle/input/indonesian-batik-motifs/Indonesian-batik", BALI, CELUP)
    assert find_photographs(None, [BALI, CELUP]) == (added, "Kaggle (dionisiusdh/indonesian-batik-motifs)")
    shared = fill(project.parent / "shared/data/indonesian-batik-motifs", BALI, CELUP)
    assert find_photographs(None, [BALI, CELUP]) == (shared, "shared folder")
    fill(project / "data", BALI)
    assert find_photographs(None, [BALI]) == (project / "data", "data folder")
    assert find_photographs(None, [BALI, CELUP])[0] == shared  # a place that lacks a motif is passed over
    given = fill(tmp_path / "my photos/Foto batik ✿", BALI, CELUP)
    assert find_photographs(given.parent, [BALI]) == (given, "data folder given by DATA")


def test_nothing_found_says_where_was_looked_and_a_mistyped_motif_is_told_the_nearest_name(project, tmp_path):
    (project / "data/empty").mkdir(parents=True)
    looked = complaint(None, BALI, CELUP, kind=NoPhotographs)
    assert "data folder (no folders of pictures in it), shared folder (there is no such folder), Kaggle (" in looked
    assert "BATIK_OFFLINE" in looked and str(tmp_path) not in looked
    fill(project.parent / "shared/data/photographs", BALI, CELUP)
    both = complaint(None, "batik-bal", "celup")
    assert "mean 'batik-bali'?" in both and "celup is not in the shared folder, did you mean 'batik-celup'?" in both
    fill(project / "data", "cats", "dogs")
    assert complaint(None, BALI, "xyzzy").endswith("xyzzy is not in the data folder, known are: cats, dogs.")
    own = complaint(None, "plain", "twill")
    assert own == "The pictures of plain and twill were not found. Pictures of your own are found with DATA=folder."
    # A folder that is given never falls through.
    fill(project / "data", BALI, CELUP)
    assert "no such folder" in complaint(tmp_path / "absent", BALI)
    assert f"{CELUP} is not in the folder DATA=" in complaint(fill(tmp_path / "some", BALI), BALI, CELUP)
    assert "no folders of pictures" in complaint(project / "data/empty", BALI)
    for motif in ("..", "../batik-bali", "a/b", ""):
        assert "not a folder's name" in complaint(None, motif)


def test_parts_of_an_archive_are_one_folder_and_what_a_mac_left_in_it_is_none(project, tmp_path):
    for part in ("Train", "validation", "__MACOSX", ".git"):
        fill(tmp_path / "zip/archive" / part, BALI)
    (tmp_path / "zip/archive/Train" / BALI / "._1.jpg").write_bytes(b"x")
    folder, _ = find_photographs(tmp_path / "zip", [BALI])
    rows, *_ = hash_files(folder, [BALI], motif_files(folder, BALI)[0])
    assert {row.path: motif_of(row.path) for row in rows} == {
        f"{part}/{BALI}/1.jpg": BALI for part in ("Train", "validation")
    }
    fill(tmp_path / "other/__MACOSX", BALI)
    fill(tmp_path / "other/motifs", BALI)
    assert find_photographs(tmp_path / "other", [BALI])[0].name == "motifs"


def test_the_search_stops_three_folders_down_and_follows_no_link(project, tmp_path):
    fill(tmp_path / "deep/a/b/c", BALI)
    assert find_photographs(tmp_path / "deep", [BALI])[0] == tmp_path / "deep/a/b/c"
    fill(tmp_path / "deeper/a/b/c/d", BALI)
    complaint(tmp_path / "deeper", BALI)
    (tmp_path / "links").mkdir()
    (tmp_path / "links/inside").symlink_to(tmp_path / "deep")
    complaint(tmp_path / "links", BALI)


def test_an_unreachable_kaggle_is_one_line_and_a_short_wait(project, monkeypatch, capfd):
    monkeypatch.delenv("BATIK_OFFLINE")
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(obtain, "KAGGLE_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:  # it lets in, and never answers
        port = mute.getsockname()[1]
        monkeypatch.setattr(obtain, "KAGGLE_HOST", f"http://127.0.0.1:{port}/mute")
        assert "Kaggle (no answer within 0.3 s)" in complaint(None, BALI, kind=NoPhotographs)
    monkeypatch.setattr(obtain, "KAGGLE_TIMEOUT", 20)  # a refusal needs no waiting, but a busy machine does
    monkeypatch.setattr(obtain, "KAGGLE_HOST", f"http://127.0.0.1:{port}/closed")
    assert "Kaggle (Connection refused)" in complaint(None, BALI, kind=NoPhotographs)
    assert "Kaggle (it has no batik-mine)" in complaint(None, BALI, "batik-mine", kind=NoPhotographs)
    assert capfd.readouterr() == ("", "")


def test_kaggle_is_asked_quietly_and_its_failure_stops_nothing(project, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(obtain, "unreachable", lambda *_: "")
    got = fill(tmp_path / "download", BALI)

    def download(handle):
        print("Downloading ...")
        assert handle == "dionisiusdh/indonesian-batik-motifs"
        if not got.exists():
            raise RuntimeError(f"403 {tmp_path}")
        return str(got)

    monkeypatch.setattr("kagglehub.dataset_download", download)
    assert find_photographs(None, [BALI]) == (got, "Kaggle (dionisiusdh/indonesian-batik-motifs)")
    assert "batik-celup is not in the download" in complaint(None, CELUP)
    shutil.rmtree(got)
    looked = complaint(None, BALI, kind=NoPhotographs)
    assert "the download failed with RuntimeError" in looked and str(tmp_path) not in looked
    assert capfd.readouterr() == ("", "")


def test_the_published_lists_are_whole_and_no_other_motifs_picture_is_one_that_is_known_to_be_no_image(tmp_path):
    listed, copies = obtain.published_files(), obtain.published_copies()
    assert len(listed) == 982 and len({path.split("/")[0] for path in listed}) == 20
    assert listed["batik-bali/1.jpg"] == "a6cc4a5cd44bff4a10a04c7dc8782154"
    assert all(len(md5) == 32 and int(md5, 16) >= 0 for md5 in listed.values())
    assert set(copies) <= set(listed) and "no image" in copies.values()
    named, lacking = other_motifs(["batik-bali", "batik-betawi"], tmp_path)
    assert len(named) > 50 and lacking == sorted(named)
    assert not [path for path in named if copies.get(path) == "no image"]


@pytest.fixture
def published(tmp_path, monkeypatch):
    """published(n) writes n files of each of three motifs, and says that they are the published ones."""

    def publish(count):
        content = {f"{motif}/{i}.jpg": f"{motif}{i}" for motif in ("bali", "celup", "lasem") for i in range(count)}
        content["lasem/0.jpg"] = content["bali/0.jpg"]  # a copy of one's own
        for path, some in content.items():
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_text(some)
        listed = {path: hashlib.md5(some.encode()).hexdigest() for path, some in content.items()}
        monkeypatch.setattr(obtain, "published_files", lambda most=None: listed)

    return publish


def test_other_motifs_are_named_by_the_list_alone_and_each_file_is_held_against_it(tmp_path, published):
    published(30)
    named, lacking = other_motifs(["bali"], tmp_path)
    assert [path.partition("/")[0] for path in named] == ["celup"] * 10 + ["lasem"] * 10
    assert "lasem/0.jpg" not in named and not lacking
    (tmp_path / "lasem" / "new.jpg").write_bytes(b"x")
    (tmp_path / "other").mkdir()
    assert other_motifs(["bali"], tmp_path) == (named, [])
    (tmp_path / named[0]).unlink()
    (tmp_path / named[1]).write_bytes(b"x")
    assert other_motifs(["bali"], tmp_path) == (named, sorted(named[:2]))


def test_what_a_metric_is_learnt_from_shares_no_copy_and_no_source_with_the_study(tmp_path, published, monkeypatch):
    published(6)
    copies = {"bali/1.jpg": "a", "celup/1.jpg": "a", "celup/5.jpg": "no image", "celup/4.jpg": "b", "lasem/4.jpg": "b"}
    monkeypatch.setattr(obtain, "published_copies", lambda: copies)
    sources = [["bali/2.jpg", "lasem/2.jpg"], ["lasem/2.jpg", "celup/4.jpg"], ["celup/0.jpg", "celup/2.jpg"]]
    place, found = obtain.motifs_apart(["bali"], sources, tmp_path)
    # lasem/4.jpg: a copy of a picture of one source with a picture of one source with bali's.
    apart = [f"{motif}/{i}.jpg" for motif, numbers in (("celup", (0, 2, 3)), ("lasem", (1, 3, 5))) for i in numbers]
    assert [row.path for row in found] == apart and place == tmp_path
    (tmp_path / "celup" / "3.jpg").write_bytes(b"x")
    assert obtain.motifs_apart(["bali"], sources, tmp_path) is None


def test_a_folder_is_listed_as_keras_does_and_nothing_leads_out_of_it(tmp_path):
    place = fill(tmp_path / "data", BALI) / BALI
    for name in ("2.jpg", "10.jpg", "Ω batik.png", ".DS_Store", "\x1b[31mred.jpg", "Thumbs.db", "desktop.ini"):
        (place / name).write_bytes(b"x")
    for name in ("below", "__MACOSX"):
        (place / name).mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (place / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    (place / "within.jpg").symlink_to(place / "1.jpg")
    (place / "round.jpg").symlink_to(place / "round.jpg")
    files, skipped = motif_files(tmp_path / "data", BALI)
    assert [f.name for f in files] == ["1.jpg", "10.jpg", "2.jpg", "within.jpg", "Ω batik.png"]
    assert dict(skipped) == {
        f"{BALI}/\\x1b[31mred.jpg": "its name has characters that cannot be shown",
        f"{BALI}/below": "a folder",
        f"{BALI}/out.jpg": "a link that leads out of the data folder",
        f"{BALI}/round.jpg": "a link that leads nowhere",
    }
    gone = hash_files(tmp_path / "data", [BALI], [place / "gone.jpg"])[1]
    assert gone == [(f"{BALI}/gone.jpg", "it cannot be read (No such file or directory)")]
    (tmp_path / "data" / CELUP).symlink_to(tmp_path)
    with pytest.raises(BatikError, match="link out of the data folder"):
        motif_files(tmp_path / "data", CELUP)
