"""What a sentence once recited stands in a table beside it."""

import pytest
from paper import make_analysis, said

from batik_utils.report import probe_tables, tables
from batik_utils.stats.calibration import calibrate
from batik_utils.stats.claims import claims_table
from batik_utils.stats.compare import compare_published
from batik_utils.study import Augmentation


@pytest.fixture(scope="module")
def analysis():
    return make_analysis("published", True, True, True, True, True)


def row(frame, model):
    """The row of one model, as {column: text}."""
    return frame.set_index(frame.columns[0]).loc[model].to_dict()


def test_the_published_split(analysis):
    lite = row(tables.published_table(analysis), "Lite")
    found = lite["published"], lite["right"], lite["over seeds"]
    assert found == ("75.0\u00a0%", "4 of 4", "100.0–100.0\u00a0%")
    assert "published" not in tables.published_table(make_analysis())


def test_mcnemar_by_seed(analysis):
    pairs = [compare_published(analysis.results, "lite", "small")]
    lite = row(tables.mcnemar_table(analysis, pairs), "Lite")
    assert lite["B"] == "Small CNN" and (lite["only A right"], lite["only B right"]) == (1, 0)
    seeds = lite["p, median seeds"], lite["p, over seeds"], lite["seeds with p < 0.05"]
    assert seeds == ("1.000", "1.000 – 1.000", "0 of 2")


def test_calibration_and_corruptions(analysis):
    lite = row(tables.calibration_table(analysis, [calibrate(analysis.results, "lite")]), "Lite")
    assert lite["confidence"] == "80.0\u00a0%" and "→" in lite["loss"]
    frame = probe_tables.corruption_frame(analysis)
    assert frame[frame["label"] == "Lite"]["corruption"].tolist() == ["none", "blur", "border", "greyscale", "patches"]


def test_the_data(analysis):
    alder = {"pictures": 10, "distinct": 9, "skipped": 0, "identical to published": 10}
    assert row(tables.data_table(analysis.dataset), "Alder") == alder
    assert "identical to published" not in tables.data_table(make_analysis("folder").dataset)


def test_ten_images_are_the_first_of_each_motif_in_turn(analysis):
    fit = analysis.summaries["lite"].median
    paths = [fit.paths[i] for i in tables.ten_images(fit)]
    assert paths == ["alder/1.jpg", "beech/1.jpg", "alder/2.jpg", "beech/2.jpg"]
    assert row(tables.ten_table(analysis), "Lite")["these pictures"] == "4 of 4"


def test_the_claims(analysis):
    first = row(tables.claims_frame(claims_table(analysis.study, analysis.results)), "claim 1")
    assert first["published"] == "75.0\u00a0%" and first["ours, same split"] == "100.0\u00a0% (100.0–100.0\u00a0%)"
    assert first["verdict"].startswith("**") and "tbl-claims" in said(analysis)


def test_an_augmentation_in_words():
    some = Augmentation(rotation=40, shift=0.2, zoom=0.2)
    assert tables.augmentation_words(some) == (
        "rotation by up to ±40°, shifts by up to ±20 % of each side and zoom of each axis by 0.8–1.2"
    )
    assert tables.augmentation_words(Augmentation()) == "no change"
