"""What the paper says is true of every study: where its pictures are from, whether it has a seed, and what it does."""

import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from paper import EVERYTHING, LITE, PER_MOTIF, SCRATCH, make_analysis, references, said
from results_factory import make_results

from batik_utils.report import PAPER_STUDIES
from batik_utils.report.analysis import Analysis
from batik_utils.report.metrics import build_metrics
from batik_utils.study_file import load_plates
from batik_utils.values import Pair, Results

ONLY_IF = {
    "published": "Indonesian Batik Motifs; aggle; by MD5; from the web; other cloth, cameras",
    "drawn": "procedural; rocedural sample; drawn by; draws them; a program",
    "folder": "for their owner to say; their owner may know",
    "photographs": "EXIF; by their content; squeezed to",
    "seed": "original study; An Earlier Study; published split; 5,000",
    "claims": "compatible with ours; berhasil direproduksi; Numbers published of",
    "runs": "configuration; would be expected at",
    "plates": "What a motif's name stands for",
    "twins": "Confirmed copies; are confirmed",
    "mispaired": "shuffled show",
    "variant": "Upside down",
    "keras-split": "`validation_split=0.2`",
    "tenths": "Eight tenths",
    "seeds": "Another seed moves",
    "curve": "fewer training pictures",
    "permuted": "labels dealt out at random",
    "unequal": "not fitted equally often",
    "sources": "whole sources on one side; confirmed by eye; Whole sources held out",
    "others": "Beside another evaluation; splits of another",
    "recipe": "A *recipe* computes",
    "regularised": "kept from overfitting",
    "augmented": "augmented views",
    "deployed": "classifier.tflite; given out as",
    "exact": "at each place is exact",
    "occlusion": "occlusion",
    "unseen": "By distance an AUROC",
    "sets": "set* [@sadinle",
    "many": "among the first three",
    "networks": "Accuracy and loss of",
    "corruptions": "Accuracy on corrupted; loses most when",
    "disputed": "more than one motif",
    "tried": "measured once by its command",
    "trios": "Which three; the hardest",
    "told": "evidence for one study; [the paper]",
    "written": "in Keras; the study's fits of median accuracy say",
    "seed_cnn": "network = seed_cnn",
    "pooled_cnn": "network = pooled_cnn",
}
"""{fact: words that may be said only where it holds}"""
NOT_AT_HOME = "batik; Batik; cloth; dyer; photograph"
"""Words that have no place where somebody's own pictures are of something else."""
SORTS = [
    sort
    for sort in product(("published", "folder", "drawn"), *[(True, False)] * 5, (2, 12))
    for _, seed, _, claims, twins, mispaired, motifs in [sort]
    # A claim is a seed study's number, and a mispaired one a claim; many motifs need not go with everything. Every sort
    # of the published pictures, and half of each of the others: whatever goes together goes with two of the three.
    if seed >= claims >= mispaired
    and (motifs == 2 or (seed == claims and twins == mispaired))
    and (sort[0] == "published" or sum(sort[1:6]) % 2 == (sort[0] == "drawn"))
]


def told(analysis: Analysis) -> str:
    """The text, without the hashes."""
    words = said(analysis)
    asked, there = references(words)
    assert asked <= there, asked - there
    return "\n".join(text for place, text in words.items() if not place.startswith("tbl-provenance"))


def holds(analysis: Analysis) -> set[str]:
    """What holds of a study: the facts that cells ask for, and others."""
    file, split = analysis.deployed or {"evidence": "", "unseen": None}, analysis.study.published.split
    found = {"unseen": bool(file["unseen"]), file["evidence"]: True}
    found["keras-split" if split == "keras-validation-split" else "tenths"] = True
    return analysis.facts | {fact for fact, true in found.items() if true}


def lies(analysis: Analysis, text: str) -> list[str]:
    """The words that are said although what they stand for does not hold."""
    words = [word for fact in ONLY_IF.keys() - holds(analysis) for word in ONLY_IF[fact].split("; ")]
    untrue = [word for word in words if word in text]
    if "folder" in analysis.facts:
        text = re.sub(r"@\w+|`[^`]*`", "", text)
        untrue += [word for word in NOT_AT_HOME.split("; ") if word in text]
    return untrue


@pytest.mark.parametrize("sort", SORTS, ids=lambda sort: "-".join(map(str, sort)))
def test_only_what_is_true_is_said(sort):
    analysis = make_analysis(*sort)
    assert not lies(analysis, told(analysis))


FEW = {"folds": 3, "pretrained": {"repeats": 2, "seeds": 2}, "scratch": {"repeats": 1, "seeds": 2}}
MISTAKEN = LITE | {"title": "Lite, mistaken", "variant_of": "lite", "mistake": "upside down feeding"}
OTHER = {"motifs": ["maple-leaf", "oak"], "note": "Few."}
CHOSEN = {"settings": 4, "trios": 30, "command": "make choice", **OTHER}
RECIPE = {"kind": "recipe", "title": "Recipe", "parts": {"pattern": {"texture": "patterns"}}, "strength": 0.1}
RECIPE |= {"chosen": CHOSEN}
CROPS = SCRATCH | {"title": "Crops", "architecture": "small_cnn", "regularised": {}}
CROPS |= {"tuned": {"settings": 3, "command": "make tune", **OTHER}}
RECIPES = {
    "models": {"recipe": RECIPE, "texture": RECIPE | {"title": "Texture", "metric": {}}, "crops": CROPS},
    "compare": ["recipe", "texture"],
    "sources": [{"name": "shop", "why": "one mark", "pictures": ["alder/1.jpg"]}],
    "others": {"title": "theirs", "splits": "theirs", "reported": [{"title": "Large", "accuracy": 0.5, "sd": 0.01}]},
    "trios": "indonesian-batik-motifs",
    "grouped": {"folds": 3, "pretrained": {"repeats": 2}, "scratch": {"repeats": 2}, "corruptions": False},
    "published": {"split": "keras-validation-split", "seeds": 1},
    "milliseconds": {"recipe": 30.0, "baseline_colour": 0.5},
    "tried": [{"what": "a trial", "result": "nothing", "command": "make trial"}],
}


