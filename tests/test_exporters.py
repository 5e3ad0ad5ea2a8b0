"""One document from several notebooks: numbers, references, HTML and PDF that agree, the same bytes each time."""

import contextlib
import html
import importlib.metadata
import re
import shutil
import tomllib
from pathlib import Path

import pypdfium2
import pytest
import tiny_report
import typst
import yaml
from nbformat.v4 import new_code_cell, new_notebook, new_output
from tiny_report import curve, photograph, prose, scores, shown

from batik_utils.errors import BatikError
from batik_utils.report import display
from batik_utils.report.display import filled
from batik_utils.report.export import TEMPLATES, BatikHTMLExporter, BatikPDFExporter, export
from batik_utils.study import ROOT
from batik_utils.wording import drawable, markdown

LINE = "Procedural sample, not batik photographs"
ABOUT = {"title": "Two models", "subtitle": "Which is better?", "credit": ["Takes up “A study”", "by A and B"]}
DRAWN = {**ABOUT, "header": LINE, "drawn": True}


def printed_text(pdf):
    with contextlib.closing(pypdfium2.PdfDocument(pdf)) as document:
        return [sheet.get_textpage().get_text_range().replace("\ufffe", "") for sheet in document]


@pytest.fixture(scope="module")
def made():
    return export(tiny_report.notebooks(), DRAWN, photos=False)


@pytest.fixture(scope="module")
def pdf_pages(made):
    return printed_text(made[1])


def words(page):
    return " ".join(re.sub(r"<[^>]+>", " ", page.replace("&nbsp;", " ").replace("\u00a0", " ")).split())


def of(*cells, photos=False, **about):
    return both(*cells, photos=photos, **about)[0]


def both(*cells, photos=False, **about):
    """The page and the PDF of one notebook's cells."""
    notebook = new_notebook(cells=list(cells), metadata={"batik": {"name": "01-try.ipynb"}})
    return export([notebook], {"title": "T", **about}, photos)


def test_neither_a_folder_with_umlauts_nor_the_plainest_locale_stops_it(tmp_path, monkeypatch):
    monkeypatch.setattr("batik_utils.report.export.TEMPLATES", shutil.copytree(TEMPLATES, tmp_path / "ein Gerät"))
    monkeypatch.setenv("LC_ALL", "C")
    assert "Größe" in words(of(prose("Größe"))) and both(prose("Größe"))[1].startswith(b"%PDF")


def output(data):
    return new_code_cell("x", outputs=[new_output("display_data", data)])


def test_html_and_pdf_say_the_same_but_for_code_which_is_folded_under_figures_and_tables_of_the_page(made, pdf_pages):
    pdf_text, said = re.sub(r"\s", "", "".join(pdf_pages)), re.sub(r"\s", "", words(made[0]))
    for text in (
        "1 Introduction; 1.1 Deep; 2 Results; References; See Figure 2, Section 1.1 and (Wilson 1927)",
        f"Figure 1. {LINE}. A curve; see Table 1; Table 2. {LINE}. Typed by hand; Table 3. {LINE}. Many rows.",
        "images were right (Holm 1979).; 11,169,347; over the limit, see Figure 1",
        "Takes up “A study”; Code of this part: notebooks/02-second.ipynb",
    ):
        for part in text.split("; "):
            squeezed = re.sub(r"\s", "", part)
            assert squeezed in said and squeezed in pdf_text, part
    assert "ForJupyteronly" not in said + pdf_text and "photo()" not in pdf_text and "show()" not in made[0]
    codes = re.findall(r'<details class="code"><summary>Code</summary><pre.*?>(.*?)</pre></details>', made[0], re.S)
    sources = ["curve(1 &lt; 2)", "scores()", "photo()", "scores(rows=45)"]
    assert codes == [f'<code class="language-python">{source}</code>' for source in sources]
    assert re.search(r'</figure>\s*<p class="from">.*?</p>\s*<details', made[0])


