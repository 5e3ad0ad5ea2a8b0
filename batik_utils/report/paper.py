"""The paper: one notebook over the committed metrics.json of several studies; it fits nothing and loads no engine."""

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batik_utils.errors import BatikError
from batik_utils.report import PAPER_STUDIES
from batik_utils.report.build import TRIOS
from batik_utils.report.metrics import read_metrics
from batik_utils.stats.claims import ClaimRow
from batik_utils.stats.compare import Comparison
from batik_utils.stats.intervals import Interval
from batik_utils.stats.mistakes import SourceRow
from batik_utils.stats.table import LADDER, Told
from batik_utils.study import ROOT
from batik_utils.wording import Band, listed, motif_names, of_images, percent, percent_range

BEATS = {"better": "beats", "worse": "is beaten by", "same": "equals", "open": "does not differ significantly from"}


class Reported(Told):
    """One study's numbers, as its metrics.json holds them."""

    def __init__(self, metrics: dict[str, Any]) -> None:
        self.metrics = metrics
        self.data: dict[str, Any] = metrics["data"]
        self.motifs = motif_names(self.data["motifs"])
        self.a: str = metrics["verdict"]["a"]
        self.chance = max(self.data["per_motif"].values()) / self.data["images"]  # of guessing the commonest motif
        self.sources = [SourceRow(**row) for row in self.data["sources"]]
        self.scores = pd.DataFrame(metrics["scores"])
        self.claims = [ClaimRow.model_validate_json(json.dumps(row)) for row in metrics["claims"]]
        self.titles = {name: model["title"] for name, model in metrics["models"].items()}
        self.pairs = list(dict.fromkeys(m for c in self.planned() for m in (c.a, c.b)))
        self.unpretrained = {name for name, model in metrics["models"].items() if model["kind"] == "scratch"}

    def planned(self, protocol: str = "grouped") -> list[Comparison]:
        """The primary comparisons of a protocol, the verdict's first."""
        return [_compared(c) for c in self.metrics["comparisons"] if c["primary"] and c["protocol"] == protocol]

    @property
    def variants(self) -> list[Comparison]:
        """What repeats a mistake (B) against what does not (A), in grouped folds."""
        models, rows = self.metrics["models"], self.metrics["comparisons"]
        return [_compared(c) for c in rows if c["protocol"] == "grouped" and models[c["b"]]["variant_of"] == c["a"]]

    def training(self) -> dict[str, list[Any]]:
        """{title: fits with a history} of the verdict's models, for draw.training_curves."""
        histories = self.metrics["history"].items()
        return {self.title(m): [SimpleNamespace(history=history) for history in fits] for m, fits in histories}

    def confusion(self) -> dict[str, NDArray[np.float64]]:
        """{title: matrix} of the verdict's models, for draw.confusion_matrices."""
        return {self.title(model): np.array(matrix) for model, matrix in self.metrics["confusion"].items()}


def _compared(row: dict[str, Any]) -> Comparison:
    same = {name: row[name] for name in ("a", "b", "primary", "folds", "repeats", "mean_a", "mean_b")}
    difference = Interval(row["difference"], row["low"], row["high"], row["folds"])
    return Comparison(**same, difference=difference, p_value=row["p"], p_adjusted=row["p_holm"])


def read_studies(reports: Path = ROOT / "reports") -> dict[str, Reported]:
    """{name: study} of PAPER_STUDIES; raises BatikError where a metrics.json is missing or of another version."""
    return {name: Reported(read_metrics(reports / name / "metrics.json")) for name in PAPER_STUDIES}


def trio_accuracies(study: Reported, reports: Path) -> dict[str, pd.Series]:
    """{title: accuracy on every trio of the study's motifs}; raises BatikError where its trios.csv is missing."""
    path = reports / PAPER_STUDIES[-1] / TRIOS
    if not path.is_file():
        raise BatikError(f"There is no {path.parent.name}/{TRIOS}; run `make report STUDY={path.parent.name}` first.")
    found = pd.read_csv(path)
    return {study.title(model): found[model] for model in study.metrics["trios"]["accuracy"]}


def verdicts(*studies: Reported) -> Counter[str]:
    """{verdict: published accuracies and losses} of studies that take up others' numbers."""
    return Counter(c.verdict for study in studies for c in study.claims if c.metric in ("accuracy", "loss"))


def claims_table(*studies: Reported) -> pd.DataFrame:
    """The first five accuracies that each original states (its conclusion's first), beside ours on its split."""
    rows = []
    for study in studies:
        stated = [c for c in study.claims if c.metric == "accuracy" and not c.read_off]
        for c in sorted(stated, key=lambda c: c.where != "conclusion")[:5]:
            value = of_images(round(c.value * c.n) / c.n, c.n) if c.n else percent(c.value)
            ours = c.published
            seen = f"{percent(ours.median)} ({percent_range(Band(*ours.range))})" if ours else "–"
            rows.append((listed(study.motifs), c.what, value, seen, c.verdict))
    return pd.DataFrame(rows, columns=["study of", "claim", "published", "ours, same split", "verdict"])


def sources_table(*studies: Reported) -> pd.DataFrame:
    """Every large source of the studies, these together, and all their other pictures."""
    rows = []
    for study in studies:
        titles = dict(zip(study.data["motifs"], study.motifs, strict=True))
        for row in study.sources:
            which = listed([f"{titles[motif]} {n}" for motif, n in row.motifs.items()])
            rows.append((row.why, row.pictures, which, percent(row.grouped), percent(row.sources)))
    return pd.DataFrame(rows, columns=["source", "pictures", "of which", "source also trains", "source held out"])


def results_table(*studies: Reported) -> pd.DataFrame:
    """The models of the planned comparisons: accuracy by protocol, parameters, and what was measured of their time."""
    rows, costs = [], {"s to train": "seconds", "ms to answer": "milliseconds"}
    for number, study in zip(("one", "two", "three"), studies, strict=False):
        for model in study.pairs:
            found = (study.score(model, protocol) for protocol in LADDER)
            shares = ["–" if i is None else f"{percent(i.value)} ({percent_range(i)})" for i in found]
            about = study.metrics["models"][model]
            times = ["–" if (cost := about[what]) is None else f"{cost:,g}" for what in costs.values()]
            rows.append((number, study.title(model), *shares, f"{about['parameters']:,}", *times))
    table = pd.DataFrame(rows, columns=["study", "model", *LADDER.values(), "parameters", *costs])
    return table.drop(columns=[name for name in costs if set(table[name]) == {"–"}])


def classifier_table(*studies: Reported) -> pd.DataFrame:
    """What each study's classifier reaches: accuracy by source, calibration, prediction sets, rejections."""
    rows = []
    for study in (study for study in studies if study.metrics["classifier"]):
        file = study.metrics["classifier"]
        gate, sets, calibration = file["gate"] or {}, file["sets"], file["calibration"]
        accuracy = study.score(file["model"], file["protocol"])
        shares = [gate.get(f"{whose}_turned_away") for whose in ("own", "ordinary", "others")]
        held = f"{percent(sets['measured']['value'])}, {sets['mean_size']:.1f} motifs" if sets else "–"
        told = [accuracy and accuracy.value, calibration and calibration["error"], *shares]
        accurate, error, *away = ["–" if share is None else percent(share) for share in told]
        rows.append((f"{file['title']}, {len(study.motifs)} motifs", accurate, error, held, *away))
    columns = "model; right; calibration error; set holds it; own rejected; ordinary rejected; other motifs rejected"
    return pd.DataFrame(rows, columns=columns.split("; "))
