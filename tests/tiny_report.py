"""Executed notebooks without a kernel: what display.py says is put where a kernel would have put it."""

from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from batik_utils.report import display


def shown(show, *tags, source="show()"):
    """A code cell with the outputs of calling show()."""
    outputs = []
    with mock.patch("IPython.display.display", lambda data, raw: outputs.append(new_output("display_data", data))):
        show()
    return new_code_cell(source, outputs=outputs, metadata={"tags": list(tags)})


def prose(text, *tags):
    """A Markdown cell."""
    return new_markdown_cell(text, metadata={"tags": list(tags)})


def curve(anchor="fig-curve", caption="A curve; see @tbl-scores.", **options):
    """Draw and show a small figure."""
    fig, ax = plt.subplots(figsize=(4, 2))
    ax.plot([0, 1, 2], [0.2, 0.5, 0.9])
    display.figure(fig, anchor, caption, **options)


def photograph(photos):
    """A figure of one picture, or of what stands for it."""
    fig, ax = plt.subplots(figsize=(2, 2))
    if photos:
        ax.imshow(np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8))
    return fig


def scores(anchor="tbl-scores", caption="Scores of two models.", rows=2):
    """Show a small table."""
    names = ["Scratch CNN", "**MobileNetV2**"] + [f"model {i}" for i in range(rows - 2)]
    frame = pd.DataFrame({"model": names[:rows], "parameters": [11169347, 2422339] + [1] * (rows - 2)})
    frame["accuracy"] = np.linspace(0.5, 0.9, rows)
    frame["remark"] = "over the limit, see @fig-curve"
    display.table(frame, anchor, caption, marked=["model", "remark"])


def notebooks():
    """Two small executed notebooks that refer to each other."""
    display.use_report_style()
    first = [
        prose("# For Jupyter only", "only-notebook"),
        prose("# Introduction {#sec-intro}\n\nSee @fig-photo, @sec-deep and [@wilson1927].\n\n## Deep {#sec-deep}"),
        shown(lambda: display.text(["27 of 30 images were right [@holm1979].", "Second."]), "abstract"),
        shown(curve, source="curve(1 < 2)"),
        shown(scores, source="scores()"),
    ]
    second = [
        prose("# Results\n\n$\\hat p \\le 1$\n\n| a | b |\n|---|--:|\n| x | 2 |\n\n: Typed by hand {#tbl-typed}"),
        shown(lambda: display.pictures(photograph, "fig-photo", "One picture."), source="photo()"),
        prose("Something stands for the photographs.", "only-public"),
        shown(lambda: scores("tbl-long", "Many rows.", rows=45), source="scores(rows=45)"),
    ]
    return [
        new_notebook(cells=first, metadata={"batik": {"name": "01-first.ipynb"}}),
        new_notebook(cells=second, metadata={"batik": {"name": "02-second.ipynb"}}),
    ]
