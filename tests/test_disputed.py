"""Pictures that stand in the folders of two motifs."""

import numpy as np
import pytest
from results_factory import make_fit

from batik_utils.stats.disputed import accuracy_on, disputed
from batik_utils.values import Results


def test_a_group_with_two_labels_is_disputed_and_costs_all_but_its_commonest_label():
    labels, groups = np.array([0, 0, 1, 1, 0, 1]), np.array([7, 7, 7, 8, 9, 9])
    found = disputed(labels, groups)
    assert found.rows.tolist() == [True, True, True, False, True, True]
    assert (found.groups, found.ceiling) == (2, pytest.approx(4 / 6))


def test_copies_within_one_motif_cost_nothing():
    found = disputed(np.array([0, 0, 1]), np.array([3, 3, 4]))
    assert (found.rows.any(), found.groups, found.ceiling) == (False, 0, 1.0)


def test_accuracy_on_some_pictures_is_the_mean_over_folds_of_those_that_a_fold_has():
    first = make_fit("m", [True, False, True], [0, 1, 2], ["a", "b", "c"], protocol="grouped", fold=0)
    second = make_fit("m", [False, True], [0, 1], ["d", "e"], protocol="grouped", fold=1)
    results = Results((first, second))
    found = accuracy_on(results, "m", {"a", "b", "e"}, folds=2)
    assert found is not None and found.value == pytest.approx((0.5 + 1.0) / 2)
    assert accuracy_on(results, "m", {"a"}, folds=2) is None
