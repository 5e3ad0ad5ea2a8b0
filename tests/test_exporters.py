"""One document from several notebooks: numbers, references, HTML and PDF that agree, the same bytes each time."""

import importlib.metadata
import re

import nbformat
import pypdfium2
import pytest
import tiny_report
from nbformat.v4 import new_code_cell, new_notebook, new_output
from tiny_report import curve, prose, scores, shown

from batik_utils.errors import BatikError
from batik_utils.report.document import read
from batik_utils.report.exporters import BatikHTMLExporter, BatikPDFExporter, merge
from batik_utils.report.markdown import manuscript

ABOUT = {
    "title": "Two models",
    "subtitle": "Which is better?",
    "header": "Procedural sample, not batik photographs",
    "caption_prefix": "Procedural sample, not batik photographs",
    "credit": ["Takes up “A study”", "by A and B"],
    "names": ["01-first.ipynb", "02-second.ipynb"],
}


@pytest.fixture(scope="module")
def merged():
    return merge(tiny_report.notebooks(), ABOUT)


@pytest.fixture(scope="module")
def page(merged):
    return BatikHTMLExporter().from_notebook_node(merged)[0]


@pytest.fixture(scope="module")
def pdf(merged):
    return BatikPDFExporter().from_notebook_node(merged)[0]


@pytest.fixture(scope="module")
def pdf_pages(pdf):
    document = pypdfium2.PdfDocument(pdf)
    texts = []
    for sheet in document:
        layer = sheet.get_textpage()
        texts.append(layer.get_text_range().replace("\r\n", "\n").replace("\ufffe", ""))
        layer.close()
        sheet.close()
    document.close()
    return texts


def words(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html.replace("&nbsp;", " ").replace("\u00a0", " ")).split())


def broken(*cells):
    return read(manuscript(merge([new_notebook(cells=list(cells))], {"title": "T", "names": ["01-try.ipynb"]})))


def test_both_exporters_are_known_to_nbconvert():
    found = {e.name: e.load() for e in importlib.metadata.entry_points(group="nbconvert.exporters")}
    assert found["batik_html"] is BatikHTMLExporter
    assert found["batik_pdf"] is BatikPDFExporter


def test_sections_figures_and_tables_are_numbered_in_order(merged):
    numbers = read(manuscript(merged)).numbers
    assert {k: numbers[k] for k in ("sec-intro", "sec-deep", "results")} == {
        "sec-intro": "1",
        "sec-deep": "1.1",
        "results": "2",
    }
    assert (numbers["fig-curve"], numbers["fig-photo"]) == ("1", "2")
    assert (numbers["tbl-scores"], numbers["tbl-typed"], numbers["tbl-long"]) == ("1", "2", "3")


def test_html_and_pdf_say_the_same(page, pdf_pages):
    pdf_text = " ".join(" ".join(pdf_pages).replace("\u00a0", " ").split())
    said = words(page)
    for text in (
        "See Figure 2 , Section 1.1 and (Wilson 1927 )",
        "Figure 1. Procedural sample, not batik photographs. A curve; see Table 1",
        "Table 3. Procedural sample, not batik photographs. Many rows.",
        "27 of 30 images were right.",
        "11,169,347",
        "Mind the shuffle",
        "over the limit, see Figure 1",
        "Takes up “A study”",
    ):
        squeezed = re.sub(r"\s", "", text)
        assert squeezed in re.sub(r"\s", "", said), text
        assert squeezed in re.sub(r"\s", "", pdf_text), text
    assert "For Jupyter only" not in said + pdf_text
    assert "show()" not in said + pdf_text


def test_the_page_loads_nothing_and_links_inside_itself(page):
    assert not re.findall(r"<(?:script|link|iframe)\b", page)
    sources = re.findall(r'(?:src=|url\()["\']?([^"\')\s>]+)', page)
    assert sources
    assert all(s.startswith("data:") for s in sources)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert 'href="../../notebooks/01-first.ipynb"' in page
    assert "<math" in page
    assert re.search(r'<img[^>]+alt="A curve; see Table.1\."', page)


