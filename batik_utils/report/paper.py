"""The paper: one notebook over the committed metrics.json of several studies; it fits nothing and loads no engine."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from batik_utils.cache import atomic, digest_json, write_json
from batik_utils.data.obtain import cache_dir
from batik_utils.errors import BatikError
from batik_utils.report import freshness
from batik_utils.report.metrics import read_metrics, scores_of
from batik_utils.stats.intervals import Interval
from batik_utils.study import ROOT
from batik_utils.wording import Band, listed, motif_names, of_images, percent, percent_range

STUDIES = ("bali-betawi-celup", "sidoluhur-tambal-betawi", "twenty-motifs")
"""The studies that the paper tells of."""
NOTEBOOK = "paper.ipynb"
PROTOCOLS = {"published": "one split", "grouped": "copies together", "sources": "sources held out"}
ABOUT = {
    "title": "How well can a computer tell Indonesian batik motifs apart from 50 photographs each?",
    "subtitle": "And does a pretrained network beat one trained from scratch? Two student projects, repeated",
    "header": "",
    "credit": [],
    "drawn": False,
}


class Primary(NamedTuple):
    """One comparison, A against B, as metrics.json has it; what say.gap asks of one."""

    a: str
    b: str
    mean_a: float
    mean_b: float
    word: str
    difference: Interval
    p: float
    p_adjusted: float | None


class Told:
    """One study's numbers, as its metrics.json holds them."""

    def __init__(self, metrics: dict[str, Any]) -> None:
        self.metrics = metrics
        self.name: str = metrics["study"]
        self.data: dict[str, Any] = metrics["data"]
        self.motifs = motif_names(self.data["motifs"])
        self.a, self.b = metrics["verdict"]["a"], metrics["verdict"]["b"]
        self.chance = max(self.data["per_motif"].values()) / self.data["images"]
        """Accuracy of always guessing the commonest motif, 0-1."""
        self._scores: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}

    def title(self, model: str) -> str:
        """The name that readers see."""
        return str(self.metrics["models"][model]["title"])

    def score(self, model: str, protocol: str = "grouped", metric: str = "accuracy") -> Interval | None:
        """One number with its interval; None where the study has none, and no width where it has no interval."""
        known = self._scores.setdefault(metric, scores_of(self.metrics, metric))
        if (row := known.get((model, protocol))) is None:
            return None
        low, high = (row["value"] if row[end] is None else row[end] for end in ("low", "high"))
        return Interval(row["value"], low, high, row["n"])

    def planned(self, protocol: str = "grouped") -> list[Primary]:
        """The primary comparisons of a protocol, the verdict's first."""
        rows = (c for c in self.metrics["comparisons"] if c["primary"] and c["protocol"] == protocol)
        return [self._compared(row) for row in rows]

    @property
    def variants(self) -> list[Primary]:
        """What repeats a mistake (B) against what does not (A)."""
        wrong = {name: model["variant_of"] for name, model in self.metrics["models"].items() if model["variant_of"]}
        rows = (c for c in self.metrics["comparisons"] if c["protocol"] == "grouped")
        return [self._compared(c) for c in rows if wrong.get(c["b"]) == c["a"]]

    def _compared(self, row: dict[str, Any]) -> Primary:
        difference = Interval(row["difference"], row["low"], row["high"], row["folds"])
        named = (row["a"], row["b"], row["mean_a"], row["mean_b"], row["word"])
        return Primary(*named, difference, row["p"] if row["p_holm"] is None else row["p_holm"], row["p_holm"])

    @property
    def runs(self) -> list[dict[str, Any]]:
        """The claims that are accuracies of single runs, as metrics.json has them."""
        return [c for c in self.metrics["claims"] if c["metric"] == "accuracy" and c["epochs"]]

    @property
    def pairs(self) -> list[str]:
        """The models of the planned comparisons, each once."""
        return list(dict.fromkeys([self.a, self.b, *(m for c in self.planned() for m in (c.a, c.b))]))

    def ladder(self, models: list[str], label: str) -> list[tuple[str, str, float, float, float]]:
        """Rungs for draw.ladder: each protocol, with a label before it."""
        found = [(f"{label}: {word}", m, self.score(m, p)) for p, word in PROTOCOLS.items() for m in models]
        return [(rung, self.title(m), i.value, max(0.0, i.low), min(1.0, i.high)) for rung, m, i in found if i]

    def curve(self) -> pd.DataFrame:
        """Learning curves of the planned pairs: label, images per motif, mean, low, high."""
        sizes = {p for _, p in scores_of(self.metrics) if p.startswith("curve-")}
        steps = sorted(int(size.removeprefix("curve-")) for size in sizes)
        rows = [(self.title(m), k, self.score(m, f"curve-{k}")) for m in self.pairs for k in steps]
        found = [(title, k, i.value, max(0.0, i.low), min(1.0, i.high)) for title, k, i in rows if i]
        return pd.DataFrame(found, columns=["label", "images", "mean", "low", "high"])

    def seconds(self, model: str) -> str:
        """What training a model once takes on one core, as text."""
        found = self.metrics["models"][model].get("seconds")
        return "–" if found is None else f"{found:,.0f} s"


