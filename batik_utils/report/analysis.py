"""What the notebooks tell: one study with its data, results and the findings drawn from them, computed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from batik_utils.figures.style import motif_name
from batik_utils.figures.tiles import Picture
from batik_utils.report import verdicts
from batik_utils.report.metrics_json import build_metrics
from batik_utils.report.tables import BASELINES, fitted, ten_images, ten_score
from batik_utils.stats.calibration import Calibration, calibrate
from batik_utils.stats.claims import ClaimRow, claims_table
from batik_utils.stats.compare import Comparison, PublishedComparison, compare_published, compare_with
from batik_utils.stats.metrics import (
    OutOfFold,
    PublishedSummary,
    fold_scores,
    grouped_interval,
    most_confidently_wrong,
    out_of_fold,
    published_summary,
)
from batik_utils.stats.mispairing import Mispaired, mispaired_fit
from batik_utils.study import Study
from batik_utils.values import Dataset, FitResult, Results
from batik_utils.wording import percent


class Analysis:
    """One study's data and results, with everything the notebooks derive from them."""

    def __init__(
        self,
        study: Study,
        dataset: Dataset,
        results: Results,
        full: bool = False,
        left_out: Mapping[str, str] | None = None,
        precision: str = "float32",
    ) -> None:
        self.study = study
        self.dataset = dataset
        self.results = results
        self.full = full
        self.left_out = dict(left_out or {})
        """{model: why it could not be fitted}"""
        self.precision = precision
        """Arithmetic of the scratch networks."""
        self.clean_features: Callable[[str], np.ndarray] | None = None
        """Frozen features [n, d] of a pretrained model, where its plan is at hand."""
        self.models = fitted(study, results)

    # ----------------------------------------------------------------- the study in words

    @property
    def motifs(self) -> list[str]:
        """The motifs as people say them."""
        return [motif_name(m) for m in self.study.motifs]

    @property
    def pictures(self) -> str:
        """ "photographs", or what the sample is."""
        return "pictures" if self.dataset.source.is_drawn else "photographs"

    @property
    def chance(self) -> float:
        """Accuracy of always guessing the commonest motif, 0-1."""
        return float(np.bincount(self.dataset.labels).max() / len(self.dataset))

    def title(self, model: str) -> str:
        """The name that readers see."""
        return self.study.models[model].title

    @cached_property
    def scratch(self) -> str:
        """The scratch model of the verdict."""
        return self.study.compare[1]

    @cached_property
    def pretrained(self) -> str:
        """The pretrained model of the verdict."""
        return self.study.compare[0]

    # ----------------------------------------------------------------- published protocol

    @cached_property
    def summaries(self) -> dict[str, PublishedSummary]:
        """{model: summary on the published split}."""
        found = {m: published_summary(self.results, m) for m in self.models}
        return {m: s for m, s in found.items() if s is not None}

    def published_fits(self, *models: str) -> dict[str, Sequence[FitResult]]:
        """{label: published fits over seeds}, for curves."""
        names = [m for m in self.models if m in (models or self.study.compare)]
        fits = {self.title(m): self.results.select(m, "published").items for m in names}
        return {label: group for label, group in fits.items() if group}

    def published_claims(self, metric: str = "accuracy") -> dict[str, float]:
        """{label: the seed study's number}."""
        return {self.title(c.model): c.value for c in self.study.claims if c.metric == metric}

    @cached_property
    def published_comparisons(self) -> list[PublishedComparison]:
        """McNemar between the verdict's pretrained model and every other."""
        pairs = ((self.pretrained, m) for m in self.models if m != self.pretrained)
        found = (compare_published(self.results, a, b) for a, b in pairs)
        return [c for c in found if c is not None]

    @cached_property
    def mispaired(self) -> dict[str, Mispaired]:
        """{model: the seed's mistake made with the median fit}, for the models whose claims are such."""
        models = [c.model for c in self.study.claims if c.metric == "paired_wrong_accuracy"]
        there = (m for m in models if m in self.summaries)
        return {m: mispaired_fit(self.summaries[m].median, self.study.motifs) for m in there}

    @cached_property
    def claims(self) -> list[ClaimRow]:
        """The claims table's rows."""
        return claims_table(self.study, self.results)

    def ten_pictures(self, model: str) -> list[Picture]:
        """Ten test images with true and predicted motif and confidence, by the median fit."""
        fit = self.summaries[model].median
        return [self._predicted(fit, i) for i in ten_images(fit)]

    def ten_frame(self) -> pd.DataFrame:
        """Per model: right of ten for the median fit, and the seed study's figure."""
        claims = {c.model: percent(c.value) for c in self.study.claims if c.metric == "ten_images"}
        rows = [
            (self.title(m), claims.get(m), percent(ten_score(s.median)), percent(s.median_accuracy))
            for m, s in self.summaries.items()
        ]
        columns = ["model", "published, ten pictures", "ours, ten pictures", "ours, all test images"]
        table = pd.DataFrame(rows, columns=columns)
        return table if claims else table.drop(columns=columns[1])

    def _predicted(self, fit: FitResult, row: int) -> Picture:
        path, true, guess = fit.paths[row], fit.y_true[row], int(fit.y_prob[row].argmax())
        names = [motif_name(m) for m in self.study.motifs]
        sign = "=" if guess == true else "≠"
        title = f"true: {names[true]}\n{sign} {names[guess]}, {percent(fit.y_prob[row, guess], 0)}"
        return Picture(self.image(path), path, title, bool(guess == true))

    # ----------------------------------------------------------------- pictures

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What metrics.json says."""
        return build_metrics(self.study, self.dataset, self.results, expected=self.counted)

    def image(self, path: str) -> np.ndarray:
        """The decoded picture at a path, uint8 [size, size, 3]."""
        return self.dataset.images[self._rows[path]]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {path: i for i, path in enumerate(self.dataset.paths)}

    def examples(self, per_motif: int) -> list[Picture]:
        """The first pictures of every motif, evenly spread over its files."""
        chosen = []
        for i in range(len(self.study.motifs)):
            own = np.flatnonzero(self.dataset.labels == i)
            picked = own[np.linspace(0, len(own) - 1, per_motif).astype(int)]
            chosen += [Picture(self.dataset.images[r], self.dataset.paths[r]) for r in picked]
        return chosen

    def wrong_pictures(self, model: str, top: int = 10) -> list[Picture]:
        """The images that a model is most confidently wrong about, out of fold."""
        frame = self.wrong(model, top)
        return [
            Picture(
                self.image(r.path),
                r.path,
                f"true: {motif_name(r.true)}\n≠ {motif_name(r.predicted)}, {percent(r.p, 0)}",
            )
            for r in frame.rename(columns={"probability": "p"}).itertuples()
        ]

    def wrong(self, model: str, top: int = 10) -> pd.DataFrame:
        """metrics.most_confidently_wrong of the out-of-fold probabilities."""
        oof = self.oofs[model]
        return most_confidently_wrong(oof.paths, oof.y_true, oof.y_prob, self.study.motifs, top)

    # ----------------------------------------------------------------- grouped protocol

    @cached_property
    def oofs(self) -> dict[str, OutOfFold]:
        """{model: out-of-fold predictions}."""
        found = {m: out_of_fold(self.results, m) for m in self.models}
        return {m: o for m, o in found.items() if o is not None}

    @cached_property
    def fold_accuracies(self) -> dict[str, np.ndarray]:
        """{label: accuracy of every test fold, averaged over seeds}, networks first, then baselines."""
        out = {}
        for name in [*self.models, *BASELINES]:
            scores = fold_scores(self.results, name)
            if len(scores):
                label = self.title(name) if name in self.study.models else BASELINES[name]
                out[label] = scores.groupby(["repeat", "fold"])["value"].mean().to_numpy()
        return out

    @cached_property
    def grouped_intervals(self) -> dict[str, Any]:
        """{label: corrected interval of the mean accuracy}, as fold_accuracies."""
        names = {**{self.title(m): m for m in self.models}, **{v: k for k, v in BASELINES.items()}}
        found = {label: grouped_interval(self.results, names[label]) for label in self.fold_accuracies}
        return {label: i for label, i in found.items() if i is not None}

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The verdict's pretrained model against every other, Holm-corrected."""
        return compare_with(self.results, self.pretrained, [m for m in self.models if m != self.pretrained])

    @cached_property
    def head(self) -> Comparison | None:
        """The comparison of the verdict."""
        return next((c for c in self.comparisons if c.b == self.scratch), None)

    def planned(self, model: str) -> int:
        """Grouped fits that the study plans for a model."""
        grouped = self.study.grouped
        scratch = self.study.models[model].kind == "scratch" and not self.full
        times = grouped.scratch if scratch else grouped.pretrained
        return grouped.folds * times.repeats * times.seeds

    @cached_property
    def counted(self) -> tuple[int, int]:
        """Grouped fits (got, planned) of the verdict's two models."""
        return self.counted_of((self.pretrained, self.scratch))

    def counted_of(self, models: Sequence[str]) -> tuple[int, int]:
        """Grouped fits (got, planned) of these models."""
        return sum(len(self.results.select(m, "grouped")) for m in models), sum(map(self.planned, models))

    @cached_property
    def verdict(self) -> verdicts.Verdict:
        """The verdict between the pretrained and the scratch model."""
        return verdicts.verdict(self.head, self.title(self.pretrained), self.title(self.scratch), *self.counted)

    @cached_property
    def calibrations(self) -> list[Calibration]:
        """Calibration of the verdict's two models and the others, where folds suffice."""
        found = (calibrate(self.results, m) for m in self.models)
        return [c for c in found if c is not None]

    def parameters(self, model: str) -> int:
        """All parameters of a model, backbone included."""
        return next(r.parameters for r in self.results if r.fit.model == model and not r.missing)


def open_analysis(name: str, data: str = "", full: bool = False, precision: str = "float32") -> Analysis:
    """Load a study, its data and its results; fits never tried are done first, with a progress bar."""
    from batik_utils.experiment import clean_features, open_plan, run_plan

    plan = open_plan(name, Path(data) if data else None, full, precision)
    # A fit that failed stays failed here: the notebooks of one report must tell of the same results.
    analysis = Analysis(plan.study, plan.dataset, run_plan(plan, retry=False), full, plan.left_out, precision)
    analysis.clean_features = partial(clean_features, plan)
    return analysis