def test_the_page_loads_nothing_and_links_inside_itself(made):
    page = made[0]
    assert not re.findall(r"<(?:link|iframe)\b|<script [^>]*src", page) and 'style="' not in page
    sources = re.findall(r'(?:src="|url\("|download="[^"]+" href=")([^"\s>]+)', page)
    assert len(sources) == 5 and all(s.startswith("data:") for s in sources)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)) and set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert 'href="../../notebooks/01-first.ipynb"' in page and "<math" in page
    assert re.search(r'<img[^>]+alt="A curve; see Table.1\."', page)


def test_what_is_drawn_says_so_in_title_captions_and_on_every_page(made, pdf_pages):
    assert f"<title>{LINE}: Two models</title>" in made[0] and all(LINE in text for text in pdf_pages)
    captions = re.findall(r"<(?:fig)?caption>(.*?)</(?:fig)?caption>", made[0], re.S)
    assert len(captions) == 5 and all(f"{LINE}." in words(c) for c in captions)
    plain, _ = export(tiny_report.notebooks(), ABOUT, photos=False)
    assert LINE not in plain and "<title>Two models</title>" in plain


def test_photographs_are_only_where_they_may_be_shown():
    cells = [shown(lambda: display.pictures(photograph, "fig-a", "One.")), prose("Only drawings here.", "only-public")]
    jpeg = cells[0].outputs[0].data["image/jpeg"]
    assert jpeg in of(*cells, photos=True) and jpeg in of(*cells, drawn=True)
    assert "Only drawings" not in of(*cells, photos=True) + of(*cells, drawn=True)
    public = of(*cells)
    assert "data:image/svg+xml" in public and "image/jpeg" not in public and "Only drawings" in public
    del cells[0].outputs[0].data["image/jpeg"]
    assert of(*cells) == public


def test_the_pdf_is_tagged_numbered_without_a_date_and_repeats_a_long_tables_header(made, pdf_pages):
    assert b"/MarkInfo" in made[1] and b"/StructTreeRoot" in made[1]
    assert not re.search(rb"CreationDate|/Users|/home", made[1])
    assert b"<pdfuaid:part>1</pdfuaid:part>" in made[1] and b"/DisplayDocTitle true" in made[1]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    with contextlib.closing(pypdfium2.PdfDocument(made[1])) as document:
        said = document.get_metadata_dict()
    assert (said["Title"], said["Subject"]) == (f"{LINE}: Two models", "Which is better?")
    assert [said["Author"]] == [author["name"] for author in citation["authors"]]
    assert f"{len(pdf_pages)} of {len(pdf_pages)}" in pdf_pages[-1]
    with_models = [text for text in pdf_pages if "model 1" in text or "model 42" in text]
    assert len(with_models) > 1 and all("parameters" in text for text in with_models)
    assert export(tiny_report.notebooks(), DRAWN, photos=False) == made, "the same bytes each time"


def test_what_a_cell_shows_is_what_the_page_shows():
    cells = [["> 0.99", "a_b [0, 1) | c", "**b**", "$x$"], ["@tbl-a", "`c`", "*i*", "@tbl-a"]]
    frame = tiny_report.pd.DataFrame(cells, columns=list("vwxy"))
    page = of(shown(lambda: display.table(frame, "tbl-a", "[0, 1) as *it* is", marked=["x", "y"])))
    found = re.findall(r"<td.*?>(.*?)</td>", page, re.S)
    assert found[:3] == ["&gt;\u00a00.99", "a_b [0, 1) | c", "<strong>b</strong>"] and "<math" in found[3]
    assert found[4:7] == ["@tbl-a", "`c`", "<em>i</em>"] and 'href="#tbl-a"' in found[7]
    assert "[0, 1) as <em>it</em> is</caption>" in page
    said, noise = (new_output("stream", name=name, text=name) for name in ("stdout", "stderr"))
    page = of(new_code_cell("x", outputs=[said, noise]))
    assert "<code>stdout</code>" in page and "stderr" not in page


