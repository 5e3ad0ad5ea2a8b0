"""Executed notebooks to one self-contained HTML page and one typeset PDF, by pandoc and Typst.

A notebook by itself, without numbers of other notebooks: jupyter nbconvert --to batik_html (or batik_pdf) NOTEBOOK.
"""

from __future__ import annotations

import base64
import difflib
import html
import io
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbconvert.exporters import Exporter
from nbformat import NotebookNode
from PIL import Image
from traitlets import Bool

from batik_utils.errors import BatikError
from batik_utils.report.display import MIME, RASTER_DPI

TEMPLATES = Path(__file__).parent / "templates"
TEXT_WIDTH, TEXT_HEIGHT = 16.0, 20.5
"""Centimetres that a figure may take on the page of the PDF."""
SCREEN_DPI = 124
"""CSS pixels per inch of a figure: one of the page's width fills the column of the HTML page."""

_FORMAT = "markdown-implicit_figures-markdown_in_html_blocks-native_divs-raw_html-raw_tex"
_PLAIN = {"title": "Batik motifs", "subtitle": "", "header": "", "caption_prefix": "", "credit": [], "drawn": False}


@dataclass
class Manuscript:
    """What pandoc reads: one Markdown text in which each cell says where it was, and the pictures beside it."""

    about: dict[str, Any]
    photos: bool
    alone: bool = False
    """Whether it is one notebook, which may refer to what another one shows."""
    cells: list[str] = field(default_factory=list)
    abstract: list[str] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)

    def add(self, notebook: NotebookNode, name: str = "") -> None:
        """Add an executed notebook: prose, displays, plain outputs, and the code under figures and tables.

        Raises BatikError for a cell that failed, and for a figure or table without an anchor.
        """
        source = ""
        dropped = {"only-notebook", "only-public"} if self.photos or self.about["drawn"] else {"only-notebook"}
        for number, cell in enumerate(notebook.cells, 1):
            home = cell.metadata.get("batik", {"notebook": name, "cell": number})
            where = f"{home['notebook'] or 'notebook'}, cell {home['cell']}"
            tags = set(cell.metadata.get("tags", []))
            if number == 1 and home["notebook"]:
                path = f"notebooks/{Path(home['notebook']).name}"
                source = _fenced("source", f"Code of this part: [`{path}`](../../{path})")
            if tags & dropped or cell.cell_type == "raw":
                continue
            body = re.sub(r"<!--.*?-->", "", cell.source, flags=re.S)
            if cell.cell_type == "code":
                body = "\n\n".join(self._outputs(cell, where))
            elif source and (heading := re.search(r"^#+ .*$", body, re.M)):
                body = f"{body[: heading.end()]}\n\n{source}\n\n{body[heading.end() :]}"
                source = ""
            (self.abstract if "abstract" in tags else self.cells).append(_fenced("cell", body, where=where))

    @property
    def markdown(self) -> str:
        """The whole text."""
        abstract = [_fenced("abstract", "\n\n".join(self.abstract))] if self.abstract else []
        return "\n\n".join([*abstract, *self.cells]) + "\n"

    def _outputs(self, cell: NotebookNode, where: str) -> Iterator[str]:
        shown = False
        for output in cell.outputs:
            if output.output_type == "error":
                raise BatikError(f"{where}: the cell failed ({output.ename}: {output.evalue}).")
            if output.output_type == "stream":
                # What is said on stderr concerns who runs the notebook, not who reads the report.
                if output.name == "stdout" and output.text.strip():
                    yield _code(output.text)
                continue
            data = output.data
            if MIME in data:
                part = data[MIME]
                shown |= part["kind"] in {"figure", "table"}
                yield self._displayed(data, part, where)
            elif any(kind.startswith("image/") for kind in data):
                raise BatikError(
                    f"{where}: a figure without an anchor; show it with batik_utils.report.display.figure."
                )
            elif "<table" in data.get("text/html", ""):
                raise BatikError(f"{where}: a table without an anchor; show it with batik_utils.report.display.table.")
            elif "text/markdown" in data:
                yield data["text/markdown"]
            elif data.get("text/plain", "").strip():
                yield _code(data["text/plain"])
        if shown:
            yield _fenced("code", _code(cell.source))

    def _displayed(self, data: Any, part: dict[str, Any], where: str) -> str:
        kind = part["kind"]
        if kind == "text":
            return data["text/markdown"]
        if kind == "note":
            return _fenced("note", part["text"], title=part["title"])
        if kind == "table":
            return f"{part['text']}\n\n: {_one_line(part['caption'])} {{#{part['anchor']}}}"
        if kind == "figure":
            return self._picture(data, part)
        if kind == "caption":
            return ""
        raise BatikError(f"{where}: an output of the unknown kind {kind!r}.")

    def _picture(self, data: Any, part: dict[str, Any]) -> str:
        """A figure's place in the text; the public edition of real photographs reads no JPEG."""
        if "placeholder" in part and (self.photos or self.about["drawn"]):
            raw, file = base64.b64decode(data["image/jpeg"]), part["anchor"] + ".jpg"
            width, height = (side / RASTER_DPI for side in Image.open(io.BytesIO(raw)).size)
        else:
            svg = part["placeholder"] if "placeholder" in part else "".join(data["image/svg+xml"])
            raw, file = svg.encode(), part["anchor"] + ".svg"
            points = dict(re.findall(r'\b(width|height)="([\d.]+)pt"', svg[: svg.index("<defs")]))
            width, height = (float(points[side]) / 72 for side in ("width", "height"))
        self.pictures[file] = raw
        fitted = 2.54 * width * min(1.0, TEXT_WIDTH / (2.54 * width), TEXT_HEIGHT / (2.54 * height))
        sizes = {"px": f"{width * SCREEN_DPI:.0f}", "cm": f"{fitted:.2f}"}
        return _fenced("figure", part["caption"], part["anchor"], file=file, alt=part["alt"], **sizes)


