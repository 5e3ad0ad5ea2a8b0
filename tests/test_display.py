"""What notebooks show: deterministic pictures, tables that read well, placeholders for photographs, `%%say` prose."""

import base64
import io
from types import SimpleNamespace

import matplotlib.pyplot as plt
import nbclient
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from results_factory import make_results
from tiny_report import curve, photograph, shown

from batik_utils.errors import BatikError
from batik_utils.report import display
from batik_utils.report.display import MIME, filled
from batik_utils.stats import compare as rules
from batik_utils.stats.intervals import Interval

SETUP = """
import matplotlib.pyplot as plt
from batik_utils.report.display import figure, use_report_style
use_report_style()
"""


def parts(show):
    return [output.data for output in shown(show).outputs]


def table(frame, **options):
    (data,) = parts(lambda: display.table(pd.DataFrame(frame), "tbl-x", "Cap.", **options))
    return data


def test_a_figure_is_svg_with_text_as_paths_and_the_same_bytes_each_time():
    display.use_report_style()
    (first, caption), (again, _) = parts(curve), parts(curve)
    assert first["image/svg+xml"] == again["image/svg+xml"]
    assert "<text" not in first["image/svg+xml"] and "dc:date" not in first["image/svg+xml"]
    assert caption[MIME]["kind"] == "caption" and not plt.get_fignums()


def test_pictures_travel_as_jpeg_with_what_stands_for_them_beside():
    (first, _), (again, _) = (parts(lambda: display.pictures(photograph, "fig-x", "Cap.")) for _ in range(2))
    assert first == again and "image/svg+xml" not in first and not plt.get_fignums()
    picture = Image.open(io.BytesIO(base64.b64decode(first["image/jpeg"])))
    assert picture.format == "JPEG" and picture.width == pytest.approx(2 * 160, abs=20)
    assert first[MIME]["placeholder"].lstrip().startswith("<?xml") and "<image" not in first[MIME]["placeholder"]


@pytest.mark.parametrize("pixels", [np.zeros((8, 8, 3)), np.zeros((128, 128))], ids=["small", "grey"])
def test_a_picture_is_refused_where_the_public_edition_would_show_it(pixels):
    def draw(photos=True):
        fig, ax = plt.subplots()
        ax.imshow(pixels)
        return fig

    with pytest.raises(BatikError, match=r"'fig-x' holds a picture: show it with display\.pictures"):
        display.figure(draw(), "fig-x", "Cap.")
    with pytest.raises(BatikError, match="'fig-x' holds a picture"):
        display.pictures(draw, "fig-x", "Cap.")
    plt.close("all")


def test_in_jupyter_a_plot_typed_by_hand_shows_and_a_figure_shows_once(monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)
    sources = [SETUP, "plt.plot([1, 2]);", "figure(plt.figure(), 'fig-line', 'A line.')"]
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    setup, by_hand, figure = ([set(o.data) & {"image/png", "image/svg+xml"} for o in c.outputs] for c in notebook.cells)
    assert (setup, by_hand, figure) == ([], [{"image/png"}], [{"image/svg+xml"}, set()])


def test_a_figure_needs_a_good_anchor_and_a_caption_and_a_table_an_alignment_that_fits():
    for anchor in ("curve", "tbl-curve", "fig-Curve", ""):
        with pytest.raises(BatikError, match=f"A figure needs an anchor such as 'fig-results' .*not {anchor!r}"):
            curve(anchor, "A curve.")
    with pytest.raises(BatikError, match="'fig-curve' needs a caption"):
        curve("fig-curve", " ")
    plt.close("all")
    with pytest.raises(BatikError, match="has 1 columns; align 'lr' does not fit"):
        table({"a": [1]}, align="lr")


def test_numbers_are_aligned_and_written_for_readers():
    frame = {"model": ["a", "b"], "count": [2422339, 2024], "score": [0.12345, float("nan")], "share": ["50%", "25%"]}
    frame |= {"interval": ["0.39–0.73", "12 of 15"], "good": [True, False], "change": [-0.5, 1.0]}
    assert table(frame)[MIME]["text"].splitlines() == [
        "| model | count | score | share | interval | good | change |",
        "| :-- | --: | --: | --: | --: | :-- | --: |",
        "| a | 2,422,339 | 0.123 | 50% | 0.39–0.73 | yes | −0.500 |",
        "| b | 2024 | – | 25% | 12 of 15 | no | 1.000 |",
    ]


def test_a_cell_is_text_but_in_columns_that_are_said_to_be_markdown():
    cells = {"a": ["**b** `x` $a$ @fig-x"], "b_": ["**b**\n`x`"]}
    shown_cells = table(cells, marked=["b_"])["text/markdown"].splitlines()[-3:]
    assert [shown_cells[0], shown_cells[2]] == [r"| a | b\_ |", r"| \*\*b\*\* \`x\` \$a\$ \@fig-x | **b** `x` |"]


