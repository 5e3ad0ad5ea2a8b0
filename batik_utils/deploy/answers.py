"""What a classifier answers to a picture: motifs with probabilities, those that cannot be ruled out, or "not batik".

Nothing here, nor in what it imports, is TensorFlow, Keras or scikit-learn: an answer takes a second from the start.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batik_utils.data.decode import NotAnImage, read_image
from batik_utils.deploy.bundle import Bundle
from batik_utils.errors import BatikError

MOST_BYTES = 1 << 30  # of memory that a model's tensors may take; MobileNetV2's take 20 MB
Features = NDArray[np.floating]


class Runtime:
    """A LiteRT model that takes one picture, uint8 [1, s, s, 3] named "image"."""

    def __init__(self, content: bytes) -> None:
        """Raises BatikError, before memory is taken, for what is no such model or wants more than MOST_BYTES."""
        from ai_edge_litert.interpreter import Interpreter

        try:
            with quiet():
                interpreter: Any = Interpreter(model_content=content, num_threads=1)
                tensors = interpreter.get_tensor_details()
                wanted = sum(np.prod(np.abs(t["shape"]), dtype=float) * np.dtype(t["dtype"]).itemsize for t in tensors)
                if not wanted <= MOST_BYTES:
                    raise ValueError(f"it wants {wanted:,.0f} bytes of memory")
                interpreter.allocate_tensors()
                self._run = interpreter.get_signature_runner("serving_default")
        # The runtime raises ValueError and RuntimeError, of no common type, for whatever it cannot read.
        except (ValueError, RuntimeError, KeyError) as error:
            raise BatikError(f"It is no model that LiteRT can run: {' '.join(str(error).split())[:200]}") from None
        details = self._run.get_input_details()
        shape = tuple(details["image"]["shape"].tolist()) if details.keys() == {"image"} else ()
        if len(shape) != 4 or shape != (1, shape[1], shape[1], 3) or details["image"]["dtype"] != np.uint8:
            raise BatikError(f"It is no model of pictures: it takes {', '.join(details)} of {shape}.")
        self.size = shape[1]

    def ask(self, picture: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Probabilities [m], features [d], maybe evidence [h, w, m] of a picture [s, s, 3], RGB 0-255.

        Raises BatikError where the model fails as it runs.
        """
        try:
            return {name: np.array(value[0]) for name, value in self._run(image=picture[None]).items()}
        except (ValueError, RuntimeError, IndexError) as error:
            raise BatikError(f"The model fails as it runs: {' '.join(str(error).split())[:200]}") from None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the lines that native code writes to the standard error itself."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class Classifier:
    """A bundle at work; for one thread."""

    def __init__(self, bundle: Bundle) -> None:
        """Raises BatikError where its model does not fit what the bundle says of it."""
        self.about = bundle.about
        self._runtime, self._training = Runtime(bundle.model), bundle.training.astype(np.float32)
        black = np.zeros((self._runtime.size, self._runtime.size, 3), np.uint8)
        shapes = {name: value.shape for name, value in self._runtime.ask(black).items()}
        wanted = {"probabilities": (len(self.about.motifs),), "features": bundle.training.shape[1:]}
        if self._runtime.size != self.about.image.size or {name: shapes.get(name) for name in wanted} != wanted:
            raise BatikError(f"The model answers {shapes}, which is not what its file says of it.")

    def read(self, path: Path) -> tuple[NDArray[np.uint8], list[str]]:
        """A picture as it takes it, uint8 [s, s, 3], and the remarks on its file (decode.open_image).

        Raises NotAnImage, also for what is no regular file.
        """
        try:
            # A pipe or a device may never end, and is not opened.
            if path.exists() and not path.is_file():
                raise NotAnImage(path.name, "not a regular file")
            picture, facts = read_image(path, **dict(self.about.image))
            return picture, facts["remarks"]
        except (OSError, ValueError):  # a name that no file can have
            raise NotAnImage(path.name, "there is no such file") from None

    def ask(self, picture: NDArray[np.uint8]) -> dict[str, Any]:
        """Its answer to a picture [s, s, 3], RGB 0-255, as plain values, numbers with six decimals.

        answer is the most probable motif; probabilities, {motif: 0-1}, begin with it and add up to 1; one_of are the
        motifs that cannot be ruled out, the most probable first. Where there is a gate, distance is that from the
        training pictures, 0 to 2, and looks_like_batik whether that is as near as batik is.
        """
        said, about = self._runtime.ask(picture), self.about
        probabilities = said["probabilities"].astype(np.float64)
        order = np.argsort(-probabilities, kind="stable")
        shares = {about.motifs[i]: round(float(probabilities[i]), 6) for i in order}
        held = members(probabilities[None], about.sets.threshold if about.sets else 0.0)[0]
        one_of = [about.motifs[i] for i in order if held[i]]
        answer: dict[str, Any] = {"answer": next(iter(shares)), "probabilities": shares, "one_of": one_of}
        if about.gate:
            far = float(distances(said["features"][None], self._training, about.gate.neighbours)[0])
            answer |= {"distance": round(far, 6), "looks_like_batik": far <= about.gate.threshold}
        return answer


def distances(
    features: Features, training: Features, neighbours: int, apart: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Mean cosine distance, 0 to 2, of unit rows [n, d] to their nearest in training [m, d], but those apart [n, m]."""
    each = np.maximum(1 - (features.astype(np.float32) @ training.astype(np.float32).T).astype(np.float64), 0)
    if apart is not None:
        each[apart] = np.inf
    return np.sort(each, axis=1)[:, :neighbours].mean(axis=1)


def members(probabilities: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """Which motifs are in each picture's prediction set, [n, m]: of probability 1 - threshold or more, and the best."""
    held = probabilities >= 1 - threshold
    held[np.arange(len(held)), probabilities.argmax(axis=1)] = True
    return held
