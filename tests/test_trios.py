"""Every three of many motifs: the same as scikit-learn's ridge on each three, and what is told of it."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from results_factory import make_dataset, make_results
from sklearn.linear_model import RidgeClassifier

from batik_utils.cache import write_text
from batik_utils.errors import BatikError
from batik_utils.report import findings as report
from batik_utils.report.analysis import Analysis
from batik_utils.stats import trios
from batik_utils.study import ROOT
from batik_utils.study_file import load_study, study_names


def pictures(apart=(0.0, 3.0, 3.0, 6.0), each=12, d=9, seed=0):
    """Features [n, d] of motifs at distances from one another, labels and folds; the first two are alike."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(apart)), each)
    x = draw.normal(size=(len(labels), d))
    x[np.arange(len(labels)), labels] += np.array(apart)[labels]
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), labels, np.arange(len(labels)) % 4


@pytest.mark.parametrize("strength", [0.01, 0.3, 10.0])
def test_each_trio_is_what_a_ridge_classifier_reaches_on_its_pictures_alone(strength):
    x, labels, folds = pictures(apart=(0.5, 0.5, 1.0, 1.5, 2.0))
    found = trios.every_trio(trios.kernel(x), labels, folds, strength).table
    assert found[["a", "b", "c"]].to_numpy().tolist()[:4] == [[0, 1, 2], [0, 1, 3], [0, 1, 4], [0, 2, 3]]
    assert len(found) == 10 and (found["n"] == 36).all()
    for row in found.itertuples():
        own = np.isin(labels, [row.a, row.b, row.c])
        right = []
        for fold in range(4):
            train, test = own & (folds != fold), own & (folds == fold)
            head = RidgeClassifier(alpha=strength).fit(x[train], labels[train])
            right += (head.predict(x[test]) == labels[test]).tolist()
        assert row.accuracy == pytest.approx(np.mean(right))


def test_a_motif_that_a_folds_training_rows_lack_is_never_guessed():
    x, labels, folds = pictures(apart=(6.0, 6.0, 6.0))
    folds = np.where(labels == 2, 3, folds)  # the third is in one fold
    (accuracy,) = trios.every_trio(trios.kernel(x), labels, folds, 0.3).table["accuracy"]
    assert accuracy <= 2 / 3


def test_the_pair_that_is_alike_is_confused_and_shares_are_of_the_motifs_own_pictures():
    x, labels, folds = pictures(apart=(0.0, 0.0, 9.0, 9.0))
    confused = trios.every_trio(trios.kernel(x), labels, folds, 0.3).confused
    assert np.unravel_index(confused.argmax(), (4, 4)) in {(0, 1), (1, 0)} and 0.2 < confused.max() <= 1
    assert confused[2:, 2:].max() < 0.05 and (confused.diagonal() == 0).all()


def test_a_kernel_of_blocks_of_length_one_is_the_mean_of_the_blocks_kernels():
    one, two = pictures()[0], pictures(seed=1, d=20)[0]
    both = trios.kernel(np.hstack([one, two]))
    assert np.allclose(both, (one @ one.T + two @ two.T) / 2, atol=1e-6) and np.allclose(both.diagonal(), 1)


def test_a_motifs_mean_is_over_the_trios_that_hold_it():
    rows = [(0, 1, 2, 9, 0.2), (0, 1, 3, 9, 0.4), (0, 2, 3, 9, 0.6), (1, 2, 3, 9, 0.8)]
    table = pd.DataFrame(rows, columns=["a", "b", "c", "n", "accuracy"])
    assert trios.motif_means(table, 4) == pytest.approx([0.4, 1.4 / 3, 1.6 / 3, 0.6])


def test_a_line_needs_three_points_that_differ():
    found = trios.line([0.5, 0.7, 0.9], [0.4, 0.6, 0.8])
    assert found == pytest.approx({"slope": 1.0, "intercept": -0.1, "r": 1.0, "n": 3})
    assert trios.line([0.5, 0.7], [0.4, 0.6]) is None and trios.line([0.5, 0.5, 0.5], [0.1, 0.2, 0.3]) is None


