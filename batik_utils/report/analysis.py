"""One study with its data and results, opened once; what the notebooks show is derived here, lazily and wordlessly."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
from batik_utils.report import verdicts
from batik_utils.report.metrics_json import build_metrics
from batik_utils.stats import metrics as stats
from batik_utils.stats.compare import Comparison, compare, compare_with
from batik_utils.stats.intervals import Interval
from batik_utils.stats.mistakes import Mispaired, mispaired_fit
from batik_utils.study import PretrainedModel, Repetition, Study
from batik_utils.values import Dataset, FitResult, Results, Split
from batik_utils.wording import motif_names, percent

if TYPE_CHECKING:
    from batik_utils.experiment import Plan

MOVE = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
"""OpenCV's inverse map is the augmentation's own convention: from a pixel of the output to one of the input."""
MANY = 8
"""Motifs above which a figure of examples shows one picture of each, not a row."""


@dataclass(eq=False)
class Analysis:
    """One study's data and results, with everything the notebooks derive from them."""

    study: Study
    dataset: Dataset
    results: Results
    left_out: Mapping[str, str] = field(default_factory=dict)
    """{model: why it could not be fitted}"""
    clean_features: Callable[[str], NDArray[np.float32]] | None = None
    """Frozen features [n, d] of a pretrained model by its name, where its plan or snapshot is at hand."""

    def __post_init__(self) -> None:
        fitted = {r.fit.model for r in self.results if not r.missing}
        self.models = [name for name in self.study.models if name in fitted]
        self.motifs = motif_names(self.study.motifs)
        self.pretrained, self.scratch = self.study.compare
        self.chance = float(np.bincount(self.dataset.labels).max() / len(self.dataset))
        """Accuracy of always guessing the commonest motif, 0-1."""
        self.pictures = "photographs" if self.dataset.source.kind == "published" else "pictures"
        self.split_name = "published" if self.study.seed_study else "fixed"

    def title(self, model: str) -> str:
        """The name that readers see, of a model or a baseline."""
        return (self.study.models[model] if model in self.study.models else BASELINES[model]).title

    @cached_property
    def facts(self) -> set[str]:
        """What holds of this study: a notebook cell tagged only-X is in the report where X is here."""
        study, models = self.study, [self.study.models[m] for m in self.models]
        protocols = {r.fit.protocol for r in self.results if not r.missing}
        kind, keras = self.dataset.source.kind, study.published.split == "keras-validation-split"
        holds = {
            "photographs": kind != "drawn",
            "seed": bool(study.seed_study),
            "search": any(m.search for m in models),
            "claims": bool(study.claims),
            "twins": bool(self.dataset.pairs),
            "mispaired": bool(self.mispaired),
            "left-out": bool(self.left_out),
            "variant": bool(self.variants),
            "curve": any(p.startswith("curve-") for p in protocols),
            "permuted": "permuted" in protocols,
            "unequal": self.planned(self.scratch) < self.planned(self.pretrained),
            "bfloat16": any(getattr(m, "precision", "") == "bfloat16" for m in models),
        }
        lacks = {f"no{fact}" for fact in ("seed", "search", "twins", "curve") if not holds[fact]}
        always = {"public", kind, "keras-split" if keras else "tenths"}
        return always | lacks | {fact for fact, true in holds.items() if true}

    def notes(self, about: str) -> list[str]:
        """What the study's file says of its seed under this heading, as Markdown paragraphs; often none."""
        found = self.study.seed_study and getattr(self.study.seed_study.notes, about)
        return [found] if found else []

    @cached_property
    def variants(self) -> list[tuple[str, str, str]]:
        """(model, the model that it is but for one mistake, the mistake)"""
        models = ((m, self.study.models[m]) for m in self.models)
        found = ((m, s.variant_of, s.mistake) for m, s in models if isinstance(s, PretrainedModel))
        return [(m, of, mistake) for m, of, mistake in found if of in self.models]

    def parameters(self, model: str) -> int:
        """All parameters of a model, backbone included."""
        return next(r.parameters for r in self.results if r.fit.model == model and not r.missing)

    def often(self, model: str) -> Repetition:
        """How often a model's grouped fits are repeated, and with how many training seeds each."""
        return KINDS[self.study.models[model].kind].repetition(self.study)

    def planned(self, model: str) -> int:
        """Grouped fits that the study plans for a model."""
        return self.study.grouped.folds * self.often(model).repeats * self.often(model).seeds

    def counted(self, models: Sequence[str]) -> tuple[int, int]:
        """Grouped fits (got, planned) of these models."""
        return sum(len(self.results.select(m, "grouped")) for m in models), sum(map(self.planned, models))

    @cached_property
    def flow(self) -> Flow:
        """The method as a diagram's contents."""
        arms = []
        for name in self.models:
            model, often = self.study.models[name], self.often(name)
            steps = tuple(KINDS[model.kind].describe(model).steps.split(" → "))
            arms.append(Arm(model.title, steps, self.parameters(name), often.repeats, often.seeds))
        return Flow(
            images=len(self.dataset),
            groups=len(np.unique(self.dataset.groups)),
            motifs=self.motifs,
            published=f"{len(self.split.train)} train, {len(self.split.test)} test",
            folds=self.study.grouped.folds,
            arms=arms,
            baselines=[b.title for b in BASELINES.values() if b.title in self.grouped_intervals],
            controls=["shuffled labels"] * ("permuted" in self.facts)
            + sorted({c for r in self.results for c in r.corruptions}),
            verdict=f"{self.title(self.pretrained)} against {self.title(self.scratch)}",
            curve=self.study.grouped.curve if "curve" in self.facts else (),
        )

    @cached_property
    def split(self) -> Split:
        """The published split."""
        return published_split(self.study, self.dataset)

    @cached_property
    def summaries(self) -> dict[str, stats.PublishedSummary]:
        """{model: summary on the published split}"""
        return {m: s for m in self.models if (s := stats.published_summary(self.results, m))}

    def published_claims(self, metric: str = "accuracy") -> dict[str, float]:
        """{title: the seed study's number}"""
        return {self.title(c.model): c.value for c in self.study.claims if c.metric == metric}

    @cached_property
    def mispaired(self) -> dict[str, Mispaired]:
        """{model: the seed's mistake made with the median fit}, for the models whose claims are such."""
        models = [c.model for c in self.study.claims if c.metric == "paired_wrong_accuracy"]
        return {m: mispaired_fit(self.summaries[m].median, tuple(self.motifs)) for m in models if m in self.summaries}

    @cached_property
    def oofs(self) -> dict[str, stats.OutOfFold]:
        """{model: out-of-fold predictions}"""
        return {m: o for m in self.models if (o := stats.out_of_fold(self.results, m))}

    @cached_property
    def grouped_intervals(self) -> dict[str, Interval]:
        """{title: corrected interval of the mean accuracy} of the networks, then the baselines."""
        found = {m: stats.grouped_interval(self.results, m) for m in [*self.models, *BASELINES]}
        return {self.title(m): interval for m, interval in found.items() if interval}

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
        return verdicts.verdict(
            self.head, self.title(self.pretrained), self.title(self.scratch), *self.counted(self.study.compare)
        )

    @cached_property
    def gaps(self) -> dict[str, dict[str, Interval]]:
        """{model of the verdict: {baseline, as within a sentence: interval of the model's accuracy minus its}}"""
        found = [(m, b, compare(self.results, m, name)) for m in self.study.compare for name, b in BASELINES.items()]
        return {m: {b.title.lower(): c.difference for a, b, c in found if a == m and c} for m in self.study.compare}

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What metrics.json says."""
        return build_metrics(self.study, self.dataset, self.results, expected=self.counted(self.study.compare))

    def image(self, path: str) -> NDArray[np.uint8]:
        """The decoded picture at a path, uint8 [size, size, 3]."""
        return self.dataset.images[self.dataset.paths.index(path)]

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
                image = np.asarray(data.images[row])
                moved = cv2.warpAffine(image, move, (size, size), flags=MOVE, borderMode=cv2.BORDER_REPLICATE)
                out.append(Picture(moved.astype(np.uint8), data.paths[row], f"view {view}" if view else "as it is"))
        return out

    def predicted(self, fit: FitResult, row: int) -> Picture:
        """A test image of a fit with its true and predicted motif and the prediction's probability."""
        true, guess = int(fit.y_true[row]), int(fit.y_prob[row].argmax())
        sign = "=" if guess == true else "≠"
        words = f"true: {self.motifs[true]}\n{sign} {self.motifs[guess]}, {percent(fit.y_prob[row, guess], 0)}"
        return Picture(self.image(fit.paths[row]), fit.paths[row], words, guess == true)


def analyse(plan: "Plan", results: Results) -> Analysis:
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
