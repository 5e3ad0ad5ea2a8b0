"""What was tried and chosen beside the fits of a study, measured by the command that its YAML names.

python -m benchmarks.trials choose STUDY ...             a recipe and a texture recipe, by trios of motifs of no STUDY
python -m benchmarks.trials settings STUDY --motifs A B C  each model's search, judged by folds of other motifs
python -m benchmarks.trials copies STUDY                 published_copies.csv, from the audit of a study of all motifs
python -m benchmarks.trials speed STUDY                  milliseconds a picture on one core, each model alone
python -m benchmarks.trials seconds STUDY                of one core to train each model once, features included
"""

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from threadpoolctl import threadpool_limits

from batik_utils.data.obtain import published_files
from batik_utils.data.split import PROTOCOLS, Round, grouped_splits
from batik_utils.dataset import load_dataset
from batik_utils.errors import BatikError
from batik_utils.experiment import clean_features, make_plan, run_plan
from batik_utils.models.backbones import BACKBONES
from batik_utils.models.baselines import baseline_inputs
from batik_utils.models.extract import Extractor
from batik_utils.models.features import compute_features
from batik_utils.models.kinds import KINDS
from batik_utils.models.recipe import coordinates, kernels, learn_blocks, linear
from batik_utils.models.scratch import build_scratch
from batik_utils.stats.scores import accuracy, log_loss
from batik_utils.study import Repetition, Study
from batik_utils.study_file import load_study, parse_study
from batik_utils.values import Dataset, Split

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


def settings(study: Study, sets: list[list[str]]) -> None:
    """Print the best runs of each model with `tuned` by grouped cross-validation, mean over sets of other motifs."""
    rows = []
    for motifs in sets:
        other, dataset = elsewhere(study, motifs)
        folds = [replace(split, protocol="runs") for split in grouped_splits(other, dataset, repeats=1)]
        PROTOCOLS["runs"] = partial(_tried_on, folds)
        plan = make_plan(other, dataset)
        tasks = tuple(task for task in plan.tasks if task.fits[0].protocol == "runs" and task.model.tuned)
        for r in run_plan(replace(plan, tasks=tasks)):
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
    yield Round(folds, tried=True)


