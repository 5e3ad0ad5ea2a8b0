"""What others have published beside ours: claims of a study, and every three of many motifs."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from results_factory import make_dataset, make_fit, make_results, make_study, paths_and_labels
from scipy import stats
from sklearn.linear_model import RidgeClassifier

from batik_utils.cache import write_text
from batik_utils.errors import BatikError
from batik_utils.report import findings as report
from batik_utils.report.analysis import Analysis
from batik_utils.stats import claims
from batik_utils.stats import mistakes as trios
from batik_utils.study import ROOT
from batik_utils.study_file import load_study, study_names
from batik_utils.values import Hyper, Results

SEED = dict.fromkeys(("title", "institution", "language", "framework", "summary"), "A")
SEED |= {"authors": ["B"], "year": 2024, "test_images_known": True}


def ours(*published):
    """Grouped fits, and published ones with so many of 30 right."""
    return make_results({"scratch": 0.6}, repeats=1, seeds=1, published={"scratch": published} if published else None)


OURS = ours(17, 20, 22)
FAILED = Results((replace(make_fit("efficientnet_b2", [], [], []), missing="out of memory"),))
SILENT = Results((make_fit("scratch", [True] * 30, *paths_and_labels(10)[::-1]),))


def claim(value, metric="accuracy", n=30, model="scratch", **more):
    return {"id": "c", "what": "it", "model": model, "metric": metric, "value": value, "n": n, "where": "3"} | more


def judged(value, metric="accuracy", n=30, model="scratch", results=OURS, same=True, **study):
    of_claim = ("motif", "read_off", "instead_of", "epochs", "dropout")
    given = {name: study.pop(name) for name in of_claim if name in study}
    (row,) = claims.claims_table(make_study(claims=[claim(value, metric, n, model, **given)], **study), results, same)
    return row


@pytest.mark.parametrize(
    ("published", "counts", "verdict"),
    [
        (8, (19, 20, 21), "not reproduced"),
        (11, (19, 20, 21), "not reproduced"),
        (12, (19, 20, 21), "cannot be told"),  # outside, but Fisher's exact p is 0.07
        (13, (19, 20, 21), "reproduced"),
        (27, (19, 20, 21), "reproduced"),
        (28, (19, 20, 21), "not reproduced"),
        (29, (17, 20, 22), "cannot be told"),  # inside, but only because our seeds differ so much: p is 0.006
        (30, (17, 20, 22), "not reproduced"),
    ],
)
def test_an_accuracy_is_judged_by_where_a_replicate_should_lie_and_by_a_test(published, counts, verdict):
    row = judged(published / 30, results=ours(*counts))
    assert row.verdict == verdict and f"{published} of 30 lies" in row.reason
    assert row.p_value == pytest.approx(stats.fisher_exact([[published, 30 - published], [20, 10]]).pvalue)


def test_a_true_replicate_lies_inside_19_times_in_20_and_more_noise_widens_the_interval():
    rng, inside = np.random.default_rng(0), 0
    for _ in range(2000):
        *ours, theirs = rng.normal(0.65, 0.08, 6) + rng.normal(0, np.sqrt(0.65 * 0.35 / 30), 2)[[0] * 5 + [1]]
        band, _ = claims.expected(ours, claims.binomial_variance(np.mean(ours), 30, 30))
        inside += band.low <= theirs <= band.high
    assert 0.93 < inside / 2000 < 0.975
    alike, (apart, freedom) = claims.expected([0.6, 0.6, 0.6], 0.01)[0], claims.expected([0.5, 0.6, 0.7], 0.01)
    assert (alike.low, alike.high) == pytest.approx(stats.norm.interval(0.95, 0.6, 0.1))
    assert apart.low < alike.low and freedom == pytest.approx((0.01 + 0.04 / 3) ** 2 * 2 / (0.04 / 3) ** 2)


def test_holm_is_over_all_claims_that_are_tested():
    asked = [claim(11 / 30), claim(0.66, id="d"), claim(0.9, "ten_images", 10, id="e")]
    first, second, ten = claims.claims_table(make_study(claims=asked), ours(19, 20, 21))
    assert first.verdict == "cannot be told" and first.p_adjusted == pytest.approx(2 * first.p_value)
    assert "after Holm" in first.reason
    assert second.verdict == "reproduced" and ten.p_value is None and ten.p_adjusted is None


@pytest.mark.parametrize(
    ("value", "given", "reason"),
    [
        (0.66, {"seed_study": SEED | {"test_images_known": False}}, "20 of 30 there, 20 of 30 here"),
        (0.66, {"same": False}, "not the original study's"),
        (150, {"metric": "images", "n": None, "same": False}, "not the original study's"),
        (0.8667, {"n": 15}, "15 test images, ours are 30"),
        (0.66, {"instead_of": "ResNet"}, "Scratch CNN stands in for ResNet."),
        (0.8, {"results": ours()}, "no result"),
        (0.8, {"results": FAILED, "model": "efficientnet_b2"}, "could not be fitted"),
        (0.9, {"results": SILENT, "metric": "train_accuracy", "n": 120}, "kept no training accuracy"),
        (0.27, {"metric": "paired_wrong_accuracy"}, "27\u00a0% lies inside"),
        (0.27, {"metric": "paired_wrong_accuracy"}, "true accuracy is 66.7\u00a0%"),
        (0.8, {"metric": "paired_wrong_accuracy"}, "lies outside"),
        (0.9, {"metric": "ten_images", "n": 10}, "9 of 10"),
    ],
)
def test_what_was_measured_otherwise_is_shown_and_not_judged(value, given, reason):
    row = judged(value, **given)
    assert row.verdict == "not comparable" and reason in row.reason
    assert row.p_value is None and (row.expected is None) == (row.metric != "paired_wrong_accuracy")


def test_a_row_carries_both_protocols():
    row = judged(0.66, seed_study=SEED)
    assert row.verdict == "reproduced" and row.published == judged(0.66, instead_of="ResNet").published
    assert row.published.median == pytest.approx(20 / 30) and row.published.interval.n == 30
    assert row.published.range == pytest.approx((17 / 30, 22 / 30))
    assert row.grouped.low < 0.6 < row.grouped.high and judged(0.8, results=ours()).grouped
    assert claims.claims_table(make_study(), make_results({})) == []


def run(seed, dropout, right):
    """A run on 15 pictures: {epochs: right}."""
    paths, labels = paths_and_labels(5)
    said = {e: {"test": make_fit("m", np.arange(15) < n, labels, paths).y_prob} for e, n in right.items()}
    what = {"hyper": Hyper(max(right), 0.001, dropout), "checkpoints": said, "seed": seed, "protocol": "runs"}
    return make_fit("scratch", np.arange(15) < right[max(right)], labels, paths, **what)


def test_a_claim_of_a_run_is_judged_by_the_fits_of_that_setting():
    fits = [run(seed, d, {10: 5 + seed, 20: n + seed}) for seed in (0, 1) for d, n in ((0.0, 9), (0.2, 13))]
    models = make_study().model_dump(mode="json", exclude_none=True)["models"]
    models["scratch"]["runs"] = {"epochs": [10, 20], "dropout": [0.0, 0.2], "seeds": 2}
    asked = {"n": 15, "results": Results(tuple(fits)), "models": models}
    for (epochs, dropout), low in {(10, 0.0): 5, (20, 0.0): 9, (20, 0.2): 13}.items():
        row = judged(12 / 15, epochs=epochs, dropout=dropout, **asked)
        assert row.published.values == pytest.approx((low / 15, (low + 1) / 15))
    assert row.verdict == "reproduced" and judged(0.2, epochs=20, dropout=0.2, **asked).verdict == "not reproduced"
    assert judged(0.8, **asked).verdict == "not comparable", "there are no published fits"
    with pytest.raises(BatikError, match="of no run"):
        judged(0.8, epochs=30, dropout=0.2, **asked)


def test_the_best_of_many_runs_owes_to_luck_what_the_binomial_says():
    row, runs = judged(8 / 15, n=15, results=Results((run(0, 0.0, {10: 8}),))), 20

    def of(*values):
        return claims.luck([row.model_copy(update={"value": value}) for value in values])

    found = of(*[8 / 15] * (runs - 1), 13 / 15)
    drawn = np.random.default_rng(0).binomial(15, found.mean, (100_000, runs)).max(axis=1)
    assert found.expected == pytest.approx(drawn.mean() / 15, abs=0.002)
    assert found.at_least == pytest.approx((drawn >= 13).mean(), abs=0.005)
    assert found.lucky and not of(8 / 15, 8 / 15, 1.0).at_least > found.at_least
    sure = of(0.2, 0.2, 0.2, 1.0)
    assert not sure.lucky and sure.ours is None
    curve = claims.expected_best(0.5, 15, runs)
    assert curve[0] == pytest.approx(0.5) and (np.diff(curve) > 0).all()


def test_our_own_seeds_say_what_the_best_reaches_on_these_very_pictures():
    seeds = [claims.OnSplit(0.4, (0.2, 0.6), None, values) for values in ((0.2, 0.4), (0.4, 0.6))]
    rows = [judged(3 / 5, n=5).model_copy(update={"published": ours}) for ours in seeds]
    assert claims.luck(rows).ours == pytest.approx(((2 + 3) / 2 / 5, 0.5))
    missing = rows[0].model_copy(update={"published": None})
    assert claims.luck([*rows, missing]).ours is None and claims.luck(rows[:1]) is None


@pytest.mark.parametrize(
    ("metric", "n", "near", "far"),
    [
        ("train_accuracy", 120, 0.85, 0.3),  # the factory's seeds end at 0.7, 0.8 and 0.9, and at a loss of 0.5
        ("train_loss", None, 0.5, 0.6),
        ("train_loss", None, 0.5, 0.45),
        ("images", None, 150, 151),
        ("test_images", None, 30, 31),
        ("train_images", None, 120, 121),
        ("macro_f1", 30, 0.66, 0.05),
    ],
)
def test_losses_training_scores_and_counts_are_judged_too(metric, n, near, far):
    assert judged(near, metric, n).verdict == "reproduced"
    assert judged(far, metric, n).verdict == "not reproduced"


def test_a_loss_is_judged_by_the_same_interval():
    band = judged(1.0, "loss").expected
    assert band.low < band.value < band.high
    assert judged(band.high - 0.01, "loss").verdict == "reproduced"
    far = judged(band.high + 0.01, "loss")
    assert far.verdict == "not reproduced" and 0.01 < far.p_value < 0.05
    assert (f1 := judged(0.05, "macro_f1").published).interval.low < f1.median < f1.interval.high


def test_a_number_read_off_a_plot_counts_as_the_nearest_that_may_have_been_there():
    row = judged(0.45, "train_loss", None, read_off=0.05)
    assert row.verdict == "reproduced" and "0.45, read off to within 0.05," in row.reason
    read = row.model_copy(update={"value": 0.9})
    found = [claims.nearest_reading(read, ours) for ours in (0.5, 0.92, 1.2)]
    assert found == pytest.approx([0.85, 0.92, 0.95])
    assert row.grouped is None and judged(0.66, read_off=0.05).grouped is None, "it stands beside the split alone"


def features(apart=(0.0, 3.0, 3.0, 6.0), each=12, d=9, seed=0):
    """Features [n, d] of motifs at distances from one another, labels and folds; the first two are alike."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(apart)), each)
    x = draw.normal(size=(len(labels), d))
    x[np.arange(len(labels)), labels] += np.array(apart)[labels]
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), labels, np.arange(len(labels)) % 4


