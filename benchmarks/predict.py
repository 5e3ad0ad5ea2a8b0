"""Time `batik predict` from its start, and against Keras' own predict on the same pictures, in one run.

python -m benchmarks.predict classifier.tflite FOLDER [--count 200]
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

KERAS = """
import sys, time
from pathlib import Path
start = time.perf_counter()
import numpy as np, keras
from batik_utils.data.decode import read_image
from batik_utils.models.backbones import BACKBONES
base = BACKBONES["mobilenet_v2"].architecture(int(sys.argv[1]))
model = keras.Model(base.input, keras.layers.Dense(3, "softmax")(keras.layers.Dense(128, "relu")(base.output)))
model.predict(np.zeros((1, *base.input.shape[1:]), "float32"), verbose=0)
ready = time.perf_counter()
paths = sys.stdin.read().splitlines()
pictures = np.stack([read_image(Path(path), int(sys.argv[1]), "bilinear")[0] for path in paths]).astype("float32")
model.predict(pictures, batch_size=32, verbose=0)
print(ready - start, len(paths) / (time.perf_counter() - ready))
"""
"""As `predict` was before: a network of the same size in Keras, batches of 32, all cores."""


def command(model: Path, names: list[str]) -> tuple[float, list[dict[str, str]]]:
    """Seconds from the start of `batik predict` to its end, and its answers."""
    words = [
        sys.executable,
        "-c",
        "from batik_utils.cli import main; main()",
        "predict",
        "-",
        "--csv",
        "--model",
        model,
    ]
    start = time.perf_counter()
    done = subprocess.run(words, input="\n".join(names), capture_output=True, text=True)
    return time.perf_counter() - start, list(csv.DictReader(done.stdout.splitlines()))


def main() -> None:
    """Print the measurements as JSON, with the machine's load, which they depend on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200)
    asked = parser.parse_args()
    from batik_utils.deploy.bundle import read_bundle

    size = read_bundle(asked.model).about.image.size
    names = [str(path) for path in sorted(asked.folder.rglob("*")) if path.is_file()][: asked.count]
    first = min(command(asked.model, names[:1])[0] for _ in range(5))
    seconds, answers = command(asked.model, names)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("TF_", "OMP_"))}
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    words, pipes = [sys.executable, "-W", "ignore", "-c", KERAS, str(size)], {"capture_output": True, "text": True}
    keras = subprocess.run(words, input="\n".join(names), check=True, env=environment, **pipes)
    ready, rate = map(float, keras.stdout.split()[-2:])
    found = {
        "pictures": len(answers),
        "unread": sum(bool(row["error"]) for row in answers),
        "seconds to the first answer": round(first, 3),
        "pictures per second": round((len(answers) - 1) / (seconds - first), 1),
        "peak MB": round(peak / 1000),
        "Keras: seconds until ready": round(ready, 2),
        "Keras: pictures per second": round(rate, 1),
        "load": os.getloadavg()[0],
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
