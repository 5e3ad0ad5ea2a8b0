"""Figures draw what they are given, and no photograph where photographs may not be shown."""

import re
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from batik_utils import figures
from batik_utils.data import palette
from batik_utils.figures import Picture
from batik_utils.figures.pictures import motif_styles
from batik_utils.figures.style import fit_names
from batik_utils.report.display import render
from batik_utils.wording import drawable

IMAGE = np.full((4, 4, 3), 200, dtype=np.uint8)
PICTURES = [Picture(IMAGE, f"batik-bali/{i}.jpg") for i in range(5)]


@pytest.fixture(autouse=True)
def no_open_figures():
    yield
    plt.close("all")


def framed(columns, *rows):
    return pd.DataFrame(list(rows), columns=columns.split())


def smallest(fig):
    return min(text.get_fontsize() for text in fig.findobj(plt.Text) if text.get_text())


def named(fig):
    """What the marks of a figure say on hover, in the order in which they are drawn; and what carries it."""
    svg = render(fig, "salt", "svg").decode()
    assert 'id="named-' not in svg
    return re.findall(r"<(g|use|path)\b[^>]*><title>(.*?)</title>", svg.replace("\u00a0", " "))


def test_a_photograph_is_drawn_only_where_photographs_may_be_shown_and_a_grid_has_no_empty_frames():
    shown, hidden = (figures.picture_grid(PICTURES, 3, ["one", "two"], photos=photos) for photos in (True, False))
    assert all(ax.images for ax in shown.axes if ax.axison)
    assert [ax.get_ylabel() for ax in shown.axes] == ["one", "", "", "two", ""]
    assert not any(ax.images for ax in hidden.axes)
    assert "batik-bali/1.jpg" in [ax.get_xlabel() for ax in hidden.axes]
    assert "five colours" in hidden.alt and "five colours" not in shown.alt