MOTIFS = ["batik-bali", "batik-celup", "batik-kawung", "batik-sogan"]
STATED = "# of a README\nby,motifs,model,arm,accuracy,note\nsomebody,{},a CNN,scratch,0.57,best of 18\n"


@pytest.fixture
def analysis(monkeypatch, tmp_path):
    study = load_study("twenty-motifs", [f"motifs=[{', '.join(MOTIFS)}]"])
    a, b = study.compare
    features = {name: pictures(each=10, seed=seed)[0] for seed, name in enumerate(study.models)}
    monkeypatch.setattr(report, "ROOT", tmp_path)
    (tmp_path / "studies" / "trios").mkdir(parents=True)
    write_text(
        tmp_path / "studies" / "trios" / f"{study.trios}.csv", STATED.format("batik-sogan batik-bali batik-kawung")
    )
    fits = make_results({a: 0.8, b: 0.6}, per_class=10, motifs=MOTIFS)
    return Analysis(study, make_dataset(10, MOTIFS), fits, clean_features=features.__getitem__)


def test_a_study_that_asks_for_trios_has_them_in_a_csv_in_metrics_and_beside_what_is_stated(analysis):
    frame, (a, b) = report.trio_frame(analysis), analysis.study.compare
    assert [*frame] == ["a", "b", "c", "pictures", a, b, "rank"] and len(frame) == 4
    assert frame["rank"].iloc[0] == 1 and frame[a].is_monotonic_decreasing and set(frame["a"]) <= {*MOTIFS}
    numbers = json.loads(json.dumps(report.trio_numbers(analysis)))
    assert numbers["count"] == 4 and numbers["accuracy"][a]["max"] == frame[a].max()
    (stated,) = numbers["published"]
    where = frame.set_index(["a", "b", "c"]).loc["batik-bali", "batik-kawung", "batik-sogan"]
    assert (stated["trio"], stated["stated"], stated["rank"]) == ("Sogan, Bali, Kawung", 0.57, where["rank"])
    assert stated["ours"] == pytest.approx(where[a]) and numbers["regression"] == {"scratch": None}
    assert report.trio_table(analysis)["place"].tolist() == [f"{where['rank']:.0f} of 4"]
    assert sorted(report.trio_motifs(analysis)["motif"]) == analysis.motifs and "trios" in analysis.facts
    assert len(report.trio_pairs(analysis)) == 6


def test_every_row_of_ours_names_three_motifs_of_the_study_that_has_it():
    for study in filter(lambda study: study.trios, map(load_study, study_names())):
        stated = pd.read_csv(ROOT / "studies" / "trios" / f"{study.trios}.csv", comment="#")
        assert all(len({*motifs.split()} & {*study.motifs}) == 3 for motifs in stated["motifs"])
        assert stated["accuracy"].between(0, 1).all() and {*stated["arm"]} == {"pretrained", "scratch"}


def test_a_study_that_does_not_ask_has_none(analysis):
    bare = replace(analysis, study=analysis.study.model_copy(update={"trios": None}))
    assert bare.trios == {} and report.trio_numbers(bare) is None and "trios" not in bare.facts


def test_what_is_no_trio_of_the_study_is_left_out_and_a_file_that_is_not_there_refused(analysis):
    path = report.ROOT / "studies" / "trios" / f"{analysis.study.trios}.csv"
    for motifs in ("batik-bali batik-celup", "batik-bali batik-celup batik-lasem"):
        write_text(path, STATED.format(motifs))
        assert report.published_trios(analysis).empty and report.trio_numbers(analysis)["published"] == []
    path.unlink()
    with pytest.raises(BatikError, match="is not in studies/trios/"):
        report.published_trios(analysis)
