"""A study that trains in seconds: 24 coloured squares, a backbone of six numbers. Workers import this by name."""

import hashlib
import io
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import psutil
import yaml

from batik_utils.errors import BatikError
from batik_utils.experiment import Plan, make_plan, run_plan
from batik_utils.study import Study
from batik_utils.study_file import parse_study
from batik_utils.values import Dataset, Source

MOTIFS = ("batik-one", "batik-two")
SIZE = 32
ENV = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}  # of another Python
STUDY = """
name: tiny
title: Tiny
question: Does it run?
motifs: [batik-one, batik-two]
image: {size: 32}
models:
  scratch: {kind: scratch, title: Scratch, architecture: pooled_cnn, epochs: 2, batch_size: 8,
            augmentation: {horizontal_flip: true}}
  tiny: {kind: pretrained, title: Tiny, backbone: tiny, hidden: 4, epochs: 3, batch_size: 8,
         augmentation: {rotation: 40.0, shift: 0.2}}
compare: [tiny, scratch]
published: {split: keras-validation-split, seeds: 2}
grouped: {folds: 2, pretrained: {repeats: 2, seeds: 2}, curve: [2]}
"""


@dataclass(frozen=True)
class TinyBackbone:
    """As batik_utils.models.backbones.Backbone, with fixed weights; trouble says what goes wrong."""

    name: str = "tiny"
    title: str = "Tiny"
    features: int = 6
    parameters: int = 8 * 8 * 3 * 6
    trouble: str = ""

    def build(self, size: int) -> Any:
        import batik_utils.backend  # noqa: F401  (before keras)

        # isort: split
        import keras

        inputs = keras.Input((size, size, 3))
        x = keras.layers.Conv2D(6, 8, strides=8, use_bias=False, activation="relu")(inputs)
        model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
        kernel = np.random.default_rng(0).normal(size=(8, 8, 3, 6)) / 1000
        model.set_weights([kernel.astype(np.float32) * np.float32(1e38 if self.trouble == "nan" else 1.0)])
        if self.trouble == "die":  # at the one picture that is not a plain square
            predict = model.predict_on_batch
            model.predict_on_batch = lambda batch: die() if (batch[:, 0, 0, 0] == 255).any() else predict(batch)
        return model

    def weights_sha256(self) -> str:
        return "tiny"

    def fetch(self) -> None:
        if self.trouble == "unavailable":
            raise BatikError("it was never trained")


def die() -> None:
    """What the kernel does to a process when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def double(number: Any) -> Any:
    return 2 * number


def study(**changes: Any) -> Study:
    """The tiny study; keys of changes replace its own."""
    return parse_study(yaml.safe_load(STUDY) | changes, "tiny")


def models(**changes: Any) -> dict[str, dict[str, Any]]:
    """The tiny study's models as plain values, with changes to "tiny"."""
    raw = yaml.safe_load(STUDY)["models"]
    return raw | {"tiny": raw["tiny"] | changes}


def dataset(deadly: bool = False) -> Dataset:
    """24 noisy squares, reddish or bluish."""
    labels = np.arange(24) % 2
    images = np.random.default_rng(0).integers(0, 100, (24, SIZE, SIZE, 3))
    images[np.arange(24), :, :, 2 * labels] += 80
    if deadly:
        images[5, 0, 0, 0] = 255
    paths = tuple(f"{MOTIFS[label]}/{i}.jpg" for i, label in enumerate(labels))
    alike = {"format": "JPEG", "mode": "RGB", "height": 40, "orientation": 1, "extension_agrees": True}
    return Dataset(
        motifs=MOTIFS,
        images=images.astype(np.uint8),
        labels=labels.astype(np.int64),
        paths=paths,
        sha256=tuple(hashlib.sha256(p.encode()).hexdigest() for p in paths),
        groups=np.arange(24),
        source=Source("folder", "tiny"),
        facts=tuple({**alike, "width": 30 + i, "bytes": 1000 + 7 * i, "status": "unlisted"} for i in range(24)),
    )


def plan(trouble: str = "", **changes: Any) -> Plan:
    """The tiny plan."""
    return make_plan(study(**changes), dataset(trouble == "die"), backbones={"tiny": TinyBackbone(trouble=trouble)})


def results(folder: Path) -> dict[str, bytes]:
    """Every result file of a cache folder."""
    return {p.name: p.read_bytes() for p in sorted((folder / "results" / "tiny").glob("[!.]*.npz"))}


def batik(*words: Any) -> SimpleNamespace:
    """What `batik` gives in this process, which has the heavy imports already: as subprocess.run would tell it."""
    from batik_utils import cli

    streams = {name: io.TextIOWrapper(io.BytesIO(), "utf-8") for name in ("stdin", "stdout", "stderr")}
    with mock.patch.multiple(sys, argv=["batik", *map(str, words)], **streams):
        try:
            code = cli.main()
        except SystemExit as ended:
            code = ended.code
    for stream in streams.values():
        stream.seek(0)
    out, error = (streams[name].buffer.read().decode(errors="replace") for name in ("stdout", "stderr"))
    return SimpleNamespace(returncode=code, stdout=out, stderr=error)


def main() -> None:
    """Run the tiny plan into BATIK_CACHE by two processes, say which, and die with the third result half written."""
    replace, count = os.replace, 0

    def deadly(source: Any, target: Any) -> None:
        nonlocal count
        count += Path(target).parent.name == "tiny" and Path(target).suffix == ".npz"
        if count == 3:
            print(*(child.pid for child in psutil.Process().children()), flush=True)
            die()
        replace(source, target)

    os.replace = deadly
    run_plan(plan(), jobs=2, progress=False)
