"""Pictures that stand in the folders of more than one motif."""

import numpy as np
import pytest

from batik_utils.stats.disputed import disputed, shared_pairs


def test_a_group_with_two_labels_is_disputed_and_costs_all_but_its_commonest_label():
    labels, groups = np.array([0, 0, 1, 1, 0, 1]), np.array([7, 7, 7, 8, 9, 9])
    found = disputed(labels, groups)
    assert found.rows.tolist() == [True, True, True, False, True, True]
    assert (found.groups, found.ceiling) == (2, pytest.approx(4 / 6))


def test_copies_within_one_motif_cost_nothing():
    found = disputed(np.array([0, 0, 1]), np.array([3, 3, 4]))
    assert (found.rows.any(), found.groups, found.ceiling) == (False, 0, 1.0)


def test_motifs_that_share_pictures_are_listed_with_how_many_the_most_first():
    labels, groups = np.array([0, 0, 1, 1, 2, 0, 1, 2]), np.array([7, 7, 7, 8, 8, 9, 9, 6])
    assert shared_pairs(labels, groups).to_numpy().tolist() == [[0, 1, 2, 5], [1, 2, 1, 2]]
    thrice = shared_pairs(np.array([0, 1, 2]), np.array([4, 4, 4]))
    assert thrice[["a", "b", "pictures"]].to_numpy().tolist() == [[0, 1, 2], [0, 2, 2], [1, 2, 2]]
    assert shared_pairs(np.array([0, 1]), np.array([1, 2])).empty
