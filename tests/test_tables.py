"""What a sentence once recited stands in a table beside it."""

from dataclasses import replace

import numpy as np
import pytest
from paper import make_analysis, said
from results_factory import make_dataset, make_results, make_study

from batik_utils.report import findings, tables
from batik_utils.report.analysis import Analysis
from batik_utils.report.metrics import build_metrics
from batik_utils.report.pages import model_card
from batik_utils.stats.calibration import calibrate
from batik_utils.stats.claims import claims_table
from batik_utils.stats.scores import grouped_interval
from batik_utils.study_models import Augmentation
from batik_utils.values import Results
from batik_utils.wording import hundredths, percent


@pytest.fixture(scope="module")
def analysis():
    return make_analysis("published", True, True, True, True, True)


def row(frame, model):
    """The row of one model, as {column: text}."""
    return frame.set_index(frame.columns[0]).loc[model].to_dict()


def test_where_motifs_differ_in_size_balanced_accuracy_and_its_chance_stand_beside_accuracy():
    made = make_analysis()
    assert not {"00-abstract-uneven", "02-uneven"} & {*said(made)} and "balanced" not in tables.published_table(made)
    sizes = replace(made.dataset, labels=np.repeat([0, 1], [6, 14]))
    assert "uneven" in Analysis(made.study, sizes, made.results).facts
    vars(made)["facts"] = made.facts | {"uneven"}
    words, even = said(made), [percent(value) for value in findings.balanced(made)]
    assert len(even) == 2 and all(value.replace(".", ",") in words["00-abstrak-uneven"] for value in even)
    for place in ("00-abstract-uneven", "02-uneven"):
        assert all(value in words[place] for value in (*even, percent(0.5)))
    assert "balanced" in words["tbl-published"] and "balanced" in words["tbl-grouped"]
    metrics = build_metrics(made)
    assert "Balanced" not in model_card(made.study, "lite", {}, metrics, made.facts)
    metrics["data"]["per_motif"] = {"alder": 3, "beech": 17}
    card = model_card(made.study, "lite", {}, metrics, made.facts)
    assert f"naming the commonest alone is right for {percent(0.85)}" in card and even[0] in card


def test_a_row_says_what_was_found_of_a_model_a_motif_or_a_claim(analysis):
    lite = row(tables.published_table(analysis), "Lite")
    assert (lite["published"], lite["right"], lite["over seeds"]) == ("75.0\u00a0%", "4 of 4", "100.0–100.0\u00a0%")
    lite = row(tables.calibration_table(analysis, [calibrate(analysis.results, "lite")]), "Lite")
    assert lite["confidence"] == "80.0\u00a0%" and "→" in lite["loss"]
    frame = analysis.corrupted(analysis.models)
    assert frame[frame["label"] == "Lite"]["corruption"].tolist() == ["none", "blur", "border", "greyscale", "patches"]
    alder = {"pictures": 10, "distinct": 9, "skipped": 0, "identical to published": 10}
    assert row(tables.data_table(analysis.dataset), "Alder") == alder
    claim = row(tables.claims_frame(claims_table(analysis.study, analysis.results)), "claim 1")
    assert claim["published"] == "75.0\u00a0%" and claim["ours, same split"] == "100.0\u00a0% (100.0–100.0\u00a0%)"
    assert claim["verdict"] and "tbl-claims" in said(analysis)


def test_a_column_is_there_only_where_something_stands_in_it():
    made = make_analysis()
    assert "identical to published" not in tables.data_table(made.dataset)
    assert "published" not in tables.published_table(made)
    once = tables.published_table(make_analysis(published={"split": "keras-validation-split", "seeds": 1}))
    assert "accuracy" in once and "over seeds" not in once
    assert not {"ms a picture", "s to train"} & {*tables.model_table(made)}
    timed = tables.model_table(make_analysis(seconds={"small": 61.5}, milliseconds={"small": 5.0, "lite": 8.0}))
    assert timed["s to train"].tolist() == ["61.5", "–"] and row(timed, "Lite")["ms a picture"] == "8"


def test_no_list_in_the_report_grows_with_motifs_copies_or_files_of_no_use():
    made = make_analysis(twins=True, motifs=12)
    skipped = tuple((f"label/{i}.txt", "it is no image") for i in range(600))
    made.dataset = replace(made.dataset, pairs=made.dataset.pairs * 180, skipped=skipped)
    words = said(made)
    text = "\n".join(words.values())
    assert text.count("label/") == 1 and "600 files could not be used" in text
    assert words["tbl-pairs"].count("the same bytes") == 10 and "180 pairs" in text
    assert "Juniper and 2 more" in words["00-abstract"] and "Larch" not in words["00-abstract"]


def test_an_augmentation_in_words():
    some = Augmentation(rotation=40, shift=0.2, zoom=0.2)
    assert tables.augmentation_words(some) == (
        "rotation by up to ±40°, shifts by up to ±20 % of each side and zoom of each axis by 0.8–1.2"
    )
    assert tables.augmentation_words(Augmentation()) == "no change"


