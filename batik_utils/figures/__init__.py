"""Every figure of the report, as functions of plain values that return a matplotlib Figure."""

from batik_utils.figures.collection import file_sizes, motif_colours
from batik_utils.figures.grouped import (
    confusion_matrices,
    corruption_figure,
    feature_map,
    fold_dots,
    learning_curve,
    per_motif_figure,
    posterior_figure,
    reliability_figure,
)
from batik_utils.figures.published import mispairing_figure, search_figure, seed_dots, training_curves
from batik_utils.figures.tiles import Picture, pair_grid, picture_grid

__all__ = [
    "Picture",
    "confusion_matrices",
    "corruption_figure",
    "feature_map",
    "file_sizes",
    "fold_dots",
    "learning_curve",
    "mispairing_figure",
    "motif_colours",
    "pair_grid",
    "per_motif_figure",
    "picture_grid",
    "posterior_figure",
    "reliability_figure",
    "search_figure",
    "seed_dots",
    "training_curves",
]