def export(notebooks: list[NotebookNode], about: dict[str, Any], photos: bool) -> tuple[str, bytes]:
    """Executed notebooks as one report: (HTML page, PDF), the same bytes each time; neither loads anything.

    about has title, subtitle, header (a line in the title, the running head), caption_prefix, credit (lines) and
    drawn (whether the pictures are drawn, so that nothing has to stand for them). Without photos the report shows
    what stands for photographs. Raises BatikError, which names notebook and cell, for a document that does not hold
    together: an anchor used twice, a reference or citation of something that is not there, a table without an anchor.
    """
    manuscript = Manuscript(_PLAIN | about, photos)
    for notebook in notebooks:
        manuscript.add(notebook, notebook.metadata.get("batik", {}).get("name", ""))
    return to_html(manuscript), to_pdf(manuscript)


def to_html(manuscript: Manuscript) -> str:
    """The manuscript as one HTML page with its pictures, style and maths in it."""
    about = manuscript.about
    whole = f"{about['header']}: {about['title']}" if about["header"] else about["title"]
    page = _pandoc(
        manuscript,
        "html5",
        {"pagetitle": about["title"] if about["header"].lower() in about["title"].lower() else whole},
        html.escape,
        "--section-divs",
        "--number-sections",
        "--mathml",
        "--toc",
        "--toc-depth=2",
    )
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    if "<math" in page:
        # A formula needs a font with a MATH table, which many machines lack.
        font = _data_url("font/woff", (TEMPLATES / "math.woff").read_bytes())
        style += f'@font-face {{ font-family: "Batik Math"; src: url("{font}"); }}\n'
    kinds = {".svg": "image/svg+xml", ".jpg": "image/jpeg"}
    urls = {name: _data_url(kinds[Path(name).suffix], raw) for name, raw in manuscript.pictures.items()}
    page = re.sub(r'(<img src=")([\w.-]+)"', lambda m: f'{m[1]}{urls[m[2]]}"', page)
    return page.replace("/* report.css */", style)


def to_pdf(manuscript: Manuscript) -> bytes:
    """The manuscript as a PDF: A4, tagged, with Typst's own fonts whatever the machine has; no date in it."""
    import typst

    source = _pandoc(manuscript, "typst-citations-smart", {}, lambda text: json.dumps(text, ensure_ascii=False))
    with tempfile.TemporaryDirectory(prefix="batik-") as name:
        for file, raw in {"main.typ": source.encode(), **manuscript.pictures}.items():
            (Path(name) / file).write_bytes(raw)
        try:
            return typst.compile(f"{name}/main.typ", root=name, ignore_system_fonts=True)
        except typst.TypstError as error:
            raise BatikError(f"Typst could not set the report: {error.message}\n{error.diagnostic}") from None


