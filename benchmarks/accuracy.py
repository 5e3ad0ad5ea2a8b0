"""What speed costs in accuracy: the seeds' way, ours, and ours in bfloat16, over the same seeds, with paired tests."""

import argparse
from itertools import product

import joblib
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import stats

WAYS = ("seed's way", "float32", "bfloat16")


def accuracy(way: str, study_name: str, seed: int, epochs: int) -> float:
    """Accuracy of one scratch fit on the held-out fifth."""
    from benchmarks import seed_way
    from benchmarks.pictures import load, scratch_fit

    if way == "seed's way":
        return seed_way.fit("scratch", study_name, epochs, seed).history["val_accuracy"][-1]
    return scratch_fit(*load(study_name), way, epochs, seed).history["val_accuracy"][-1]


def table(found: dict[str, np.ndarray]) -> Table:
    """Mean and standard deviation over seeds; differences with a paired t test and its 95 % interval."""
    out = Table("", "seeds", "accuracy", "sd", title="a scratch fit's accuracy on the held-out fifth")
    for way, column in found.items():
        spread = f"{column.std(ddof=1):.3f}" if len(column) > 1 else ""
        out.add_row(way, str(len(column)), f"{column.mean():.3f}", spread)
    for way, base in (("float32", "seed's way"), ("bfloat16", "seed's way"), ("bfloat16", "float32")):
        difference = found[way] - found[base]
        said = ""
        if len(difference) > 1 and difference.std() > 0:
            test = stats.ttest_1samp(difference, 0.0)
            low, high = test.confidence_interval(0.95)
            said = f"{low:+.3f} to {high:+.3f}, p = {test.pvalue:.2f}"
        out.add_row(f"{way} - {base}", "", f"{difference.mean():+.3f}", said)
    return out


def main() -> None:
    """Command line: python -m benchmarks.accuracy [--seeds N]."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", default="bali-betawi-celup")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=20)
    asked = parser.parse_args()
    wanted = list(product(WAYS, range(asked.seeds)))
    run = joblib.Parallel(n_jobs=-1, return_as="generator")
    said = run(joblib.delayed(accuracy)(way, asked.study, seed, asked.epochs) for way, seed in wanted)
    found = list(track(said, "fits", total=len(wanted), console=Console(stderr=True)))
    by_way = np.array(found).reshape(len(WAYS), asked.seeds)
    Console().print(table(dict(zip(WAYS, by_way, strict=True))))


if __name__ == "__main__":
    main()
