"""Answers of a LiteRT model, by a runtime that knows nothing of TensorFlow."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batik_utils.errors import BatikError

MOST_BYTES = 1 << 30
"""Of memory that a model's tensors may take; MobileNetV2's take 20 MB."""

Answers = dict[str, NDArray[np.float32]]
"""By the output's name, of one picture: probabilities [m], features [d], and maybe evidence [h, w, m]."""


class Runtime:
    """A LiteRT model that takes one picture, uint8 [1, s, s, 3] named "image"."""

    def __init__(self, content: bytes) -> None:
        """Raises BatikError, before memory is taken, for what is no such model or wants more than MOST_BYTES."""
        from ai_edge_litert.interpreter import Interpreter

        try:
            with quiet():
                interpreter: Any = Interpreter(model_content=content, num_threads=1)
                wanted = sum(
                    np.prod(np.abs(tensor["shape"]), dtype=np.float64) * np.dtype(tensor["dtype"]).itemsize
                    for tensor in interpreter.get_tensor_details()
                )
                if not wanted <= MOST_BYTES:
                    raise ValueError(f"it wants {wanted:,.0f} bytes of memory")
                interpreter.allocate_tensors()
                self._run = interpreter.get_signature_runner("serving_default")
        # The runtime raises ValueError and RuntimeError, of no common type, for whatever it cannot read.
        except (ValueError, RuntimeError, KeyError) as error:
            raise BatikError(f"It is no model that LiteRT can run: {' '.join(str(error).split())[:200]}") from None
        self.outputs = set(self._run.get_output_details())
        details = self._run.get_input_details()
        shape = tuple(details["image"]["shape"].tolist()) if details.keys() == {"image"} else ()
        if len(shape) != 4 or shape != (1, shape[1], shape[1], 3) or details["image"]["dtype"] != np.uint8:
            raise BatikError(f"It is no model of pictures: it takes {', '.join(details)} of {shape}.")
        self.size = shape[1]

    def ask(self, picture: NDArray[np.uint8]) -> Answers:
        """Answers to one picture [s, s, 3], RGB 0-255; raises BatikError where the model fails as it runs."""
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