def choose(studies: Sequence[Study], trios: int) -> None:
    """Print how each candidate of candidates.yaml does on trios of motifs that no study has, and the chosen one first.

    The rule: the highest mean of accuracy in grouped folds and by source, over trios; of those less than a tenth of a
    point below it the cheapest, as the file is ordered. A metric is learnt from motifs outside trio and studies. Copies
    of the studies' pictures and pictures of one source with them are left out, and of the trio's from what it learns.
    """
    raw = yaml.safe_load(Path(__file__).with_name("candidates.yaml").read_text(encoding="utf-8"))
    own = list(dict.fromkeys(motif for study in studies for motif in study.motifs))
    known = sorted({path.partition("/")[0] for path in published_files()} - set(own))
    about = parse_study(raw["study"] | {"motifs": own}, "candidates.yaml")
    study, data = elsewhere(about.model_copy(update={"sources": studies[0].sources}), known)
    plan = make_plan(study, data)
    tasks = tuple(t for t in plan.tasks if (t.fits[0].model in study.models and t.fits[0].protocol == "published"))
    run_plan(replace(plan, tasks=tasks))  # for its features
    draw, drawn = np.random.default_rng(0), list[Any]()
    while len(drawn) < trios:  # each motif as often as any other
        drawn += list(draw.permutation(len(known))[: len(known) // 3 * 3].reshape(-1, 3))
    print(f"{len(drawn)} trios of {', '.join(known)}")
    for name in study.models:
        features, names, short = clean_features(plan, name).astype(np.float64), list[str](), list[Any]()
        parts = study.models[name].parts  # type: ignore[union-attr]
        for part, width in Extractor.of(parts, BACKBONES).blocks:
            block, features = features[:, :width], features[:, width:]
            # As many numbers as there are pictures, with the same scalar products.
            short.append((coordinates(block @ block.T)[0].astype(np.float32), width))
            names.append(part)
        options = list(product(*(raw[name][what] for what in ("candidates", "metrics", "strengths"))))
        scores = np.zeros((len(drawn), len(options), 2))
        for at, trio in enumerate(track(drawn, name, console=ERR)):
            here, splits, ask = _on_trio(study, data, np.sort(trio), short)
            for i, (chosen, metric, strength) in enumerate(options):
                kernel = np.mean([ask(metric, b) for b, part in enumerate(names) if part in chosen], axis=0)
                scores[at, i] = _accuracies(kernel, np.searchsorted(np.sort(trio), data.labels[here]), splits, strength)
        means = scores.mean(axis=(0, 2))
        first = int(np.argmax(means > means.max() - 0.001))
        for i in sorted(range(len(options)), key=lambda i: (i != first, -means[i])):
            gain, (grouped, apart) = (scores[:, i] - scores[:, first]).mean(axis=1), scores[:, i].mean(axis=0)
            error = gain.std(ddof=1) / np.sqrt(len(drawn))
            what = f"{' + '.join(options[i][0])}, metric {options[i][1] or 'none'}, ridge {options[i][2]:g}"
            how = f"{gain.mean():+.1%} (se {error:.1%}) on the first, better on {(gain > 0).sum()}"
            print(
                f"{name}: {what}: grouped {grouped:.1%}, by source {apart:.1%}, mean {means[i]:.2%}; {how}", flush=True
            )


def _on_trio(study: Study, data: Dataset, trio: NDArray[np.int64], short: Sequence[tuple[Any, int]]) -> tuple[Any, ...]:
    """The rows of a trio, their splits in both protocols, and what gives a block's kernel in a metric."""
    here = np.flatnonzero(np.isin(data.labels, trio))
    pool = np.flatnonzero(~np.isin(data.labels, trio) & ~np.isin(data.sources, data.sources[here]))

    @cache
    def ask(metric: float | None, block: int) -> NDArray[np.float64]:
        x, width = short[block]
        scale = (metric or 0.0) * x.shape[1] / width  # β is a multiple of the mean over all features, not over these
        learnt = learn_blocks([x.shape[1]], scale, (x[pool], data.labels[pool]) if metric else None)
        return kernels(x[here][:, None], learnt)[0].astype(np.float64)

    small = replace(
        data,
        motifs=tuple(data.motifs[i] for i in trio),
        images=data.images[:0],
        labels=np.searchsorted(trio, data.labels[here]),
        **{name: tuple(getattr(data, name)[i] for i in here) for name in ("paths", "sha256", "facts")},
        **{name: getattr(data, name)[here] for name in ("groups", "sources")},
    )
    return here, [grouped_splits(study, small, 1), grouped_splits(study, small, 1, "sources")], ask


def _accuracies(kernel: Any, y: NDArray[np.int64], splits: Sequence[Sequence[Split]], strength: float) -> list[float]:
    """Mean accuracy over the folds of each protocol."""
    found = []
    for split in (split for folds in splits for split in folds):
        train, test = np.array(split.train), np.array(split.test)
        slopes, bias = linear(kernel[np.ix_(train, train)], y[train], 3, strength)
        found.append(float(((kernel[np.ix_(test, train)] @ slopes + bias).argmax(axis=1) == y[test]).mean()))
    return np.reshape(found, (len(splits), -1)).mean(axis=1).tolist()


def copies(study: Study) -> None:
    """Print, of a study of all published motifs, which pictures are near-duplicates of others, and which are none."""
    data, first = load_dataset(study), {}
    often = np.bincount(data.groups)
    rows = [
        (path, first.setdefault(g, path))
        for path, g in sorted(zip(data.paths, data.groups.tolist(), strict=True))
        if often[g] > 1
    ]
    rows += [(path, "no image") for path, _ in data.skipped]
    print("path,group", *(",".join(row) for row in sorted(rows)), sep="\n")


def speed(study: Study, pictures: int = 24) -> None:
    """Print each model's median milliseconds for one decoded picture on one core: features, or the whole network."""
    plan = make_plan(study, load_dataset(study))
    tasks = {task.fits[0].model: task for task in plan.tasks if task.fits[0].protocol == "grouped"}
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


def seconds(study: Study) -> None:
    """Print what a core computes, in seconds, to train each model once on the first grouped fold's training pictures.

    Features of those pictures and the compiling of networks are included, the loading of weights is not. It is
    processor time, so that whatever else the machine does is left out. A metric is learnt from other pictures, once.
    """
    plan, found = make_plan(study, load_dataset(study)), {}
    data = plan.dataset
    threadpool_limits(1)  # threads that wait for one another would count as work
    for task in plan.tasks:
        kind, features, name = KINDS[task.model.kind], None, task.fits[0].model
        if task.fits[0].protocol != "grouped" or name not in study.models or name in found:
            continue
        spec = task.features and replace(task.features, corruptions=())
        one = replace(task, fits=task.fits[:1], splits=task.splits[:1], corruptions=(), features=spec)
        pictures = data.pictures(one.image)
        if spec:
            compute_features(spec, pictures[0], data.sha256[0])
            features = np.zeros((len(data), *spec.shape), np.float32)
        began = time.process_time()
        for row in one.splits[0].train if spec else ():
            features[row] = compute_features(spec, np.array(pictures[row]), data.sha256[row])
        kind.fit(one, data.paths, data.sha256, kind.inputs(one, data, features))
        found[name] = time.process_time() - began
    print(f"seconds: {{{', '.join(f'{name}: {took:.3g}' for name, took in found.items())}}}", flush=True)


def main() -> None:
    """Command line: see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trial", choices=("choose", "copies", "settings", "speed", "seconds"))
    parser.add_argument("study", nargs="+")
    parser.add_argument("--trios", type=int, default=30, help="of choose, a multiple of five")
    parser.add_argument(
        "--set", nargs="+", default=[], help="fields of the study set otherwise, as batik report has them"
    )
    parser.add_argument(
        "--motifs", nargs="+", action="append", default=[], help="other motifs, to choose by; again for more sets"
    )
    asked = parser.parse_args()
    if asked.trial == "choose":
        choose([load_study(name) for name in asked.study], asked.trios)
        return
    study = load_study(asked.study[0], asked.set)
    if asked.trial == "copies":
        copies(study)
    elif asked.trial == "settings":
        settings(study, asked.motifs)
    elif asked.trial == "seconds":
        seconds(study)
    else:
        speed(study)


if __name__ == "__main__":
    main()
