"""The report without a kernel: made analyses of every sort, and all that the notebooks say for one."""

import re
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from inspect import isfunction
from unittest import mock

import matplotlib.pyplot as plt
import nbformat
import numpy as np
from results_factory import HYPER, make_dataset, make_fit, make_results, make_study, paths_and_labels, probabilities

from batik_utils import figures
from batik_utils.models.baselines import BASELINES
from batik_utils.report import analysis as room
from batik_utils.report import display, examples
from batik_utils.report.analysis import Analysis
from batik_utils.stats import claims as stats_claims
from batik_utils.stats.mistakes import mispaired_fit
from batik_utils.stats.scores import METRICS
from batik_utils.study import ROOT
from batik_utils.values import Pair, Results, Source
from batik_utils.wording import FEW

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
PER_MOTIF = 10
NAMES = ("alder", "beech", "cherry", "date", "elder", "fir", "ginkgo", "hazel", "iris", "juniper", "katsura", "larch")
SCRATCH = {"kind": "scratch", "title": "Small CNN", "epochs": 20, "architecture": "seed_cnn"}
LITE = {"kind": "pretrained", "title": "Lite", "epochs": 20, "backbone": "efficientnet_lite2"}
FLIPS = {"augmentation": {"horizontal_flip": True}}
RUNS = {"runs": {"epochs": [10, 20], "dropout": [0.5], "seeds": 1}}
SEED = {"title": "An Earlier Study", "authors": ["A. Student"], "institution": "A School", "year": 2024}
SEED |= {"language": "English", "framework": "Keras", "summary": "It reported 80 %.", "parameter_limit": 5000}
SOURCES = {
    "published": Source("published", "shared folder", identical=19, altered=1, missing=1),
    "folder": Source("folder", "a folder of the reader's own", unlisted=20),
    "drawn": Source("drawn", "procedural sample drawn by this project, not batik photographs"),
}

EVERYTHING = {
    tag.removeprefix("only-")
    for notebook in NOTEBOOKS
    for cell in nbformat.read(notebook, as_version=4).cells
    for tag in cell.metadata.get("tags", [])
    if tag.startswith("only-") and tag != "only-notebook"
}
"""Every fact that a cell of the notebooks asks for."""
HELD = {"value": 0.88, "low": 0.8, "high": 0.95, "n": 20}
DEPLOYED = {
    "model": "lite", "title": "Lite", "parameters": 2_422_339, "bytes": 4_580_000, "evidence": "exact",
    "temperature": 1.2, "precision": "float16", "compared": 100, "agreement": 1.0, "auroc": 0.988,
    "gate": {
        "neighbours": 5, "threshold": 0.57, "auroc": 0.988, "ordinary_turned_away": 0.85, "own_turned_away": 0.027,
        "n_ordinary": 100, "n_own": 75, "others_turned_away": 0.1, "n_others": 20,
    },
    "unseen": {"motifs": 2, "images": 20, "auroc": 0.6},
    "sets": {"coverage": 0.9, "threshold": 0.5, "measured": HELD, "per_motif": {"alder": HELD}, "mean_size": 1.2},
    "protocol": "sources", "calibration": {"error": 0.05, "n": 20},
}  # fmt: skip
"""What metrics.json might say of a classifier: of photographs; other sorts of pictures have less."""
NO_OTHERS = {"unseen": None}
POORER = {"folder": NO_OTHERS, "drawn": NO_OTHERS | {"evidence": "occlusion", "gate": None, "auroc": 0.8, "sets": None}}
CLAIM = {"model": "lite", "n": 4, "where": "section 1"}
ACCURACY = CLAIM | {"id": "c1", "what": "claim 1", "metric": "accuracy", "value": 0.75}
PAIRED_WRONG = CLAIM | {"id": "c2", "what": "claim 2", "metric": "paired_wrong_accuracy", "value": 0.5}
RAN = [
    ACCURACY | {"id": f"run {e}", "what": f"{e} epochs", "model": "small", "value": v, "epochs": e, "dropout": 0.5}
    for e, v in ((10, 0.5), (20, 0.75))
]


