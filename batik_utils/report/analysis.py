"""One study with its data and results, opened once; what the notebooks show is derived here, lazily and wordlessly."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from batik_utils.data.split import grouped_splits, published_split
from batik_utils.errors import BatikError
from batik_utils.models.baselines import BASELINES
from batik_utils.models.kinds import repetition
from batik_utils.report import PAPER_STUDIES
from batik_utils.stats import scores as stats
from batik_utils.stats.claims import SHUFFLED, ClaimRow, claims_table
from batik_utils.stats.compare import Comparison, Word, compare_family, shared_folds, uneven, verdict
from batik_utils.stats.intervals import Interval
from batik_utils.stats.mistakes import Mispaired, SourceRow, Trios, every_trio, kernel, large_sources, mispaired_fit
from batik_utils.stats.table import Told, score_table
from batik_utils.study import Study
from batik_utils.study_file import Plate, load_plates
from batik_utils.study_models import PretrainedModel, RecipeModel, ScratchModel
from batik_utils.values import Dataset, Results, Split
from batik_utils.wording import listed, markdown, motif_names

if TYPE_CHECKING:
    from batik_utils.experiment import Plan

PROTOCOLS = ("grouped", "sources")
FEW_NAMED = 4  # motifs that a caption names; of more it says how many there are
MANY = 8  # motifs above which a figure of examples shows one picture of each, not a row


class Judged(NamedTuple):
    """A model of the verdict as readers meet it, with accuracies on the shared folds (None without such fits)."""

    title: str
    parameters: int
    grouped: Interval | None
    sources: Interval | None


@dataclass(eq=False)
class Analysis(Told):
    """One study's data and results, with everything the notebooks derive from them."""

    study: Study
    dataset: Dataset
    results: Results
    # Where its plan or snapshot is at hand: frozen features [n, d] of a pretrained model by its name.
    clean_features: Callable[[str], NDArray[np.float32]] | None = None
    deploy: Callable[[], dict[str, Any]] | None = None  # where the plan is at hand: makes the classifier, measured

    def __post_init__(self) -> None:
        fitted = {r.fit.model for r in self.results if not r.missing}
        self.models = [name for name in self.study.models if name in fitted]
        self.specs = [self.study.models[name] for name in self.models]
        self.motifs = motif_names(self.study.motifs)
        self.titles = {name: spec.title for name, spec in (BASELINES | self.study.models).items()}
        self.pretrained, self.scratch = self.study.compare
        self.pairs = [m for m in dict.fromkeys(chain(*self.study.planned)) if m in fitted]
        self.unpretrained = {name for name, spec in self.study.models.items() if not spec.backbones}
        # The model whose augmented views are shown, preferably the verdict's scratch model.
        self.shown = next((m for m in (self.scratch, *self.models) if self.study.models[m].augments), self.scratch)
        # Accuracy of always guessing the commonest motif, 0-1.
        self.chance = float(np.bincount(self.dataset.labels).max() / len(self.dataset))

    @cached_property
    def facts(self) -> set[str]:
        """What holds of this study: a notebook cell tagged only-X is in the report where X is here."""
        study, models, kind = self.study, self.specs, self.dataset.source.kind
        protocols = {r.fit.protocol for r in self.results if not r.missing}
        a, b = (study.models[m] for m in study.compare)
        shown = isinstance(a, PretrainedModel) and isinstance(b, ScratchModel) and b.pixels == "unit" and b.architecture
        holds = {
            "photographs": kind != "drawn",
            "seed": bool(study.seed_study),
            "seeds": study.published.seeds > 1,
            "runs": "runs" in protocols and bool(self.seed_runs),
            "claims": bool(study.claims),
            "twins": bool(self.dataset.pairs),
            "told": kind == "published" and study.name in PAPER_STUDIES,
            # Those of a few motifs that the paper tells of stand in its report on many.
            "plates": bool(self.plates) and (len(self.motifs) > MANY or study.name not in PAPER_STUDIES),
            "mispaired": bool(self.mispaired),
            "variant": bool(self.variants),
            "curve": any(p.startswith("curve-") for p in protocols),
            "unequal": self.planned(self.scratch) < self.planned(self.pretrained),
            "networks": any(m.trained for m in models),
            "disputed": any(p.labels_differ for p in self.dataset.pairs),
            "tried": bool(study.tried),
            "trios": bool(self.trios),
            "recipe": any(isinstance(m, RecipeModel) for m in models),
            "regularised": any(getattr(m, "regularised", None) for m in models),
            "deployed": bool(self.deployed),
            "sets": bool(self.deployed and self.deployed["sets"]),
            "corruptions": study.grouped.corruptions,
            "augmented": study.models[self.shown].augments,
            "many": len(self.motifs) > MANY,
            "uneven": uneven(np.bincount(self.dataset.labels)),
        }
        found = {kind, "public"} | {f"no{fact}" for fact in ("seed", "told") if not holds[fact]}
        found |= protocols & {"permuted", "sources", "others"} | {fact for fact, true in holds.items() if true}
        return found | ({str(shown), "written"} if shown in ("seed_cnn", "pooled_cnn") else set())

    @property
    def where(self) -> str:
        """The motifs for a caption, in Markdown: "Bali, Betawi and Celup", or "20 motifs" where they are many."""
        return markdown(listed(self.motifs) if len(self.motifs) <= FEW_NAMED else f"{len(self.motifs)} motifs")

    @cached_property
    def plates(self) -> list[Plate]:
        """The plates of the study's motifs, in its order, of those that have one."""
        known = load_plates()
        return [known[motif] for motif in self.study.motifs if motif in known]

    def notes(self, about: str) -> list[str]:
        """What the study's file says of its seed under this heading, as Markdown paragraphs; often none."""
        found = self.study.seed_study and getattr(self.study.seed_study.notes, about)
        return [found] if found else []

    @cached_property
    def variants(self) -> list[tuple[str, str, str]]:
        """(model, the model that it is but for one mistake, the mistake)"""
        models = ((m, self.study.models[m]) for m in self.models)
        return [(m, s.variant_of, s.mistake) for m, s in models if s.variant_of in self.models]

    def parameters(self, model: str) -> int:
        """All parameters of a model."""
        return stats.parameters(self.results, model)

    def planned(self, model: str) -> int:
        """Grouped fits that the study plans for a model."""
        often, part = repetition(self.study.models[model], self.study), self.study.models[model].protocols
        return 0 if part and "grouped" not in part else self.study.grouped.folds * often.repeats * often.seeds

    def counted(self, models: Sequence[str]) -> tuple[int, int]:
        """Grouped fits (got, planned) of these models."""
        return sum(len(self.results.select(m, "grouped")) for m in models), sum(map(self.planned, models))

    def own_setting(self, model: str) -> tuple[int, float] | None:
        """(epochs, dropout) of a model that learns in epochs, but for its runs."""
        trained = self.study.models[model].trained
        return (trained.epochs, trained.dropout) if trained else None

    @cached_property
    def split(self) -> Split:
        """The published split."""
        return published_split(self.study, self.dataset)

    @cached_property
    def summaries(self) -> dict[str, stats.PublishedSummary]:
        """{model: summary on the published split}"""
        return {m: s for m in self.models if (s := stats.published_summary(self.results, m))}

    def published_claims(self, metric: str = "accuracy") -> dict[str, float]:
        """{title: the seed study's number} where it is stated, not read off a plot."""
        found = [c for c in self.study.claims if c.metric == metric and c.read_off is None and not c.instead_of]
        kept = (c for c in found if (c.epochs, c.dropout) in ((None, None), self.own_setting(c.model)))
        return {self.title(c.model): c.value for c in kept}

    @cached_property
    def mispaired(self) -> dict[str, Mispaired]:
        """{model: the seed's mistake made with the median fit}, for the models whose claims are such."""
        models = [c.model for c in self.study.claims if c.metric == SHUFFLED]
        return {m: mispaired_fit(self.summaries[m].median, len(self.motifs)) for m in models if m in self.summaries}

    @cached_property
    def shared(self) -> Results:
        """The results on the folds of each protocol that both models of the verdict have."""
        return shared_folds(self.results, self.pretrained, self.scratch)

    @cached_property
    def large_sources(self) -> list[SourceRow]:
        """The study's large sources, by the verdict's pretrained model on the shared folds; empty without such fits."""
        near, apart = (stats.out_of_fold(self.shared, self.pretrained, protocol) for protocol in PROTOCOLS)
        return large_sources(self.study.sources, self.dataset, near, apart) if near and apart else []

    @cached_property
    def oofs(self) -> dict[str, stats.OutOfFold]:
        """{model: out-of-fold predictions on the shared folds}"""
        return {m: o for m in self.models if (o := stats.out_of_fold(self.shared, m))}

    @cached_property
    def per_motif(self) -> dict[str, pd.DataFrame]:
        """{model: out-of-fold scores of each motif on the shared folds, with intervals}"""
        groups = dict(zip(self.dataset.paths, self.dataset.groups.tolist(), strict=True))
        return {m: stats.per_motif(oof, self.motifs, groups) for m, oof in self.oofs.items()}

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Every number of every model and baseline under every protocol (stats.table.score_table)."""
        return score_table(self.results, self.shared, self.study.motifs, self.per_motif)

    @cached_property
    def grouped_intervals(self) -> dict[str, Interval]:
        """{title: corrected interval of the mean accuracy on the shared folds} of models, then baselines."""
        found = {m: stats.grouped_interval(self.shared, m) for m in [*self.models, *BASELINES]}
        return {self.title(m): interval for m, interval in found.items() if interval}

    @cached_property
    def fold_accuracies(self) -> dict[str, NDArray[np.float64]]:
        """{title: accuracy of every shared test fold, averaged over seeds}, as grouped_intervals."""
        scores = {self.title(m): stats.fold_scores(self.shared, m) for m in [*self.models, *BASELINES]}
        return {title: stats.mean_over_seeds(s).to_numpy() for title, s in scores.items() if len(s)}

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All comparisons across the shared folds: those planned, which are primary, then all others, one family."""
        a, b = self.pretrained, self.scratch
        others = [m for m in self.models if m not in (a, b)]
        pairs = [*self.study.planned, *((a, m) for m in (*others, *BASELINES)), *((b, m) for m in BASELINES)]
        pairs += [(right, wrong) for wrong, right, _ in self.variants]
        return compare_family(self.shared, pairs, primary=self.study.planned)

    @cached_property
    def comparisons_by_source(self) -> tuple[Comparison, ...]:
        """The same with whole sources together: the pairs planned, and the verdict's two models against baselines."""
        planned, simple = self.study.planned, [(m, simple) for m in self.study.compare for simple in BASELINES]
        return compare_family(self.shared, [*planned, *simple], "sources", planned)

    def comparison(self, a: str, b: str, protocol: str = "grouped") -> Comparison | None:
        """That of A against B under a protocol, "grouped" or "sources"."""
        family = self.comparisons if protocol == "grouped" else self.comparisons_by_source
        return next((c for c in family if (c.a, c.b) == (a, b)), None)

    @cached_property
    def head(self) -> Comparison | None:
        """The comparison of the verdict."""
        return self.comparison(self.pretrained, self.scratch)

    @cached_property
    def head_by_source(self) -> Comparison | None:
        """The comparison of the verdict's two models with whole sources held out; None without such fits."""
        return self.comparison(*self.study.compare, "sources")

    @cached_property
    def alike(self) -> Comparison | None:
        """The second planned comparison, of two arms tuned alike; None where the study has none."""
        return self.comparison(*self.study.alike) if self.study.alike else None

    @cached_property
    def word(self) -> Word:
        """The verdict on the pretrained against the scratch model in grouped cross-validation."""
        return verdict(self.head, *self.counted(self.study.compare))

    @cached_property
    def compared(self) -> tuple[Judged, Judged]:
        """The two models of the verdict with their accuracies."""
        near, apart = (partial(stats.grouped_interval, self.shared, protocol=p) for p in PROTOCOLS)
        a, b = (Judged(self.title(m), self.parameters(m), near(m), apart(m)) for m in self.study.compare)
        return a, b

    @cached_property
    def claim_counts(self) -> Counter[str]:
        """{verdict: published numbers}, without counts of pictures and scores of reports from shuffled labels."""
        rows = [r for r in self.claims if not r.metric.endswith("images") or r.metric == "ten_images"]
        return Counter(r.verdict for r in rows if r.metric != SHUFFLED)

    @cached_property
    def claims(self) -> list[ClaimRow]:
        """Every number that the seed study published, beside ours."""
        return claims_table(self.study, self.shared, self.dataset.source.kind == "published")

    @cached_property
    def trios(self) -> dict[str, Trios]:
        """{recipe of the verdict: what its features and strength reach on every trio}, where the study asks for it."""
        if not self.study.trios or (features := self.clean_features) is None:
            return {}
        tested = {row: s.fold for s in grouped_splits(self.study, self.dataset, repeats=1) for row in s.test}
        folds, models = np.array([tested[row] for row in range(len(self.dataset))]), self.study.models
        recipes = {m: r for m in self.study.compare if m in self.models and isinstance(r := models[m], RecipeModel)}
        labels = self.dataset.labels
        return {m: every_trio(kernel(features(m)), labels, folds, r.strength) for m, r in recipes.items()}

    @cached_property
    def deployed(self) -> dict[str, Any] | None:
        """What metrics.json says of the classifier that is given out (deploy.make); None without one."""
        try:
            return self.deploy() if self.deploy else None
        except BatikError:
            return None

    def image(self, path: str) -> NDArray[np.uint8]:
        """The decoded picture at a path, uint8 [size, size, 3]."""
        return self.dataset.images[self.dataset.paths.index(path)]


def analyse(plan: "Plan", results: Results, data: Path | None) -> Analysis:
    """The analysis of a plan's results; data is the folder of pictures that was given, if one was."""
    from batik_utils.experiment import clean_features

    def deploy() -> dict[str, Any]:
        from batik_utils.deploy.make import make_classifier

        return make_classifier(plan, results, data).numbers

    return Analysis(plan.study, plan.dataset, results, partial(clean_features, plan), deploy)


def open_analysis(study: str, data: str = "", settings: str = "") -> Analysis:
    """Open a study from the file that BATIK_SNAPSHOT names, else by doing its missing fits; settings as "a=1 b=2"."""
    if kept := os.environ.get("BATIK_SNAPSHOT"):
        from batik_utils.report import freshness

        return freshness.load(Path(kept))[0]
    from batik_utils.experiment import open_plan, run_plan

    folder = Path(data) if data else None
    plan = open_plan(study, folder, tuple(settings.split()))
    # A fit that failed stays failed here: the notebooks of one report must tell of the same results.
    return analyse(plan, run_plan(plan, retry=False), folder)
