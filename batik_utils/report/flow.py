"""The method as bands of boxes, for its figure."""

import textwrap

import numpy as np

from batik_utils.models.baselines import BASELINES
from batik_utils.models.kinds import KINDS
from batik_utils.report.analysis import Analysis
from batik_utils.wording import count, listed


def flow(analysis: Analysis) -> list[dict[str, str]]:
    """The method as bands of boxes, {heading: text}, from the pictures to the verdict."""
    study, folds = analysis.study, analysis.study.grouped.folds
    control = ["shuffled labels"] * ("permuted" in analysis.facts)
    control += sorted({c for r in analysis.results for c in r.corruptions})
    controls = [", ".join(control)] * bool(control)
    if "curve" in analysis.facts:
        controls.append(f"{listed([str(n) for n in study.grouped.curve])} training images per motif")
    arms = {}
    for name in analysis.models:
        model, often = study.models[name], analysis.often(name)
        fits = f"{analysis.planned(name):,} fits ({often.repeats} × {folds} folds, {count(often.seeds, 'seed')})"
        what = KINDS[model.kind].describe(model).words
        arms[model.title] = f"{what}; {analysis.parameters(name):,} parameters; {fits}"
    if baselines := [b.title for b in BASELINES.values() if b.title in analysis.grouped_intervals]:
        arms["Baselines"] = f"{'; '.join(baselines)}, on the same folds"
    motifs = textwrap.shorten(", ".join(analysis.motifs), 200, placeholder=" …")
    repeats = count(max(analysis.often(m).repeats for m in analysis.models), "repeat")
    groups = len(np.unique(analysis.dataset.groups))
    return [
        {f"{len(analysis.dataset):,} pictures": f"{len(analysis.motifs)} motifs: {motifs}"},
        {"Audit for near-duplicates": f"{groups:,} groups; copies of one picture share one"},
        {
            "One split": f"{len(analysis.split.train)} train, {len(analysis.split.test)} test",
            "Grouped cross-validation": f"{folds} folds, {repeats} at most; a group is never on both sides",
            "Controls on the same folds": "; ".join(controls) or "none",
        },
        arms,
        {"Probabilities": "of every model for images that it has not seen, kept with their labels"},
        {
            "Intervals": "Wilson on one split; Nadeau and Bengio across folds",
            "Tests": "McNemar; corrected t; both with Holm; Bayesian correlated t",
            "Calibration": "a temperature from the other folds",
        },
        {"Verdict": f"{analysis.title(analysis.pretrained)} against {analysis.title(analysis.scratch)}"},
    ]
