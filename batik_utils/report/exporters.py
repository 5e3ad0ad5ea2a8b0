"""Executed notebooks to one self-contained HTML page and one typeset PDF, by pandoc and Typst.

Both are nbconvert exporters too: jupyter nbconvert --to batik_html (or batik_pdf) notebook.ipynb.
"""

from __future__ import annotations

import base64
import copy
import json
import tempfile
from pathlib import Path
from typing import Any

from nbconvert.exporters import Exporter
from nbformat import NotebookNode

from batik_utils.errors import BatikError
from batik_utils.report.document import TEMPLATES, Document, Node, pandoc, plain, read, replace, tree, words
from batik_utils.report.markdown import Piece, manuscript, merge

__all__ = ["BatikHTMLExporter", "BatikPDFExporter", "merge", "to_html", "to_pdf"]

TEXT_WIDTH, TEXT_HEIGHT = 16.0, 20.5
"""Centimetres that a figure may take on the page of the PDF."""
SCREEN_DPI = 124
"""CSS pixels per inch of a figure: one of the page's width fills the column of the HTML page."""
TYPE_SIZE = 9.0
"""Points, of the type in the PDF's tables; wide tables get less."""
SHORT_CELL = 16
"""Characters: cells up to this length are not broken over lines in a table that is too wide for the page."""
LONG_TABLE = 16
"""A table of more rows may break over pages; a shorter one stays whole."""


class _BatikExporter(Exporter):
    """What both exporters share: an executed notebook in, a numbered document out."""

    export_from_notebook = "Batik report"

    def _document(self, nb: NotebookNode, resources: dict[str, Any]) -> Document:
        return read(manuscript(nb, resources.get("metadata", {}).get("name", "")))


class BatikHTMLExporter(_BatikExporter):
    """One self-contained HTML page: nothing is loaded from anywhere."""

    def _file_extension_default(self) -> str:
        return ".html"

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kw: Any) -> tuple[str, Any]:
        """Return (HTML text, resources); raises BatikError for a document that does not hold together."""
        nb, resources = super().from_notebook_node(nb, resources, **kw)
        return to_html(self._document(nb, resources)), resources


class BatikPDFExporter(_BatikExporter):
    """One A4 PDF, tagged, its fonts embedded."""

    def _file_extension_default(self) -> str:
        return ".pdf"

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kw: Any) -> tuple[bytes, Any]:
        """Return (PDF bytes, resources); raises BatikError for a document that does not hold together."""
        nb, resources = super().from_notebook_node(nb, resources, **kw)
        return to_pdf(self._document(nb, resources)), resources


def _about(document: Document) -> dict[str, Any]:
    about = {"title": "Batik motifs", "subtitle": "", "header": "", "caption_prefix": "", "credit": []}
    return about | {k: v for k, v in document.about.items() if v}


def _caption(document: Document, label: str) -> list[Node]:
    prefix = _about(document)["caption_prefix"].rstrip(". ")
    said = [{"t": "Emph", "c": words(prefix + ".")}, {"t": "Space"}] if prefix else []
    return said + copy.deepcopy(document.captions[label])


def _alt(document: Document, piece: Piece) -> str:
    return piece.part["alt"] or plain(document.captions[piece.label])


# HTML -------------------------------------------------------------------------------------------------------


def to_html(document: Document) -> str:
    """The document as one HTML page with its pictures, style and maths in it."""

    def change(node: Node) -> list[Node] | None:
        if node["t"] == "Header":
            number = document.numbers.get(node["c"][1][0])
            label = [{"t": "Span", "c": [["", ["secnum"], []], words(number)]}, {"t": "Space"}] if number else []
            return [{"t": "Header", "c": [node["c"][0], node["c"][1], label + node["c"][2]]}]
        if node["t"] != "Div":
            return None
        label, classes, pairs = node["c"][0]
        if "batik-hole" in classes:
            return [_html_piece(document, document.pieces[label])]
        if "batik-note" in classes:
            title = {"t": "Div", "c": [["", ["note-title"], []], [{"t": "Plain", "c": words(dict(pairs)["title"])}]]}
            return [{"t": "Div", "c": [["", ["note"], [["role", "note"]]], [title, *node["c"][1]]]}]
        return None

    about = _about(document)
    title = about["title"]
    if about["header"] and about["header"].lower() not in title.lower():
        title = f"{about['header']}: {title}"
    meta: dict[str, Any] = {
        "title": {"t": "MetaString", "c": about["title"]},
        "pagetitle": {"t": "MetaString", "c": title},
        "credit": {"t": "MetaList", "c": [{"t": "MetaString", "c": line} for line in about["credit"]]},
        "lang": {"t": "MetaString", "c": "en-GB"},
    }
    for key in ("subtitle", "header"):
        if about[key]:
            meta[key] = {"t": "MetaString", "c": about[key]}
    if document.abstract:
        meta["abstract"] = {"t": "MetaBlocks", "c": replace(document.abstract, change)}
    source = json.loads(tree(replace(document.blocks, change))) | {"meta": meta}
    page = pandoc(
        json.dumps(source, ensure_ascii=False),
        "json",
        "html5",
        "--standalone",
        "--mathml",
        "--section-divs",
        "--toc",
        "--toc-depth=2",
        f"--template={TEMPLATES / 'report.html'}",
    )
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    if "<math" in page:
        # A formula needs a font with a MATH table, which many machines lack.
        font = base64.b64encode((TEMPLATES / "math.woff").read_bytes()).decode()
        style += f'@font-face {{ font-family: "Batik Math"; src: url("data:font/woff;base64,{font}"); }}\n'
    return page.replace("/* report.css */", style)


