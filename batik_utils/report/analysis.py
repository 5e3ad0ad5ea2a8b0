"""One study with its data and results, opened once; what the notebooks show is derived here, lazily and wordlessly."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from batik_utils.data.split import published_split
from batik_utils.figures import Arm, Flow, Picture
from batik_utils.models.baselines import BASELINES
from batik_utils.models.kinds import KINDS
from batik_utils.report import tables, verdicts
from batik_utils.stats import metrics as stats
from batik_utils.stats.claims import ClaimRow, claims_table
from batik_utils.stats.compare import Comparison, compare, compare_with
from batik_utils.stats.intervals import Interval
from batik_utils.stats.metrics import OutOfFold, PublishedSummary
from batik_utils.stats.mistakes import Mispaired, mispaired_fit
from batik_utils.study import PretrainedModel, Repetition, Study
from batik_utils.values import Dataset, FitResult, Results, Split
from batik_utils.wording import motif_names, percent

if TYPE_CHECKING:
    from batik_utils.experiment import Plan

MOVE = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
"""OpenCV's inverse map is the augmentation's own convention: from a pixel of the output to one of the input."""
EDGE = cv2.BORDER_REPLICATE
MANY = 8
"""Motifs from which on a figure of examples shows one picture of each, not a row."""


class Analysis:
    """One study's data and results, with everything the notebooks derive from them."""

    def __init__(
        self,
        study: Study,
        dataset: Dataset,
        results: Results,
        left_out: Mapping[str, str] | None = None,
        clean_features: Callable[[str], NDArray[np.float32]] | None = None,
    ) -> None:
        self.study, self.dataset, self.results = study, dataset, results
        self.left_out = dict(left_out or {})
        """{model: why it could not be fitted}"""
        self.clean_features = clean_features
        """Frozen features [n, d] of a pretrained model by its name, where its plan or snapshot is at hand."""
        self.models = tables.fitted(study, results)
        self.motifs = motif_names(study.motifs)
        """The motifs as people say them."""
        self.pretrained, self.scratch = study.compare
        """The two models of the verdict."""
        self.chance = float(np.bincount(dataset.labels).max() / len(dataset))
        """Accuracy of always guessing the commonest motif, 0-1."""
        self.pictures = "photographs" if dataset.source.kind == "published" else "pictures"
        self.split_name = "published" if study.seed_study else "fixed"
        """What the split of one's own, or of the seed study, is called."""
        self._row = {path: i for i, path in enumerate(dataset.paths)}

    def title(self, model: str) -> str:
        """The name that readers see, of a model or a baseline."""
        return tables.title_of(self.study, model)

    @cached_property
    def facts(self) -> set[str]:
        """What holds of this study: a notebook cell tagged only-X is in the report where X is here."""
        study, models = self.study, [self.study.models[m] for m in self.models]
        grouped = {r.fit.protocol for r in self.results if not r.missing}
        kind = self.dataset.source.kind
        holds = {
            "public": True,
            "photographs": kind != "drawn",
            "search": any(m.search for m in models),
            "claims": bool(study.claims),
            "twins": bool(self.dataset.pairs),
            "mispaired": bool(self.mispaired),
            "left-out": bool(self.left_out),
            "variant": bool(self.variants),
            "optional": any(getattr(m, "optional", False) for m in study.models.values()),
            "curve": any(p.startswith("curve-") for p in grouped),
            "permuted": "permuted" in grouped,
            "unequal": self.planned(self.scratch) < self.planned(self.pretrained),
            "bfloat16": any(getattr(m, "precision", "") == "bfloat16" for m in models),
        }
        split = "keras-split" if study.published.split == "keras-validation-split" else "tenths"
        lacks = {f"no{name}" for name in ("search", "twins", "curve") if not holds[name]}
        return {
            kind,
            split,
            "seed" if study.seed_study else "noseed",
            *lacks,
            *(f for f, true in holds.items() if true),
        }

    def notes(self, about: str) -> list[str]:
        """What the study's file says of its seed under this heading, as Markdown paragraphs; often none."""
        found = getattr(self.study.seed_study.notes, about) if self.study.seed_study else ""
        return [found] if found else []

    @cached_property
    def variants(self) -> list[tuple[str, str, str]]:
        """(model, the model that it is but for one mistake, the mistake)"""
        pretrained = {m: s for m, s in self.study.models.items() if isinstance(s, PretrainedModel) and m in self.models}
        return [(m, s.variant_of, s.mistake) for m, s in pretrained.items() if s.variant_of in self.models]

    def parameters(self, model: str) -> int:
        """All parameters of a model, backbone included."""
        return next(r.parameters for r in self.results if r.fit.model == model and not r.missing)

    def often(self, model: str) -> Repetition:
        """How often a model's grouped fits are repeated, and with how many training seeds each."""
        return KINDS[self.study.models[model].kind].repetition(self.study)

    def planned(self, model: str) -> int:
        """Grouped fits that the study plans for a model."""
        return self.study.grouped.folds * self.often(model).repeats * self.often(model).seeds

    def counted_of(self, models: Sequence[str]) -> tuple[int, int]:
        """Grouped fits (got, planned) of these models."""
        return sum(len(self.results.select(m, "grouped")) for m in models), sum(map(self.planned, models))

    @cached_property
    def counted(self) -> tuple[int, int]:
        """Grouped fits (got, planned) of the verdict's two models."""
        return self.counted_of(self.study.compare)

    @cached_property
    def flow(self) -> Flow:
        """The method as a diagram's contents."""
        kinds, often = {m: self.study.models[m] for m in self.models}, {m: self.often(m) for m in self.models}
        ways = {"pretrained": ("frozen backbone", "features", "trained head")}
        steps = {m: ways.get(k.kind, (f"network {KINDS[k.kind].describe(k).trained}",)) for m, k in kinds.items()}
        shuffled = ["shuffled labels"] if "permuted" in self.facts else []
        return Flow(
            images=len(self.dataset),
            groups=len(np.unique(self.dataset.groups)),
            motifs=self.motifs,
            published=f"{len(self.split.train)} train, {len(self.split.test)} test",
            folds=self.study.grouped.folds,
            arms=[
                Arm(self.title(m), steps[m], self.parameters(m), often[m].repeats, often[m].seeds) for m in self.models
            ],
            baselines=[title for title in self.grouped_intervals if title in {b.title for b in BASELINES.values()}],
            controls=shuffled + sorted({c for r in self.results for c in r.corruptions}),
            verdict=f"{self.title(self.pretrained)} against {self.title(self.scratch)}",
            curve=self.study.grouped.curve if "curve" in self.facts else (),
        )

    @cached_property
    def split(self) -> Split:
        """The published split."""
        return published_split(self.study, self.dataset)

    @cached_property
    def summaries(self) -> dict[str, PublishedSummary]:
        """{model: summary on the published split}"""
        found = {m: stats.published_summary(self.results, m) for m in self.models}
        return {m: s for m, s in found.items() if s is not None}

    def published_claims(self, metric: str = "accuracy") -> dict[str, float]:
        """{title: the seed study's number}"""
        return {self.title(c.model): c.value for c in self.study.claims if c.metric == metric}

    @cached_property
    def mispaired(self) -> dict[str, Mispaired]:
        """{model: the seed's mistake made with the median fit}, for the models whose claims are such."""
        models = [c.model for c in self.study.claims if c.metric == "paired_wrong_accuracy"]
        return {m: mispaired_fit(self.summaries[m].median, tuple(self.motifs)) for m in models if m in self.summaries}

    @cached_property
    def claims(self) -> list[ClaimRow]:
        """The claims table's rows."""
        return claims_table(self.study, self.results)

    @cached_property
    def oofs(self) -> dict[str, OutOfFold]:
        """{model: out-of-fold predictions}"""
        found = {m: stats.out_of_fold(self.results, m) for m in self.models}
        return {m: o for m, o in found.items() if o is not None}

    @cached_property
    def grouped_intervals(self) -> dict[str, Interval]:
        """{title: corrected interval of the mean accuracy} of the networks, then the baselines."""
        found = {self.title(m): stats.grouped_interval(self.results, m) for m in [*self.models, *BASELINES]}
        return {title: i for title, i in found.items() if i is not None}

    @cached_property
    def fold_accuracies(self) -> dict[str, NDArray[np.float64]]:
        """{title: accuracy of every test fold, averaged over seeds}, as grouped_intervals."""
        scores = {self.title(m): stats.fold_scores(self.results, m) for m in [*self.models, *BASELINES]}
        return {title: stats.mean_over_seeds(s).to_numpy() for title, s in scores.items() if len(s)}

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The verdict's pretrained model against every other, Holm-corrected."""
        return compare_with(self.results, self.pretrained, [m for m in self.models if m != self.pretrained])

    @cached_property
    def head(self) -> Comparison | None:
        """The comparison of the verdict."""
        return next((c for c in self.comparisons if c.b == self.scratch), None)

    @cached_property
    def verdict(self) -> verdicts.Verdict:
        """The verdict between the pretrained and the scratch model."""
        return verdicts.verdict(self.head, self.title(self.pretrained), self.title(self.scratch), *self.counted)

    @cached_property
    def gaps(self) -> dict[str, dict[str, Interval]]:
        """{model of the verdict: {baseline, as within a sentence: interval of the model's accuracy minus its}}"""
        found = {
            m: {b.title.lower(): compare(self.results, m, name) for name, b in BASELINES.items()}
            for m in self.study.compare
        }
        return {m: {title: c.difference for title, c in gaps.items() if c is not None} for m, gaps in found.items()}

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What metrics.json says."""
        from batik_utils.report.metrics_json import build_metrics

        return build_metrics(self.study, self.dataset, self.results, expected=self.counted)

    def image(self, path: str) -> NDArray[np.uint8]:
        """The decoded picture at a path, uint8 [size, size, 3]."""
        return self.dataset.images[self._row[path]]

    def examples(self) -> tuple[list[Picture], list[str]]:
        """Six pictures of each motif, evenly spread over its files, and the rows' names; of many motifs one each."""
        each, rows = (6, self.motifs) if len(self.motifs) <= MANY else (1, [])
        chosen = []
        for label, motif in enumerate(self.motifs):
            own = np.flatnonzero(self.dataset.labels == label)
            for row in own[np.linspace(0, len(own) - 1, each).astype(int)]:
                chosen.append(Picture(self.dataset.images[row], self.dataset.paths[row], "" if rows else motif))
        return chosen, rows

    @cached_property
    def augmented(self) -> list[Picture]:
        """One image of each of the first three motifs, and five views of it as the scratch model sees them."""
        from batik_utils.models.augment import draw_transforms

        data, size, out = self.dataset, self.dataset.size, []
        for label in range(min(3, len(self.motifs))):
            row = int(np.flatnonzero(data.labels == label)[-1])
            hashes, spec = [data.sha256[row]] * 6, self.study.models[self.scratch].augmentation
            moves = draw_transforms(spec, hashes, range(6), size)[:, :6].reshape(-1, 2, 3).astype(np.float64)
            for view, move in enumerate(moves):
                moved = cv2.warpAffine(np.asarray(data.images[row]), move, (size, size), flags=MOVE, borderMode=EDGE)
                out.append(Picture(moved.astype(np.uint8), data.paths[row], f"view {view}" if view else "as it is"))
        return out

    def predicted(self, fit: FitResult, row: int) -> Picture:
        """A test image of a fit with its true and predicted motif and the prediction's probability."""
        true, guess = int(fit.y_true[row]), int(fit.y_prob[row].argmax())
        sign = "=" if guess == true else "≠"
        words = f"true: {self.motifs[true]}\n{sign} {self.motifs[guess]}, {percent(fit.y_prob[row, guess], 0)}"
        return Picture(self.image(fit.paths[row]), fit.paths[row], words, guess == true)


def analyse(plan: Plan, results: Results) -> Analysis:
    """The analysis of a plan's results."""
    from batik_utils.experiment import clean_features

    return Analysis(plan.study, plan.dataset, results, plan.left_out, partial(clean_features, plan))


def open_analysis(study: str, data: str = "", settings: str = "") -> Analysis:
    """Open a study: from the file that BATIK_SNAPSHOT names; else by planning, and doing the fits that are missing.

    data is a folder of pictures, or empty; settings are words such as "grouped.folds=4", parted by blanks.
    """
    if kept := os.environ.get("BATIK_SNAPSHOT"):
        from batik_utils.report import snapshot

        return snapshot.load(Path(kept))
    from batik_utils.experiment import open_plan, run_plan

    plan = open_plan(study, Path(data) if data else None, tuple(settings.split()))
    # A fit that failed stays failed here: the notebooks of one report must tell of the same results.
    return analyse(plan, run_plan(plan, retry=False))
