"""What the page tells of a motif: two sentences in each language, and where they are from."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from batik_utils.motif_notes import load_plates

REFERENCES = Path(__file__).parents[1] / "report" / "templates" / "refs.bib"


def told(motifs: Iterable[str]) -> dict[str, dict[str, Any]]:
    """{motif: title and short text by language, sources as text} for those motifs that have a plate."""
    known = load_plates()
    found = {motif: known[motif] for motif in motifs if motif in known}
    cited = _references() if found else {}
    return {
        motif: {
            "title": plate.title.model_dump(),
            "short": {"en": plate.en.short.strip(), "id": plate.id.short.strip()},
            "sources": [cited[key] for key in plate.sources],
        }
        for motif, plate in found.items()
    }


def _references() -> dict[str, str]:
    """Each entry of the bibliography as "Author (year), title"."""
    import pypandoc

    entries = json.loads(pypandoc.convert_file(REFERENCES, "csljson", format="biblatex"))
    return {entry["id"]: _reference(entry) for entry in entries}


def _reference(entry: dict[str, Any]) -> str:
    people = [person.get("family") or person["literal"] for person in entry.get("author") or entry.get("editor") or ()]
    year = entry.get("issued", {}).get("date-parts", [[""]])[0][0]
    who = " & ".join(people) if len(people) < 3 else f"{people[0]} et al."
    return ", ".join(part for part in (f"{who} ({year})" if who and year else who, entry["title"]) if part)
