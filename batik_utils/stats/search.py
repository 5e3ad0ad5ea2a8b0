"""Hyperparameter search as the report tells of it: chosen on validation images, with one look at the test set."""

from dataclasses import dataclass, replace

from batik_utils.experiment.choose import ranking
from batik_utils.stats.intervals import Interval, wilson
from batik_utils.stats.metrics import accuracy
from batik_utils.values import Hyper, Results


@dataclass(frozen=True)
class Choice:
    """The setting that validation chose, and the one that the test set would have chosen; means are over seeds."""

    model: str
    hyper: Hyper
    settings: int
    """How many settings were tried."""
    seeds: int
    val_accuracy: float
    test_accuracy: float
    """Means of the chosen setting: the honest figures."""
    test_chosen: Hyper
    """What one would have taken by looking at the test images."""
    test_chosen_accuracy: float
    """Its mean test accuracy, too high by design."""
    best_single: float
    """The highest test accuracy of any one fit in the whole search: the figure that tempts one to report it."""
    n_val: int
    n_test: int
    """Images behind the accuracies."""

    @property
    def interval(self) -> Interval:
        """Wilson, of the chosen setting's mean accuracy on the test images."""
        return wilson(self.test_accuracy * self.n_test, self.n_test)

    @property
    def optimism(self) -> float:
        """How much choosing on the test set would have added, as a fraction (never negative)."""
        return self.test_chosen_accuracy - self.test_accuracy


def choose(results: Results, model: str) -> Choice | None:
    """What the search of a model chose, with its test accuracy; None without a search."""
    rows = ranking(results, model)
    if not rows:
        return None
    best = rows[0]
    # Rounded, so that sums in another order cannot decide a tie, which goes to the better on validation.
    tempting = max(rows, key=lambda row: round(row.test_accuracy, 9))
    ranked = {row.hyper for row in rows}
    single = max(
        accuracy(r.y_true, probabilities["test"])
        for r in results.select(model=model, protocol="search")
        for epochs, probabilities in r.checkpoints.items()
        if replace(r.fit.hyper, epochs=epochs) in ranked
    )
    chosen = (best.hyper, len(rows), best.seeds, best.val_accuracy, best.test_accuracy)
    fit = results.select(model=model, protocol="search").items[0]
    sizes = len(fit.val_paths), len(fit.paths)
    return Choice(model, *chosen, tempting.hyper, tempting.test_accuracy, single, *sizes)