def test_no_cell_of_a_csv_is_a_formula_and_numbers_stay_numbers():
    numbers = ["-1.5", "+25.3 (+1.2 to +49.3)", "-3e-05", "+12.3 points"]
    formulas = ["=1+1", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx", "-x", "+1 (=1)"]
    read = pd.read_csv(io.StringIO(table({"=a": numbers + formulas, "b": 1})[MIME]["csv"]))
    assert read.columns.tolist() == ["'=a", "b"]
    assert read["'=a"].tolist() == numbers + [f"'{cell}" for cell in formulas]


@pytest.mark.parametrize(("rows", "most", "shown_rows"), [(45, 45, 45), (46, 45, 10), (11, 10, 10)])
def test_of_a_table_longer_than_a_page_the_first_ten_rows_are_shown_and_the_csv_has_all(rows, most, shown_rows):
    data = table({"a": range(rows)}, most=most)
    assert data[MIME]["text"].count("\n") == 1 + shown_rows and data[MIME]["csv"].count("\n") == 1 + rows
    assert (f"The first 10 of {rows}" in data[MIME]["caption"]) == (shown_rows < rows)


SAID = {
    "{{ share | reached }}{% if share.low > 0.5 %}, over half{% endif %}.": "77.4 % (71.0–83.8 %), over half.",
    "{% filter indonesian %}{{ share | reached }}, 1,200{% endfilter %}": "77,4 % (71,0–83,8 %), 1.200",
    "{{ gap | points_interval }}": "+12.0 points (−1.0 to +25.0 points)",
    "{{ 3 | number('seed') }}\n\n## A heading {#sec-a}": "3 seeds\n\n## A heading {#sec-a}",
    "{{ star }}, {{ star | safe }}, {{ [star, star] | listed }}": r"\*, *, \* and \*",
    "{% filter indonesian %}{{ places | terdaftar }}: {{ 0.5 | points }}{% endfilter %}": (
        "a to b, 7 points, dan v1.2: 50,0 poin"
    ),
    "{{ many | few | listed }}": "n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 and 3 more",
    "{{ many[:10] | few | length }}": "10",
}


@pytest.mark.parametrize("template", SAID)
def test_numbers_names_and_lists_are_written_as_everywhere_and_what_comes_from_a_disk_is_text(template):
    names = {"share": Interval(0.774, 0.71, 0.838, 10), "gap": Interval(0.12, -0.01, 0.25, 10), "star": "*"}
    names |= {"places": ["a to b", "7 points", "v1.2"], "many": [f"n{i}" for i in range(13)]}
    assert filled(template, names).replace("\u00a0", " ") == SAID[template]


def test_a_name_that_is_not_there_is_an_error_that_names_it():
    for template, problem in (("{{ nothing }}", "'nothing' is undefined"), ("a\n{% if %}", "line 2")):
        with pytest.raises(BatikError, match=problem):
            filled(template, {})


def test_a_verdict_needs_nine_tenths_of_the_planned_fits():
    c = rules.compare(make_results({"a": 0.9, "b": 0.5}), "a", "b")
    assert [rules.verdict(c, fits, 10) for fits in (9, 8)] == ["better", "too few fits"]
    assert rules.verdict(None, 10, 10) == "too few fits"


def test_each_rule_has_two_sides():
    band = Interval(0.5, 0.4, 0.6, 10)
    assert [rules.side(band, line) for line in (0.39, 0.5, 0.61)] == ["above", "open", "below"]
    assert rules.side(None, 0.5) == "open"
    steps = [Interval(0.03, 0.01, 0.05, 5), Interval(0.0, -0.01, 0.019, 5), Interval(0.0, -0.01, 0.021, 5), None]
    assert [rules.trend(step) for step in steps] == ["rising", "level", "open", "open"]
    assert [rules.fit_gap(v, band) for v in (0.61, 0.6, 0.39)] == ["overfits", "open", "below"]
    assert rules.uneven([8, 17, 9]) and not rules.uneven([8, 16, 9])
    assert rules.turned_up([1.0, 0.5, 0.56]) and not rules.turned_up([1.0, 0.5, 0.55])
    against = {
        name: SimpleNamespace(declared=declared, difference=Interval(value, 0, 0, 1))
        for name, value, declared in (("x", 0.1, True), ("y", 0.1, False), ("z", -0.1, True))
    }
    assert rules.sorted_out(against) == {"better": ["x"], "open": ["y"], "worse": ["z"]}
