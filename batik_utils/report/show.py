"""Displays of the report that take more than a line in a notebook, or that some studies do not have."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from batik_utils import figures as draw
from batik_utils.figures import Picture
from batik_utils.report import remarks, tables
from batik_utils.report.analysis import Analysis
from batik_utils.report.display import figure, note, table, text
from batik_utils.stats.compare import fold_pairs
from batik_utils.stats.intervals import corrected_error
from batik_utils.stats.label_issues import label_issues
from batik_utils.stats.metrics import classification_table
from batik_utils.stats.search import choose, settings_table
from batik_utils.wording import count, percent


def pairs(analysis: Analysis, photos: bool, most: int = 12) -> None:
    """The pairs that the audit found: a picture of the first ones and a table of all."""
    found = analysis.dataset.pairs
    if not found:
        return
    shown = [
        tuple(Picture(analysis.image(p), p, f"{p.partition('-')[2]}\n{pair.kind}") for p in (pair.a, pair.b))
        for pair in found[:most]
    ]
    which = "" if len(found) <= most else f" (the first {most})"
    figure(draw.pair_grid(shown, photos, 3), "fig-pairs", f"Pairs that the audit found{which}.", photos=True)
    rows = [(p.a, p.b, p.kind, "differ" if p.labels_differ else "same", p.reason) for p in found]
    frame = pd.DataFrame(rows, columns=["a", "b", "kind", "labels", "evidence"])
    table(frame, "tbl-pairs", f"Near-duplicates: {count(len(found), 'pair')}.")


def augmentation_figure(analysis: Analysis, photos: bool, views: int = 5) -> Figure:
    """One training image per motif (at most three) and its first augmented views."""
    from batik_utils.models.augment import draw_transforms

    data, size = analysis.dataset, analysis.dataset.size
    spec = next(iter(analysis.study.models.values())).augmentation
    pictures = []
    for label in range(min(3, len(analysis.study.motifs))):
        row = int(np.flatnonzero(data.labels == label)[-1])
        transforms = draw_transforms(spec, [data.sha256[row]] * (views + 1), range(views + 1), size)
        for view, t in enumerate(transforms):
            # OpenCV's inverse map is the same output → input convention.
            matrix = np.array([[t[0], t[1], t[2]], [t[3], t[4], t[5]]], dtype=np.float64)
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            warped = cv2.warpAffine(
                np.asarray(data.images[row]), matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
            title = "as it is" if view == 0 else f"view {view}"
            pictures.append(Picture(warped, data.paths[row], title))
    return draw.picture_grid(pictures, views + 1, photos)


def reports(analysis: Analysis) -> None:
    """The classification report of the median seed of each model."""
    for model, summary in analysis.summaries.items():
        fit = summary.median
        frame = classification_table(fit.y_true, fit.y_prob.argmax(axis=1), analysis.study.motifs)
        caption = f"{analysis.title(model)}, seed of median accuracy ({percent(summary.median_accuracy)})."
        table(tables.report_table(frame), f"tbl-report-{model.replace('_', '-')}", caption)


def mispairing(analysis: Analysis) -> None:
    """The first seed study's mistake, reproduced beside the right figure; nothing where no claim is of that kind."""
    if not analysis.mispaired:
        return
    claims = analysis.published_claims("paired_wrong_accuracy")
    note(
        "A mistake, reproduced",
        "The seed study shows two accuracies for each model: one from `evaluate`, and another, far lower, in its "
        "classification report. The second is an artefact. Its validation generator shuffles (`shuffle=True` is the "
        "default), so `predict` returns predictions in a random order, while `generator.classes` lists the labels in "
        "the order of the files. The report compares each prediction with the label of some other image. This section "
        "makes that mistake on purpose; nowhere else in this report are labels and predictions taken apart.",
    )
    found = {analysis.title(m): f for m, f in analysis.mispaired.items()}
    fig = draw.mispairing_figure(
        {label: f.accuracies for label, f in found.items()}, {label: f.right for label, f in found.items()}, claims
    )
    figure(fig, "fig-mispaired", "What a report shows when predictions are shuffled against their labels.")
    text([remarks.mispairing(label, f, claims[label]) for label, f in found.items()])
    for model, f in analysis.mispaired.items():
        right, wrong = tables.report_table(f.right_report), tables.report_table(f.wrong_report)
        both = right.drop(columns="support").merge(wrong, on="motif", suffixes=(", paired", ", shuffled"))
        label = f"tbl-mispaired-{model.replace('_', '-')}"
        caption = f"{analysis.title(model)}: the right report, and the one that a shuffle shows (shuffle 0)."
        table(both, label, caption)


