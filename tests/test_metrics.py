"""metrics.json and tables: stable, documented, whole, of one mind; and what changed between two is said in words."""

import copy
import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from paper import make_analysis, said
from pydantic import ValidationError
from results_factory import make_dataset, make_results, make_study
from typer.testing import CliRunner

from batik_utils.cache import json_text, write_json
from batik_utils.cli import app
from batik_utils.report import findings, tables
from batik_utils.report.analysis import Analysis
from batik_utils.report.metrics import MetricsFile, build_metrics, changes, headline, scores_of
from batik_utils.report.pages import model_card
from batik_utils.stats.calibration import calibrate
from batik_utils.stats.claims import claims_table
from batik_utils.stats.scores import grouped_interval
from batik_utils.study_file import load_study, study_names
from batik_utils.values import Results
from batik_utils.wording import NBSP, hundredths, percent


def _results(study):
    pretrained = {m: 0.85 for m, v in study.models.items() if v.kind == "pretrained"}
    models = pretrained | {m: 0.6 for m, v in study.models.items() if v.kind == "scratch"}
    common = {"repeats": 2, "seeds": 1, "motifs": study.motifs}
    published = {m: (20, 22, 24) for m in models}
    control = make_results(models, protocol="permuted", **common)
    parts = [
        make_results(models, published=published, **common | {"seeds": 2}),
        # The control shuffles labels anew in each repeat, so one image has several.
        [replace(r, y_true=(r.y_true + r.fit.repeat) % len(study.motifs)) for r in control],
        make_results(pretrained, protocol="curve-10", **common | {"repeats": 1}),
        make_results({"baseline_colour": 0.5}, **common),
    ]
    return Results(tuple(r for part in parts for r in part))


@pytest.fixture(scope="module")
def one():
    study = load_study("bali-betawi-celup")
    return build_metrics(Analysis(study, make_dataset(), _results(study)))


@pytest.mark.parametrize("name", study_names())
def test_every_study_fits_the_form_with_all_results_and_with_none(name):
    study = load_study(name)
    dataset, full = make_dataset(motifs=study.motifs), _results(study)
    MetricsFile.model_validate(build_metrics(Analysis(study, dataset, full)))
    gone = [replace(r, missing="killed", y_true=r.y_true[:0], y_prob=r.y_prob[:0], paths=()) for r in full]
    for results in (Results(()), Results(tuple(gone))):
        empty = build_metrics(Analysis(study, dataset, results))
        MetricsFile.model_validate(empty)
        assert empty["verdict"]["word"] == "too few fits" and empty["scores"] == empty["comparisons"] == []
        assert empty["verdict"]["got"] == 0 < empty["verdict"]["planned"] and empty["verdict"]["detectable"] is None


@pytest.mark.parametrize("change", [{"version": 1}, {"extra": 0}, {"scores": [{"model": "a"}]}, {"models": 5}], ids=str)
def test_another_form_is_refused(one, change):
    with pytest.raises(ValidationError):
        MetricsFile.model_validate(one | change)


def test_the_promised_records_are_there(one):
    scores, models = scores_of(one), one["models"]
    assert models["mobilenet_v2"]["parameters"] == 1000 and models["baseline_colour"]["kind"] == "baseline"
    for protocol, n in (("published", 30), ("grouped", 150)):
        part = scores["mobilenet_v2", protocol]
        assert part["n"] == n and part["low"] < part["value"] < part["high"]
        for metric in ("loss", "macro_f1", *(f"f1/{motif}" for motif in one["data"]["motifs"])):
            assert ("mobilenet_v2", protocol) in scores_of(one, metric)
    assert [scores["scratch", f"published-seed-{s}"]["value"] for s in range(3)] == [0.666667, 0.733333, 0.8]
    assert scores["mobilenet_v2", "curve-10"]["value"] == pytest.approx(0.85, abs=0.1)
    assert scores["mobilenet_v2", "permuted"]["n"] == 150 and ("scratch", "curve-10") not in scores
    assert scores["baseline_colour", "grouped"]["value"] == pytest.approx(0.5, abs=0.1)
    assert one["data"]["per_motif"] == dict.fromkeys(one["data"]["motifs"], 50)
    assert (one["data"]["groups"], one["data"]["identical"], one["data"]["altered"]) == (149, 149, 1)
    assert {c["id"]: c["value"] for c in one["claims"]}["scratch-accuracy"] == 0.5667
    assert one["verdict"]["word"] == "too few fits"  # of the many that the study plans
    assert one["verdict"]["got"] == 40 and 0 < one["verdict"]["detectable"] < 1
    (head,) = [c for c in one["comparisons"] if c["primary"]]
    assert (head["a"], head["b"], head["word"], head["p_holm"]) == ("mobilenet_v2", "scratch", "better", None)
    assert head["difference"] == pytest.approx(head["mean_a"] - head["mean_b"], abs=2e-6) and head["low"] > 0


