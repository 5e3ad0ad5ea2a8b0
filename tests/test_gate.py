"""“This does not look like batik”, and the motifs that cannot be ruled out: set on some pictures, judged on others."""

import numpy as np
import pytest
from results_factory import make_dataset, make_results

from batik_utils.deploy.answers import distances, members
from batik_utils.deploy.gate import auroc, left_out, make_gate, ordinary_pictures
from batik_utils.deploy.make import prediction_sets, threshold
from batik_utils.stats.calibration import scale
from batik_utils.study_models import Image

GROUPS = np.arange(100) // 2


def units(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_distance_is_the_mean_to_the_nearest_and_a_copy_does_not_count_as_near():
    training = units(np.array([[1.0, 0], [1, 0], [0, 1], [-1, 0]]))
    assert distances(np.array([[1.0, 0]]), training, 3) == pytest.approx([1 / 3])
    assert left_out(training, np.array([0, 0, 1, 2]), 1) == pytest.approx([1, 1, 1, 1])
    assert left_out(training, np.array([0, 1, 2, 3]), 1)[0] == pytest.approx(0)


def test_a_gate_that_can_tell_turns_away_others_and_keeps_to_its_aim():
    rng = np.random.default_rng(0)
    own, ordinary, judges = rng.normal(0.3, 0.05, 100), rng.normal(0.6, 0.08, 80), np.arange(80) % 2 == 1
    gate, how_well = make_gate(own, GROUPS, ordinary, judges)
    assert gate and gate.auroc == how_well > 0.98 and (gate.n_ordinary, gate.n_own) == (40, 50)
    assert 0.3 < gate.threshold < 0.6 and gate.own_turned_away <= 0.1 and gate.ordinary_turned_away > 0.85
    odd = np.unique(GROUPS, return_inverse=True)[1] % 2 == 1
    assert gate.own_turned_away == (own[odd] > gate.threshold).mean()
    assert gate.ordinary_turned_away == (ordinary[judges] > gate.threshold).mean()


def test_what_judges_has_no_say_in_the_threshold():
    rng = np.random.default_rng(1)
    own, ordinary, judges = rng.normal(0.3, 0.05, 100), rng.normal(0.6, 0.05, 80), np.arange(80) % 2 == 1
    other = own.copy()
    other[GROUPS % 2 == 1] -= 0.1
    gates = [make_gate(*given, judges)[0] for given in ((own, GROUPS, ordinary), (other, GROUPS, ordinary + judges))]
    assert gates[0] and gates[1] and gates[0].threshold == gates[1].threshold


def test_there_is_no_gate_where_features_cannot_tell():
    rng = np.random.default_rng(2)
    own, ordinary, judges = rng.normal(0.3, 0.1, 100), rng.normal(0.35, 0.1, 80), np.arange(80) % 2 == 1
    gate, how_well = make_gate(own, GROUPS, ordinary, judges)
    assert gate is None and 0.5 < how_well < 0.9
    assert auroc(own, own) == 0.5


def test_ordinary_pictures_are_many_of_every_sort_and_the_same_every_time():
    image = Image(size=64, resize="bilinear", fit="crop")
    (pictures, judges), (again, _) = (ordinary_pictures(image) for _ in range(2))
    assert pictures.tobytes() == again.tobytes() and pictures.shape[1:] == (64, 64, 3)
    assert len(pictures) > 150 and 0.4 < judges.mean() < 0.6
    sides = [{picture.tobytes() for picture in pictures[which]} for which in (judges, ~judges)]
    assert not sides[0] & sides[1], "what sets the threshold does not judge it"


DATA = make_dataset()
KEPT = {path: row for row, path in enumerate(DATA.paths)}
RESULTS = make_results({"lite": 0.8}, repeats=4, seeds=2, folds=4, motifs=DATA.motifs)


def test_sets_hold_the_truth_as_often_as_promised():
    found = prediction_sets(RESULTS, "lite", 1.0, "grouped", DATA.motifs, KEPT)
    assert found and found.measured.value == pytest.approx(0.9, abs=0.05) and 1 <= found.mean_size < 3
    assert found.measured.n == 150 and found.measured.low < found.measured.value < found.measured.high
    assert list(found.per_motif) == list(DATA.motifs) and [part.n for part in found.per_motif.values()] == [50] * 3
    few = prediction_sets(RESULTS, "lite", 1.0, "grouped", DATA.motifs, {path: n // 5 for path, n in KEPT.items()})
    assert few and few.measured.low < found.measured.low, "five pictures of one source say no more than one"
    assert prediction_sets(RESULTS, "lite", 1.0, "sources", DATA.motifs, KEPT) is None


@pytest.mark.parametrize(("n", "held"), [(3, 3), (9, 9), (19, 18), (100, 91)])
def test_a_threshold_holds_the_share_that_another_picture_asks_for(n, held):
    """Of n pictures and one more, nine in ten: ceil(0.9 (n + 1)), where there are so many."""
    truth = np.random.default_rng(0).permutation(np.arange(1, n + 1) / (n + 1))
    limit = threshold(np.zeros(n, int), np.column_stack([truth, 1 - truth]))
    assert (1 - truth <= limit).sum() == held


def test_a_set_is_never_empty_and_there_are_none_without_folds():
    assert members(np.array([[0.4, 0.35, 0.25]]), 0.1).tolist() == [[True, False, False]]
    assert members(np.array([[0.5, 0.4, 0.1]]), 0.6).tolist() == [[True, True, False]]
    assert prediction_sets(make_results({"lite": 0.8}, folds=1), "lite", 1.0, "grouped", DATA.motifs, KEPT) is None
    assert scale(np.array([[0.5, 0.5]]), 2.0).tolist() == [[0.5, 0.5]]
