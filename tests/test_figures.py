"""Figures draw what they are given, and no photograph where photographs may not be shown."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from batik_utils import figures
from batik_utils.figures import Picture
from batik_utils.figures.style import MOTIF_COLOURS, motif_styles
from batik_utils.palette import palette
from batik_utils.report.display import render
from batik_utils.study_file import load_study, study_names
from batik_utils.wording import motif_names

IMAGE = np.full((4, 4, 3), 200, dtype=np.uint8)
PICTURES = [Picture(IMAGE, f"batik-bali/{i}.jpg") for i in range(5)]


@pytest.fixture(autouse=True)
def no_open_figures():
    yield
    plt.close("all")


def _words(fig):
    return " ".join(text.get_text().replace("\n", " ") for ax in fig.axes for text in ax.texts)


def test_a_photograph_is_drawn_only_where_photographs_may_be_shown():
    for make in (
        partial(figures.picture_grid, PICTURES, 3, ["one", "two"]),
        partial(figures.pair_grid, [PICTURES[:2]]),
    ):
        assert all(ax.images for ax in make(photos=True).axes if ax.axison)
        hidden = make(photos=False)
        assert not any(ax.images for ax in hidden.axes)
        assert "batik-bali/1.jpg" in [ax.get_xlabel() for ax in hidden.axes]
        assert "five colours" in hidden.alt and "five colours" not in make(photos=True).alt


def test_a_palette_is_of_the_area_the_largest_first_and_knows_nothing_of_where_pixels_lay():
    image = np.zeros((10, 10, 3), dtype=np.uint8)
    image[:3] = (255, 0, 0)
    assert palette(image) == [("#000000", 0.7), ("#ff0000", 0.3)]
    assert palette(np.stack([image, np.zeros_like(image)])) == [("#000000", 0.85), ("#ff0000", 0.15)]
    noise, other = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)
    shuffled = np.random.default_rng(1).permutation(noise.reshape(-1, 3)).reshape(noise.shape)
    found = palette(noise)
    assert palette(shuffled) == found != palette(other)
    shares = [share for _, share in found]
    assert len(found) == 5 and sum(shares) == pytest.approx(1) and shares == sorted(shares, reverse=True)


def test_a_tile_holds_no_more_than_five_colours_and_nothing_of_where_they_lay():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    shuffled = rng.permutation(image.reshape(-1, 3)).reshape(image.shape)
    tiles = [figures.picture_grid([Picture(i, "a/1.jpg", "A", True)], 6, photos=False) for i in (image, shuffled)]
    stripes = tiles[0].axes[0].patches
    assert len(stripes) == 5 and sum(bar.get_height() for bar in stripes) == pytest.approx(1)
    first, second = (render(tile, "salt", "svg") for tile in tiles)
    assert first == second
    other = figures.picture_grid([Picture(image // 2, "a/1.jpg", "A", True)], 6, photos=False)
    assert render(other, "salt", "svg") != first


@pytest.mark.parametrize(
    ("cost", "less", "more"), [("parameters", "smaller", "larger"), ("milliseconds", "faster", "slower")]
)
def test_what_accuracy_costs_is_told_of_those_that_no_cheaper_beats(cost, less, more):
    points = {"A": (10, 0.5, 0.4, 0.6), "B": (20, 0.45, 0.4, 0.5), "C": (3000, 0.7, 0.6, 0.8)}
    fig = figures.pareto(points, 1 / 3, cost)
    front = f"No {less} model beats these: A (10 {cost}, 50.0\u00a0%), C (3,000 {cost}, 70.0\u00a0%)."
    assert fig.alt == f"{front} One no {more} reaches as much as each of the others: B."
    assert list(fig.data.columns) == ["model", cost, "accuracy", "low", "high"]


def test_a_grid_leaves_no_empty_frames_and_names_its_rows():
    fig = figures.picture_grid(PICTURES, 3, ["one", "two"], photos=True)
    assert [ax.get_ylabel() for ax in fig.axes] == ["one", "", "", "two", ""]


def test_every_seed_is_a_dot_even_where_two_are_equal():
    accuracies = {"A": np.array([0.5, 0.5, 0.6])}
    fig = figures.seed_dots(accuracies, {"A": (0.3, 0.7)}, {"A": 0.8}, chance=1 / 3)
    marked = {m: [tuple(p) for s in fig.axes[0].lines if s.get_marker() == m for p in s.get_xydata()] for m in "oD"}
    assert len(set(marked["o"])) == 3
    assert [x for x, _ in marked["D"]] == [0.8]


def test_confusion_shows_whole_counts_as_they_are_and_means_with_a_decimal():
    whole, means = np.array([[3, 1], [0, 4]]), np.array([[2.5, 1.5], [0.5, 3.5]])
    fig = figures.confusion_matrices({"A": whole, "B": means}, ["Bali", "Celup"])
    texts = [[t.get_text() for t in ax.texts] for ax in fig.axes[:2]]
    assert texts == [["3", "1", "0", "4"], ["2.5", "1.5", "0.5", "3.5"]]
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == ["Bali", "Celup"]


def test_the_median_mark_is_the_tables_median_and_a_crowded_confusion_has_no_noughts():
    fig = figures.seed_dots({"A": np.array([0.4, 0.2])}, {"A": (0.1, 0.6)}, {}, 0.5)
    marks = [line.get_xdata()[0] for line in fig.axes[0].lines if line.get_marker() == "|" and len(line.get_xdata())]
    assert marks == [0.2]
    for motifs, cells in ((8, 64), (9, 9)):
        fig = figures.confusion_matrices({"A": np.eye(motifs) * 2.5}, [f"motif {i}" for i in range(motifs)])
        assert sum(bool(text.get_text()) for text in fig.axes[0].texts) == cells


def test_a_motif_has_one_colour_whatever_it_stands_beside():
    many = motif_styles([f"motif {i}" for i in range(24)])
    assert {style["color"] for style in many} == {*MOTIF_COLOURS}, "as many motifs as colours have one each"
    published = [load_study(name).motifs for name in study_names()]
    seen = [pair for motifs in map(motif_names, published) for pair in zip(motifs, motif_styles(motifs), strict=True)]
    assert len({(name, style["color"]) for name, style in seen}) == len({name for name, _ in seen}) >= 20
    assert motif_styles(["kawung", "Parang"])[::-1] == motif_styles(["parang", "Kawung"])


def test_the_learning_curve_marks_the_numbers_of_images_that_were_used():
    rows = [("A", k, 0.5, 0.4, 0.6) for k in (5, 10, 40)]
    fig = figures.learning_curve(pd.DataFrame(rows, columns=["label", "images", "mean", "low", "high"]), 1 / 3)
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == ["5", "10", "40"]


def test_a_trio_is_named_once_at_its_highest_mark_and_nothing_is_smaller_than_seven_points():
    rows = [("A, B, C", "pretrained", 0.8, 0.9), ("A, B, C", "scratch", 0.8, 0.6), ("D, E, F", "scratch", 0.5, 0.4)]
    stated = pd.DataFrame(rows, columns=["trio", "arm", "ours", "stated"])
    all_trios = {"One": pd.Series([0.5, 0.7, 0.8]), "Two": pd.Series([0.4, 0.6, 0.5])}
    fig = figures.trio_figure(all_trios, stated)
    _, below = fig.axes
    assert sorted((text.get_text(), *text.xy) for text in below.texts) == [("A, B, C", 0.8, 0.9), ("D, E, F", 0.5, 0.4)]
    assert [line.get_xydata().tolist() for line in below.lines[1:3]] == [[[0.8, 0.9]], [[0.8, 0.6], [0.5, 0.4]]]
    assert min(text.get_fontsize() for text in fig.findobj(plt.Text) if text.get_text()) >= 7
    assert "One: mean 66.7\u00a0%, from 50.0\u00a0% to 80.0\u00a0%" in fig.alt
    assert not figures.trio_figure(all_trios, stated.head(0)).axes[1].texts


def test_corruptions_stand_in_the_order_given_a_bar_for_each_model():
    rows = [(m, c, v, v - 0.1, v + 0.05) for m, v in (("B", 0.8), ("A", 0.6)) for c in ("none", "blur")]
    table = pd.DataFrame(rows, columns=["label", "corruption", "accuracy", "low", "high"])
    ax = figures.corruption_figure(table, 0.5).axes[0]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["untouched", "blur"]
    assert [bar.get_height() for bar in ax.patches] == [0.8, 0.8, 0.6, 0.6]
    ends = [segment[:, 1].round(6).tolist() for lines in ax.collections for segment in lines.get_segments()]
    assert ends == [[0.7, 0.85]] * 2 + [[0.5, 0.65]] * 2


def test_the_flow_of_the_method_keeps_to_its_boxes_with_many_motifs_and_long_titles():
    arms = {
        f"{i} network with a name that nobody would want to read to its very end": "many words " * 9 for i in range(7)
    }
    fig = figures.method_flow([{"1,500 pictures": "motif " * 60}, arms, {"Verdict": "A against B"}])
    assert all(said in _words(fig) for said in ("1,500 pictures", "motif motif", "many words", "A against B"))
    ax, renderer = fig.axes[0], fig.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in ax.texts if text.get_text()]
    page = ax.get_window_extent(renderer)
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in boxes)
    for i, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[i + 1 :])
