"""The plain values that flow from one floor to the next: Dataset, Split, Hyper, Fit, FitResult."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from batik_utils.cache import digest_json
from batik_utils.study_models import Image


@dataclass(frozen=True)
class Source:
    """Where the pictures came from, and how they compare with the published list."""

    kind: Literal["published", "folder", "drawn"]
    """The published files (at least half of those used are identical to the list), one's own, or the sample."""
    description: str  # one line for people on where they lay, without any machine path
    identical: int = 0
    altered: int = 0
    missing: int = 0
    unlisted: int = 0

    @property
    def is_drawn(self) -> bool:
        """Whether these are the procedural sample, not photographs."""
        return self.kind == "drawn"


@dataclass(frozen=True)
class Pair:
    """Two files that show one picture."""

    a: str  # path relative to the data folder, posix
    b: str
    kind: str  # how b differs from a: "exact", "re-encoded", "resized", "mirrored", "rotated" or "cropped"
    labels_differ: bool  # whether the two lie in different motifs' folders
    reason: str  # one line with the measured numbers


@dataclass(frozen=True)
class Dataset:
    """Decoded images with everything that must never be separated from them; row i is one image."""

    motifs: tuple[str, ...]  # class names, in label order (folder names, such as "batik-bali")
    images: NDArray[np.uint8]  # RGB, [n, size, size, 3], 0-255; may be memory-mapped
    labels: NDArray[np.int64]  # [n], an index into motifs
    paths: tuple[str, ...]  # [n], posix, relative to the data folder: "batik-bali/1.jpg"
    sha256: tuple[str, ...]  # [n], of each file's bytes
    groups: NDArray[np.int64]  # [n]; near-duplicates share one number
    source: Source
    sources: NDArray[np.int64] = None  # type: ignore[assignment]
    """[n]; pictures of one vendor, camera, garment or website share one number, and so does every group; the groups
    where the study confirms no sources."""
    pairs: tuple[Pair, ...] = ()  # near-duplicates that the audit found; groups are made of them
    skipped: tuple[tuple[str, str], ...] = ()  # (path, reason) of each file that is not a usable image
    facts: tuple[dict[str, Any], ...] = ()  # [n], per file: those of decode.open_image, and its status (obtain.Listed)
    made: Image | None = None  # how images were made of the files; None where they are no study's own
    decode: Callable[[Image], NDArray[np.uint8]] | None = field(default=None, repr=False)
    """Makes them in another way, on demand and kept; None where there are no others."""
    others: Dataset | None = field(default=None, repr=False)
    """Published pictures of motifs that are not these, none a copy of one of these or of one source with it; None where
    no model asks for them, or they are not all at hand as they were published."""

    def __post_init__(self) -> None:
        if self.sources is None:
            object.__setattr__(self, "sources", self.groups)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def size(self) -> int:
        """Side of the square images, pixels."""
        return int(self.images.shape[1])

    def pictures(self, image: Image) -> NDArray[np.uint8]:
        """The images made in this way, uint8 [n, image.size, image.size, 3]."""
        return self.images if self.decode is None or image == self.made else self.decode(image)

    @property
    def fingerprint(self) -> str:
        """A sha256 over size, paths, file hashes, labels and groups: the data part of every fit's key."""
        # Not sources: a fit's key holds the rows of its own split, and other fits do not depend on them.
        numbers = self.labels.tolist(), self.groups.tolist()
        return digest_json([self.size, self.motifs, self.paths, self.sha256, *numbers])


@dataclass(frozen=True)
class Split:
    """Which rows of a Dataset train, validate and test."""

    protocol: str  # "published", "grouped", "sources", "permuted" or "curve-K" (K training images per motif)
    repeat: int
    fold: int
    train: tuple[int, ...]
    val: tuple[int, ...]  # empty where the protocol has no validation rows
    test: tuple[int, ...]


@dataclass(frozen=True)
class Hyper:
    """The hyperparameters that runs may vary; all zero for a model that does not learn in epochs."""

    epochs: int = 0
    learning_rate: float = 0.0
    dropout: float = 0.0


@dataclass(frozen=True)
class Fit:
    """One model trained on one split with one seed."""

    study: str
    model: str
    protocol: str
    repeat: int
    fold: int
    seed: int
    hyper: Hyper

    @property
    def name(self) -> str:
        """A name for people and messages, such as "scratch/grouped/r0f3/s1/e20-lr0.001-d0.5"."""
        h = self.hyper
        split = f"{self.protocol}/r{self.repeat}f{self.fold}"
        return f"{self.model}/{split}/s{self.seed}/e{h.epochs}-lr{h.learning_rate:g}-d{h.dropout:g}"


@dataclass(frozen=True)
class Failed:
    """Stands where there is no result, and says why in one line."""

    reason: str


@dataclass(frozen=True)
class FitResult:
    """What one fit said about its test rows; labels, probabilities and paths come from one pass."""

    fit: Fit
    paths: tuple[str, ...]  # [n] test images
    y_true: NDArray[np.int64]  # [n]
    y_prob: NDArray[np.float64]  # [n, classes], rows sum to 1
    parameters: int  # all parameters of the whole model, backbone included
    history: dict[str, list[float]] = field(default_factory=dict)
    """Per epoch: accuracy, loss, val_accuracy, val_loss (val_* = validation rows, or the test rows where the
    protocol has none; empty for fits of which no curve is shown)."""
    val_paths: tuple[str, ...] = ()
    val_true: NDArray[np.int64] | None = None
    val_prob: NDArray[np.float64] | None = None
    checkpoints: dict[int, dict[str, NDArray[np.float64]]] = field(default_factory=dict)
    """{epochs: {"val": [n_val, classes], "test": [n, classes]}} for the epoch counts of a model's runs."""
    corruptions: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """{"greyscale" | "blur" | "patches" | "border": [n, classes]}: the same test images, tampered with."""
    missing: str = ""  # why there is no result (the fit failed); every array is then empty

    @classmethod
    def failed(cls, fit: Fit, why: Failed) -> FitResult:
        """The result of a fit that has none."""
        return cls(fit, (), np.zeros(0, np.int64), np.zeros((0, 0)), 0, missing=why.reason)

    @property
    def is_finite(self) -> bool:
        """Whether all probabilities and curves are numbers."""
        said = [self.y_prob, self.val_prob, *self.corruptions.values(), *self.history.values()]
        said += [array for sets in self.checkpoints.values() for array in sets.values()]
        return all(np.isfinite(array).all() for array in said if array is not None)


@dataclass(frozen=True)
class Results:
    """All fits' results of one study; every metric, interval and figure is a pure function of this."""

    items: tuple[FitResult, ...]

    def select(self, model: str | None = None, protocol: str | None = None) -> Results:
        """Those of one model and/or protocol that succeeded, in a stable order."""
        kept = (r for r in self.items if not r.missing and model in (None, r.fit.model))
        return Results(tuple(sorted((r for r in kept if protocol in (None, r.fit.protocol)), key=lambda r: r.fit.name)))

    @property
    def missing(self) -> tuple[FitResult, ...]:
        """The fits that failed, each with its reason."""
        return tuple(r for r in self.items if r.missing)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[FitResult]:
        return iter(self.items)