def read_studies(reports: Path = ROOT / "reports") -> dict[str, Told]:
    """{name: study} of STUDIES; raises BatikError where a metrics.json is missing or of another version."""
    return {name: Told(read_metrics(reports / name / "metrics.json")) for name in STUDIES}


def build_paper(reports: Path = ROOT / "reports") -> bool:
    """Make reports/paper/ where a number or its text has changed; whether it was made anew.

    Raises BatikError where a study's metrics.json is missing.
    """
    from batik_utils.report.execute import run_notebook
    from batik_utils.report.export import export

    path, folder = ROOT / "notebooks" / NOTEBOOK, reports / "paper"
    read_studies(reports)
    made_of = {name: freshness.sha256(reports / name / "metrics.json") for name in STUDIES}
    made_of["trios"] = freshness.sha256(reports / STUDIES[-1] / "trios.csv")
    key = digest_json([made_of, freshness.part(freshness.code(), but=freshness.FACES), freshness.cells(path)])
    stamp = cache_dir() / "builds" / "paper.json"
    outputs = {name: freshness.sha256(folder / name) for name in ("report.html", "report.pdf")}
    if freshness.read_json(stamp) == {"key": key, **outputs}:
        return False
    run = run_notebook(path, {"REPORTS": str(reports.resolve())}, set(), {})
    page, pdf = export([run], ABOUT, photos=False)
    for name, content in (("report.html", page.encode()), ("report.pdf", pdf)):
        with atomic(folder / name) as part:
            part.write_bytes(content)
        outputs[name] = freshness.sha256(folder / name)
    write_json(stamp, {"key": key, **outputs})
    return True


def trio_accuracies(study: Told, reports: Path) -> dict[str, pd.Series]:
    """{title: accuracy on every trio of the study's motifs}; raises BatikError where its trios.csv is missing."""
    path = reports / study.name / "trios.csv"
    if not path.is_file():
        raise BatikError(f"There is no {study.name}/trios.csv yet; run `make report STUDY={study.name}` first.")
    found = pd.read_csv(path)
    return {study.title(model): found[model] for model in study.metrics["trios"]["accuracy"]}


def verdicts(*studies: Told) -> Counter[str]:
    """{verdict: published accuracies and losses} of studies that take up others' numbers."""
    rows = (c for study in studies for c in study.metrics["claims"] if c["metric"] in ("accuracy", "loss"))
    return Counter(c["verdict"] for c in rows)


def claims_table(*studies: Told, most: int = 5) -> pd.DataFrame:
    """The first accuracies that each study's original states, beside ours on its split."""
    rows = []
    for study in studies:
        stated = [c for c in study.metrics["claims"] if c["metric"] == "accuracy" and not c["read_off"]]
        for c in sorted(stated, key=lambda c: c["where"] != "conclusion")[:most]:
            ours = c["published"] and f"{percent(c['published']['median'])} ({_range(c['published']['range'])})"
            value = of_images(c["value"], c["n"]) if c["n"] else percent(c["value"])
            rows.append((study.motifs[0], c["what"], value, ours or "–", c["verdict"]))
    return pd.DataFrame(rows, columns=["study of", "claim", "published", "ours, same split", "verdict"])


def sources_table(*studies: Told) -> pd.DataFrame:
    """Every large source of the studies, and all their other pictures."""
    rows = []
    for study in studies:
        for row in study.data["sources"]:
            names = [
                f"{name} {n}" for name, n in zip(motif_names(list(row["motifs"])), row["motifs"].values(), strict=True)
            ]
            shares = percent(row["grouped"]), percent(row["sources"])
            rows.append(
                (row["why"], row["pictures"], listed(names) if len(names) <= 3 else f"{len(names)} motifs", *shares)
            )
    return pd.DataFrame(rows, columns=["source", "pictures", "of which", "source also trains", "source held out"])


def results_table(*studies: Told) -> pd.DataFrame:
    """The models of the planned comparisons: accuracy by protocol, parameters, seconds to train, milliseconds."""
    rows = []
    for study in studies:
        for model in study.pairs:
            found = (study.score(model, protocol) for protocol in PROTOCOLS)
            shares = ["–" if i is None else f"{percent(i.value)} ({percent_range(i)})" for i in found]
            about = study.metrics["models"][model]
            fast = "–" if about["milliseconds"] is None else f"{about['milliseconds']:g}"
            size = "–" if about["parameters"] is None else f"{about['parameters']:,}"
            rows.append((study.title(model), *shares, size, study.seconds(model), fast))
    return pd.DataFrame(rows, columns=["model", *PROTOCOLS.values(), "parameters", "to train", "ms to answer"])


def _range(ends: list[float]) -> str:
    return percent_range(Band(*ends))
