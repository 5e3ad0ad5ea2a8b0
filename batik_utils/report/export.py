"""Executed notebooks to one HTML page and one PDF, by pandoc and Typst; nbconvert --to batik_html makes one alone."""

import base64
import difflib
import hashlib
import html
import io
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from nbconvert.exporters import Exporter
from nbformat import NotebookNode
from PIL import Image
from traitlets import Bool

from batik_utils.errors import BatikError
from batik_utils.report import MIME, RASTER_DPI, TEMPLATES
from batik_utils.wording import FONTS, drawable, one_line

TEXT_WIDTH, TEXT_HEIGHT = 16.0, 20.5  # centimetres that a figure may take on the page of the PDF
SCREEN_DPI = 124  # CSS pixels per inch of a figure: one of the page's width fills the column of the HTML page
KINDS = {".svg": "image/svg+xml", ".jpg": "image/jpeg", ".woff": "font/woff", ".csv": "text/csv"}


class Manuscript:
    """What pandoc reads: one Markdown text in which each cell says where it was, and the pictures beside it."""

    def __init__(self, about: dict[str, Any], photos: bool, alone: bool = False) -> None:
        self.about: dict[str, Any] = {"subtitle": "", "header": "", "credit": [], "drawn": False} | about
        self.alone = alone  # whether it is one notebook, which may refer to what another one shows
        self.photos = photos or self.about["drawn"]  # whether pictures are shown, rather than what stands for them
        # What stands before the contents, by the tags of its cells; and all else.
        self.cells: dict[str, list[str]] = {"abstract": [], "abstrak": [], "summary": [], "": []}
        self.files: dict[str, bytes] = {}  # pictures, and the numbers of displays as CSV

    def add(self, notebook: NotebookNode, name: str = "") -> None:
        """Add an executed notebook; raises BatikError for a cell that failed, a figure or table without an anchor."""
        source, dropped = "", {"only-notebook", "only-public" if self.photos else ""}
        for number, cell in enumerate(notebook.cells, 1):
            home = cell.metadata.get("batik", {"notebook": name, "cell": number})
            where, tags = f"{home['notebook'] or 'notebook'}, cell {home['cell']}", set(cell.metadata.get("tags", []))
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
            place = next((tag for tag in self.cells if tag in tags), "")
            if self.photos and not self.about["drawn"]:  # this edition lies one folder deeper
                body = body.replace("](../", "](../../")
            self.cells[place].append(_fenced("cell", body, where=where))

    def _outputs(self, cell: NotebookNode, where: str) -> Iterator[str]:
        shown = False
        for output in cell.outputs:
            data = output.get("data", {})
            part = data.get(MIME, {})
            kind = part.get("kind", "")
            shown |= kind in {"figure", "table"}
            if output.output_type == "error":
                raise BatikError(f"{where}: the cell failed ({output.ename}: {output.evalue}).")
            if output.output_type == "stream":
                # What is said on stderr concerns who runs the notebook, not who reads the report.
                if output.name == "stdout" and output.text.strip():
                    yield _code(output.text)
            elif kind == "figure":
                yield self._picture(data, part)
            elif kind == "table":
                caption = f'{one_line(part["caption"])} {{#{part["anchor"]} csv="{self._csv(part)}"}}'
                yield f"{part['text']}\n\n: {caption}"
            elif (image := any(sort.startswith("image/") for sort in data)) or "<table" in data.get("text/html", ""):
                what = "figure" if image else "table"
                how = f"show it with batik_utils.report.display.{what}"
                raise BatikError(f"{where}: a {what} without an anchor; {how}.")
            elif "text/markdown" in data and kind != "caption":
                yield data["text/markdown"]
            elif data.get("text/plain", "").strip() and not kind:
                yield _code(data["text/plain"])
        if shown:
            yield _fenced("code", _code(cell.source))

    def _picture(self, data: Any, part: dict[str, Any]) -> str:
        if "placeholder" in part and self.photos:
            raw, file = base64.b64decode(data["image/jpeg"]), part["anchor"] + ".jpg"
            width, height = (side / RASTER_DPI for side in Image.open(io.BytesIO(raw)).size)
        else:
            svg = part["placeholder"] if "placeholder" in part else "".join(data["image/svg+xml"])
            raw, file = svg.encode(), part["anchor"] + ".svg"
            part = {**part, "alt": part.get("hidden", part["alt"])}
            points = dict(re.findall(r'\b(width|height)="([\d.]+)pt"', svg[: svg.index("<defs")]))
            width, height = (float(points[side]) / 72 for side in ("width", "height"))
        self.files[file] = raw
        fitted = 2.54 * width * min(1.0, TEXT_WIDTH / (2.54 * width), TEXT_HEIGHT / (2.54 * height))
        sizes = {"px": f"{width * SCREEN_DPI:.0f}", "cm": f"{fitted:.2f}"}
        more = {"csv": self._csv(part), "results": part.get("results", "")}
        return _fenced("figure", part["caption"], part["anchor"], file=file, alt=part["alt"], **sizes, **more)

    def _csv(self, part: dict[str, Any]) -> str:
        if not part.get("csv"):
            return ""
        self.files[file := part["anchor"] + ".csv"] = part["csv"].encode()
        return file

    def to_html(self) -> str:
        """One HTML page with its pictures, style and maths in it."""
        header, title = self.about["header"], self.about["title"]
        whole = title if header.lower() in title.lower() else f"{header}: {title}"
        options = ("--section-divs", "--number-sections", "--mathml", "--toc", "--toc-depth=3")
        page = self._pandoc("html5", html.escape, *options, f"--variable=pagetitle={html.escape(whole)}")
        style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
        if "<math" in page:
            # A formula needs a font with a MATH table, which many machines lack.
            font = _data_url("math.woff", (TEMPLATES / "math.woff").read_bytes())
            style += f'@font-face {{ font-family: "Batik Math"; src: url("{font}"); }}\n'
        page = re.sub(r'<img src="([\w-]+)\.svg" width="(\d+)" alt="([^"]*)">', self._drawn, page)
        urls = {name: _data_url(name, raw) for name, raw in self.files.items()}
        page = re.sub(r'(<img src="|download="[^"]+" href=")([\w-]+\.\w+)"', lambda m: f'{m[1]}{urls[m[2]]}"', page)
        page = page.replace("/* report.css */", style)
        for part in ("style", "script"):  # the page's own, and no other, may be applied
            own = re.search(f"<{part}>(.*?)</{part}>", page, re.S)
            allowed = hashlib.sha256(own[1].encode()).digest() if own else b""
            page = page.replace(f"{part}-src 'none'", f"{part}-src 'sha256-{base64.b64encode(allowed).decode()}'", 1)
        return page

    def _drawn(self, image: re.Match[str]) -> str:
        # A drawing whose marks have names stands in the page itself: a picture in <img> shows none on hover.
        anchor, width, alt = image.groups()
        head, start, svg = self.files[anchor + ".svg"].decode().partition("<g id")
        if "<title>" not in svg:
            return image[0]
        # Ids become the figure's own, and styles attributes: the page's policy allows no style but the page's.
        svg = re.sub(r'(?:xlink:)?( id="|href="#|url\(#)', rf"\1{anchor}-", start + svg)
        svg = re.sub(r' style="([^"]*)"', lambda m: re.sub(r"([\w-]+): ([^;]*)(?:; )?", r' \1="\2"', m[1]), svg)
        box = re.findall(r'viewBox="[\d. ]+"', head)[0]
        lines = 'stroke-linejoin="round" stroke-linecap="butt"'
        return f'<svg role="img" aria-label="{alt}" width="{width}" {box} {lines}>{svg}'

    def to_pdf(self) -> bytes:
        """A PDF: A4, tagged, no date, with Typst's own fonts and FONTS; raises BatikError where Typst cannot set it."""
        import typst
        from matplotlib import get_data_path

        source = self._pandoc("typst-citations-smart", partial(json.dumps, ensure_ascii=False))
        fonts = {font: Path(get_data_path(), "fonts", "ttf", font).read_bytes() for font in FONTS}
        with tempfile.TemporaryDirectory(prefix="batik-") as name:
            for file, raw in {"main.typ": source.encode(), **self.files, **fonts}.items():
                (Path(name) / file).write_bytes(raw)
            # "ua-1" is accessible.
            options: Any = {"root": name, "ignore_system_fonts": True, "font_paths": [name], "pdf_standards": "ua-1"}
            try:
                return typst.compile(f"{name}/main.typ", **options)
            except typst.TypstError as error:
                raise BatikError(f"Typst could not set the report: {one_line(error.message)[:300]}.") from None

    def _pandoc(self, target: str, quote: Callable[[str], str], *options: str) -> str:
        import pypandoc

        # A reader's browser has letters that the PDF's fonts lack.
        shown = str if target == "html5" else drawable
        values = [(key, shown(self.about[key])) for key in ("title", "subtitle", "header") if self.about[key]]
        values += [("credit", shown(line)) for line in self.about["credit"]]
        template = f"--template={TEMPLATES}/report.{'html' if target == 'html5' else 'typ'}"
        command = [pypandoc.get_pandoc_path(), f"--defaults={TEMPLATES}/pandoc.yaml", f"--to={target}", template]
        command += [*options, *(f"--variable={key}={quote(value)}" for key, value in values)]
        command += [f"--metadata=caption-prefix={shown(self.about['header'])}", *["--metadata=alone"] * self.alone]
        parts = {kind: "\n\n".join(cells) for kind, cells in self.cells.items() if cells}
        text = "\n\n".join(_fenced(kind, part) if kind else part for kind, part in parts.items())
        # Under LC_ALL=C pandoc would lose the umlauts of a folder's name.
        utf8 = {**os.environ, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(command, input=shown(text).encode(), capture_output=True, env=utf8)
        said = done.stderr.decode(errors="replace").strip()
        if done.returncode == 0 and not said:
            return done.stdout.decode()
        found = re.search(r"^BATIK(.*)", said, re.M)
        if not found:  # a warning, too, is something that the page would show wrongly
            raise BatikError(f"pandoc could not convert the report: {said}")
        problem = json.loads(found[1])
        near = difflib.get_close_matches(problem.get("id", ""), sorted(problem["known"]), n=1, cutoff=0.5)
        raise BatikError(problem["text"] + (f" (did you mean {near[0]!r}?)." if near else "."))


def export(notebooks: list[NotebookNode], about: dict[str, Any], photos: bool) -> tuple[str, bytes | BatikError]:
    """Executed notebooks as one report: (HTML page, PDF or the error that says why there is none), the same each time.

    about has title, subtitle, header (a line in the title, the running head and every caption), credit (lines) and
    drawn (whether the pictures are drawn); without photos the report shows what stands for photographs. Raises
    BatikError, which names notebook and cell, for a document that does not hold together: an anchor used twice, a
    reference or citation of something that is not there, a table without an anchor.
    """
    manuscript = Manuscript(about, photos)
    for notebook in notebooks:
        manuscript.add(notebook, notebook.metadata.get("batik", {}).get("name", ""))
    page = manuscript.to_html()
    try:
        return page, manuscript.to_pdf()
    except BatikError as error:
        return page, error


class BatikHTMLExporter(Exporter):
    """One notebook as a self-contained HTML page."""

    export_from_notebook = "Batik report"
    photos = Bool(False, help="Whether to show photographs.").tag(config=True)
    file_extension = ".html"

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kw: Any) -> tuple[Any, Any]:
        """Return (page, resources); raises BatikError for a document that does not hold together."""
        nb, resources = super().from_notebook_node(nb, resources, **kw)
        name = resources.get("metadata", {}).get("name", "")
        prose = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
        heading = re.search(r"^# +([^{\n]+)", prose, re.M)
        manuscript = Manuscript({"title": heading[1].strip() if heading else name}, self.photos, alone=True)
        manuscript.add(nb, name)
        return manuscript.to_html() if self.file_extension == ".html" else manuscript.to_pdf(), resources


class BatikPDFExporter(BatikHTMLExporter):
    """One notebook as an A4 PDF."""

    file_extension = ".pdf"


def _data_url(name: str, raw: bytes) -> str:
    return f"data:{KINDS[Path(name).suffix]};base64,{base64.b64encode(raw).decode()}"


def _fenced(kind: str, body: str, anchor: str = "", **attributes: str) -> str:
    fence = ":" * (1 + max((len(m) for m in re.findall(r"^\s*(:{3,})", body, re.M)), default=2))
    values = {k: re.sub(r'[\\"]', r"\\\g<0>", one_line(v)).replace("&", "&amp;") for k, v in attributes.items()}
    pairs = "".join(f' {k}="{v}"' for k, v in values.items())
    return f"{fence} {{{'#' + anchor + ' ' if anchor else ''}.{kind}{pairs}}}\n{body}\n{fence}"


def _code(text: str) -> str:
    fence = "`" * (1 + max((len(m) for m in re.findall(r"`{3,}", text)), default=2))
    return f"{fence}\n{text.rstrip()}\n{fence}"
