"""Hand-made results for tests: right and wrong answers are drawn with chosen accuracies, probabilities follow."""

import numpy as np

from batik_utils.study_file import parse_study
from batik_utils.values import Dataset, Fit, FitResult, Hyper, Results, Source

HYPER = Hyper(epochs=20, learning_rate=0.001, dropout=0.5)
MOTIFS = ("batik-bali", "batik-betawi", "batik-celup")


def paths_and_labels(per_class, motifs=MOTIFS):
    """ "batik-bali/1.jpg" … with labels, class by class."""
    paths = tuple(f"{m}/{i + 1}.jpg" for m in motifs for i in range(per_class))
    return paths, np.repeat(np.arange(len(motifs)), per_class)


def probabilities(y_true, right, classes, sure=0.8):
    """[n, classes]: the true class gets `sure` where right, else the next class does; the rest is shared."""
    sure = np.broadcast_to(np.asarray(sure, dtype=np.float64), y_true.shape)
    out = np.repeat(((1 - sure) / (classes - 1))[:, None], classes, axis=1)
    out[np.arange(len(y_true)), np.where(right, y_true, (y_true + 1) % classes)] = sure
    return out


def make_fit(
    model, right, y_true, paths, *, protocol="published", repeat=0, fold=0, seed=0, hyper=HYPER, classes=3, sure=0.8,
    **more
):  # fmt: skip
    """One FitResult with these images right and wrong."""
    labels = np.asarray(y_true, dtype=np.int64)
    given = {"y_true": labels, "y_prob": probabilities(labels, np.asarray(right, dtype=bool), classes, sure)}
    fit = Fit("bali-betawi-celup", model, protocol, repeat, fold, seed, hyper)
    return FitResult(fit=fit, paths=tuple(paths), **given, **{"parameters": 1000} | more)


def make_results(
    accuracies, *, per_class=50, folds=5, repeats=2, seeds=2, published=None, rng_seed=0, protocol="grouped", sure=0.8,
    motifs=MOTIFS
):  # fmt: skip
    """Grouped fits in which each image is right with the model's accuracy; published fits with exact counts right.

    repeats and seeds = a number or {model: number}; published = {model: (images right with seed 0, with seed 1, …)}.
    """
    rng = np.random.Generator(np.random.PCG64(rng_seed))
    paths, labels = paths_and_labels(per_class, motifs)
    items = []
    for model, accuracy in accuracies.items():
        for repeat in range(repeats if isinstance(repeats, int) else repeats[model]):
            order = np.random.Generator(np.random.PCG64(1000 + repeat)).permutation(len(paths))
            for fold, rows in enumerate(np.array_split(order, folds)):
                for seed in range(seeds if isinstance(seeds, int) else seeds[model]):
                    right = rng.random(len(rows)) < accuracy
                    where = {"protocol": protocol, "repeat": repeat, "fold": fold, "seed": seed, "classes": len(motifs)}
                    items.append(make_fit(model, right, labels[rows], [paths[i] for i in rows], sure=sure, **where))
    paths, labels = paths_and_labels(10, motifs)
    for model, counts in (published or {}).items():
        for seed, correct in enumerate(counts):
            right = np.isin(np.arange(len(paths)), rng.permutation(len(paths))[:correct])
            history = {"accuracy": [0.5, 0.7 + 0.1 * seed], "loss": [1.0, 0.5]}
            items.append(make_fit(model, right, labels, paths, seed=seed, history=history, classes=len(motifs)))
    return Results(tuple(items))


def make_dataset(per_class=50, motifs=MOTIFS):
    """A Dataset of tiny black images, the first two of one group."""
    paths, labels = paths_and_labels(per_class, motifs)
    groups = np.arange(len(paths))
    groups[1] = 0
    return Dataset(
        motifs=tuple(motifs),
        images=np.zeros((len(paths), 2, 2, 3), dtype=np.uint8),
        labels=labels,
        paths=paths,
        sha256=tuple(f"{i:064x}" for i in range(len(paths))),
        groups=groups,
        source=Source("folder", "a folder", identical=len(paths) - 1, altered=1),
        skipped=(("batik-bali/x.jpg", "an HTML page"),),
    )


def make_study(**changes):
    """A small study of three models: scratch, efficientnet_lite2 and efficientnet_b2."""
    head = {"kind": "pretrained", "epochs": 20}
    lite, b2 = ("efficientnet_lite2", "EfficientNet-Lite2"), ("efficientnet_b2", "EfficientNet-B2")
    raw = {
        "name": "bali-betawi-celup",
        "title": "Small",
        "question": "Which?",
        "motifs": list(MOTIFS),
        "models": {
            "scratch": {"kind": "scratch", "title": "Scratch CNN", "epochs": 20, "architecture": "seed_cnn"},
            lite[0]: head | {"title": lite[1], "backbone": lite[0]},
            b2[0]: head | {"title": b2[1], "backbone": b2[0]},
        },
        "compare": [lite[0], "scratch"],
        "published": {"split": "keras-validation-split", "seeds": 5},
    }
    return parse_study(raw | changes)
