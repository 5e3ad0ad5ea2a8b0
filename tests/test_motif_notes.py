"""The plates of motifs: complete, sourced, strictly read, and shown for the motifs that have one and no others."""

import re

import pytest
from paper import make_analysis, said

from batik_utils.data.split import ROOT
from batik_utils.errors import BatikError
from batik_utils.report.analysis import Analysis
from batik_utils.report.freshness import inputs
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
    kinds = {motif.removeprefix("batik-"): plate.kind for motif, plate in KNOWN.items()}
    assert kinds["bali"] == kinds["betawi"] == "place" and kinds["kawung"] == kinds["parang"] == "pattern"


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("kind: place", "kind: colour", "'batik-bali.kind': Input should be 'place'"),
        ("  sources: [kerlogue2004]", "  sources: []", "'batik-bali.sources'"),
        ("    look:", "    locks:", "unknown key 'batik-bali.en.locks', did you mean 'look'"),
        ("drawing: sample-celup/5", "drawing: celup", "'batik-celup.drawing'"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, was, now, said):
    path = tmp_path / "motifs.yaml"
    path.write_text(PLATES.read_text(encoding="utf-8").replace(was, now, 1), encoding="utf-8")
    with pytest.raises(BatikError, match=re.escape(f"motifs.yaml: {said}")):
        load_plates(path)


def test_plates_are_no_study():
    assert PLATES.stem not in study_names() and len(study_names()) >= 5


def test_a_report_shows_the_plates_of_its_motifs_and_depends_on_them_alone():
    strange = make_analysis("published")
    assert not strange.plates and "plates" not in strange.facts
    batik = make_analysis("published")
    vars(batik)["plates"] = [KNOWN["batik-celup"], KNOWN["batik-bali"]]
    words = said(batik, draw=True)
    text = " ".join("\n".join(words.values()).split()).replace("\\", "")
    assert "**Celup (jumputan)** (technique)" in text and "@kerlogue2004" in text
    assert "not of one kind (technique and place)" in text
    first, other = (inputs(load_study(name), None, "") for name in ("bali-betawi-celup", "minimal"))
    assert first["plates"] != other["plates"]


def test_analysis_finds_plates_by_the_names_of_folders():
    study = load_study("bali-betawi-celup")
    found = [plate.title.en for plate in Analysis.plates.func(type("A", (), {"study": study}))]
    assert found == ["Bali", "Betawi", "Celup (jumputan)"]
