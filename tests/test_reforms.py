"""All 32 REFORMS items have a true answer for every study."""

import re
from collections import Counter

import numpy as np
import pytest

from batik_utils.report.reforms import SECTIONS, reforms_table
from batik_utils.study import load_study, study_names
from batik_utils.values import Dataset, Source

SIZES = [3, 5, 7, 3, 6, 3, 3, 2]
NUMBERS = [f"{module}{'abcdefg'[i]}" for module, size in enumerate(SIZES, 1) for i in range(size)]


def data(name: str, **changes) -> Dataset:
    study = load_study(name)
    n = 2 * len(study.motifs)
    values = dict(
        motifs=study.motifs,
        images=np.zeros((n, 8, 8, 3), np.uint8),
        labels=np.repeat(np.arange(len(study.motifs)), 2),
        paths=tuple(f"{motif}/{i}.jpg" for motif in study.motifs for i in (1, 2)),
        sha256=tuple(f"{i:064x}" for i in range(n)),
        groups=np.arange(n),
        source=Source("drawn" if study.data == "sample" else "folder", "a test"),
    )
    return Dataset(**(values | changes))


def answers(name: str, metrics: dict | None = None, **changes) -> dict[str, str]:
    return {row[0]: row[3] for row in reforms_table(load_study(name), data(name, **changes), metrics or {})}


@pytest.mark.parametrize("name", study_names())
def test_every_item_is_answered_in_order_and_points_to_a_section(name):
    rows = reforms_table(load_study(name), data(name), {})
    assert [row[0] for row in rows] == NUMBERS
    assert list(Counter(row[1] for row in rows).values()) == SIZES
    for _, _, item, answer, section in rows:
        assert item and answer.endswith((".", "?")) and section in SECTIONS
        assert not re.search(r"[{}]|\bNone\b(?!\. No| has)|  ", answer)


def test_real_studies_claim_no_licence_and_no_population():
    found = answers("bali-betawi-celup")
    assert "licence is unverified" in found["2a"] and "unknown" in found["1a"]


def test_the_sample_claims_nothing_about_batik():
    found = answers("sample")
    assert "nothing is claimed about batik" in found["1a"]
    assert "kaggle" not in " ".join(found.values()).lower()


def test_answers_follow_the_data():
    copies = np.array([0, 0, 1, 2, 3, 4])
    found = answers("bali-betawi-celup", groups=copies, skipped=(("batik-bali/x.jpg", "a web page"),))
    assert "6 files show 5 distinct pictures" in found["6b"]
    assert "batik-bali/x.jpg" in found["3f"]
    assert "none among these 6 files" in answers("bali-betawi-celup")["6b"]


def test_answers_follow_the_run():
    metrics = {
        "baselines": {"colour": {"accuracy": 0.5}},
        "models": {"mobilenet_v2": {"grouped": {"interval": [0.7, 0.9]}, "permuted": {"accuracy": 0.34}}},
    }
    found = answers("bali-betawi-celup", metrics)
    assert "colour 50.0\u00a0%" in found["5f"] and "70.0–90.0\u00a0%" in found["7b"]
    assert "MobileNetV2 34.0\u00a0%" in found["6a"]


def test_a_model_that_was_not_fitted_is_not_listed():
    models = {name: {"grouped": {}} for name in load_study("sidoluhur-tambal-betawi").models}
    models["efficientnet_b2"] = {"title": "EfficientNet-B2"}
    found = answers("sidoluhur-tambal-betawi", {"models": models})
    assert "EfficientNet-Lite2" in found["5a"] and "EfficientNet-Lite2" in found["5e"]
    assert "EfficientNet-B2" not in found["5a"] + found["5e"]


def test_a_search_is_told_where_there_is_one():
    rows = {
        row[0]: row for row in reforms_table(load_study("sidoluhur-tambal-betawi"), data("sidoluhur-tambal-betawi"), {})
    }
    assert rows["5e"][4] == "sec-search" and "validation images only" in rows["5e"][3]
    assert "none was tuned" in answers("bali-betawi-celup")["5e"]
