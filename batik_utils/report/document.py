"""A manuscript as a pandoc tree: numbers, cross-references and citations settled once, for HTML and PDF alike."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batik_utils.errors import BatikError
from batik_utils.report.markdown import Manuscript, Piece

TEMPLATES = Path(__file__).parent / "templates"
BIBLIOGRAPHY = TEMPLATES / "refs.bib"
_FORMAT = "markdown-implicit_figures-markdown_in_html_blocks-native_divs-raw_html-raw_tex"
_WORDS = {"fig": "Figure", "tbl": "Table", "sec": "Section"}
_IN_CELL = re.compile(
    r"`([^`]+)`|\*\*(.+?)\*\*|(?<![*\w])\*([^*\s][^*]*)\*(?![*\w])|\$([^$\s][^$]*)\$"
    r"|@((?:fig|tbl|sec)-[a-z0-9-]+)"
)

Node = dict[str, Any]


@dataclass
class Document:
    """A numbered document: each reference is a link, each citation formatted."""

    blocks: list[Node]
    abstract: list[Node]
    pieces: dict[str, Piece]
    captions: dict[str, list[Node]]
    """Inline nodes of each figure's or table's caption, without "Figure 3"."""
    numbers: dict[str, str]
    """Label to number: "fig-curves" to "3", "sec-audit" to "2.1"."""
    about: dict[str, Any]


def pandoc(text: str, source: str, target: str, *arguments: str) -> str:
    """Convert by the pandoc that comes with pypandoc-binary; raises BatikError with pandoc's message."""
    import pypandoc

    try:
        return pypandoc.convert_text(text, target, format=source, extra_args=["--wrap=none", *arguments])
    except RuntimeError as error:
        raise BatikError(f"pandoc could not convert the report: {error}") from None


def tree(blocks: list[Node]) -> str:
    """Pandoc's JSON of some blocks."""
    return json.dumps({"pandoc-api-version": [1, 23, 1], "meta": {}, "blocks": blocks}, ensure_ascii=False)


def read(manuscript: Manuscript) -> Document:
    """Number sections, figures and tables, resolve references, format citations.

    Raises BatikError for a reference or citation of something that is not there, a label used twice, a table
    without a label, and a picture that is not shown by display.figure.
    """
    blocks = json.loads(pandoc(manuscript.markdown, _FORMAT, "json"))["blocks"]
    pieces = dict(manuscript.pieces)
    blocks = replace(blocks, lambda node: _adopt_table(node, pieces, manuscript))
    numbers = _number(blocks, pieces, manuscript)
    keys = set(re.findall(r"^@\w+\{([^,\s]+),", BIBLIOGRAPHY.read_text(encoding="utf-8"), re.M))

    def settle(node: Node) -> list[Node] | None:
        return resolve(node, numbers, keys, manuscript)

    blocks = replace(blocks, settle)
    for piece in pieces.values():
        if piece.kind == "table":
            cells = [[cell_inlines(cell) for cell in row] for row in piece.part["rows"]]
            piece.part["cells"] = [[replace(cell, settle) for cell in row] for row in cells]
            piece.part["head"] = [replace(cell_inlines(c), settle) for c in piece.part["columns"]]
    refs_placed = any(_id(node) == "refs" for node in find(blocks, "Div"))
    blocks = json.loads(
        pandoc(
            tree(blocks),
            "json",
            "json",
            "--citeproc",
            f"--bibliography={BIBLIOGRAPHY}",
            "--metadata=link-citations=true",
            "--metadata=lang=en-GB",
        )
    )["blocks"]
    # Citeproc has formatted the citations; Typst must not format them again.
    blocks = replace(blocks, lambda node: node["c"][1] if node["t"] == "Cite" else None)
    captions = {_id(n): _caption(n) for n in find(blocks, "Div") if "batik-hole" in _classes(n)}
    abstract = [b for n in blocks if n["t"] == "Div" and "batik-abstract" in _classes(n) for b in n["c"][1]]
    blocks = [n for n in blocks if not (n["t"] == "Div" and "batik-abstract" in _classes(n))]
    return Document(_ordered(blocks, refs_placed), abstract, pieces, captions, numbers, manuscript.about)


# The tree ---------------------------------------------------------------------------------------------------


