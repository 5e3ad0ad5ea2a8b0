"""Figures draw what they are given, and no photograph where photographs may not be shown."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from batik_utils import figures
from batik_utils.figures import Picture
from batik_utils.figures.style import motif_name
from batik_utils.figures.tiles import draw_picture

IMAGE = np.full((4, 4, 3), 200, dtype=np.uint8)


@pytest.fixture(autouse=True)
def no_open_figures():
    yield
    plt.close("all")


def test_a_photograph_is_drawn_only_where_photographs_may_be_shown():
    _, (shown, hidden) = plt.subplots(1, 2)
    draw_picture(shown, Picture(IMAGE, "batik-bali/1.jpg"), photos=True)
    draw_picture(hidden, Picture(IMAGE, "batik-bali/1.jpg"), photos=False)
    assert len(shown.images) == 1
    assert not hidden.images
    assert hidden.texts[0].get_text() == "batik-bali/\n1.jpg"


def test_a_grid_leaves_no_empty_frames():
    fig = figures.picture_grid([Picture(IMAGE, f"a/{i}.jpg") for i in range(5)], columns=3, photos=True)
    assert sum(ax.axison for ax in fig.axes) == 5


def test_every_seed_is_a_dot_even_where_two_are_equal():
    accuracies = {"A": np.array([0.5, 0.5, 0.6])}
    fig = figures.seed_dots(accuracies, {"A": (0.3, 0.7)}, {"A": 0.8}, chance=1 / 3)
    dots = [line.get_xydata()[0] for line in fig.axes[0].lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert len({tuple(d) for d in dots}) == 3
    claims = [line for line in fig.axes[0].lines if line.get_marker() == "D" and len(line.get_xdata())]
    assert [float(line.get_xdata()[0]) for line in claims] == [0.8]


def test_confusion_shows_whole_counts_as_they_are_and_means_with_a_decimal():
    whole, means = np.array([[3, 1], [0, 4]]), np.array([[2.5, 1.5], [0.5, 3.5]])
    fig = figures.confusion_matrices({"A": whole, "B": means}, ["batik-bali", "batik-celup"])
    texts = [[t.get_text() for t in ax.texts] for ax in fig.axes[:2]]
    assert texts == [["3", "1", "0", "4"], ["2.5", "1.5", "0.5", "3.5"]]


def test_the_posterior_names_its_three_probabilities():
    fig = figures.posterior_figure(0.1, 0.02, 9, 0.02, ("A", "B"), (0.9, 0.08, 0.02))
    labels = [text.get_text() for text in fig.legends[0].get_texts()]
    assert labels == ["A better: 90.0\u00a0%", "practically the same (±2 points): 8.0\u00a0%", "B better: 2.0\u00a0%"]


def test_the_learning_curve_marks_the_numbers_of_images_that_were_used():
    rows = [("A", k, 0.5, 0.4, 0.6) for k in (5, 10, 40)]
    fig = figures.learning_curve(pd.DataFrame(rows, columns=["label", "images", "mean", "low", "high"]), 1 / 3)
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == ["5", "10", "40"]


def test_motifs_are_named_as_people_say_them():
    assert motif_name("batik-bali") == "Bali"
    assert motif_name("sample-kawung") == "Kawung"
