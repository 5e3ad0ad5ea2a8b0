"""What notebooks show: deterministic pictures, tables that read well, placeholders beside photographs."""

import base64
import io

import matplotlib.pyplot as plt
import nbclient
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from tiny_report import curve, photograph, shown

from batik_utils.errors import BatikError
from batik_utils.report import display
from batik_utils.report.display import MIME

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
    assert caption[MIME]["kind"] == "caption"
    assert not plt.get_fignums()


def test_pictures_travel_as_jpeg_with_what_stands_for_them_beside():
    (first, _), (again, _) = (parts(lambda: display.pictures(photograph, "fig-x", "Cap.")) for _ in range(2))
    assert first == again
    picture = Image.open(io.BytesIO(base64.b64decode(first["image/jpeg"])))
    assert picture.format == "JPEG" and picture.width == pytest.approx(2 * 160, abs=20)
    assert first[MIME]["placeholder"].lstrip().startswith("<?xml") and "<image" not in first[MIME]["placeholder"]
    assert "image/svg+xml" not in first and not plt.get_fignums()


@pytest.mark.parametrize("pixels", [np.zeros((8, 8, 3)), np.zeros((128, 128))])
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


def test_a_figure_needs_a_good_anchor_and_a_caption():
    for anchor in ("curve", "tbl-curve", "fig-Curve", ""):
        with pytest.raises(BatikError, match=f"A figure needs an anchor such as 'fig-results' .*not {anchor!r}"):
            curve(anchor, "A curve.")
    with pytest.raises(BatikError, match="'fig-curve' needs a caption"):
        curve("fig-curve", " ")
    plt.close("all")


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
    csv = table({"=a": numbers + formulas, "b": 1})[MIME]["csv"]
    read = pd.read_csv(io.StringIO(csv))
    assert read.columns.tolist() == ["'=a", "b"]
    assert read["'=a"].tolist() == numbers + [f"'{cell}" for cell in formulas]


def test_of_a_table_longer_than_a_page_the_first_ten_rows_are_shown_and_the_csv_has_all():
    for rows, most, shown_rows in ((45, 45, 45), (46, 45, 10), (11, 10, 10)):
        data = table({"a": range(rows)}, most=most)
        assert data[MIME]["text"].count("\n") == 1 + shown_rows and data[MIME]["csv"].count("\n") == 1 + rows
        assert (f"The first 10 of {rows}" in data[MIME]["caption"]) == (shown_rows < rows)


def test_a_table_names_what_does_not_fit_its_columns():
    with pytest.raises(BatikError, match="has 1 columns; align 'lr' does not fit"):
        table({"a": [1]}, align="lr")
