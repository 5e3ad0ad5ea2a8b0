"""From executed notebooks to one Markdown text with holes, and the pieces (figures, tables) that fill them."""

from __future__ import annotations

import copy
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from batik_utils.errors import BatikError

MIME = "application/vnd.batik+json"
"""The part of an output in which display.py says what the output is; viewers that do not know it ignore it."""

TAG_ABSTRACT = "abstract"
TAG_NOTEBOOK_ONLY = "only-notebook"


@dataclass
class Piece:
    """A figure or a table that waits for its number."""

    kind: str
    """"figure" or "table"."""
    label: str
    where: str
    """Notebook and cell, for messages."""
    part: dict[str, Any]
    """What display.py said: caption, alt, inches; or align, columns, rows."""
    image: str | bytes = b""
    """SVG text or PNG bytes."""


@dataclass
class Manuscript:
    """What the exporters start from."""

    chunks: list[tuple[str, str]] = field(default_factory=list)
    """(where, Markdown), in order; a figure or table is a hole: a div that holds its label and its caption."""
    pieces: dict[str, Piece] = field(default_factory=dict)
    whole: bool = False
    """Whether this is a merged report; a notebook by itself may refer to what another one shows."""
    about: dict[str, Any] = field(default_factory=dict)
    """nb.metadata["batik"]: title, subtitle, header, caption_prefix, credit."""

    @property
    def markdown(self) -> str:
        """The whole text."""
        return "\n\n".join(text for _, text in self.chunks) + "\n"

    def where(self, words: str) -> str:
        """The first cell in which the words occur."""
        for piece in self.pieces.values():
            if any(words in str(cell) for row in piece.part.get("rows", []) for cell in row):
                return piece.where
        return next((where for where, text in self.chunks if words in text), "the report")


def merge(notebooks: list[NotebookNode], metadata: dict[str, Any]) -> NotebookNode:
    """Make one document of several executed notebooks: their cells in order, metadata["batik"] on the whole.

    metadata may hold title, subtitle, header (a line in the title, the running head), caption_prefix, credit
    (lines) and names (the notebooks' file names, in order).
    """
    names = metadata.get("names") or [nb.metadata.get("batik", {}).get("name", "") for nb in notebooks]
    whole = copy.deepcopy(notebooks[0])
    whole.cells = []
    for name, notebook in zip(names, notebooks, strict=True):
        for number, cell in enumerate(copy.deepcopy(notebook.cells), 1):
            # A notebook that lacks cells knows their old numbers; merged cells must tell where they came from.
            cell.metadata.setdefault("batik", {"notebook": name, "cell": number})
            whole.cells.append(cell)
            cell["id"] = f"cell-{len(whole.cells)}"
    whole.metadata = NotebookNode({"batik": {k: v for k, v in metadata.items() if k != "names"}})
    return whole


def manuscript(notebook: NotebookNode, name: str = "") -> Manuscript:
    """Read an executed notebook: prose, displays and plain outputs; code is left out.

    Raises BatikError for a label that is used twice, a figure or table without one, and a cell that failed.
    """
    about = dict(notebook.metadata.get("batik", {}))
    out = Manuscript(whole="title" in about, about={"title": _title(notebook, name), **about})
    abstract: list[str] = []
    source_of = ""
    for number, cell in enumerate(notebook.cells, 1):
        home = cell.metadata.get("batik", {"notebook": name, "cell": number})
        where = f"{home['notebook'] or 'notebook'}, cell {home['cell']}"
        tags = set(cell.metadata.get("tags", []))
        if TAG_NOTEBOOK_ONLY in tags:
            continue
        if home["notebook"] != source_of and home["notebook"]:
            source_of = home["notebook"]
            out.chunks.append((where, _source_line(source_of)))
        if cell.cell_type == "markdown":
            found = [re.sub(r"<!--.*?-->", "", cell.source, flags=re.S)]
        elif cell.cell_type == "code":
            found = list(_outputs(cell, where, out.pieces))
        else:
            continue
        if TAG_ABSTRACT in tags:
            abstract += found
        else:
            out.chunks += [(where, text) for text in found]
    if abstract:
        out.chunks.insert(0, ("the abstract", fenced("abstract", "\n\n".join(abstract))))
    return out


def _title(notebook: NotebookNode, name: str) -> str:
    """For a notebook by itself: its first heading, or its name."""
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    heading = re.search(r"^# +([^{\n]+)", prose, re.M)
    return heading[1].strip() if heading else name


def fenced(kind: str, body: str, label: str = "", **attributes: str) -> str:
    """A pandoc div of one class; the fence is longer than any fence in the body."""
    longest = max((len(m) for m in re.findall(r"^\s*(:{3,})", body, re.M)), default=2)
    fence = ":" * (longest + 1)
    pairs = "".join(f' {k}="{_attribute(v)}"' for k, v in attributes.items())
    return f"{fence} {{{'#' + label + ' ' if label else ''}.batik-{kind}{pairs}}}\n{body}\n{fence}"


def _attribute(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _source_line(name: str) -> str:
    path = f"notebooks/{Path(name).name}"
    return fenced("source", f"Code of this part: [`{path}`](../../{path})")


def _outputs(cell: NotebookNode, where: str, pieces: dict[str, Piece]) -> Iterator[str]:
    for output in cell.outputs:
        if output.output_type == "error":
            raise BatikError(f"{where}: the cell failed ({output.ename}: {output.evalue}).")
        if output.output_type == "stream":
            # What is said on stderr concerns who runs the notebook, not who reads the report.
            if output.name == "stdout" and output.text.strip():
                yield _code(output.text)
            continue
        data = output.data
        part = data.get(MIME)
        if part is not None:
            yield from _displayed(data, part, where, pieces)
        elif any(kind.startswith("image/") for kind in data):
            raise BatikError(f"{where}: a figure without a label; show it with batik_utils.report.display.figure.")
        elif "<table" in data.get("text/html", ""):
            raise BatikError(f"{where}: a table without a label; show it with batik_utils.report.display.table.")
        elif "text/markdown" in data:
            yield data["text/markdown"]
        elif data.get("text/plain", "").strip():
            yield _code(data["text/plain"])


def _displayed(data: Any, part: dict[str, Any], where: str, pieces: dict[str, Piece]) -> Iterator[str]:
    kind = part["kind"]
    if kind == "text":
        yield part["text"]
    elif kind == "note":
        yield fenced("note", part["text"], title=part["title"])
    elif kind in {"figure", "table"}:
        label = part["label"]
        if label in pieces:
            raise BatikError(f"{where}: the label {label!r} is taken already ({pieces[label].where}).")
        # JSON inside a notebook may come back as NotebookNode; captions are strings either way.
        piece = Piece(kind, label, where, dict(part))
        if kind == "figure":
            piece.image = data["image/svg+xml"] if "image/svg+xml" in data else b64decode(data["image/jpeg"])
            if isinstance(piece.image, list):
                piece.image = "".join(piece.image)
        pieces[label] = piece
        yield fenced("hole", part["caption"], label)
    elif kind != "caption":
        raise BatikError(f"{where}: an output of the unknown kind {kind!r}.")


def _code(text: str) -> str:
    fence = "`" * (max((len(m) for m in re.findall(r"`{3,}", text)), default=2) + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"
