"""What a classifier answers to a picture: motifs with probabilities, those that cannot be ruled out, or "not batik".

Nothing here, nor in what it imports, is TensorFlow, Keras or scikit-learn: an answer takes a second from the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batik_utils.data.decode import NotAnImage, read_image
from batik_utils.deploy.bundle import About, Bundle
from batik_utils.deploy.litert import Runtime
from batik_utils.errors import BatikError

Features = NDArray[np.floating]


@dataclass(frozen=True)
class Answer:
    """What is said of one picture."""

    probabilities: dict[str, float]
    """By motif, the most probable first; they add up to 1."""
    one_of: list[str]
    """The motifs that cannot be ruled out, the most probable first; one or more."""
    distance: float | None
    """From the training pictures, 0 to 2 (see gate.py); None where the classifier has no gate."""
    looks_like_batik: bool
    """Whether it is as near as batik is; True where there is no gate, which then says nothing."""


class Classifier:
    """A bundle at work; for one thread."""

    def __init__(self, bundle: Bundle) -> None:
        """Raises BatikError where its model does not fit what the bundle says of it."""
        self.about: About = bundle.about
        self._runtime, self._training = Runtime(bundle.model), bundle.training.astype(np.float32)
        shapes = {name: value.shape for name, value in self._runtime.ask(self.blank).items()}
        wanted = {"probabilities": (len(self.about.motifs),), "features": bundle.training.shape[1:]}
        if self._runtime.size != self.about.size or {name: shapes.get(name) for name in wanted} != wanted:
            raise BatikError(f"The model answers {shapes}, which is not what its file says of it.")

    @property
    def blank(self) -> NDArray[np.uint8]:
        """A black picture of its size."""
        return np.zeros((self.about.size, self.about.size, 3), np.uint8)

    def read(self, path: Path) -> NDArray[np.uint8]:
        """A picture as it takes it, uint8 [s, s, 3]; raises NotAnImage, also for what is no regular file.

        Such (a pipe, a device) may never end, and is not opened.
        """
        if path.exists() and not path.is_file():
            raise NotAnImage(path.name, "not a regular file")
        return read_image(path, self.about.size, self.about.resize, self.about.fit)[0]

    def ask(self, picture: NDArray[np.uint8]) -> Answer:
        """Its answer to a picture [s, s, 3], RGB 0-255."""
        said, about = self._runtime.ask(picture), self.about
        probabilities = said["probabilities"].astype(np.float64)
        order = np.argsort(-probabilities, kind="stable")
        held = members(probabilities[None], about.sets.threshold if about.sets else 0.0)[0]
        distance = None
        if about.gate:
            distance = float(distances(said["features"][None], self._training, about.gate.neighbours)[0])
        return Answer(
            probabilities={about.motifs[i]: float(probabilities[i]) for i in order},
            one_of=[about.motifs[i] for i in order if held[i]],
            distance=distance,
            looks_like_batik=not about.gate or distance is None or distance <= about.gate.threshold,
        )


def distances(
    features: Features, training: Features, neighbours: int, apart: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Mean cosine distance, 0 to 2, of rows of length 1 [n, d] to their nearest rows of training [m, d].

    Where apart [n, m] is true, the two are not compared.
    """
    each = np.maximum(1 - (features.astype(np.float32) @ training.astype(np.float32).T).astype(np.float64), 0)
    if apart is not None:
        each[apart] = np.inf
    return np.sort(each, axis=1)[:, :neighbours].mean(axis=1)


def members(probabilities: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """Which motifs are in each picture's prediction set, [n, m]: of probability 1 - threshold or more, and the best."""
    held = probabilities >= 1 - threshold
    held[np.arange(len(held)), probabilities.argmax(axis=1)] = True
    return held
