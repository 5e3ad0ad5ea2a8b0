"""Sentences of the report that depend on the study: what it asks, what it does, what cannot be known."""

from __future__ import annotations

from batik_utils.figures.style import motif_name
from batik_utils.report import sentences
from batik_utils.report.analysis import Analysis
from batik_utils.report.tables import augmentation_words
from batik_utils.stats.twins import accuracy_without, twins_across
from batik_utils.wording import count, listed, percent, upper_first


def introduction(analysis: Analysis) -> list[str]:
    """The question, and the seed study that it comes from."""
    seed = analysis.study.seed_study
    out = [f"**The question.** {analysis.study.question.strip()}"]
    if seed is None:
        out.append(
            "The pictures of this report are **procedural samples, not batik photographs**: this project draws them "
            "itself, so that the whole pipeline can be tried, tested and read where no photographs are at hand. "
            "What is found here says something about the pipeline and nothing about batik."
        )
        return out
    year = f", {seed.year}" if seed.year else ""
    authors = listed(list(seed.authors))
    out.append(
        f"**Where it comes from.** The study *{seed.title.strip()}* ({authors}; {seed.institution}{year}; "
        f"{seed.framework}, in {seed.language}), below called the seed study, is taken up here. "
        f"{seed.summary.strip()} What it does is done again, on the same photographs and as far as its models can be "
        "had, and what went wrong in it is shown and done right."
    )
    return out


def source(analysis: Analysis) -> list[str]:
    """Where the pictures came from and how they compare with the published list."""
    s = analysis.dataset.source
    n = count(len(analysis.dataset), "picture")
    if s.is_drawn:
        return [f"{n} drawn by this project's own code ({s.description}); each is a pure function of motif and number."]
    listed_files = s.identical + s.altered
    agreement = f"{s.identical} are identical to the published files by MD5, {s.altered} altered, {s.missing} missing"
    extra = f", and {s.unlisted} not on the list" if s.unlisted else ""
    return [
        f"The photographs are those of the public collection *Indonesian Batik Motifs* [@batikmotifs], taken from: "
        f"{s.description}. Of {listed_files + s.missing} files on its list for these motifs, {agreement}{extra}. "
        "Their licence is unverified; no photograph is part of this project's repository."
    ]


def data_caption(analysis: Analysis) -> str:
    """Caption of the table of motifs."""
    return f"{upper_first(analysis.pictures)} per motif: {len(analysis.dataset)} in all."


def skipped(analysis: Analysis) -> str:
    """The files that are not usable pictures, each with its reason."""
    bad = analysis.dataset.skipped
    if not bad:
        return "Every file of these motifs could be read as a picture."
    names = "; ".join(f"`{path}` ({reason})" for path, reason in bad)
    return f"{upper_first(count(len(bad), 'file'))} could not be used: {names}."


def sizes(analysis: Analysis) -> str:
    """How much the files' sizes differ."""
    if analysis.dataset.source.is_drawn:
        facts = analysis.dataset.facts[0]
        return f"Every picture is {facts['width']} × {facts['height']} pixels: drawn pictures give nothing away by it."
    widths = [f["width"] for f in analysis.dataset.facts]
    heights = [f["height"] for f in analysis.dataset.facts]
    if min(widths) == max(widths) and min(heights) == max(heights):
        return f"Every picture is {widths[0]} × {heights[0]} pixels."
    return (
        "Sizes may differ between motifs because each motif was collected from other places. A classifier could use "
        "that: @sec-baselines asks how far file facts alone would go. The files are "
        f"between {min(widths):,} and {max(widths):,} pixels wide and between {min(heights):,} and "
        f"{max(heights):,} pixels high."
    )


def audit(analysis: Analysis) -> str:
    """How many pairs of near-duplicates there are."""
    pairs = analysis.dataset.pairs
    if not pairs:
        return f"Among these {len(analysis.dataset)} {analysis.pictures} the audit finds no two that show the same picture."
    kinds = {}
    for pair in pairs:
        kinds[pair.kind] = kinds.get(pair.kind, 0) + 1
    shown = listed([f"{n} {kind}" for kind, n in sorted(kinds.items())])
    differ = sum(p.labels_differ for p in pairs)
    labels = (
        f" **{upper_first(count(differ, 'pair'))} {'is' if differ == 1 else 'are'} under two different labels**, "
        "and so counted as distinct under each of the two."
        if differ
        else " None has two labels."
    )
    groups = len(set(analysis.dataset.groups.tolist()))
    return (
        f"The audit finds {count(len(pairs), 'pair')} of pictures that are copies of one another ({shown}), so that "
        f"{len(analysis.dataset)} files show {groups} distinct pictures.{labels}"
    )


