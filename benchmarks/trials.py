"""What was tried beside the recipes of a study: each trial's figures, measured by the command that its YAML names.

python -m benchmarks.trials finetune STUDY [--motifs A B C]  the last blocks trained on, from the linear head's solution
python -m benchmarks.trials adapt STUDY --from STUDY         the same on other motifs' pictures, then a linear head
python -m benchmarks.trials alike STUDY                      every picture brought to one size and one JPEG quality
python -m benchmarks.trials views STUDY [--motifs A B C]     pictures cropped or filled to a square, not stretched
python -m benchmarks.trials settings STUDY --motifs A B C    each model's search, judged by folds of other motifs
python -m benchmarks.trials together STUDY MODEL MODEL       the mean of two models' probabilities
python -m benchmarks.trials against STUDY MODEL STUDY MODEL  two studies' models on the same folds of the same pictures
python -m benchmarks.trials speed STUDY                      milliseconds a picture on one core, each model alone
"""

import argparse
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from sklearn.linear_model import LogisticRegression

import batik_utils.backend  # noqa: F401  (before keras)

# isort: split
import keras

from batik_utils.data.obtain import find_photographs
from batik_utils.data.split import PROTOCOLS, Round, grouped_splits
from batik_utils.dataset import load_dataset
from batik_utils.errors import BatikError
from batik_utils.experiment import make_plan, run_plan
from batik_utils.experiment.store import Store
from batik_utils.models.backbones import BACKBONES
from batik_utils.models.baselines import baseline_inputs
from batik_utils.models.features import compute_features
from batik_utils.models.kinds import KINDS
from batik_utils.models.scratch import build_scratch
from batik_utils.stats.compare import compare
from batik_utils.stats.intervals import nadeau_bengio
from batik_utils.stats.scores import accuracy, grouped_interval, log_loss
from batik_utils.study import Repetition, Study
from batik_utils.study_file import load_study
from batik_utils.values import Dataset, FitResult, Results, Split
from benchmarks.reworked import filled, made_alike

BACKBONE, CUT = "efficientnet_lite0", "blocks_10_add"
"""What comes after CUT is trained: five blocks and the last convolution, 2.5 of 3.4 million parameters."""
RATES, EPOCHS, BATCH, SMOOTHING = (3e-5, 1e-4, 3e-4), 10, 16, 0.1
ERR = Console(stderr=True)


def elsewhere(study: Study, motifs: Iterable[str]) -> tuple[Study, Dataset]:
    """The study and data of other motifs, without the pictures that are copies, or of one source, with the study's own.

    Raises BatikError where a motif is one of the study's.
    """
    others = tuple(motifs)
    if both := set(others) & set(study.motifs):
        raise BatikError(f"{min(both)} is a motif of {study.name} itself; name others.")
    data = load_dataset(study.model_copy(update={"motifs": (*study.motifs, *others)}))
    own = data.labels < len(study.motifs)
    rows = np.flatnonzero(~np.isin(data.sources, data.sources[own]))
    print(f"{', '.join(others)}: {len(rows)} pictures, {(~own).sum() - len(rows)} left out", flush=True)
    many = {name: tuple(getattr(data, name)[i] for i in rows) for name in ("paths", "sha256", "facts")}
    arrays = {name: getattr(data, name)[rows] for name in ("images", "groups", "sources")}
    here = replace(data, motifs=others, labels=data.labels[rows] - len(study.motifs), pairs=(), **arrays, **many)
    return study.model_copy(update={"motifs": others}), here


def bottom_maps(images: NDArray[np.uint8]) -> NDArray[np.float16]:
    """What the frozen blocks make of each picture and its three mirror images, [n, 4, h, w, c]."""
    whole = BACKBONES[BACKBONE].build(images.shape[1])
    bottom = keras.Model(whole.input, whole.get_layer(CUT).output)
    out = []
    for image in track(images, "frozen blocks", console=ERR):
        views = np.stack([image, image[:, ::-1], image[::-1], image[::-1, ::-1]]).astype(np.float32)
        out.append(np.asarray(bottom.predict_on_batch(views), np.float16))
    return np.stack(out)


def top_blocks(size: int) -> Any:
    """The blocks after CUT as a network of its own, trainable: maps → features, averaged over the picture."""
    whole = BACKBONES[BACKBONE].build(size)
    whole.trainable = True
    return keras.Model(whole.get_layer(CUT).output, whole.output)