def make_analysis(
    source="folder", seed=False, runs=False, claims=False, twins=False, mispaired=False, motifs=2, **more
) -> Analysis:
    """The analysis of a small made study of which these things hold; more goes to the study."""
    names = NAMES[:motifs]
    given = {
        "name": "made", "title": "A made study", "question": "Which of the two is better?", "motifs": list(names),
        "models": {"small": SCRATCH | (RUNS if runs else {}), "lite": LITE | FLIPS},
        "compare": ["lite", "small"], "seed_study": SEED if seed else None,
        "published": {"split": "stratified-80-10-10" if runs else "keras-validation-split", "seeds": 2},
        "claims": [ACCURACY] * claims + [PAIRED_WRONG] * mispaired + RAN * (runs and seed),
    }  # fmt: skip
    dataset, results = _dataset(names, source, twins), _results(names, runs)
    made = Analysis(make_study(**(given | more)), dataset, results, clean_features=lambda model: _features(names))
    vars(made).update(_derived(names, runs), deployed=DEPLOYED | POORER.get(source, {}))
    return made


def _dataset(names, source, twins):
    bare = make_dataset(PER_MOTIF, names)
    status = {"published": "identical", "folder": "unlisted", "drawn": "drawn"}[source]
    fact = {"format": "PNG", "mode": "RGB", "width": 64, "height": 64, "bytes": 99, "orientation": 1}
    fact |= {"extension_agrees": True, "status": status}
    own = [{"width": 64 + i} | ({} if i else {"remarks": ["only 12 of 16 bits used"]}) for i in range(len(bare))]
    facts = tuple(fact | more for more in own) if source == "folder" else (fact,) * len(bare)
    pair = Pair(bare.paths[0], bare.paths[5], "exact", False, "the same bytes")
    groups = np.arange(len(bare))
    groups[5] = 0 if twins else 5
    return replace(bare, source=SOURCES[source], facts=facts, skipped=(), pairs=(pair,) * twins, groups=groups)


@cache
def _results(names, runs):
    models = {"small": 0.6, "lite": 0.9}
    common = {"per_class": PER_MOTIF, "folds": 3, "motifs": names}
    grouped = make_results(models, repeats=2, seeds=2, **common).items
    corrupted = ("greyscale", "blur", "patches", "border")
    items = [replace(r, corruptions=dict.fromkeys(corrupted, r.y_prob[:, ::-1])) for r in grouped]
    items += make_results(dict.fromkeys(BASELINES, 0.5), repeats=2, seeds=1, **common).items
    for protocol, accuracy in (("curve-2", 0.6), ("curve-5", 0.9), ("permuted", 0.5)):
        items += make_results({"lite": accuracy}, repeats=2, seeds=1, protocol=protocol, **common).items
    paths, labels = paths_and_labels(2, names)
    curve = {k: [0.5, 0.7] for k in ("accuracy", "loss", "val_accuracy", "val_loss")}
    for model, wrong in (("small", 1), ("lite", 0)):
        right = np.arange(len(labels)) >= wrong
        what = {"classes": len(names), "history": curve}
        items += [make_fit(model, right, labels, paths, seed=s, **what) for s in range(2)]
    if runs:
        prob = probabilities(labels, labels >= 0, len(names))
        seen = {"checkpoints": {epochs: {"test": prob} for epochs in (10, 20)}}
        items.append(make_fit("small", labels >= 0, labels, paths, protocol="runs", hyper=HYPER, **what, **seen))
    return Results(tuple(items))


def _features(names):
    return np.random.default_rng(0).normal(size=(PER_MOTIF * len(names), 3)).astype(np.float32)