def test_the_same_results_in_any_order_give_the_same_bytes_of_six_decimals_and_no_special_spaces(one):
    study = load_study("bali-betawi-celup")
    items = _results(study).items
    shuffled = Results(tuple(items[i] for i in np.random.default_rng(0).permutation(len(items))))
    text = json_text(one)
    assert json_text(build_metrics(Analysis(study, make_dataset(), shuffled))) == text
    leaves = []
    json.loads(text, object_hook=lambda part: leaves.extend(part.values()))
    numbers = [v for v in leaves if isinstance(v, float)]
    assert len(numbers) > 100 and all(v == round(v, 6) for v in numbers)
    assert NBSP not in json.dumps(one, ensure_ascii=False)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"b": 1, "a": 2})
    before = path.read_text()
    assert before.index('"a"') < before.index('"b"') and before.endswith("}\n")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert path.read_text() == before and os.listdir(tmp_path) == ["metrics.json"]


@pytest.fixture(scope="module")
def base():
    return build_metrics(make_analysis("published", True, claims=True))


LITE = "The accuracy of Lite in grouped cross-validation changed from "
CHANGES = {
    "The study changed from made to other.": lambda m: m.update(study="other"),
    "The verdict changed from “too few fits” to “better”.": lambda m: m["verdict"].update(word="better"),
    "The pictures are not the same: their files, labels or ": lambda m: m["data"].update(fingerprint="0"),
    "The number of pictures changed from 20 to 21.": lambda m: m["data"].update(images=21),
    "The number of pictures of alder changed from 10 to 9.": lambda m: m["data"]["per_motif"].update(alder=9),
    "The number of pictures of oak was added: 3.": lambda m: m["data"]["per_motif"].update(oak=3),
    "The model new was added: New, 1,000 parameters.": (
        lambda m: m["models"].update(new=m["models"]["lite"] | {"title": "New"})
    ),
    "The model lite changed from Lite, 1,000 parameters to Lite": lambda m: m["models"]["lite"].update(parameters=5),
    "The accuracy of Lite with shuffled labels was removed: ": (
        lambda m: m["scores"].remove(scores_of(m)["lite", "permuted"])
    ),
    LITE: lambda m: scores_of(m)["lite", "grouped"].update(fits=7),
    LITE + r".* to 50\.0 % \(40\.0–[\d.]+ %\) of 12 fits\.$": (
        lambda m: scores_of(m)["lite", "grouped"].update(value=0.5, low=0.4)
    ),
    "The verdict on the published number c1 changed from ": lambda m: m["claims"][0].update(verdict="not reproduced"),
    "The difference A − B changed from ": lambda m: headline(m).update(difference=headline(m)["difference"] + 0.01),
    "Only details differ, and no accuracy of a protocol as it is shown: scores.": (
        lambda m: scores_of(m)["lite", "grouped"].update(n=3)
    ),
}


@pytest.mark.parametrize("sentence", CHANGES)
def test_each_change_is_one_sentence(base, sentence):
    other = copy.deepcopy(base)
    CHANGES[sentence](other)
    (told,) = changes(base, other)
    assert re.match(sentence, told.replace(NBSP, " "))


def run(*words):
    return CliRunner().invoke(app, ["diff", *map(str, words)], catch_exceptions=True)


def test_the_command_takes_files_and_folders_and_exits_with_one_where_anything_changed(base, tmp_path):
    for name, metrics in (("a", base), ("b", base | {"study": "other"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps(metrics))
    same = run(tmp_path / "a", tmp_path / "a/metrics.json")
    assert same.exit_code == 0 and same.stdout == "Nothing has changed.\n"
    differs = run(tmp_path / "a", tmp_path / "b")
    assert differs.exit_code == 1 and differs.stdout == "The study changed from made to other.\n"


def test_what_cannot_be_read_is_said_in_one_line(base, tmp_path):
    assert f"There is no {tmp_path}/nowhere: name a" in str(run(tmp_path / "nowhere", tmp_path).exception)
    for content, problem in (
        ("{", "is not JSON"),
        (json.dumps({**base, "models": 5}), "not as a report writes it: models: Input should be"),
        (json.dumps({"version": 1}), "of another version"),
    ):
        (tmp_path / "metrics.json").write_text(content)
        assert problem in str(run(tmp_path, tmp_path).exception)


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