def train_on(top: Any, maps: NDArray[np.float16], labels: NDArray[np.int64], rate: float, seed: int) -> Any:
    """top with a head that starts from the linear solution, trained at a rate (0: not at all) on maps [n, 4, …]."""
    keras.utils.set_random_seed(seed)
    n, classes = len(labels), int(labels.max()) + 1
    features = np.concatenate([top.predict(maps[:, v].astype(np.float32), BATCH, verbose=0) for v in range(4)])
    linear = LogisticRegression(max_iter=2000).fit(features, np.tile(labels, 4))
    weights = [linear.coef_.T, linear.intercept_]
    if classes == 2:  # scikit-learn has one decision for two classes
        weights = [np.concatenate([-w, w], axis=-1) for w in weights]
    head = keras.layers.Dense(classes, "softmax")
    model = keras.Model(top.input, head(top.output))
    head.set_weights(weights)
    if rate:
        falling = keras.optimizers.schedules.CosineDecay(rate, EPOCHS * (n // BATCH))
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=SMOOTHING)
        model.compile(keras.optimizers.Adam(falling, use_ema=True, ema_momentum=0.95), loss)
        one_hot, draw = np.eye(classes, dtype=np.float32)[labels], np.random.default_rng(seed)
        for _ in range(EPOCHS):  # each picture once an epoch, in one of its four mirror images
            order, views = draw.permutation(n), draw.integers(0, 4, n)
            for rows in np.array_split(order[: n // BATCH * BATCH], n // BATCH):
                model.train_on_batch(maps[rows, views[rows]].astype(np.float32), one_hot[rows])
        model.optimizer.finalize_variable_values(model.trainable_variables)
    return model


def finetuned(
    maps: NDArray[np.float16], labels: NDArray[np.int64], split: Split, size: int, rates: list[float]
) -> list[float]:
    """Test accuracy of a linear head on frozen features, then of the network that goes on from it at each rate."""
    train, test = np.array(split.train), np.array(split.test)
    found = []
    for rate in (0.0, *rates):
        model = train_on(top_blocks(size), maps[train], labels[train], rate, split.repeat * 100 + split.fold)
        guesses = sum(model.predict(maps[test, v].astype(np.float32), BATCH, verbose=0) for v in range(4))
        found.append(float((guesses.argmax(axis=1) == labels[test]).mean()))
    return found


def finetune(study: Study, motifs: list[str] | None, repeats: int, rates: list[float]) -> None:
    """Print mean accuracies over the folds, and the corrected interval of what each rate wins."""
    study, dataset = elsewhere(study, motifs) if motifs else (study, load_dataset(study))
    maps, splits = bottom_maps(dataset.images), list(grouped_splits(study, dataset, repeats))
    run = joblib.Parallel(n_jobs=-1, return_as="generator")
    said = run(joblib.delayed(finetuned)(maps, dataset.labels, split, study.image.size, rates) for split in splits)
    found = np.array(list(track(said, "fits", total=len(splits), console=ERR)))
    print(f"{', '.join(study.motifs)}: {len(splits)} folds, {EPOCHS} epochs; frozen {found[:, 0].mean():.1%}")
    for column, rate in enumerate(rates, 1):
        _print_gain(f"rate {rate:g}", found[:, column], found[:, 0], study.grouped.folds)


def adapt(study: Study, wide: str, repeats: int, rates: list[float]) -> None:
    """Print what a linear head wins by a network adapted on another study's pictures of other motifs and sources."""
    dataset = load_dataset(study)
    _, apart = elsewhere(study, [motif for motif in load_study(wide).motifs if motif not in study.motifs])
    size, n = study.image.size, len(dataset)
    maps = bottom_maps(np.concatenate([dataset.images, apart.images]))
    scores: dict[float, list[float]] = {}
    for rate in (0.0, *rates):
        top = top_blocks(size)
        if rate:
            train_on(top, maps[n:], apart.labels, rate, 0)
        features = [np.asarray(top.predict(maps[:n, v].astype(np.float32), BATCH, verbose=0)) for v in range(4)]
        scores[rate] = []
        for split in grouped_splits(study, dataset, repeats):
            train, test = np.array(split.train), np.array(split.test)
            seen = np.concatenate([f[train] for f in features])
            head = LogisticRegression(max_iter=2000).fit(seen, np.tile(dataset.labels[train], 4))
            guesses = sum(head.decision_function(f[test]) for f in features)
            scores[rate].append(float((guesses.argmax(axis=1) == dataset.labels[test]).mean()))
    print(f"{study.name}, adapted on {len(apart)} pictures of {wide}; frozen {np.mean(scores[0.0]):.1%}")
    for rate in rates:
        _print_gain(f"rate {rate:g}", np.array(scores[rate]), np.array(scores[0.0]), study.grouped.folds)


def _print_gain(name: str, scores: NDArray[np.float64], base: NDArray[np.float64], folds: int) -> None:
    won = nadeau_bengio(scores - base, ratio=1 / (folds - 1))
    print(f"  {name}: {scores.mean():.1%}, {won.value:+.1%} ({won.low:+.1%} to {won.high:+.1%})", flush=True)


def alike(study: Study, side: int = 160, quality: int = 50) -> None:
    """Print the recipes' nested accuracy on the pictures as they are and on pictures that are all made alike."""
    dataset, recipes = load_dataset(study), {m for m, model in study.models.items() if not model.trained}
    made = made_alike(dataset, side, quality)
    _print_nested(recipes, {"as they are": (study, dataset), f"{side} px, JPEG {quality}": (study, made)})


def views(study: Study, motifs: list[str] | None) -> None:
    """Print the recipes' nested accuracy on pictures that are stretched, cropped or filled to a square."""
    versions: dict[str, tuple[Study, Dataset]] = {}
    for fit in ("stretch", "crop"):
        one = study.model_copy(update={"image": study.image.model_copy(update={"fit": fit})})
        versions[fit] = elsewhere(one, motifs) if motifs else (one, load_dataset(one))
    other, dataset = versions["stretch"]
    versions["fill"] = other, filled(dataset, find_photographs(None, study.motifs)[0])
    _print_nested({m for m, model in study.models.items() if not model.trained}, versions)


def _print_nested(models: Collection[str], versions: Mapping[str, tuple[Study, Dataset]]) -> None:
    protocols = ("grouped", "sources")
    for name, (study, data) in versions.items():
        plan = make_plan(study, data)
        tasks = tuple(t for t in plan.tasks if t.fits[0].model in models and t.fits[0].protocol in protocols)
        results = run_plan(replace(plan, tasks=tasks, waiting=()))
        for model in dict.fromkeys(t.fits[0].model for t in tasks):
            for protocol in protocols:
                if i := grouped_interval(results, model, protocol=protocol):
                    print(f"{name}: {model}, {protocol}: {i.value:.1%} ({i.low:.1%} to {i.high:.1%})", flush=True)


def settings(study: Study, sets: list[list[str]]) -> None:
    """Print the best settings of each model's search by grouped cross-validation, mean over sets of other motifs."""
    rows = []
    for motifs in sets:
        other, dataset = elsewhere(study, motifs)
        folds = [replace(split, protocol="search") for split in grouped_splits(other, dataset, repeats=1)]
        PROTOCOLS["search"] = partial(_tried_on, folds)
        plan = make_plan(other, dataset)
        tasks = tuple(task for task in plan.tasks if task.fits[0].protocol == "search")
        for r in run_plan(replace(plan, tasks=tasks, waiting=())):
            setting = r.fit.model, r.fit.hyper.learning_rate, r.fit.hyper.dropout
            for epochs, said in r.checkpoints.items():
                scores = [score(r.y_true, said["test"]) for score in (accuracy, log_loss)]
                rows.append((*setting, epochs, ", ".join(motifs), *scores))
    by = ["model", "rate", "dropout", "epochs"]
    table = pd.DataFrame(rows, columns=[*by, "motifs", "accuracy", "loss"])
    means = table.groupby([*by, "motifs"]).mean().groupby(by).mean().sort_values("accuracy", ascending=False)
    print("; ".join(map(", ".join, sets)))
    for _, best in means.groupby("model"):
        print(best.head().to_string(), flush=True)


def _tried_on(folds: list[Split], study: Study, dataset: Dataset, often: Repetition) -> Iterator[Round]:
    yield Round(folds, setting="tried")


def together(study: Study, models: list[str]) -> None:
    """Print the accuracy of two models and of the mean of their probabilities on the folds that both have."""
    results = Store(study.name).load(make_plan(study, load_dataset(study)).tasks)
    for protocol in ("grouped", "sources"):
        sides = [
            {(r.fit.repeat, r.fit.fold): r for r in results.select(m, protocol).items if not r.fit.seed} for m in models
        ]
        shared = [(sides[0][at], sides[1][at]) for at in sorted(sides[0].keys() & sides[1].keys())]
        if not shared:
            continue
        alone = [np.array([accuracy(r.y_true, r.y_prob) for r in side]) for side in zip(*shared, strict=True)]
        both = np.array([accuracy(a.y_true, a.y_prob + b.y_prob) for a, b in shared])
        print(f"{study.name}, {protocol}, {len(shared)} folds")
        for model, scores in zip(models, alone, strict=True):
            print(f"{model} alone: {scores.mean():.1%}")
            _print_gain(f"together, against {model}", both, scores, study.grouped.folds)


def against(sides: list[tuple[str, str]]) -> None:
    """Print the comparison of a model of one study with a model of another, by the test that a report uses."""
    fits: tuple[FitResult, ...] = ()
    for name, model in sides:
        study = load_study(name)
        fits += Store(name).load(make_plan(study, load_dataset(study)).tasks).select(model, "grouped").items
    found = compare(Results(fits), sides[0][1], sides[1][1])
    if found is None:
        raise BatikError("The two models share no folds.")
    gap = found.difference
    print(f"{found.a} {found.mean_a:.1%}, {found.b} {found.mean_b:.1%} on {found.folds * found.repeats} folds")
    print(f"  difference {gap.value:+.1%} ({gap.low:+.1%} to {gap.high:+.1%}), p = {found.p_value:.3g}")
    print(f"  P({found.a} better) = {found.p_a_better:.3g}")


def speed(study: Study, pictures: int = 24) -> None:
    """Print each model's median milliseconds for one decoded picture on one core: features, or the whole network."""
    plan = make_plan(study, load_dataset(study))
    tasks = {task.fits[0].model: task for task in plan.tasks}
    data = plan.dataset
    rows = np.linspace(0, len(data) - 1, pictures).astype(int)
    for name, task in tasks.items():
        ask: Any
        given: list[Any]
        spec = task.features and replace(task.features, views=0, corruptions=())
        if getattr(task.model, "inputs", "features") != "features":
            ask = partial(baseline_inputs, task.model.inputs)
            given = [
                replace(data, images=data.images[[i]], facts=(data.facts[i],), paths=(data.paths[i],)) for i in rows
            ]
        elif spec:  # a linear head costs next to nothing
            ask, given = partial(compute_features, spec, sha256=""), [data.pictures(spec.image)[i] for i in rows]
        else:
            kind, size = KINDS[task.model.kind], task.image.size
            network = build_scratch(task.model.architecture, size, len(data.motifs), 0.0)
            whole = kind.assemble(task.model, network.get_weights(), size, data.motifs, 0.0)
            ask, given = whole.predict_on_batch, [data.pictures(task.image)[[i]].astype(np.float32) for i in rows]
        ask(given[0])
        times = []
        for picture in given:
            began = time.perf_counter()
            ask(picture)
            times.append(1000 * (time.perf_counter() - began))
        print(f"  {name}: {np.median(times):.3g}", flush=True)


def main() -> None:
    """Command line: see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "trial", choices=("finetune", "adapt", "alike", "views", "settings", "together", "against", "speed")
    )
    parser.add_argument("study")
    parser.add_argument("models", nargs="*", help="of together and against")
    parser.add_argument(
        "--set", nargs="+", default=[], help="fields of the study set otherwise, as batik report has them"
    )
    parser.add_argument(
        "--motifs", nargs="+", action="append", default=[], help="other motifs, to choose by; again for more sets"
    )
    parser.add_argument("--from", dest="wide", default="twenty-motifs", help="a study with other motifs")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--rates", nargs="+", type=float, default=list(RATES))
    asked = parser.parse_args()
    study = load_study(asked.study, asked.set)
    if asked.trial == "alike":
        alike(study)
    elif asked.trial == "settings":
        settings(study, asked.motifs)
    elif asked.trial == "against":
        model, other, its = asked.models
        against([(asked.study, model), (other, its)])
    elif asked.trial == "speed":
        speed(study)
    elif asked.trial == "together":
        together(study, asked.models)
    elif asked.trial == "adapt":
        adapt(study, asked.wide, asked.repeats, asked.rates)
    else:
        for motifs in asked.motifs or [None]:
            if asked.trial == "views":
                views(study, motifs)
            else:
                finetune(study, motifs, asked.repeats, asked.rates)


if __name__ == "__main__":
    main()
