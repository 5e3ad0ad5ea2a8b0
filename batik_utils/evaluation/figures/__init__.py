"""Every figure of the report, as functions of plain values that return a matplotlib Figure."""

from batik_utils.evaluation.figures.data import file_sizes, motif_colours
from batik_utils.evaluation.figures.pictures import Picture, pair_grid, picture_grid
from batik_utils.evaluation.figures.training import (
    mispairing_figure,
    search_figure,
    seed_dots,
    training_curves,
)
from batik_utils.evaluation.figures.verdict import (
    confusion_matrices,
    feature_map,
    fold_dots,
    learning_curve,
    per_motif_figure,
    posterior_figure,
    probe_figure,
    reliability_figure,
)

__all__ = [
    "Picture",
    "confusion_matrices",
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
    "probe_figure",
    "reliability_figure",
    "search_figure",
    "seed_dots",
    "training_curves",
]
