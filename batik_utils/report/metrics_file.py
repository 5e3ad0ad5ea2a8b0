"""The form of metrics.json; what is said under a class or a field stands in metrics_schema.json."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from batik_utils.cache import write_json
from batik_utils.deploy.measured import Deployed
from batik_utils.stats.claims import Verdict
from batik_utils.stats.compare import PublishedComparison
from batik_utils.stats.intervals import Interval
from batik_utils.stats.power import Power
from batik_utils.stats.search import Choice
from batik_utils.values import Hyper

SCHEMA = Path(__file__).with_name("metrics_schema.json")
"""Made of MetricsFile by `python -m batik_utils.report.metrics_file`."""

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Ends = Annotated[tuple[float, float], BeforeValidator(lambda v: (v.low, v.high) if isinstance(v, Interval) else v)]
Middle = Annotated[float, BeforeValidator(lambda v: v.value if isinstance(v, Interval) else v)]


class Part(BaseModel):
    """Base of every part: no unknown keys; what is said under a field stands in the schema."""

    model_config = ConfigDict(extra="forbid", from_attributes=True, use_attribute_docstrings=True)


class Data(Part):
    """The usable pictures, drawn or not.

    identical, altered, missing and unlisted count files against the published list; a lone image is a group;
    skipped files are not usable images; the fingerprint is a sha256 of paths, file hashes, labels and groups.
    """

    kind: Literal["published", "folder", "drawn"]
    description: str
    drawn: bool
    identical: Count
    altered: Count
    missing: Count
    unlisted: Count
    images: Count
    per_motif: dict[str, Count]
    groups: Count
    skipped: list[dict[Literal["path", "reason"], str]]
    fingerprint: str


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
    """On the folds that both models of the verdict have: what stands beside other models."""
    grouped_all: Folds | None = None
    """Over all its folds, where they are more than those."""
    sources: Folds | None = None
    """The same with pictures of one source (vendor, camera, garment) on one side too."""
    others: Folds | None = None
    """On the splits of others, as they are; without an interval."""
    alone: dict[str, Share] | None = None
    """Of a recipe: mean grouped accuracy of each candidate, had it been the only one."""
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
    difference: Middle
    interval: Ends = Field(validation_alias=AliasChoices("interval", "difference"))
    p_value: Share
    p_a_better: Share
    p_same: Share
    p_b_better: Share
    rope: float
    p_adjusted: Share | None
    """Holm's, over all comparisons across folds; null where there is but one."""


class Tested(OnFolds):
    """One comparison of the family, and the two that it compares."""

    a: str
    b: str


class Comparison(Part):
    """The verdict: A against B under grouped cross-validation; null is what could not be computed."""

    a: str
    b: str
    verdict: Literal["better", "worse", "same", "open", "too few fits"]
    sentence: str
    fits: dict[Literal["got", "planned"], Count]
    """Grouped fits of A and B."""
    grouped: OnFolds | None
    family: list[Tested]
    """All comparisons across folds, this one among them, that Holm's correction is over."""
    by_source: list[Tested]
    """The same with pictures of one source on one side too, and a correction over these; often none."""
    published: PublishedComparison | None
    power: Power | None


class Median(Part):
    """Ours on the published split: the median seed, the range over seeds, the median seed's interval."""

    median: float
    range: Ends
    interval: Ends | None


class Mean(Part):
    """Ours across folds."""

    value: Middle
    interval: Ends


class Claimed(Part):
    """A number that the seed study published, from n test images."""

    model: str
    metric: str
    value: float
    n: Count | None
    motif: str | None
    read_off: float | None
    """Of a number that was read off a plot: how far the reading may be off."""


class Judged(Claimed):
    """A claim beside ours."""

    value_interval: Ends | None
    published: Median | None
    expected: Ends | None
    """Where a replicate of ours should lie, 95 %: their images, ours and the training seed have a part in it."""
    grouped: Mean | None
    p_value: Share | None
    """Of the two-sample test against ours; p_adjusted is Holm's over the study's claims."""
    p_adjusted: Share | None
    verdict: Verdict
    reason: str


class Placed(Claimed):
    """A claim, and where it stands."""

    where: str


class MetricsFile(Part):
    """The numbers of one study; accuracies, F1 and probabilities are fractions (0-1), intervals 95 % as [low, high]."""

    version: Literal[4]
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
    deployed: Deployed | None = None


if __name__ == "__main__":
    write_json(SCHEMA, MetricsFile.model_json_schema())