def _html_piece(document: Document, piece: Piece) -> Node:
    word = "Figure" if piece.kind == "figure" else "Table"
    number = words(f"{word}\u00a0{document.numbers[piece.label]}.")
    caption = [{"t": "Span", "c": [["", ["number"], []], number]}, {"t": "Space"}, *_caption(document, piece.label)]
    said = [None, [{"t": "Plain", "c": caption}]]
    if piece.kind == "figure":
        kind = "image/svg+xml" if isinstance(piece.image, str) else "image/jpeg"
        raw = piece.image.encode() if isinstance(piece.image, str) else piece.image
        url = f"data:{kind};base64,{base64.b64encode(raw).decode()}"
        style = [["style", f"width:{piece.part['inches'][0] * SCREEN_DPI:.0f}px"]]
        image = {"t": "Image", "c": [["", [], style], words(_alt(document, piece)), [url, ""]]}
        return {"t": "Figure", "c": [[piece.label, [], []], said, [{"t": "Plain", "c": [image]}]]}
    sides = {"l": "AlignLeft", "r": "AlignRight", "c": "AlignCenter"}
    columns = [[{"t": sides[a]}, {"t": "ColWidthDefault"}] for a in piece.part["align"]]

    def row(cells: list[list[Node]]) -> list[Any]:
        set_ = [[["", [], []], {"t": "AlignDefault"}, 1, 1, [{"t": "Plain", "c": cell}]] for cell in cells]
        return [["", [], []], set_]

    head = [["", [], []], [row(piece.part["head"])]]
    body = [["", [], []], 0, [], [row(cells) for cells in piece.part["cells"]]]
    foot = [["", [], []], []]
    table = {"t": "Table", "c": [[piece.label, [], []], said, columns, head, [body], foot]}
    numbers = [c for r in piece.part["cells"] for c, a in zip(r, piece.part["align"], strict=True) if a == "r"]
    # Numbers and their intervals stay on one line, unless that would make the table much too wide.
    classes = ["table-wrap"] + (["tied"] if all(len(plain(cell)) <= 22 for cell in numbers) else [])
    return {"t": "Div", "c": [["", classes, [["tabindex", "0"]]], [table]]}


def _setting(piece: Piece) -> tuple[float, str, list[bool]]:
    """How a table fits the page: type size (points), Typst's column widths, which columns are never broken.

    A table that fits is as wide as its text. Otherwise columns of short cells stay whole, and the others share what
    is left by the root of their longest cell: a text four times as long gets twice the width.
    """
    columns = list(zip(*[piece.part["head"], *piece.part["cells"]], strict=True))
    longest = [max(len(plain(cell)) for cell in column) for column in columns]
    words_ = [max(len(w) for cell in column for w in plain(cell).split(" ")) for column in columns]
    if _size(longest) >= TYPE_SIZE:
        return TYPE_SIZE, "auto, " * len(columns), [True] * len(columns)
    whole = [length <= SHORT_CELL for length in longest]
    size = _size([n if short else word for n, word, short in zip(longest, words_, whole, strict=True)])
    shares = ["auto" if short else f"{max(n, 36) ** 0.5:.2f}fr" for n, short in zip(longest, whole, strict=True)]
    return max(6.0, size), ", ".join(shares) + ", ", whole


def _size(longest: list[int]) -> float:
    """Type size, points, at which columns of so many characters fit side by side."""
    # Half an em is the mean width of a digit or small letter in Libertinus; 8 points of padding per column.
    fits = (TEXT_WIDTH / 2.54 * 72 - 8 * len(longest)) / (0.5 * max(1, sum(longest)))
    return min(TYPE_SIZE, int(fits * 2) / 2)