def test_ranges_paths_and_words_of_commands_are_not_broken_and_long_tables_are_scrolled():
    cells = ["batik-bali/1.jpg", "80.0\u00a0% (70.0–90.0\u00a0%)", "`make report STUDY=a-b --flag`"]
    for rows, box in ((12, 'table-wrap tied"'), (30, 'table-wrap tied high"')):
        frame = tiny_report.pd.DataFrame([cells] * rows, columns=list("vwx"))
        page = of(shown(lambda frame=frame: display.table(frame, "tbl-a", "A", marked=["x"])))
        for whole in ("batik-bali/1.jpg", "(70.0–90.0\u00a0%)", "STUDY=a-b", "--flag"):
            assert f'<span class="whole">{whole}</span>' in page
        assert box in page


NAMES = r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~ ¦ IMG_@batik_0.jpg ¦ $x$ ¦ *x* _y_ ¦ [a](b) ¦ <b>x</b> ¦ `c` ¦ a|b
¦ - x ¦ 1. x ¦ + x ¦ = x ¦ / x ¦ // x ¦ #let x ¦ =1+1 ¦ @x ¦ ::: x ¦ # x ¦ ... ¦ &amp; ¦ x\ ¦ i. x ¦ (a) x ¦ %x
¦ ^a^ H~2~O ¦ *** ¦ https://a.b//c ¦ 蠟染 ¦ ꦧꦠꦶꦏ꧀ ¦ ᬩᬢᬶᬓ᭄ 2 ¦ பாடிக் ¦ ไทย ¦ 👍🏽 ¦ שלום ¦ مرحبا"""
NAMES = [name.strip() for name in NAMES.split("¦")]
"""Names that a folder or a file may have: every sign of Markdown, Typst, HTML, TeX and CSV, and many scripts."""


def test_names_are_text_in_sentences_tables_captions_and_title_and_what_the_pdf_lacks_is_code_points():
    frame = tiny_report.pd.DataFrame({"name": NAMES})
    cells = [shown(lambda name=name: display.text(filled("{{ n }}\n\nSo {{ n }}.", {"n": name}))) for name in NAMES]
    cells += [shown(lambda: display.table(frame, "tbl-names", " and ".join(map(markdown, NAMES))))]
    page, printed = both(*cells, title=f"T {NAMES[0]} 蠟")
    text = "".join(printed_text(printed))
    for said, name_as in ((html.unescape(re.sub("<[^>]+>", "", page)), str), (text, drawable)):
        squeezed = re.sub(r"[\s\u200b\u2068\u2069]", "", said)
        assert not [n for n in NAMES if squeezed.count(re.sub(r"\s", "", name_as(n))) < 4]
    assert "‹U+881F 67D3›" in text and "蠟染" not in text and "‹" not in page
    assert 'href="b"' not in page and "<b>x" not in page


def test_where_there_can_be_no_pdf_there_is_the_page_and_one_line_that_says_why(monkeypatch):
    compile_ = typst.compile
    monkeypatch.setattr(typst, "compile", lambda *given, **options: compile_(b"#nothing"))
    page, error = export([new_notebook(cells=[prose("# Here")])], ABOUT, photos=False)
    assert "Here</h2>" in page and str(error) == "Typst could not set the report: unknown variable: nothing."