@pytest.mark.parametrize("strength", [0.01, 0.3, 10.0])
def test_each_trio_is_what_a_ridge_classifier_reaches_on_its_pictures_alone(strength):
    x, labels, folds = features(apart=(0.5, 0.5, 1.0, 1.5, 2.0))
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


def test_the_pair_that_is_alike_is_confused_and_a_motif_that_no_training_row_has_is_never_guessed():
    x, labels, folds = features(apart=(0.0, 0.0, 9.0, 9.0))
    confused = trios.every_trio(trios.kernel(x), labels, folds, 0.3).confused
    assert np.unravel_index(confused.argmax(), (4, 4)) in {(0, 1), (1, 0)} and 0.2 < confused.max() <= 1
    assert confused[2:, 2:].max() < 0.05 and (confused.diagonal() == 0).all()
    x, labels, folds = features(apart=(6.0, 6.0, 6.0))
    folds = np.where(labels == 2, 3, folds)  # the third is in one fold
    (accuracy,) = trios.every_trio(trios.kernel(x), labels, folds, 0.3).table["accuracy"]
    assert accuracy <= 2 / 3


def test_kernels_of_blocks_means_of_motifs_and_lines_by_hand():
    one, two = features()[0], features(seed=1, d=20)[0]
    both = trios.kernel(np.hstack([one, two]))
    assert np.allclose(both, (one @ one.T + two @ two.T) / 2, atol=1e-6) and np.allclose(both.diagonal(), 1)
    rows = [(0, 1, 2, 9, 0.2), (0, 1, 3, 9, 0.4), (0, 2, 3, 9, 0.6), (1, 2, 3, 9, 0.8)]
    table = pd.DataFrame(rows, columns=["a", "b", "c", "n", "accuracy"])
    assert trios.motif_means(table, 4) == pytest.approx([0.4, 1.4 / 3, 1.6 / 3, 0.6]), "over the trios that hold it"
    found = trios.line([0.5, 0.7, 0.9], [0.4, 0.6, 0.8])
    assert found == pytest.approx({"slope": 1.0, "intercept": -0.1, "r": 1.0, "n": 3})
    assert trios.line([0.5, 0.7], [0.4, 0.6]) is None and trios.line([0.5, 0.5, 0.5], [0.1, 0.2, 0.3]) is None


