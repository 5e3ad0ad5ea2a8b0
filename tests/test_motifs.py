"""Motifs: plates complete and sourced, shown for those that have one; and the sample, drawn alike at every size."""

import hashlib
import os
import re
import subprocess
import sys
from inspect import getsource

import numpy as np
import pytest
from paper import make_analysis, said
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from batik_utils.errors import BatikError
from batik_utils.report.analysis import Analysis
from batik_utils.report.freshness import inputs
from batik_utils.sample import SAMPLE_MOTIFS, draw
from batik_utils.study import ROOT
from batik_utils.study_file import PLATES, load_plates, load_study, study_names

KNOWN = load_plates()
REFERENCES = (ROOT / "batik_utils/report/templates/refs.bib").read_text(encoding="utf-8")


def test_every_motif_of_the_collection_has_a_plate_in_two_languages_with_sources_that_are_listed():
    assert set(KNOWN) == set(load_study("twenty-motifs").motifs)
    known = set(re.findall(r"^@\w+{([^,]+),", REFERENCES, re.M))
    for motif, plate in KNOWN.items():
        assert set(plate.sources) <= known, motif
        assert len(re.findall(r"[.!](?:\s|$)", plate.en.short)) >= 2 and plate.en.short != plate.id.short, motif
        assert bool(plate.en.unsure) == bool(plate.id.unsure), motif
        assert not re.search(r"[@\[\]]", plate.model_dump_json(exclude={"sources"})), motif


def test_tie_dye_is_said_to_be_no_batik_and_places_are_told_from_patterns():
    celup = KNOWN["batik-celup"]
    assert celup.kind == "technique" and "no wax" in celup.en.short and "tanpa malam" in celup.id.short
    kinds = [KNOWN[f"batik-{name}"].kind for name in ("bali", "betawi", "kawung", "parang")]
    assert kinds == ["place", "place", "pattern", "pattern"]


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("kind: place", "kind: colour", "'batik-bali.kind': Input should be 'place'"),
        ("  sources: [kerlogue2004]", "  sources: []", "'batik-bali.sources'"),
        ("    look:", "    locks:", "unknown key 'batik-bali.en.locks', did you mean 'look'"),
        ("drawing: sample-celup/5", "drawing: celup", "'batik-celup.drawing'"),
    ],
)
def test_a_mistake_is_named_with_its_place(monkeypatch, tmp_path, was, now, said):
    path = tmp_path / "motifs.yaml"
    path.write_text(PLATES.read_text(encoding="utf-8").replace(was, now, 1), encoding="utf-8")
    monkeypatch.setattr("batik_utils.study_file.PLATES", path)
    with pytest.raises(BatikError, match=re.escape(f"motifs.yaml: {said}")):
        load_plates()


def test_a_report_shows_the_plates_of_its_motifs_and_depends_on_them_alone():
    strange = make_analysis("published")
    assert not strange.plates and "plates" not in strange.facts
    batik = make_analysis("published")
    vars(batik)["plates"] = [KNOWN["batik-celup"], KNOWN["batik-bali"]]
    words = said(batik)
    text = " ".join("\n".join(words.values()).split()).replace("\\", "")
    assert "**Celup (jumputan)** (technique)" in text and "@kerlogue2004" in text
    assert "not of one kind (technique and place)" in text
    first, other = (inputs(load_study(name), None, "") for name in ("bali-betawi-celup", "minimal"))
    assert first["plates"] != other["plates"]
    study = load_study("bali-betawi-celup")
    found = [plate.title.en for plate in Analysis.plates.func(type("A", (), {"study": study}))]
    assert found == ["Bali", "Betawi", "Celup (jumputan)"], "by the names of folders"
    assert PLATES.stem not in study_names(), "plates are no study"


def shrink(image, size):
    """Area average of uint8 [k·size, k·size, 3] to float [size, size, 3]."""
    k = image.shape[0] // size
    return image.astype(float).reshape(size, k, size, k, 3).mean(axis=(1, 3))


def colours(image):
    """Square roots of a 4×4×4 colour histogram, float [64]."""
    counts, _ = np.histogramdd(image.reshape(-1, 3), bins=4, range=[(0, 256)] * 3)
    return np.sqrt(counts.ravel() / counts.sum())


def test_a_picture_is_the_same_bytes_twice_and_in_another_process_whatever_the_global_random_state():
    script = f"import hashlib\nfrom batik_utils.sample import *\n{getsource(digest)}\nprint(digest())"
    environment = {**os.environ, "PYTHONHASHSEED": "5", "PYTHONPATH": os.pathsep.join(sys.path)}
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    for seed in (3, 4):
        np.random.seed(seed)
        state = np.random.get_state()[1].copy()
        assert digest() == other.stdout.strip() and np.array_equal(np.random.get_state()[1], state)


def digest():
    """Of one picture of each motif."""
    return hashlib.sha256(b"".join(draw(motif, 7, 64).tobytes() for motif in SAMPLE_MOTIFS)).hexdigest()


def test_no_two_pictures_are_alike():
    assert tuple(load_study("sample").motifs) == SAMPLE_MOTIFS
    drawn = [draw(motif, index, 33) for motif in SAMPLE_MOTIFS for index in range(6)]
    assert len({image.tobytes() for image in drawn}) == len(drawn)
    assert all(image.shape == (33, 33, 3) and image.dtype == np.uint8 and image.std() > 8 for image in drawn)
    first, second, *_, other = (image.astype(float) for image in drawn)
    assert all(np.abs(first - image).mean() > 10 for image in (second, other))


@pytest.mark.parametrize("motif", SAMPLE_MOTIFS)
def test_every_size_shows_the_same_picture(motif):
    for index in range(3):
        small = draw(motif, index, 64).mean(axis=2)
        shrunk = (shrink(draw(motif, i, 128), 64).mean(axis=2) for i in (index, index + 1))
        same, other = (np.corrcoef(small.ravel(), large.ravel())[0, 1] for large in shrunk)
        assert same > 0.98 and other < 0.5


def test_colour_alone_does_not_tell_the_motifs_apart():
    features = np.array([[colours(draw(motif, i, 48)) for i in range(24)] for motif in SAMPLE_MOTIFS])
    labels, held = (np.repeat(np.arange(len(SAMPLE_MOTIFS)), n) for n in (14, 10))
    train, test = features[:, 10:].reshape(-1, 64), features[:, :10].reshape(-1, 64)
    for model in (LogisticRegression(C=10, max_iter=2000), KNeighborsClassifier(1)):
        assert model.fit(train, labels).score(test, held) < 0.5


def test_a_motif_that_is_not_in_the_sample_is_answered_with_the_nearest():
    for motif, nearest in (("sample-parnag", "sample-parang"), ("batik-kawung", "sample-kawung")):
        with pytest.raises(BatikError, match=f"did you mean '{nearest}'"):
            draw(motif, 0, 32)
