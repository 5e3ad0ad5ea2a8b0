"""The form of metrics.json, as classes; its JSON schema is made of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from batik_utils.stats.compare import McNemar
from batik_utils.stats.intervals import Interval
from batik_utils.stats.power import Power
from batik_utils.stats.search import Choice
from batik_utils.values import Hyper

VERSION: Literal[2] = 2
"""Raised whenever a key of metrics.json changes its name or meaning."""

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Ends = Annotated[tuple[float, float], BeforeValidator(lambda v: (v.low, v.high) if isinstance(v, Interval) else v)]


class Part(BaseModel):
    """Base of every part: no unknown keys; what is said under a field stands in the schema."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Data(Part):
    """The pictures; identical, altered, missing and unlisted count files against the published list."""

    kind: Literal["published", "folder", "drawn"]
    description: str
    drawn: bool
    """Whether these are procedural samples, not photographs."""
    identical: Count
    altered: Count
    missing: Count
    unlisted: Count
    images: Count
    """Usable ones."""
    per_motif: dict[str, Count]
    groups: Count
    """Groups of near-duplicates, a lone image being a group."""
    skipped: list[dict[Literal["path", "reason"], str]]
    """Files that are not usable images."""
    fingerprint: str
    """sha256 of paths, file hashes, labels and groups."""


class PerClass(Part):
    """Scores of one motif; support is its images, f1_interval a bootstrap's (grouped protocol only)."""

    precision: Share
    recall: Share
    f1: Share
    support: Count
    f1_interval: Ends | None = None


class Scores(Part):
    """Accuracy, log loss in nats, macro F1."""

    accuracy: Share
    loss: float
    macro_f1: Share


class Seed(Scores):
    """A fit on the published split, by its training seed."""

    seed: Count


class Published(Seed):
    """The published split, seen by the training seed of median accuracy; the interval is Wilson's."""

    interval: Ends
    n_test: Count
    per_class: dict[str, PerClass]
    seeds: list[Seed]
    range: Ends
    """[lowest, highest] accuracy over training seeds."""
    hyper: Hyper


class Folds(Scores):
    """Repeated stratified k-fold with near-duplicates on one side, means over folds."""

    interval: Ends | None
    """Nadeau and Bengio's, of the accuracy; null with too few folds."""
    n_test: Count
    """Images tested, each once per repeat and seed."""
    fits: Count
    per_class: dict[str, PerClass] | None = None


class Model(Part):
    """A model of the study; a protocol is absent where the model has no fits under it."""

    title: str
    kind: str
    parameters: Count | None
    """All, backbone included; null where the model was never built."""
    published: Published | None = None
    search: Choice | None = None
    grouped: Folds | None = None
    permuted: Folds | None = None
    """With shuffled labels: the control that must fall to chance."""
    curve: dict[str, Share] | None = None
    """Mean accuracy by training images per motif."""


class OnFolds(Part):
    """A against B on the same folds; differences are A minus B."""

    metric: str
    folds: Count
    repeats: Count
    seeds_a: Count
    seeds_b: Count
    mean_a: float
    mean_b: float
    difference: float
    interval: Ends
    p_value: Share
    p_a_better: Share
    p_same: Share
    p_b_better: Share
    rope: float
    p_adjusted: Share | None
    """Holm's; null where there is but one comparison."""


class OnSplit(Part):
    """McNemar's tests on the published split: of the two median fits, and of each training seed."""

    median: McNemar
    seeds: list[McNemar]


class Comparison(Part):
    """The verdict: A against B under grouped cross-validation; null is what could not be computed."""

    a: str
    b: str
    verdict: Literal["better", "worse", "same", "open", "too few fits"]
    sentence: str
    fits: dict[Literal["got", "planned"], Count]
    """Grouped fits of A and B."""
    grouped: OnFolds | None
    published: OnSplit | None
    power: Power | None


class Median(Part):
    """Ours on the published split: the median seed, the range over seeds, the median seed's interval."""

    median: float
    range: Ends
    interval: Ends | None


class Mean(Part):
    """Ours across folds."""

    value: float
    interval: Ends


class Stated(Part):
    """A number that the seed study published, from n test images."""

    model: str
    metric: str
    value: float
    n: Count | None


class Placed(Stated):
    """Where the seed study published it."""

    where: str


class Judged(Stated):
    """The same beside ours."""

    value_interval: Ends | None
    published: Median | None
    grouped: Mean | None
    verdict: Literal["reproduced", "within interval", "not reproduced", "not comparable"]
    reason: str


class MetricsFile(Part):
    """The numbers of one study; accuracies, F1 and probabilities are fractions (0-1), intervals 95 % as [low, high]."""

    version: Literal[2]
    study: str
    title: str
    motifs: list[str]
    """Folder names in label order."""
    data: Data
    models: dict[str, Model]
    comparison: Comparison
    baselines: dict[str, Folds]
    claims: dict[str, Judged]
    """By the claim's id."""
    published: dict[str, Placed]