def twins(analysis: Analysis) -> str:
    """How many published test images have a twin in training, and what accuracy is left without them."""
    from batik_utils.data.split import published_split

    split = published_split(analysis.study, analysis.dataset)
    rows = twins_across(split, analysis.dataset.groups)
    total = count(len(split.test), "test image")
    if not len(rows):
        return f"None of its {total} has a near-duplicate among the training images."
    paths = {analysis.dataset.paths[r] for r in rows}
    parts = []
    for model, summary in analysis.summaries.items():
        without = accuracy_without(summary.median, paths)
        parts.append(f"{analysis.title(model)} {percent(without)} instead of {percent(summary.median_accuracy)}")
    return (
        f"{len(rows)} of its {total} have a near-duplicate among the training images. Without them, the median seed "
        f"reaches: {'; '.join(parts)}."
    )


def models_caption(analysis: Analysis) -> str:
    """Caption of the table of models."""
    return "The models: where their weights start, how many parameters they have, how they are trained."


def models(analysis: Analysis) -> list[str]:
    """Parameter limit, and models that could not be had."""
    out = [sentences.limit(analysis)]
    for model, reason in analysis.left_out.items():
        out.append(f"{analysis.study.models[model].title} is left out: {reason.rstrip('.')}.")
    wrong = [m for m in analysis.models if m.endswith("_as_published")]
    if wrong:
        out.append(
            "The seed study fed its backbone values from 0 to 1, where MobileNetV2 [@sandler2018] was trained on "
            f"−1 to 1. *{analysis.title(wrong[0])}* repeats that, *{analysis.title(wrong[0].removesuffix('_as_published'))}* "
            "scales as it should be: the difference is what the mistake costs."
        )
    return out


def training(analysis: Analysis) -> list[str]:
    """Image size, resizing, augmentation and what the seed study leaves unsaid."""
    image = analysis.study.image
    first = next(iter(analysis.study.models.values()))
    how = {
        "nearest": "by nearest neighbour, as Keras' `flow_from_directory` does unless told otherwise",
        "bilinear": "by antialiased bilinear interpolation, as torchvision's `Resize` does",
    }[image.resize]
    augmentation = first.augmentation
    moved = augmentation.rotation or augmentation.shift or augmentation.shear or augmentation.zoom
    edges = "; where a picture is moved, its edge pixels are repeated" if moved else ""
    out = [
        f"Pictures are squeezed to {image.size} × {image.size} pixels {how}. Training images undergo "
        f"{augmentation_words(augmentation)}{edges}."
    ]
    if analysis.precision != "float32":
        out.append(
            f"Scratch networks compute in {analysis.precision} here (weights, optimiser and softmax in float32), which is "
            "faster; this project's comparison over ten seeds could show no loss of accuracy, nor exclude a small one."
        )
    if analysis.study.seed_study and first.augmentation.shear and first.augmentation.shear < 1:
        out.append(
            f"The shear of {first.augmentation.shear:g} is in *degrees* to Keras' `ImageDataGenerator`, which is to "
            f"say none. The number of epochs is this project's choice ({first.epochs}): the seed study states none."
        )
    return out


def augmentation_caption(analysis: Analysis) -> str:
    """Caption of the augmentation figure."""
    return "One training image of each motif and five of its augmented views, as the networks see them."


