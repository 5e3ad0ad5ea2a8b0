"""metrics.json: stable, documented, whole."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from results_factory import make_dataset, make_results

from batik_utils.cache import json_text, write_json
from batik_utils.report.analysis import Analysis
from batik_utils.report.metrics import MetricsFile, build_metrics, scores_of
from batik_utils.study_file import load_study, study_names
from batik_utils.values import Results


def _results(study):
    pretrained = {m: 0.85 for m, v in study.models.items() if v.kind == "pretrained"}
    models = pretrained | {m: 0.6 for m, v in study.models.items() if v.kind == "scratch"}
    counts = {m: (20, 22, 24) for m in models}
    grouped = make_results(models, repeats=2, seeds=2, published=counts, motifs=study.motifs)
    control = make_results(models, repeats=2, seeds=1, protocol="permuted", motifs=study.motifs)
    # The control shuffles labels anew in each repeat, so one image has several.
    control = Results(tuple(replace(r, y_true=(r.y_true + r.fit.repeat) % len(study.motifs)) for r in control))
    baseline = make_results({"baseline_colour": 0.5}, repeats=2, seeds=1, motifs=study.motifs)
    curve = make_results(pretrained, repeats=1, seeds=1, protocol="curve-10", motifs=study.motifs)
    return Results((*grouped.items, *control.items, *curve.items, *baseline.items))


@pytest.fixture(scope="module")
def one():
    study = load_study("bali-betawi-celup")
    return build_metrics(Analysis(study, make_dataset(), _results(study)))


@pytest.mark.parametrize("name", study_names())
def test_every_study_fits_the_form_with_all_results_and_with_none(name):
    study = load_study(name)
    dataset = make_dataset(motifs=study.motifs)
    MetricsFile.model_validate(build_metrics(Analysis(study, dataset, _results(study))))
    gone = [replace(r, missing="killed", y_true=r.y_true[:0], y_prob=r.y_prob[:0], paths=()) for r in _results(study)]
    for results in (Results(()), Results(tuple(gone))):
        empty = build_metrics(Analysis(study, dataset, results))
        MetricsFile.model_validate(empty)
        assert empty["verdict"]["word"] == "too few fits" and empty["scores"] == empty["comparisons"] == []
        assert empty["verdict"]["got"] == 0 < empty["verdict"]["planned"] and empty["verdict"]["detectable"] is None


def test_another_form_is_refused(one):
    for change in ({"version": 1}, {"extra": 0}, {"scores": [{"model": "a"}]}, {"models": 5}):
        with pytest.raises(ValidationError):
            MetricsFile.model_validate(one | change)


def test_the_promised_records_are_there(one):
    scores = scores_of(one)
    assert (
        one["models"]["mobilenet_v2"]["parameters"] == 1000 and one["models"]["baseline_colour"]["kind"] == "baseline"
    )
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


def test_one_comparison_is_the_verdicts_and_each_says_what_it_declares(one):
    (head,) = [c for c in one["comparisons"] if c["primary"]]
    assert (head["a"], head["b"], head["protocol"]) == ("mobilenet_v2", "scratch", "grouped")
    assert head["word"] == "better" and head["low"] > 0 and head["p_holm"] is None
    others = [c for c in one["comparisons"] if c["protocol"] == "grouped" and c is not head]
    assert others and (len(others) == 1 or all(c["p_holm"] >= c["p"] for c in others))
    assert head["difference"] == pytest.approx(head["mean_a"] - head["mean_b"], abs=2e-6)


def test_no_number_has_more_than_six_decimals_and_no_text_a_special_space(one):
    leaves = []
    json.loads(json.dumps(one), object_hook=lambda part: leaves.extend(part.values()))
    numbers = [v for v in leaves if isinstance(v, float)]
    assert len(numbers) > 100 and all(v == round(v, 6) for v in numbers)
    assert "\u00a0" not in json.dumps(one, ensure_ascii=False)


def test_the_same_results_in_any_order_give_the_same_bytes(one):
    study = load_study("bali-betawi-celup")
    results = _results(study)
    order = np.random.default_rng(0).permutation(len(results))
    shuffled = Results(tuple(results.items[i] for i in order))
    assert json_text(build_metrics(Analysis(study, make_dataset(), shuffled))) == json_text(one)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"b": 1, "a": 2})
    before = path.read_text()
    assert before.index('"a"') < before.index('"b"') and before.endswith("}\n")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert path.read_text() == before and os.listdir(tmp_path) == ["metrics.json"]
