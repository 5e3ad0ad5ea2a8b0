"""Studies and data sets of every sort for the tests of cards and checklist: source of pictures × seed × search."""

import re
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from results_factory import make_dataset, make_study

from batik_utils.study import Study
from batik_utils.values import Dataset, Source

COMBINATIONS = list(product(("published", "folder", "drawn"), (True, False), (True, False)))
MOTIFS = {"published": ("batik-bali", "batik-celup"), "folder": ("brick", "gravel"), "drawn": ("sample-a", "sample-b")}
SEARCH = {"epochs": [5, 10], "learning_rate": [0.001], "dropout": [0.5]}
SEED = dict.fromkeys(("institution", "language", "framework", "summary"), "x") | {"authors": ["A"], "year": 2024}
CLAIM = {"id": "a", "what": "accuracy", "model": "scratch", "metric": "accuracy", "value": 0.5, "n": 30, "where": "3"}


def sort_of_study(source: str, seed: bool, search: bool) -> tuple[Study, Dataset, set[str]]:
    """A study with its data and facts; a seed study brings a claim."""
    models = make_study().model_dump(mode="json", exclude_none=True)["models"]
    if search:
        models["scratch"]["search"] = SEARCH
    changes: dict[str, Any] = {"name": "own-study", "motifs": list(MOTIFS[source]), "models": models}
    changes |= {"published": {"split": "stratified-80-10-10", "seeds": 5}}
    if seed:
        changes |= {"seed_study": SEED | {"title": "Studi Benih"}, "claims": [CLAIM]}
    facts = {source} | ({"photographs"} if source != "drawn" else set())
    facts |= ({"seed", "claims"} if seed else {"noseed"}) | ({"search"} if search else set())
    return make_study(**changes), make_pictures(source), facts


def make_pictures(kind: str = "published", **changes: Any) -> Dataset:
    """Three pictures of each of two motifs, from a source."""
    source = Source(kind, "shared folder", identical=6 * (kind == "published"))
    values = {"groups": np.arange(6), "skipped": (), "source": source, "facts": ({"format": "JPEG", "bytes": 5},) * 6}
    return replace(make_dataset(3, MOTIFS[kind]), **(values | changes))


FORBIDDEN = {
    "published": ("procedural", "draws itself", "not recorded", "DATA="),
    "folder": (
        "Indonesian Batik Motifs",
        "kaggle",
        "Photograph",
        "procedural",
        "publisher's",
        "one publisher",
        "cloth",
    ),
    "drawn": (
        "Indonesian Batik Motifs",
        "kaggle",
        "publisher's",
        "one publisher",
        "not recorded",
        "decoded",
        "watermark",
    ),
    "noseed": ("seed study", "Studi Benih", "takes up", "numbers are tried", "that it published", "published split"),
    "nosearch": ("grid", "several settings compete", "look at the test set", "sec-search"),
    "search": ("none was tuned",),
}
"""Words that nothing said of such a study may contain, in any case."""


def forbidden(text: str, source: str, seed: bool, search: bool) -> list[str]:
    """The words in a text, but for commands and paths, that are not true of such a study."""
    held = [source, "search" if search else "nosearch", *([] if seed else ["noseed"])]
    text = re.sub("`[^`]*`", "", text).lower()
    return [word for fact in held for word in FORBIDDEN[fact] if word.lower() in text]