def protocols(analysis: Analysis) -> list[str]:
    """The published split and the grouped protocol in numbers."""
    from batik_utils.data.split import published_split

    split = published_split(analysis.study, analysis.dataset)
    seeds = count(analysis.study.published.seeds, "training seed")
    if analysis.study.published.split == "keras-validation-split":
        names = ", ".join(f"`{analysis.dataset.paths[i].split('/')[-1]}`" for i in split.test[: len(split.test) // 3])
        same = len({analysis.dataset.paths[i].split("/")[-1] for i in split.test}) == len(split.test) // 3
        which = f" They are, in each motif's folder, {names}." if same and len(analysis.study.motifs) == 3 else ""
        first = (
            "**Published.** `ImageDataGenerator(validation_split=0.2)` takes the first fifth of each folder's files, "
            f"in the order of their names, as validation images; so the {len(split.test)} test images are known, and "
            f"{len(split.train)} are left for training.{which} Every model is fitted with {seeds}. The test images "
            "serve as validation images in the curves, as in the seed studies, but nothing is chosen by them."
        )
    else:
        first = (
            f"**Published.** The seed study splits 80/10/10, by images it does not name; here one stratified split "
            f"has {len(split.train)} training, {len(split.val)} validation and {len(split.test)} test images. "
            f"Hyperparameters are chosen on the validation images, and the chosen setting of every model is fitted "
            f"with {seeds}."
        )
    g = analysis.study.grouped
    pre, own = g.pretrained, (g.pretrained if analysis.full else g.scratch)
    few = "" if analysis.full else " (scratch fits take most of the time; `FULL=1` gives both the same)"
    second = (
        f"**Grouped.** {g.folds} folds, stratified by motif, groups never split. Pretrained models: "
        f"{pre.repeats} repeats × {pre.seeds} training seeds = {g.folds * pre.repeats * pre.seeds} fits; scratch "
        f"models: {count(own.repeats, 'repeat')} × {count(own.seeds, 'seed')} = {g.folds * own.repeats * own.seeds} "
        f"fits{few}. "
        "Hyperparameters are those of @tbl-models, fixed beforehand: nothing is tuned on these folds."
    )
    out = [first, second]
    if analysis.study.minutes:
        searched = any(model.search for model in analysis.study.models.values())
        also = " and of settings in the search" if searched else ""
        out.append(
            f"The numbers of scratch fits{also} were chosen by time: with them, the whole study takes about "
            f"{analysis.study.minutes} minutes on two processor cores."
        )
    return out


def curves_caption(analysis: Analysis) -> str:
    """Caption of the training curves."""
    return "Accuracy and loss per epoch; thin lines are training seeds, thick lines their median."


def grouped(analysis: Analysis) -> list[str]:
    """Which fits stand behind the verdict, and which are missing."""
    from batik_utils.report.verdicts import missing_fits

    got, expected = analysis.counted_of(analysis.models)
    reasons = [r.missing for r in analysis.results.missing]
    return [f"{missing_fits(got, expected, reasons)} {sentences.cost(analysis)}".strip()]


def folds_caption(analysis: Analysis) -> str:
    """Caption of the fold scores."""
    return "Accuracy on every held-out fold, mean (diamond) and corrected 95 % interval (bar); dotted: chance."


def comparison_caption(analysis: Analysis) -> str:
    """Caption of the comparisons."""
    label = analysis.title(analysis.pretrained)
    return f"{label} (A) against each other model (B), differences in points; *same* is within ±2 points."


def calibration_caption() -> str:
    """Caption of the calibration table."""
    return "Calibration out of fold, before → after temperature scaling (a temperature over 1: too sure of itself)."


def reliability_caption() -> str:
    """Caption of the reliability diagram."""
    return "Confidence against accuracy, out of fold; the larger a dot, the more predictions it stands for."


def map_caption(analysis: Analysis) -> str:
    """Caption of the feature map."""
    label = analysis.title(analysis.pretrained)
    return f"Every picture as a point: t-SNE [@vandermaaten2008] of the frozen features of {label}."


def limits(analysis: Analysis) -> list[str]:
    """What the study cannot say."""
    n = len(analysis.dataset)
    names = listed([motif_name(m) for m in analysis.study.motifs])
    if analysis.dataset.source.is_drawn:
        return [
            f"These {n} pictures of {names} are drawn by a program. They share geometry with the cloth whose names "
            "they bear and nothing else: no conclusion about batik, dyers or photographs can be drawn from them."
        ]
    out = [
        f"The {n} photographs were collected from the web by others. How they were chosen, by whom they were labelled "
        "and what their licence is, is not documented, so that the population they stand for is unknown. Labels "
        "were not checked by an expert here; @sec-wrong lists those that the models doubt.",
        "The motifs are not of one kind: some name a place, some a technique, some a pattern. A classifier may "
        "separate them by how they were photographed; @sec-baselines measures part of that, not all of it.",
        "Few images leave wide intervals; @sec-grouped says what differences they could have shown.",
    ]
    scratch = analysis.planned(analysis.scratch)
    if scratch < analysis.planned(analysis.pretrained):
        out.append(
            f"The scratch model was fitted {count(scratch, 'time')} in grouped cross-validation, the pretrained one "
            f"{count(analysis.planned(analysis.pretrained), 'time')}; the comparison uses the folds that both have."
        )
    return out