@cache
def _derived(names, runs):
    """What depends on the results alone and takes time, so that it is not computed for every sort of study."""
    plain = make_study(motifs=list(names), models={"small": SCRATCH, "lite": LITE}, compare=["lite", "small"])
    base = Analysis(plain, _dataset(names, "folder", False), _results(names, runs))
    slow = ("summaries", "oofs", "per_motif", "grouped_intervals", "fold_accuracies", "comparisons", "scores")
    return {name: getattr(base, name) for name in slow}


def kept(notebook, facts):
    """The cells that the report's build keeps."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if {t.removeprefix("only-") for t in cell.metadata.get("tags", []) if t.startswith("only-")} <= facts:
            yield cell


def said(analysis: Analysis, draw: bool = False, by_hand: bool = False) -> dict[str, str]:
    """All that the report of this analysis says: {where: text}, anchors of figures and tables among the keys.

    draw has the figures drawn, photographs and placeholders; else only their captions are there. by_hand runs the
    cells of all studies, as Jupyter does, but for those that are no part of any report.
    """
    words, place = {}, ""

    def take(anchor, *parts):
        added = ["\n\n".join([part] if isinstance(part, str) else part) for part in parts]
        words[anchor] = "\n".join([words.get(anchor, ""), *added])

    def show_figure(fig, anchor, caption, alt=None):
        plt.close("all")
        take(anchor, caption, alt or "")

    def show_pictures(make, anchor, caption, alt=None):
        show_figure([make(photos=photos) for photos in (True, False)], anchor, caption, alt)

    def show_table(frame, anchor, caption, most=display.ROWS, **options):
        shown = frame.head(FEW) if len(frame) > most else frame
        rows = [" | ".join(map(str, row)) for row in [frame.columns, *shown.itertuples(index=False)]]
        take(anchor, caption, "\n".join(rows))

    instead = {"figure": show_figure, "pictures": show_pictures, "table": show_table, "use_report_style": lambda: None}
    instead["text"] = lambda paragraphs: take(place, paragraphs)
    with ExitStack() as patches:
        for name, function in instead.items():
            patches.enter_context(mock.patch.object(display, name, function))
        patches.enter_context(mock.patch.object(room, "open_analysis", lambda *parameters: analysis))
        patches.enter_context(mock.patch.dict(METRICS, {name: _remembering(score) for name, score in METRICS.items()}))
        for who in (room, stats_claims):
            patches.enter_context(mock.patch.object(who, "mispaired_fit", partial(mispaired_fit, shuffles=50)))
        patches.enter_context(mock.patch.object(examples, "augmented", lambda analysis: examples.spread(analysis)[0]))
        if not draw:
            for name, function in list(vars(figures).items()):
                if isfunction(function):
                    patches.enter_context(mock.patch.object(figures, name, mock.Mock()))
        for notebook in NOTEBOOKS:
            names = {}
            for cell in kept(notebook, EVERYTHING if by_hand else analysis.facts):
                place = cell.id
                if cell.cell_type == "markdown" or "shown" in cell.metadata.get("tags", []):
                    take(place, cell.source)
                elif cell.source.startswith("%%say"):
                    take(place, display.filled(cell.source.removeprefix("%%say"), names))
                else:
                    exec(compile(cell.source, f"{notebook.name}, cell {cell.id}", "exec"), names)
    return words


_KNOWN = {}


def _remembering(score):
    """A score of arrays that live as long as the made results do, computed once."""

    def known(*arrays):
        key = (id(score), *map(id, arrays))
        if key not in _KNOWN:
            _KNOWN[key] = score(*arrays)
        return _KNOWN[key]

    return known


def references(words: dict[str, str]) -> tuple[set[str], set[str]]:
    """What the text refers to (@fig-…, @tbl-…, @sec-…), and what it has."""
    text = "\n".join(words.values())
    there = {place for place in words if place.startswith(("fig-", "tbl-"))} | set(re.findall(r"{#(sec-[\w-]+)", text))
    return set(re.findall(r"@((?:fig|tbl|sec)-[a-z0-9-]*[a-z0-9])", text)), there