@pytest.fixture(scope="module")
def unequal():
    """A pretrained model with three repeats beside a scratch one with one; three motifs."""
    fits = make_results({"efficientnet_lite2": 0.8, "scratch": 0.6, "baseline_colour": 0.5}, repeats=3)
    kept = [r for r in fits if r.fit.model != "scratch" or r.fit.repeat == 1]
    items = [replace(r, corruptions={"blur": np.roll(r.y_prob, 1, axis=1)}) for r in kept]
    items += make_results({}, published={"scratch": (18,), "efficientnet_lite2": (24,)})
    for k, accuracy in ((5, 0.4), (10, 0.7), (20, 0.7)):
        items += make_results({"efficientnet_lite2": accuracy}, protocol=f"curve-{k}")
    return Analysis(make_study(), make_dataset(), Results(tuple(items)))


def test_what_stands_side_by_side_rests_on_the_same_folds_and_adds_up(unequal):
    a = unequal.head
    main, pair = tables.grouped_table(unequal), tables.comparison_table(unequal, unequal.comparisons)
    lite, scratch = row(main, "EfficientNet-Lite2"), row(main, "Scratch CNN")
    assert lite["accuracy"].startswith(percent(a.mean_a)) and scratch["accuracy"].startswith(percent(a.mean_b))
    assert lite["folds"] == scratch["folds"] == 5 and row(main, "Colour histogram")["folds"] == 5
    assert pair.loc[0, "A and B"] == f"{hundredths(a.mean_a)} and {percent(a.mean_b)}"
    assert pair["folds"].tolist() == [5, 5, 5]
    assert unequal.oofs["efficientnet_lite2"].confusion.trace() / 150 == pytest.approx(a.mean_a)
    found = unequal.scores.query("metric == 'accuracy'").set_index(["model", "protocol"])
    near = found.loc["efficientnet_lite2", "grouped"]
    assert near["value"] == pytest.approx(a.mean_a) and near["fits"] == 10
    every = grouped_interval(unequal.results, "efficientnet_lite2")
    assert found.loc["efficientnet_lite2", "grouped-all"]["value"] == pytest.approx(every.value) != near["value"]
    assert "grouped-all" not in found.loc["scratch"].index
    tested = [c for c in build_metrics(unequal)["comparisons"] if c["protocol"] == "grouped"]
    assert [(c["a"], c["b"]) for c in tested][1:] == [(m, "baseline_colour") for m in ("efficientnet_lite2", "scratch")]
    assert [c["primary"] for c in tested] == [True, False, False] and tested[0]["p_holm"] is None
    assert all(c["p_holm"] >= c["p"] for c in tested[1:])
    assert [p.split(" ")[-1] for p in pair["p"]] == ["(primary)", "(Holm)", "(Holm)"]


def test_a_second_planned_pair_is_primary_too_and_has_its_verdict():
    models = {"efficientnet_lite2": 0.8, "scratch": 0.6, "efficientnet_b2": 0.8}
    fits = [*make_results(models), *make_results(models, protocol="sources", rng_seed=1)]
    shop = {"name": "shop", "why": "one mark", "pictures": ["batik-bali/1.jpg"]}
    often = {"repeats": 2, "seeds": 2, "sources": 2}
    grouped = {"folds": 5, "pretrained": often, "scratch": often}
    study = make_study(alike=["efficientnet_b2", "scratch"], sources=[shop], grouped=grouped)
    found = Analysis(study, make_dataset(), Results(tuple(fits)))
    for protocol, family in (("grouped", found.comparisons), ("sources", found.comparisons_by_source)):
        assert [(c.a, c.b) for c in family if c.primary] == list(study.planned)
        assert found.comparison(*study.planned[1], protocol).p_adjusted is None
    primary = [(c["protocol"], c["a"]) for c in build_metrics(found)["comparisons"] if c["primary"]]
    assert primary == [(p, a) for p in ("grouped", "sources") for a, _ in study.planned]


def test_what_a_corruption_costs_and_another_step_gains_is_paired_by_fold(unequal):
    whole, blurred = unequal.corrupted(["efficientnet_lite2"])["accuracy"]
    worst, drop = findings.worst_corruptions(unequal)["EfficientNet-Lite2"]
    assert worst == "blurred" and drop.value == pytest.approx(whole - blurred) and drop.low > 0
    assert whole == pytest.approx(unequal.grouped_intervals["EfficientNet-Lite2"].value)
    few, some, many = unequal.curve().query("label == 'EfficientNet-Lite2'")["mean"]
    curve = findings.curves(unequal)["EfficientNet-Lite2"]
    assert (curve["fewest"], curve["most"], curve["first"], curve["last"]) == (5, 20, few, many) and some - few > 0.2
    assert curve["step"].value == pytest.approx(many - some) and curve["step"].low < 0 < curve["step"].high
