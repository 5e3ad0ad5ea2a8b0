"""Plain scientific English: what readers are shown names its subject, and models are not persons."""

import json
import re

import pytest
from paper import make_analysis, said

from batik_utils.study import ROOT

NEVER = (
    *("guessing alone", "shown to know", "file facts", "by heart", "seed stud", "what small costs", "what it refuses"),
    *(
        "what is easy",
        "told apart in",
        r"it knows",
        r"they know\b",
        "leans? on",
        r"\b(is|are) sure\b",
        "how sure",
        "doubts",
    ),
    *("says nothing of itself", "not a person", "tebakan saja", "dikumpulkan", "terulang", "wajik", "dikelirukan"),
    *("himpunan data",),
)
"""Phrases of an earlier dialect, as regular expressions: none may stand in what readers see."""
MADE = [path.parent for path in (ROOT / "reports").glob("*/metrics.json") if '"confusion"' in path.read_text("utf-8")]
"""Reports as the present code makes them; one that waits to be made anew is not held to its words."""
PAGES = [*(folder / "report.html" for folder in sorted(MADE)), ROOT / "reports/index.html", ROOT / "README.md"]
PAGES += [ROOT / "docs/USING.md", ROOT / "reports/paper/report.html"]


def found(text: str) -> list[str]:
    plain = re.sub(r"<(style|script|svg).*?</\1>|<[^>]+>", " ", text, flags=re.S).replace("\xa0", " ").lower()
    return [match[0] for phrase in NEVER for match in re.finditer(phrase, plain)]


def test_a_phrase_is_found_whatever_marks_stand_about_it():
    assert found("<p>Guessing\xa0alone is right</p>") == ["guessing alone"] and not found("<svg>it knows</svg>")


@pytest.mark.parametrize("sort", [("published", True, True, True, True, True), ("folder",), ("drawn",)])
def test_no_made_report_has_one(sort):
    assert not found("\n".join(said(make_analysis(*sort)).values()))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.parent.name + "/" + path.name)
def test_no_committed_page_has_one(page):
    assert not found(page.read_text(encoding="utf-8"))


def test_the_classifiers_page_has_none():
    words = json.loads((ROOT / "batik_utils/app/page/words.json").read_text(encoding="utf-8"))
    assert not found("\n".join(str(text) for language in words.values() for text in language.values()))
