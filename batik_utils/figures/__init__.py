"""Every figure of the report, as functions of plain values that return a matplotlib Figure."""
# ruff: noqa: F401

from batik_utils.figures.data import file_sizes, motif_colours
from batik_utils.figures.flow import method_flow
from batik_utils.figures.grouped import corruption_figure, fold_dots, ladder, learning_curve, pareto
from batik_utils.figures.judged import confusion_matrices, reliability_figure
from batik_utils.figures.pictures import Picture, pair_grid, picture_grid
from batik_utils.figures.published import mispairing_figure, runs_figure, seed_dots, training_curves
from batik_utils.figures.trios import trio_figure