def test_the_sample_is_called_a_sample_in_title_and_on_every_page(page, pdf_pages):
    assert "<title>Procedural sample, not batik photographs: Two models</title>" in page
    assert all("Procedural sample, not batik photographs" in text for text in pdf_pages)
    captions = re.findall(r"<(?:fig)?caption>(.*?)</(?:fig)?caption>", page, re.S)
    assert len(captions) == 5
    assert all("Procedural sample, not batik photographs." in words(c) for c in captions)


def test_pages_are_numbered_and_a_long_table_repeats_its_header(pdf_pages):
    assert f"{len(pdf_pages)} of {len(pdf_pages)}" in pdf_pages[-1]
    with_models = [text for text in pdf_pages if "model 1" in text or "model 67" in text]
    assert len(with_models) > 1
    assert all("parameters" in text for text in with_models)


def test_the_pdf_is_tagged_and_has_no_date(pdf):
    assert b"/MarkInfo" in pdf
    assert b"/StructTreeRoot" in pdf
    assert b"CreationDate" not in pdf
    assert b"/Users" not in pdf and b"/home" not in pdf


def test_the_same_notebooks_give_the_same_bytes(page, pdf):
    again = merge(tiny_report.notebooks(), ABOUT)
    assert BatikHTMLExporter().from_notebook_node(again)[0] == page
    assert BatikPDFExporter().from_notebook_node(again)[0] == pdf


def test_merging_leaves_the_notebooks_as_they_were():
    parts = tiny_report.notebooks()
    before = nbformat.writes(parts[0])
    whole = merge(parts, ABOUT)
    assert nbformat.writes(parts[0]) == before
    assert len(whole.cells) == sum(len(p.cells) for p in parts)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (lambda: [prose("See @fig-none.")], "01-try.ipynb, cell 1: a reference to 'fig-none', which is not there"),
        (lambda: [prose("See @fig-curv."), shown(curve), shown(scores)], "did you mean 'fig-curve'"),
        (lambda: [prose("[@wilson1928]")], "refs.bib has no entry 'wilson1928' (did you mean 'wilson1927'?)"),
        (lambda: [shown(curve), shown(curve)], "cell 2: the label 'fig-curve' is taken already (01-try.ipynb, cell 1)"),
        (lambda: [prose("# A {#sec-a}"), prose("# B {#sec-a}")], "the label 'sec-a' is used twice"),
        (lambda: [prose("| a |\n|---|\n| 1 |\n\n: Cap")], "A table (Cap) has no label"),
        (lambda: [prose("![x](x.png)")], "A picture in the text (x.png)"),
        (lambda: [prose("[@wilson1927; @sec-a]\n\n# A {#sec-a}")], "A citation and a reference in one bracket"),
        (lambda: [raw_output({"image/png": "AA=="})], "01-try.ipynb, cell 1: a figure without a label"),
        (lambda: [raw_output({"text/html": "<table></table>"})], "cell 1: a table without a label"),
    ],
)
def test_a_document_that_does_not_hold_together_is_refused(cells, message):
    with pytest.raises(BatikError) as error:
        broken(*cells())
    assert message in str(error.value)


def test_a_notebook_by_itself_may_refer_to_another():
    alone = new_notebook(cells=[prose("# 2 · Results", "only-notebook"), prose("As @sec-audit says.\n\n# Method")])
    html = BatikHTMLExporter().from_notebook_node(alone)[0]
    assert "<title>2 · Results</title>" in html
    assert "As <code>sec-audit</code> says." in html


def raw_output(data):
    return new_code_cell("x", outputs=[new_output("display_data", data)])


def test_printed_text_is_kept_and_stderr_is_not(page):
    streams = [new_output("stream", name="stdout", text="said\n"), new_output("stream", name="stderr", text="noise\n")]
    html = BatikHTMLExporter().from_notebook_node(new_notebook(cells=[new_code_cell("x", outputs=streams)]))[0]
    assert "said" in html
    assert "noise" not in html
