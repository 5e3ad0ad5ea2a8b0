"""What was tried beside the recipes of a study: each trial's figures, measured by the command that its YAML names.

python -m benchmarks.trials finetune STUDY [--motifs A B C]   the last blocks trained on, from the linear head's solution
python -m benchmarks.trials alike STUDY                       every picture brought to one size and one JPEG quality
"""

import argparse
import io
from dataclasses import replace

import joblib
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from sklearn.linear_model import LogisticRegression

from batik_utils.data.load import load_dataset
from batik_utils.data.split import grouped_splits
from batik_utils.experiment import make_plan, run_plan
from batik_utils.files import digest
from batik_utils.stats.intervals import nadeau_bengio
from batik_utils.stats.metrics import grouped_interval
from batik_utils.study_file import load_study
from batik_utils.values import Dataset, Split

BACKBONE, CUT = "efficientnet_lite0", "blocks_10_add"
"""Blocks after CUT are trained, the last five and the last convolution: 2.5 of 3.4 million parameters."""
RATES, EPOCHS, BATCH, SMOOTHING = (3e-5, 1e-4, 3e-4), 10, 16, 0.1


def bottom_maps(images: NDArray[np.uint8]) -> NDArray[np.float16]:
    """What the frozen blocks make of each picture and its three mirror images, [n, 4, h, w, c]."""
    import keras

    from batik_utils.models.backbones import BACKBONES

    whole = BACKBONES[BACKBONE].build(images.shape[1])
    bottom = keras.Model(whole.input, whole.get_layer(CUT).output)
    out = []
    for image in track(images.astype(np.float32), "frozen blocks", console=Console(stderr=True)):
        views = np.stack([image, image[:, ::-1], image[::-1], image[::-1, ::-1]])
        out.append(np.asarray(bottom.predict_on_batch(views), np.float16))
    return np.stack(out)


def finetuned(
    maps: NDArray[np.float16], labels: NDArray[np.int64], split: Split, size: int, rates: tuple[float, ...]
) -> list[float]:
    """Test accuracy of a linear head on frozen features, then of each rate's network that goes on from it."""
    import keras

    from batik_utils.models.backbones import BACKBONES

    train, test = np.array(split.train), np.array(split.test)
    classes = int(labels.max()) + 1
    found: list[float] = []
    for rate in (0.0, *rates):
        keras.utils.set_random_seed(split.repeat * 100 + split.fold)
        whole = BACKBONES[BACKBONE].build(size)
        whole.trainable = True
        top = keras.Model(whole.get_layer(CUT).output, whole.output)
        x = np.concatenate([maps[train, view] for view in range(4)]).astype(np.float32)
        y = np.tile(labels[train], 4)
        linear = LogisticRegression(C=1.0, max_iter=2000).fit(np.asarray(top.predict(x, BATCH, verbose=0)), y)
        head = keras.layers.Dense(classes, "softmax")
        model = keras.Model(top.input, head(top.output))
        head.set_weights([linear.coef_.T, linear.intercept_])
        if rate:
            steps = EPOCHS * len(x) // 4 // BATCH
            model.compile(
                keras.optimizers.Adam(
                    keras.optimizers.schedules.CosineDecay(rate, steps), use_ema=True, ema_momentum=0.95
                ),
                keras.losses.CategoricalCrossentropy(label_smoothing=SMOOTHING),
            )
            one_hot, draw = np.eye(classes, dtype=np.float32)[y], np.random.default_rng(split.fold)
            for _ in range(EPOCHS):  # each picture once an epoch, in one of its four mirror images
                rows = draw.permutation(len(train)) + len(train) * draw.integers(0, 4, len(train))
                for start in range(0, len(rows) - BATCH + 1, BATCH):
                    model.train_on_batch(x[rows[start : start + BATCH]], one_hot[rows[start : start + BATCH]])
            model.optimizer.finalize_variable_values(model.trainable_variables)
        guesses = sum(model.predict(maps[test, view].astype(np.float32), BATCH, verbose=0) for view in range(4))
        found.append(float((guesses.argmax(axis=1) == labels[test]).mean()))
    return found


def finetune(study_name: str, motifs: list[str], repeats: int, rates: tuple[float, ...]) -> None:
    """Print mean accuracies over the folds, and the corrected interval of what each rate wins."""
    study = load_study(study_name)
    if motifs:
        study = study.model_copy(update={"motifs": tuple(motifs), "sources": None})
    dataset = load_dataset(study)
    maps, splits = bottom_maps(dataset.images), list(grouped_splits(study, dataset, repeats))
    run = joblib.Parallel(n_jobs=-1, return_as="generator")
    said = run(joblib.delayed(finetuned)(maps, dataset.labels, split, study.image.size, rates) for split in splits)
    found = np.array(list(track(said, "fits", total=len(splits), console=Console(stderr=True))))
    print(f"{', '.join(study.motifs)}: {len(splits)} folds, {EPOCHS} epochs; frozen {found[:, 0].mean():.1%}")
    for column, rate in enumerate(rates, 1):
        gain = found[:, column] - found[:, 0]
        won = nadeau_bengio(gain, study.grouped.folds)
        print(f"  rate {rate:g}: {found[:, column].mean():.1%}, {won.value:+.1%} ({won.low:+.1%} to {won.high:+.1%})")


def alike(study_name: str, side: int = 160, quality: int = 50) -> None:
    """Print the recipes' nested accuracy on the pictures as they are and on pictures that are all made alike."""
    study = load_study(study_name)
    dataset = load_dataset(study)
    for name, data in (("as they are", dataset), (f"{side} px, JPEG {quality}", _alike(dataset, side, quality))):
        plan = make_plan(study, data)
        tasks = tuple(
            t for t in plan.tasks if t.model.kind == "recipe" and t.fits[0].protocol in ("grouped", "sources")
        )
        results = run_plan(replace(plan, tasks=tasks, waiting=()))
        for model in dict.fromkeys(t.fits[0].model for t in tasks):
            for protocol in ("grouped", "sources"):
                if i := grouped_interval(results, model, protocol=protocol):
                    print(f"{name}: {model}, {protocol}: {i.value:.1%} ({i.low:.1%} to {i.high:.1%})")


def _alike(dataset: Dataset, side: int, quality: int) -> Dataset:
    images, hashes = [], []
    for image in dataset.images:
        buffer = io.BytesIO()
        Image.fromarray(image).resize((side, side), Image.Resampling.BOX).save(buffer, "JPEG", quality=quality)
        hashes.append(digest(buffer.getvalue()))
        with Image.open(buffer) as small:
            images.append(np.asarray(small.resize(image.shape[1::-1], Image.Resampling.BILINEAR)))
    return replace(dataset, images=np.stack(images), sha256=tuple(hashes))


def main() -> None:
    """Command line: see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trial", choices=("finetune", "alike"))
    parser.add_argument("study")
    parser.add_argument("--motifs", nargs="+", default=[], help="other motifs of the collection, to choose a rate by")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--rates", nargs="+", type=float, default=list(RATES))
    asked = parser.parse_args()
    if asked.trial == "alike":
        alike(asked.study)
    else:
        finetune(asked.study, asked.motifs, asked.repeats, tuple(asked.rates))


if __name__ == "__main__":
    main()
