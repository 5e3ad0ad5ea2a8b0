"""Pictures that stand in the folders of two motifs."""

import numpy as np
import pytest

from batik_utils.stats.disputed import disputed


def test_a_group_with_two_labels_is_disputed_and_costs_all_but_its_commonest_label():
    labels, groups = np.array([0, 0, 1, 1, 0, 1]), np.array([7, 7, 7, 8, 9, 9])
    found = disputed(labels, groups)
    assert found.rows.tolist() == [True, True, True, False, True, True]
    assert (found.groups, found.ceiling) == (2, pytest.approx(4 / 6))


def test_copies_within_one_motif_cost_nothing():
    found = disputed(np.array([0, 0, 1]), np.array([3, 3, 4]))
    assert (found.rows.any(), found.groups, found.ceiling) == (False, 0, 1.0)