def test_a_palette_and_its_tile_are_of_the_area_the_largest_first_and_know_nothing_of_where_pixels_lay():
    image = np.zeros((10, 10, 3), dtype=np.uint8)
    image[:3] = (255, 0, 0)
    assert palette(image) == [("#000000", 0.7), ("#ff0000", 0.3)]
    assert palette(np.stack([image, np.zeros_like(image)])) == [("#000000", 0.85), ("#ff0000", 0.15)]
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    shuffled = np.random.default_rng(1).permutation(noise.reshape(-1, 3)).reshape(noise.shape)
    found = palette(noise)
    assert palette(shuffled) == found != palette(noise // 2)
    shares = [share for _, share in found]
    assert len(found) == 5 and sum(shares) == pytest.approx(1) and shares == sorted(shares, reverse=True)
    pictures = [Picture(i, "a/1.jpg", "A", True) for i in (noise, shuffled, noise // 2)]
    tiles = [figures.picture_grid([picture], 6, photos=False) for picture in pictures]
    stripes = tiles[0].axes[0].patches
    assert len(stripes) == 5 and sum(bar.get_height() for bar in stripes) == pytest.approx(1)
    first, same, other = (render(tile, "salt", "svg") for tile in tiles)
    assert first == same != other


def marked(fig, marker):
    """The points of a figure's lines of one marker."""
    return [tuple(point) for line in fig.axes[0].lines if line.get_marker() == marker for point in line.get_xydata()]


def test_every_seed_is_a_dot_even_where_two_are_equal_and_the_median_is_the_tables():
    fig = figures.seed_dots({"A": np.array([0.5, 0.5, 0.6])}, {"A": (0.3, 0.7)}, {"A": 0.8, "B": 0.9}, chance=1 / 3)
    assert len({*marked(fig, "o")}) == 3 and [x for x, _ in marked(fig, "s")] == [0.8]
    fig = figures.seed_dots({"A": np.array([0.4, 0.2])}, {"A": (0.1, 0.6)}, {}, 0.5)
    assert [x for x, _ in marked(fig, "D")] == [0.2]
    middle = ("g", "A: 20.0 % (10.0–60.0 %)")
    assert named(fig) == [("g", "A: 20.0 %, 1 seed of 2"), ("g", "A: 40.0 %, 1 seed of 2"), middle, middle]


def test_confusion_shows_whole_counts_as_they_are_and_means_with_a_decimal():
    whole, means = np.array([[3, 1], [0, 4]]), np.array([[2.5, 1.5], [0.5, 3.5]])
    fig = figures.confusion_matrices({"A": whole, "B": means}, ["Bali", "Celup"])
    texts = [[t.get_text() for t in ax.texts] for ax in fig.axes[:2]]
    assert texts == [["3", "1", "0", "4"], ["2.5", "1.5", "0.5", "3.5"]]
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == ["Bali", "Celup"]
    cells = named(figures.confusion_matrices({"A": whole, "B": means}, ["Bali", "<b>"]))
    assert len(cells) == 8 and {part for part, _ in cells} == {"path"}
    told = [words for _, words in cells]
    assert (told[1], told[5]) == ("A: true Bali, predicted &lt;b&gt;, 1", "B: true Bali, predicted &lt;b&gt;, 1.5")


@pytest.mark.parametrize(("motifs", "numbers"), [(8, 64), (9, 9), (25, 0)])
def test_a_crowded_confusion_has_no_noughts_and_a_full_one_no_numbers(motifs, numbers):
    fig = figures.confusion_matrices({"A": np.eye(motifs) * 2.5}, [f"motif {i}" for i in range(motifs)])
    assert sum(bool(text.get_text()) for text in fig.axes[0].texts) == numbers


@pytest.mark.parametrize("motifs", [3, 24, 40])
def test_of_many_motifs_each_has_a_look_of_its_own(motifs):
    styles = motif_styles([f"motif {i}" for i in range(motifs)])
    assert len({(*style["color"], style["marker"]) for style in styles}) == motifs


@pytest.mark.parametrize(
    "long", ["Sumatera Utara Boraspati ni Tano, Parang Rusak Barong Solo", "$x$ 蠟染 ꦧꦠꦶꦏ꧀ ไทย 👍🏽שלום $"]
)
def test_no_name_is_too_long_or_lacks_letters_no_type_is_below_seven_points_and_no_figure_wider_than_the_print(long):
    tiles = [Picture(IMAGE, f"batik-{long}/{i}.jpg", f"true: {long}\n≠ {long}, 90 %") for i in range(7)]
    runs = framed("run arm reported ours", (long, "scratch", 0.5, (0.4, 0.5)))
    curve = framed("confidence accuracy count when", *[(0.5, 0.6, 1, when) for when in ("before", "after")])
    one, band = {long: np.array([0.5])}, {long: (0.3, 0.7)}
    drawn = [figures.picture_grid(tiles, 6, [long], photos=photos) for photos in (True, False)]
    drawn += [
        figures.picture_grid(PICTURES, 6, photos=False),
        figures.method_flow([{long: 30 * long}, {"A": "b"}]),
        figures.confusion_matrices({"A": np.eye(20)}, [f"{long} {i}" for i in range(20)]),
        figures.runs_figure(runs, {"scratch": np.array([0.5, 0.6])}, 0.5),
        figures.seed_dots(one, band, {long: 0.8}, chance=1 / 3),
        figures.ladder([("grouped", long, 0.9, 0.8, 1.0)], 0.5),
        figures.mispairing_figure({long: np.array([0.5, 0.4])}, {long: 0.9}, {}),
        figures.reliability_figure({long: curve, f"{long} 2": curve}),
        figures.fold_dots(one, band, 0.5),
    ]
    for fig in drawn:
        texts = [text.get_text() for text in fig.findobj(plt.Text)]
        assert not any(drawable(text) != text or "$" in text.replace(r"\$", "") for text in texts)
        assert smallest(fig) >= 7
        assert float(re.search(rb'width="([\d.]+)pt"', render(fig, "salt", "svg"))[1]) <= 16 / 2.54 * 72


def test_names_fit_their_lines_stay_different_and_keep_both_ends():
    long = [f"{word} the same for a long while and {word}" for word in ("one", "two")]
    assert fit_names(["Bali", "Sekar Jagad"], 0.5) == ["Bali", "Seka…gad"]
    assert fit_names(long, 1.5) == ["one the same…hile and one", "two the same…hile and two"]
    assert fit_names(long, 0.6, 2)[0].split("\n")[0].startswith("one") and fit_names(long, 0.6, 2)[0].endswith("one")
    alike = fit_names([f"the same {i} for a long while" for i in range(3)], 0.6)
    assert len({*alike}) == 3 and alike[0].startswith("1 ")


@pytest.mark.parametrize("motifs", [2, 40])
@pytest.mark.parametrize("sizes", [[(96, 96)], [(4000, 3000), (3000, 4000)], [(28 * i, 40 * i) for i in range(1, 140)]])
def test_sizes_of_files_are_shown_whether_all_are_one_size_or_many(motifs, sizes):
    rows = [(f"motif {i}", *size) for i in range(motifs) for size in sizes for _ in range(2)]
    fig = figures.file_sizes(framed("motif width height", *rows))
    render(fig, "salt", "svg")
    ax, legend = fig.axes[0], [*fig.legends, fig.axes[0].get_legend()][0]
    assert [text.get_text() for text in legend.get_texts()] == [f"motif {i}" for i in range(motifs)]
    if len(sizes) < 8:
        assert [t.get_text() for t in ax.get_yticklabels()] == [f"{w:,} × {h:,}" for w, h in sorted(sizes)]
        assert sum(bar.get_width() for bar in ax.patches) == len(rows)
    else:
        inside = [t for t, x in zip(ax.get_xticklabels(), ax.get_xticks(), strict=True) if 28 <= x <= 3892]
        assert len(ax.lines) == motifs and len(inside) > 2


def test_a_trio_is_named_once_at_its_highest_mark():
    rows = [("A, B, C", "pretrained", 0.8, 0.9), ("A, B, C", "scratch", 0.8, 0.6), ("D, E, F", "scratch", 0.5, 0.4)]
    stated = framed("trio arm ours stated", *rows)
    all_trios = {"One": pd.Series([0.5, 0.7, 0.8]), "Two": pd.Series([0.4, 0.6, 0.5])}
    fig = figures.trio_figure(all_trios, stated)
    _, below = fig.axes
    assert sorted((text.get_text(), *text.xy) for text in below.texts) == [("A, B, C", 0.8, 0.9), ("D, E, F", 0.5, 0.4)]
    assert [line.get_xydata().tolist() for line in below.lines[1:3]] == [[[0.8, 0.9]], [[0.8, 0.6], [0.5, 0.4]]]
    assert "One: mean 66.7\u00a0%, from 50.0\u00a0% to 80.0\u00a0%" in fig.alt
    assert {
        ("g", "One: 1 trio at 67.5–70.0 %"),
        ("use", "A, B, C (scratch): 80.0 % here, 60.0 % stated"),
        ("g", "A, B, C (pretrained): 80.0 % here, 90.0 % stated"),
    } <= {*named(fig)}
    assert not figures.trio_figure(all_trios, stated.head(0)).axes[1].texts


def test_a_learning_curve_marks_the_numbers_that_were_used_and_corruptions_stand_in_the_order_given():
    table = framed("label images mean low high", *[("A", k, 0.5, 0.4, 0.6) for k in (5, 10, 40)])
    fig = figures.learning_curve(table, 1 / 3)
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == ["5", "10", "40"]
    rows = [(m, c, v, v - 0.1, v + 0.05) for m, v in (("B", 0.8), ("A", 0.6)) for c in ("none", "blur")]
    ax = figures.corruption_figure(framed("label corruption accuracy low high", *rows), 0.5).axes[0]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["untouched", "blur"]
    assert [bar.get_height() for bar in ax.patches] == [0.8, 0.8, 0.6, 0.6]
    ends = [segment[:, 1].round(6).tolist() for lines in ax.collections for segment in lines.get_segments()]
    assert ends == [[0.7, 0.85]] * 2 + [[0.5, 0.65]] * 2


def test_the_flow_of_the_method_keeps_to_its_boxes_with_many_motifs_and_long_titles():
    arms = {f"{i} network with a name that nobody would read to its very end": "many words " * 9 for i in range(7)}
    fig = figures.method_flow([{"1,500 pictures": "motif " * 60}, arms, {"Verdict": "A against B"}])
    told = " ".join(text.get_text().replace("\n", " ") for text in fig.axes[0].texts)
    assert all(words in told for words in ("1,500 pictures", "motif motif", "many words", "A against B"))
    ax, renderer = fig.axes[0], fig.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in ax.texts if text.get_text()]
    page = ax.get_window_extent(renderer)
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in boxes)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
