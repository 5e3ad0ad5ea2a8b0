"""Every figure of the report, as functions of plain values that return a matplotlib Figure."""
# ruff: noqa: F401, I001

from batik_utils.figures.data import file_sizes, motif_colours
from batik_utils.figures.flow import method_flow
from batik_utils.figures.grouped import corruption_figure, feature_map, fold_dots, learning_curve
from batik_utils.figures.grouped import pareto, posterior_figure
from batik_utils.figures.judged import confusion_matrices, reliability_figure
from batik_utils.figures.pictures import Picture, motif_drawings, motif_palettes, pair_grid, picture_grid
from batik_utils.figures.published import mispairing_figure, runs_figure, seed_dots, training_curves
from batik_utils.figures.trios import trio_figure
