"""What notebooks show: deterministic pictures, tables that read well, placeholders instead of photographs."""

import base64
import io

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from PIL import Image
from tiny_report import curve, shown

from batik_utils.errors import BatikError
from batik_utils.report import display
from batik_utils.report.markdown import MIME


def parts(cell):
    return [output.data for output in cell.outputs]


def test_a_figure_is_svg_with_text_as_paths_and_the_same_bytes_each_time():
    display.use_report_style()
    first, caption = parts(shown(curve))
    again, _ = parts(shown(curve))
    assert first["image/svg+xml"] == again["image/svg+xml"]
    assert "<text" not in first["image/svg+xml"]
    assert "dc:date" not in first["image/svg+xml"]
    assert caption[MIME]["kind"] == "caption"
    assert first[MIME]["inches"] == pytest.approx([4, 2], abs=0.1)
    assert not plt.get_fignums()


def test_photographs_are_jpeg_at_160_dots_per_inch():
    first, _ = parts(shown(lambda: curve(photos=True)))
    again, _ = parts(shown(lambda: curve(photos=True)))
    assert first["image/jpeg"] == again["image/jpeg"]
    picture = Image.open(io.BytesIO(base64.b64decode(first["image/jpeg"])))
    assert picture.format == "JPEG" and picture.width == pytest.approx(4 * 160, abs=10)
    assert first[MIME]["inches"] == pytest.approx([4, 2], abs=0.1)


@pytest.mark.parametrize(
    ("label", "caption", "message"),
    [
        ("curve", "A curve.", "A figure needs a label such as 'fig-results'"),
        ("tbl-curve", "A curve.", "A figure needs a label"),
        ("fig-Curve", "A curve.", "not 'fig-Curve'"),
        ("", "A curve.", "A figure needs a label"),
        ("fig-curve", " ", "'fig-curve' needs a caption"),
    ],
)
def test_a_figure_needs_a_good_label_and_a_caption(label, caption, message):
    with pytest.raises(BatikError) as error:
        curve(label, caption)
    assert message in str(error.value)
    plt.close("all")


def test_numbers_are_aligned_and_written_for_readers():
    frame = pd.DataFrame(
        {
            "model": ["a", "b"],
            "count": [2422339, 2024],
            "score": [0.12345, float("nan")],
            "share": [0.5, 0.25],
            "interval": ["0.39–0.73", "12 of 15"],
            "good": [True, False],
            "change": [-0.5, 1.0],
        }
    )
    (data,) = parts(shown(lambda: display.table(frame, "tbl-x", "Cap.", formats={"share": ".0%"})))
    part = data[MIME]
    assert part["align"] == "lrrrrlr"
    assert part["rows"] == [
        ["a", "2,422,339", "0.123", "50%", "0.39–0.73", "yes", "−0.500"],
        ["b", "2024", "–", "25%", "12 of 15", "no", "1.000"],
    ]
    assert "Cap." in data["text/html"]
    assert "2,422,339" in data["text/html"]


def test_a_table_says_what_does_not_fit():
    frame = pd.DataFrame({"a": [1]})
    with pytest.raises(BatikError, match="has 1 columns; align 'lr' does not fit"):
        display.table(frame, "tbl-x", "Cap.", align="lr")
    with pytest.raises(BatikError, match="no column 'b' to format"):
        display.table(frame, "tbl-x", "Cap.", formats={"b": ".1%"})


def test_html_in_a_cell_is_text():
    frame = pd.DataFrame({"a": ["<script>"]})
    (data,) = parts(shown(lambda: display.table(frame, "tbl-x", "Cap.")))
    assert "<script>" not in data["text/html"]


def test_a_note_and_text_keep_their_markdown():
    (note,) = parts(shown(lambda: display.note("Mind", ["One.", "*Two*."])))
    assert note[MIME] == {"kind": "note", "title": "Mind", "text": "One.\n\n*Two*."}
    assert note["text/markdown"].startswith("> **Mind**")
    (text,) = parts(shown(lambda: display.text(["One.", "Two."])))
    assert text[MIME]["text"] == "One.\n\nTwo."
