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


def test_only_what_a_cell_may_hold_is_markup():
    cells = ["**b** *i* `x_|` $a_1$ @fig-x", "<b> [0, 1] a_b | c~d^e"]
    shown_cells = table({"a": cells})["text/markdown"].splitlines()[-2:]
    assert shown_cells == [r"| **b** *i* `x_|` $a_1$ @fig-x |", r"| \<b\> \[0, 1\] a\_b \| c\~d\^e |"]
    with pytest.raises(BatikError, match="has 1 columns; align 'lr' does not fit"):
        table({"a": [1]}, align="lr")