def test_a_number_and_its_per_cent_stay_in_one_line():
    page = of(prose("Of 90 % here, *80* % there,\nand a per\ncent: 70\n% of all; `60 %`; 3 × 4, 5 ± 6 and p < 0.05."))
    assert "Of 90\u00a0% here" in page and "70\u00a0% of all; <code>60 %</code>" in page
    assert "3\u00a0×\u00a04, 5\u00a0±\u00a06 and p\u00a0&lt;\u00a00.05." in page


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (lambda: [prose("See @fig-none.")], "01-try.ipynb, cell 1: a reference to 'fig-none', which is not there."),
        (lambda: [prose("See @fig-curv."), shown(curve), shown(scores)], "not there (did you mean 'fig-curve'?)."),
        (lambda: [shown(curve)], "01-try.ipynb, cell 1: a reference to 'tbl-scores', which is not there"),
        (lambda: [prose("[@wilson1928]")], "cell 1: refs.bib has no entry 'wilson1928' (did you mean 'wilson1927'?)"),
        (lambda: [shown(curve), shown(curve)], "the anchor 'fig-curve' is taken already (01-try.ipynb, cell 1)"),
        (lambda: [prose("# A {#sec-a}"), prose("# B {#sec-a}")], "cell 2: the anchor 'sec-a' is taken already"),
        (lambda: [prose("| a |\n|---|\n| 1 |\n\n: Cap")], "cell 1: a table (Cap) has no anchor"),
        (lambda: [prose("![x](x.png)")], "cell 1: a picture in the text (x.png)"),
        (lambda: [prose("[@wilson1927; @sec-a]\n\n# A {#sec-a}")], "cell 1: a citation and a reference in one bracket"),
        (lambda: [output({"image/png": "AA=="})], "01-try.ipynb, cell 1: a figure without an anchor"),
        (lambda: [output({"text/html": "<table></table>"})], "cell 1: a table without an anchor"),
        (lambda: [new_code_cell("x", outputs=[new_output("error", ename="E", evalue="v")])], "cell failed (E: v)"),
        (lambda: [prose("$\\nosuchthing{$")], "pandoc could not convert the report"),
    ],
)
def test_a_document_that_does_not_hold_together_is_refused(cells, message):
    with pytest.raises(BatikError, match=re.escape(message)):
        of(*cells())


def test_nbconvert_knows_both_exporters_and_a_notebook_by_itself_may_refer_to_another():
    project = tomllib.loads(Path(__file__).parent.with_name("pyproject.toml").read_text())["project"]
    for name, kind in (("batik_html", BatikHTMLExporter), ("batik_pdf", BatikPDFExporter)):
        value = project["entry-points"]["nbconvert.exporters"][name]
        assert importlib.metadata.EntryPoint(name, value, "nbconvert.exporters").load() is kind
    alone = [prose("# 2 · Results", "only-notebook"), prose("As @sec-audit says.")]
    alone = new_notebook(cells=[*alone, shown(lambda: display.pictures(photograph, "fig-a", "One."))])
    page, _ = BatikHTMLExporter().from_notebook_node(alone)
    assert "<title>2 · Results</title>" in page and "As <code>sec-audit</code> says." in page
    assert "image/jpeg" not in page and "image/jpeg" in BatikHTMLExporter(photos=True).from_notebook_node(alone)[0]
    assert BatikPDFExporter().from_notebook_node(alone)[0].startswith(b"%PDF")


def test_abstracts_and_summary_stand_before_the_contents_and_what_is_indonesian_says_so():
    cells = [
        prose("# Body {#sec-body}\n\nEnd."),
        shown(lambda: display.text("In short."), "abstract"),
        shown(lambda: display.text("Singkatnya."), "abstrak"),
        shown(lambda: curve("fig-answer", "An answer; see @sec-body."), "summary"),
    ]
    page, printed = both(*cells)
    said = words(page)
    order = ["Abstract", "In short.", "Abstrak", "Singkatnya.", "An answer; see Section", "Contents", "End."]
    assert [said.index(word) for word in order] == sorted(said.index(word) for word in order)
    assert re.search(r'<section class="abstract" lang="id"[^>]*>\s*<h2[^>]*>Abstrak</h2>', page)
    text = "".join(printed_text(printed))
    assert text.index("Abstrak") < text.index("Figure 1") < text.index("Contents") < text.index("End.")