def replace(value: Any, change: Callable[[Node], list[Node] | None]) -> Any:
    """The tree with each node for which change gives a list replaced by that list; depth first."""
    if isinstance(value, list):
        out = []
        for item in value:
            item = replace(item, change)
            new = change(item) if isinstance(item, dict) and "t" in item else None
            out += [item] if new is None else new
        return out
    if isinstance(value, dict):
        return {k: replace(v, change) for k, v in value.items()}
    return value


def find(value: Any, kind: str) -> Iterable[Node]:
    """All nodes of one type, in reading order."""
    if isinstance(value, list):
        for item in value:
            yield from find(item, kind)
    elif isinstance(value, dict):
        if value.get("t") == kind:
            yield value
        for item in value.values():
            yield from find(item, kind)


def words(text: str) -> list[Node]:
    """Plain text as inline nodes, with a typographer's apostrophes."""
    text = re.sub(r"(?<=\w)'(?=\w)", "’", text)
    out: list[Node] = []
    for part in re.findall(r"[^ \n]+|[ \n]+", text):
        out.append({"t": "Space"} if part.isspace() and "\u00a0" not in part else {"t": "Str", "c": part})
    return out


def plain(nodes: Any) -> str:
    """Inline nodes as plain text."""
    if isinstance(nodes, list):
        return "".join(plain(n) for n in nodes)
    if not isinstance(nodes, dict):
        return ""
    if nodes["t"] in {"Str"}:
        return nodes["c"]
    if nodes["t"] in {"Code", "Math"}:
        return nodes["c"][1]
    if nodes["t"] in {"Space", "SoftBreak", "LineBreak"}:
        return " "
    if nodes["t"] == "Quoted":
        marks = "‘’" if nodes["c"][0]["t"] == "SingleQuote" else "“”"
        return marks[0] + plain(nodes["c"][1]) + marks[1]
    return plain(nodes.get("c", []))


def cell_inlines(cell: str | list[Node]) -> list[Node]:
    """A table cell's text as inline nodes: **bold**, *italic*, `code`, $math$ and @label are all it knows."""
    if not isinstance(cell, str):
        return list(cell)
    out: list[Node] = []
    start = 0
    for match in _IN_CELL.finditer(cell):
        out += words(cell[start : match.start()])
        start = match.end()
        code, strong, italic, math, label = match.groups()
        if code:
            out.append({"t": "Code", "c": [["", [], []], code]})
        elif strong:
            out.append({"t": "Strong", "c": cell_inlines(strong)})
        elif italic:
            out.append({"t": "Emph", "c": cell_inlines(italic)})
        elif math:
            out.append({"t": "Math", "c": [{"t": "InlineMath"}, math]})
        else:
            out.append({"t": "Cite", "c": [[_citation(label)], words("@" + label)]})
    return out + words(cell[start:])


def _citation(key: str) -> Node:
    return {
        "citationId": key,
        "citationPrefix": [],
        "citationSuffix": [],
        "citationMode": {"t": "AuthorInText"},
        "citationNoteNum": 0,
        "citationHash": 0,
    }


def _attr(node: Node) -> list[Any]:
    return node["c"][1] if node["t"] == "Header" else node["c"][0]


def _id(node: Node) -> str:
    return _attr(node)[0]


def _classes(node: Node) -> list[str]:
    return _attr(node)[1]


def _caption(hole: Node) -> list[Node]:
    out: list[Node] = []
    for block in hole["c"][1]:
        out += ([{"t": "Space"}] if out else []) + (block["c"] if block["t"] in {"Para", "Plain"} else [])
    return out


# What is settled --------------------------------------------------------------------------------------------


def _adopt_table(node: Node, pieces: dict[str, Piece], manuscript: Manuscript) -> list[Node] | None:
    """A table typed in a Markdown cell becomes a piece like any other."""
    if node["t"] == "Image":
        raise BatikError(f"A picture in the text ({node['c'][2][0]}): show it with display.figure instead.")
    if node["t"] != "Table":
        return None
    (label, _, _), (_, caption), columns, (_, head), bodies, _ = node["c"]
    if not label.startswith("tbl-"):
        words_ = plain([b.get("c", []) for b in caption]) or "without a caption"
        raise BatikError(f'A table ({words_}) has no label: write ": Caption {{#tbl-name}}" under it.')
    if label in pieces:
        raise BatikError(f"The label {label!r} is taken already ({pieces[label].where}).")

    def cells(row: Any) -> list[list[Node]]:
        return [[i for block in cell[4] for i in block.get("c", [])] for cell in row[1]]

    sides = {"AlignRight": "r", "AlignCenter": "c"}
    part = {
        "align": "".join(sides.get(align["t"], "l") for align, _ in columns),
        "columns": cells(head[0]) if head else [[] for _ in columns],
        "rows": [cells(row) for body in bodies for row in body[3]],
    }
    pieces[label] = Piece("table", label, manuscript.where(label), part)
    return [{"t": "Div", "c": [[label, ["batik-hole"], []], caption]}]