MOTIFS = ["batik-bali", "batik-celup", "batik-kawung", "batik-sogan"]
STATED = "# of a README\nby,motifs,model,arm,accuracy,note\nsomebody,{},a CNN,scratch,0.57,best of 18\n"


@pytest.fixture
def analysis(monkeypatch, tmp_path):
    study = load_study("twenty-motifs", [f"motifs=[{', '.join(MOTIFS)}]"])
    a, b = study.compare
    clean = {name: features(each=10, seed=seed)[0] for seed, name in enumerate(study.models)}
    monkeypatch.setattr(report, "ROOT", tmp_path)
    stated = tmp_path / "studies" / "trios" / f"{study.trios}.csv"
    stated.parent.mkdir(parents=True)
    write_text(stated, STATED.format("batik-sogan batik-bali batik-kawung"))
    fits = make_results({a: 0.8, b: 0.6}, per_class=10, motifs=MOTIFS)
    return Analysis(study, make_dataset(10, MOTIFS), fits, clean_features=clean.__getitem__)


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
    bare = replace(analysis, study=analysis.study.model_copy(update={"trios": None}))
    assert bare.trios == {} and report.trio_numbers(bare) is None and "trios" not in bare.facts


def test_every_row_of_ours_names_three_motifs_of_the_study_that_has_it():
    for study in filter(lambda study: study.trios, map(load_study, study_names())):
        stated = pd.read_csv(ROOT / "studies" / "trios" / f"{study.trios}.csv", comment="#")
        assert all(len({*motifs.split()} & {*study.motifs}) == 3 for motifs in stated["motifs"])
        assert stated["accuracy"].between(0, 1).all() and {*stated["arm"]} == {"pretrained", "scratch"}


def test_what_is_no_trio_of_the_study_is_left_out_and_a_file_that_is_not_there_refused(analysis):
    path = report.ROOT / "studies" / "trios" / f"{analysis.study.trios}.csv"
    for motifs in ("batik-bali batik-celup", "batik-bali batik-celup batik-lasem"):
        write_text(path, STATED.format(motifs))
        assert report.published_trios(analysis).empty and report.trio_numbers(analysis)["published"] == []
    path.unlink()
    with pytest.raises(BatikError, match="is not in studies/trios/"):
        report.published_trios(analysis)