def search(analysis: Analysis, top: int = 3) -> None:
    """What the hyperparameter search tried and chose; nothing where no model has one."""
    searched = [m for m in analysis.models if analysis.study.models[m].search]
    if not searched:
        return
    text(
        "Every setting below was fitted on the training images and judged on the validation images; the test images "
        "had no say. The seed study says that its best model was selected by its *test* accuracy; what that would have "
        "shown is given beside the honest figure."
    )
    frames = []
    for model in searched:
        frame = settings_table(analysis.results, model)
        frame.insert(0, "label", analysis.title(model))
        frame["chosen"] = frame.index == 0
        frames.append(frame)
    every = pd.concat(frames, ignore_index=True)
    figure(draw.search_figure(every), "fig-search", "Every setting tried; validation chooses, the test set must not.")
    text([remarks.search(analysis.title(m), choose(analysis.results, m)) for m in searched])
    best = every.groupby("label", sort=False).head(top).drop(columns="chosen").copy()
    for column in ("val_accuracy", "test_accuracy"):
        best[column] = [percent(v) for v in best[column]]
    names = ["model", "epochs", "rate", "dropout", "seeds", "validation", "validation loss", "test"]
    best.columns = names
    caption = f"The {top} best settings of each model by validation accuracy (means over seeds)."
    table(best, "tbl-search", caption, formats={"rate": "g", "dropout": ".1f"})


def posterior(analysis: Analysis) -> None:
    """The posterior of the verdict's difference; nothing where the two share no folds."""
    c = analysis.head
    found = fold_pairs(analysis.results, analysis.pretrained, analysis.scratch)
    if c is None or found is None:
        return
    gaps = (found.scores["a"] - found.scores["b"]).to_numpy()
    labels = (analysis.title(c.a), analysis.title(c.b))
    beliefs = (c.p_a_better, c.p_same, c.p_b_better)
    scale = corrected_error(gaps, c.folds)
    fig = draw.posterior_figure(float(gaps.mean()), scale, len(gaps) - 1, c.rope, labels, beliefs)
    figure(fig, "fig-posterior", "What the folds let one believe about the difference (Bayesian correlated t test).")


def reliability(analysis: Analysis) -> dict[str, pd.DataFrame]:
    """{label: reliability before and after scaling} of the verdict's two models."""
    out = {}
    for c in analysis.calibrations:
        if c.model in analysis.study.compare:
            parts = [c.before.reliability.assign(when="before"), c.after.reliability.assign(when="after")]
            out[analysis.title(c.model)] = pd.concat(parts, ignore_index=True)
    return out


def map_points(analysis: Analysis) -> NDArray[np.float64]:
    """t-SNE of the pretrained model's frozen features, [n, 2]; seeded."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(analysis.dataset) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=0, n_jobs=1).fit_transform(
        analysis.clean_features(analysis.pretrained)
    )


def ten(analysis: Analysis, photos: bool) -> None:
    """Ten sample predictions of each of the verdict's models and of the seed's own version."""
    for model in analysis.summaries:
        label = f"fig-ten-{model.replace('_', '-')}"
        right = tables.ten_score(analysis.summaries[model].median)
        caption = f"{analysis.title(model)}: ten test images, {percent(right)} right."
        figure(draw.picture_grid(analysis.ten_pictures(model), 5, photos, lines=2), label, caption, photos=True)


def wrong(analysis: Analysis, photos: bool) -> None:
    """The images that the pretrained model is most confidently wrong about."""
    pictures = analysis.wrong_pictures(analysis.pretrained)
    if not pictures:
        text(f"{analysis.title(analysis.pretrained)} is right about every image, out of fold.")
        return
    caption = f"Where {analysis.title(analysis.pretrained)} is most confidently wrong (mean of all fits, out of fold)."
    figure(draw.picture_grid(pictures, 5, photos, lines=2), "fig-wrong", caption, photos=True)


def issues(analysis: Analysis, most: int = 15) -> None:
    """Pictures whose label the pretrained model doubts."""
    frame = label_issues(analysis.oofs[analysis.pretrained], analysis.study.motifs)
    if frame.empty:
        text("Confident learning doubts none of the labels.")
        return
    text(f"Confident learning doubts {count(len(frame), 'label')} of {len(analysis.dataset)}.")
    shown = tables.confused_table(frame.head(most)).rename(columns={"score": "support for the given"})
    which = "" if len(frame) <= most else f" (the {most} most doubtful)"
    table(shown, "tbl-labels", f"Labels that {analysis.title(analysis.pretrained)} doubts{which}.")


def claims(analysis: Analysis) -> None:
    """The claims table; nothing where the study takes up no published number."""
    if not analysis.claims:
        return
    from batik_utils.report.verdicts import claims_summary

    text(claims_summary(analysis.claims))
    caption = (
        "Published numbers beside ours: the training seed of median accuracy (range over the seeds), and the "
        "mean over grouped folds."
    )
    table(tables.claims_frame(analysis.claims), "tbl-claims", caption)


def reforms(analysis: Analysis) -> None:
    """The REFORMS checklist, a table per module."""
    from batik_utils.report.reforms import reforms_table

    rows = reforms_table(analysis.study, analysis.dataset, analysis.metrics, analysis.facts)
    frame = pd.DataFrame(rows, columns=["no.", "module", "item", "answer", "section"])
    for number, (module, part) in enumerate(frame.groupby("module", sort=False), start=1):
        shown = part.drop(columns="module").copy()
        shown["section"] = [f"@{s}" for s in shown["section"]]
        table(shown, f"tbl-reforms-{number}", f"REFORMS, {module}.")


def provenance(analysis: Analysis) -> None:
    """Hashes, versions and seeds."""
    from batik_utils.report.provenance import provenance as rows

    frame = pd.DataFrame(rows(analysis.study, analysis.dataset), columns=["what", "value"])
    table(frame, "tbl-provenance", "What this report was made from.", align="ll")
