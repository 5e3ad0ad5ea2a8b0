"""What is measured of a classifier: the part "deployed" of metrics.json."""

from typing import Literal

from batik_utils.deploy.bundle import Count, Gate, Part, Sets, Share
from batik_utils.deploy.convert import Precision


class Precise(Part):
    """A model in one precision, against Keras: that of the published training images alone."""

    precision: Precision
    bytes: Count  # of the LiteRT model alone
    largest: Share
    """The largest difference of a probability, over pictures of the study, a hundred at most."""
    median: Share
    """Of each picture's largest difference."""
    agreement: Share
    """The share of these pictures whose most probable motif is Keras'."""
    accuracy: Share
    """On the published test images."""


class Unseen(Part):
    """Pictures of the collection's other motifs, which the study does not have, against the study's own left out.

    Each AUROC says how often one of them looks stranger than one of the own: by distance, and by confidence.
    """

    motifs: Count
    images: Count
    auroc: Share
    auroc_confidence: Share | None


class Deletion(Part):
    """Mean probability of the motif that was named first, as more and more of a published test image is deleted."""

    shares: list[Share]
    marked: list[Share]
    """The fields with most evidence deleted first."""
    random: list[Share]
    images: Count
    gap: tuple[float, float] | None
    """By how much more deleting what is marked lowers the probability, mean over shares: a 95 % interval over pictures;
    null with one picture only."""


class Deployed(Part):
    """The classifier that is given out: the recommended model, trained on every picture."""

    model: str
    title: str
    variant: str
    """What the model chose of its study's candidates by itself, trained on every picture; empty where it has none."""
    judged: str
    """The same of what is judged: trained on the published training images alone."""
    parameters: Count
    """Of the file's network."""
    bytes: Count
    """Of the file's model, in its precision."""
    evidence: Literal["exact", "occlusion"]
    temperature: float
    precision: Precision
    """Of the file."""
    precisions: list[Precise]
    held_out: Count
    """Published test images."""
    auroc: Share | None
    """How often an ordinary picture is further from the training pictures than one of the own, left out; null where
    features were trained on the pictures themselves, so that none can be left out."""
    gate: Gate | None
    unseen: Unseen | None
    sets: Sets | None
    deletion: Deletion
