"""Every figure of the report, as functions of plain values that return a matplotlib Figure."""
# ruff: noqa: F401

from batik_utils.figures.pictures import (
    Picture,
    confusion_matrices,
    file_sizes,
    method_flow,
    motif_colours,
    picture_grid,
    reliability_figure,
    trio_figure,
)
from batik_utils.figures.scores import (
    corruption_figure,
    fold_dots,
    ladder,
    learning_curve,
    mispairing_figure,
    runs_figure,
    seed_dots,
    training_curves,
)