def recipes() -> Analysis:
    """A study of two recipes and a network trained on crops, with sources and the splits of others."""
    made = make_analysis(motifs=12, **RECIPES)
    paths, groups = made.dataset.paths, np.arange(len(made.dataset))
    groups[-1] = 0
    pair = Pair(paths[0], paths[-1], "exact", True, "the same bytes")
    models, common = made.study.models, {"per_class": PER_MOTIF, "seeds": 1, "motifs": made.dataset.motifs}
    half = {"repeats": 2, "folds": 3, **common}
    items = [r for p in ("grouped", "sources") for r in make_results(dict.fromkeys(models, 0.8), protocol=p, **half)]
    items += make_results({"recipe": 0.7, "texture": 0.6}, repeats=3, folds=1, protocol="others", **common)
    curve = {k: [0.5, 0.7] for k in ("accuracy", "loss", "val_accuracy", "val_loss")}
    for r in make_results({}, published=dict.fromkeys(models, (80,)), **common):
        items.append(replace(r, history=curve if r.fit.model == "crops" else {}))
    dataset = replace(made.dataset, groups=groups, pairs=(pair,))
    return Analysis(made.study, dataset, Results(tuple(items)), clean_features=made.clean_features)


def special() -> list[Analysis]:
    """Studies in which the rest of the facts hold, and one of which none does."""
    tenths = make_analysis(published={"split": "stratified-80-10-10", "seeds": 2})
    short = Results(tuple(r for r in tenths.results if r.fit.protocol in ("grouped", "published")))
    models = {"small": SCRATCH | {"architecture": "pooled_cnn"}, "lite": LITE, "mistaken": MISTAKEN}
    odd, known = make_analysis(models=models, grouped=FEW), make_analysis("published")
    again = [replace(r, fit=replace(r.fit, model="mistaken")) for r in tenths.results.select("lite")]
    vars(known)["plates"] = [load_plates()[motif] for motif in ("batik-celup", "batik-bali", "batik-kawung")]
    named = make_analysis("published", True, True, True, True)
    named.study = named.study.model_copy(update={"name": PAPER_STUDIES[0]})
    return [
        Analysis(tenths.study, tenths.dataset, short, clean_features=tenths.clean_features),
        known,
        Analysis(named.study, named.dataset, named.results, clean_features=named.clean_features),
        Analysis(odd.study, odd.dataset, Results((*odd.results, *again)), clean_features=odd.clean_features),
        recipes(),
    ]


def test_what_holds_is_said():
    full = make_analysis("published", True, True, True, True, True)
    analyses = [full, make_analysis("drawn"), make_analysis("folder"), *special()]
    texts = [(holds(analysis), told(analysis)) for analysis in analyses]
    for analysis, (_, text) in zip(analyses, texts, strict=True):
        assert not lies(analysis, text)
    assert "meant: 1 picture (only 12 of 16 bits used)." in texts[2][1] and "meant: " not in texts[0][1]
    for fact, words in ONLY_IF.items():
        assert any(word in text for facts, text in texts if fact in facts for word in words.split("; ")), fact
    assert set(ONLY_IF) | {"public", "noseed", "notold", "uneven"} >= EVERYTHING, "uneven is tested in test_tables"


def test_every_figure_is_drawn_and_by_hand_every_cell_runs():
    words = said(make_analysis("published", True, True, True, True, True, motifs=12), draw=True)
    assert {"fig-method", "fig-examples", "fig-pairs", "fig-runs", "fig-mispaired", "fig-answer"} <= set(words)
    bare = special()[0]
    assert len(said(bare, draw=True, by_hand=True)) > len(said(bare))


def test_a_study_of_recipes_draws_its_figures_and_tells_their_choices_and_what_pictures_undergo():
    words = said(recipes(), draw=True)
    assert {"fig-folds", "fig-trios", "tbl-trio-pairs", "tbl-sources", "tbl-others"} <= set(words)
    assert "fig-augmentation" not in words and "fig-corruptions" not in words
    text = " ".join("\n".join(words.values()).split())
    assert "Chosen on pictures of other motifs: the setting of Crops, the best of 3. Few." in text
    assert "**Recipe**: pattern, ridge 0.1. It was chosen among 4 candidates on 30 trios of 2 motifs" in text
    found = build_metrics(recipes())["models"]
    assert found["recipe"]["recipe"] == {"words": "pattern, ridge 0.1", "candidates": 4, "trios": 30, "motifs": 2}
    assert "recipe" not in found["crops"]
    assert "horizontal flips" in " ".join(told(make_analysis()).split())