# PDF --------------------------------------------------------------------------------------------------------


def to_pdf(document: Document) -> bytes:
    """The document as a PDF: A4, tagged, with Typst's own fonts whatever the machine has; no date in it."""
    import typst

    with tempfile.TemporaryDirectory(prefix="batik-") as name:
        folder = Path(name)
        (folder / "report.typ").write_bytes((TEMPLATES / "report.typ").read_bytes())
        for piece in document.pieces.values():
            if piece.kind == "figure":
                raw = piece.image.encode() if isinstance(piece.image, str) else piece.image
                (folder / _file(piece)).write_bytes(raw)
        (folder / "main.typ").write_text(typst_source(document), encoding="utf-8")
        try:
            return typst.compile(folder / "main.typ", root=folder, ignore_system_fonts=True)
        except typst.TypstError as error:
            raise BatikError(f"Typst could not set the report: {error.message}\n{error.diagnostic}") from None


def typst_source(document: Document) -> str:
    """The document in Typst's markup; it imports report.typ and reads the figures from beside it."""

    def change(node: Node) -> list[Node] | None:
        if node["t"] == "Header":
            number = document.numbers.get(node["c"][1][0])
            rule = f"#set heading(numbering: (..n) => {_string(number)})" if number else "#set heading(numbering: none)"
            return [_raw(rule), node]
        if node["t"] != "Div":
            return None
        label, classes, pairs = node["c"][0]
        if "batik-hole" in classes:
            return _typst_piece(document, document.pieces[label])
        if "batik-note" in classes:
            return [_raw(f"#note({_string(dict(pairs)['title'])})["), *node["c"][1], _raw("]")]
        if "batik-source" in classes:
            return [_raw("#source["), *node["c"][1], _raw("]")]
        if label == "refs":
            return [_raw("#references["), *node["c"][1], _raw("]")]
        return None

    about = _about(document)
    blocks = replace(document.blocks, change)
    if document.abstract:
        blocks = [_raw("#abstract["), *replace(document.abstract, change), _raw("]"), _raw("#contents()"), *blocks]
    else:
        blocks = [_raw("#contents()"), *blocks]
    settings = "".join(f"  {key}: {_string(about[key])},\n" for key in ("title", "subtitle", "header"))
    credit = "".join(f"{_string(line)}, " for line in about["credit"])
    return f'#import "report.typ": *\n#show: report.with(\n{settings}  credit: ({credit}),\n)\n\n' + pandoc(
        tree(blocks), "json", "typst-smart"
    )


def _file(piece: Piece) -> str:
    return piece.label + (".svg" if isinstance(piece.image, str) else ".jpg")


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _raw(code: str) -> Node:
    return {"t": "RawBlock", "c": ["typst", code]}


def _inline(code: str) -> Node:
    return {"t": "RawInline", "c": ["typst", code]}


def _typst_piece(document: Document, piece: Piece) -> list[Node]:
    number = _raw(f"#set figure(numbering: (..n) => {_string(document.numbers[piece.label])})")
    caption = [_inline(", caption: ["), *_caption(document, piece.label), _inline(f"]) <{piece.label}>")]
    if piece.kind == "figure":
        width, height = (2.54 * inches for inches in piece.part["inches"])
        width *= min(1.0, TEXT_WIDTH / width, TEXT_HEIGHT / height)
        alt = _string(_alt(document, piece))
        image = f"#figure(image({_string(_file(piece))}, width: {width:.2f}cm, alt: {alt})"
        return [number, {"t": "Para", "c": [_inline(image), *caption]}]
    sides = {"l": "left", "r": "right", "c": "center"}
    align = "".join(f"{sides[a]}, " for a in piece.part["align"])
    size, columns, whole = _setting(piece)
    out = [_inline(f"#figure(kind: table, report-table(size: {size}pt, columns: ({columns}), align: ({align}), (")]
    for cell in piece.part["head"]:
        out += [_inline("["), *cell, _inline("], ")]
    out.append(_inline("), "))
    for row in piece.part["cells"]:
        for cell, boxed in zip(row, whole, strict=True):
            out += [_inline("[#box[" if boxed else "["), *cell, _inline("]], " if boxed else "], ")]
    set_ = {"t": "Para", "c": [*out, _inline(")"), *caption]}
    if len(piece.part["cells"]) > LONG_TABLE:
        return [number, set_]
    return [number, _raw("#block(breakable: false, width: 100%, above: 1.6em, below: 1.6em)["), set_, _raw("]")]