def _number(blocks: list[Node], pieces: dict[str, Piece], manuscript: Manuscript) -> dict[str, str]:
    numbers: dict[str, str] = {}
    counts = {"figure": 0, "table": 0}
    levels = [0] * 6
    seen: set[str] = set()

    def visit(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                visit(item)
        elif isinstance(value, dict) and value.get("t") == "Header":
            label = _id(value)
            if label in seen or label in pieces:
                raise BatikError(f"{manuscript.where('#' + label)}: the label {label!r} is used twice.")
            seen.add(label)
            if "unnumbered" not in _classes(value):
                level = value["c"][0]
                levels[level - 1] += 1
                levels[level:] = [0] * (6 - level)
                numbers[label] = ".".join(str(n) for n in levels[:level])
                value["c"][1][2].append(["number", numbers[label]])
        elif isinstance(value, dict) and value.get("t") == "Div" and "batik-hole" in _classes(value):
            piece = pieces[_id(value)]
            counts[piece.kind] += 1
            numbers[piece.label] = str(counts[piece.kind])
        elif isinstance(value, dict):
            visit(value.get("c", []))

    visit(blocks)
    return numbers


def resolve(node: Node, numbers: dict[str, str], keys: set[str], manuscript: Manuscript) -> list[Node] | None:
    """A reference becomes links ("Figure 3"); a citation is left to citeproc, but its key must exist."""
    if node["t"] != "Cite":
        return None
    out: list[Node] = []
    own = [c for c in node["c"][0] if c["citationId"].split("-")[0] in _WORDS and "-" in c["citationId"]]
    for citation in node["c"][0]:
        label = citation["citationId"]
        where = manuscript.where("@" + label)
        if citation not in own:
            if label not in keys:
                raise BatikError(f"{where}: refs.bib has no entry {label!r}{_near(label, keys)}.")
            continue
        if label not in numbers and not manuscript.whole:
            out += (words(", ") if out else []) + [{"t": "Code", "c": [["", [], []], label]}]
            continue
        if label not in numbers:
            raise BatikError(f"{where}: a reference to {label!r}, which is not there{_near(label, set(numbers))}.")
        word = _WORDS[label.split("-")[0]]
        shown = numbers[label] if citation["citationMode"]["t"] == "SuppressAuthor" else f"{word}\u00a0{numbers[label]}"
        link = {"t": "Link", "c": [["", ["ref"], []], [{"t": "Str", "c": shown}], ["#" + label, ""]]}
        out += (words(", ") if out else []) + citation["citationPrefix"]
        out += ([{"t": "Space"}] if citation["citationPrefix"] else []) + [link]
        # "@fig-x [left]" and "[@fig-x, left]" keep what is said beside the label.
        out += citation["citationSuffix"]
    if not own:
        return None
    if len(own) < len(node["c"][0]):
        raise BatikError(f"A citation and a reference in one bracket: {plain(node['c'][1])}")
    if own[0]["citationMode"]["t"] != "AuthorInText":
        out = [{"t": "Str", "c": "("}, *out, {"t": "Str", "c": ")"}]
    return out


def _near(label: str, known: set[str]) -> str:
    found = difflib.get_close_matches(label, sorted(known), n=1, cutoff=0.5)
    return f" (did you mean {found[0]!r}?)" if found else ""


def _ordered(blocks: list[Node], refs_placed: bool) -> list[Node]:
    """Source lines below the heading that they precede; a heading for references that have no place of their own."""
    out: list[Node] = []
    waiting: list[Node] = []
    for node in blocks:
        if node["t"] == "Div" and "batik-source" in _classes(node):
            waiting = [node]
            continue
        if node["t"] == "Div" and _id(node) == "refs" and node["c"][1] and not refs_placed:
            out.append({"t": "Header", "c": [1, ["references", ["unnumbered"], []], words("References")]})
        out.append(node)
        if waiting and node["t"] == "Header":
            out += waiting
            waiting = []
    return out