class BatikHTMLExporter(Exporter):
    """One notebook as a self-contained HTML page."""

    export_from_notebook = "Batik report"
    photos = Bool(False, help="Whether to show photographs.").tag(config=True)
    extension = ".html"

    def _file_extension_default(self) -> str:
        return self.extension

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kw: Any) -> tuple[Any, Any]:
        """Return (page, resources); raises BatikError for a document that does not hold together."""
        nb, resources = super().from_notebook_node(nb, resources, **kw)
        name = resources.get("metadata", {}).get("name", "")
        prose = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
        heading = re.search(r"^# +([^{\n]+)", prose, re.M)
        manuscript = Manuscript(_PLAIN | {"title": heading[1].strip() if heading else name}, self.photos, alone=True)
        manuscript.add(nb, name)
        return (to_html if self.extension == ".html" else to_pdf)(manuscript), resources


class BatikPDFExporter(BatikHTMLExporter):
    """One notebook as an A4 PDF."""

    extension = ".pdf"


def _pandoc(manuscript: Manuscript, target: str, more: dict[str, str], quote: Any, *options: str) -> str:
    """The manuscript by the pandoc that comes with pypandoc-binary, its text numbered and checked by report.lua."""
    import pypandoc

    about = manuscript.about
    template = TEMPLATES / ("report.html" if target == "html5" else "report.typ")
    values = [(key, about[key]) for key in ("title", "subtitle", "header") if about[key]]
    values += [("credit", line) for line in about["credit"]] + list(more.items())
    command = [pypandoc.get_pandoc_path(), f"--from={_FORMAT}", f"--to={target}", f"--template={template}", *options]
    command += ["--wrap=none", "--columns=100000", "--syntax-highlighting=none", "--metadata=lang=en-GB"]
    command += [f"--variable={key}={quote(value)}" for key, value in values]
    command += [
        f"--metadata=caption-prefix={about['caption_prefix']}",
        *(["--metadata=alone"] if manuscript.alone else []),
    ]
    command += [f"--lua-filter={TEMPLATES / 'report.lua'}", "--citeproc", f"--bibliography={TEMPLATES / 'refs.bib'}"]
    command += ["--metadata=link-citations"]
    done = subprocess.run(command, input=manuscript.markdown.encode(), capture_output=True)
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode == 0 and not said:
        return done.stdout.decode()
    found = re.search(r"^BATIK(.*)", said, re.M)
    if not found:  # a warning, too, is something that the page would show wrongly
        raise BatikError(f"pandoc could not convert the report: {said}")
    problem = json.loads(found[1])
    near = difflib.get_close_matches(problem.get("id", ""), sorted(problem["known"]), n=1, cutoff=0.5)
    raise BatikError(problem["text"] + (f" (did you mean {near[0]!r}?)." if near else "."))


def _data_url(kind: str, raw: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(raw).decode()}"


def _fenced(kind: str, body: str, anchor: str = "", **attributes: str) -> str:
    """A pandoc div of one class; the fence is longer than any fence in the body."""
    fence = ":" * (1 + max((len(m) for m in re.findall(r"^\s*(:{3,})", body, re.M)), default=2))
    values = {k: re.sub(r'[\\"]', r"\\\g<0>", _one_line(v)) for k, v in attributes.items()}
    pairs = "".join(f' {k}="{v}"' for k, v in values.items())
    return f"{fence} {{{'#' + anchor + ' ' if anchor else ''}.{kind}{pairs}}}\n{body}\n{fence}"


def _code(text: str) -> str:
    fence = "`" * (1 + max((len(m) for m in re.findall(r"`{3,}", text)), default=2))
    return f"{fence}\n{text.rstrip()}\n{fence}"


def _one_line(text: str) -> str:
    return re.sub(r"[ \n]+", " ", text).strip()
