"""What the page tells of a motif: two sentences in each language, and where they are from."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from batik_utils.strict_yaml import read_yaml
from batik_utils.study import ROOT

PLATES = ROOT / "studies" / "motifs.yaml"
REFERENCES = Path(__file__).parents[1] / "report" / "templates" / "refs.bib"
LANGUAGES = ("en", "id")


def plates(motifs: Iterable[str], path: Path = PLATES) -> dict[str, dict[str, Any]]:
    """{motif: title and short text by language, sources as text} for those motifs that have a plate."""
    known = read_yaml(path.read_bytes(), path.name) if path.is_file() else {}
    found = {motif: known[motif] for motif in motifs if motif in known}
    cited = _references() if found else {}
    return {
        motif: {
            "title": plate["title"],
            "short": {language: plate[language]["short"].strip() for language in LANGUAGES},
            "sources": [cited[key] for key in plate["sources"]],
        }
        for motif, plate in found.items()
    }


def _references() -> dict[str, str]:
    """Each entry of the bibliography as "Author (year), title"."""
    import pypandoc

    entries = json.loads(pypandoc.convert_file(REFERENCES, "csljson", format="biblatex"))
    return {entry["id"]: _reference(entry) for entry in entries}


def _reference(entry: dict[str, Any]) -> str:
    people = entry.get("author") or entry.get("editor") or []
    names = " & ".join(person.get("family") or person.get("literal", "") for person in people[:2])
    year = entry.get("issued", {}).get("date-parts", [[""]])[0][0]
    who = f"{names}{' et al.' if len(people) > 2 else ''}{f' ({year})' if year else ''}"
    return f"{who}, {entry['title']}" if who else entry["title"]
