"""metrics.json: stable, documented, whole."""

import json
import os
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from pydantic import ValidationError
from results_factory import make_dataset, make_results

from batik_utils.cache import json_text, write_json
from batik_utils.report.analysis import Analysis
from batik_utils.report.metrics_file import SCHEMA, MetricsFile
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
    return Analysis(study, make_dataset(), _results(study)).metrics


def test_the_committed_schema_is_that_of_the_classes_and_describes_what_is_built(one):
    schema = MetricsFile.model_json_schema()
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == schema, "python -m batik_utils.report.metrics_file"
    jsonschema.validate(one, schema)


@pytest.mark.parametrize("name", study_names())
def test_every_study_fits_the_form_with_all_results_and_with_none(name):
    study = load_study(name)
    dataset = make_dataset(motifs=study.motifs)
    MetricsFile.model_validate(Analysis(study, dataset, _results(study)).metrics)
    gone = [replace(r, missing="killed", y_true=r.y_true[:0], y_prob=r.y_prob[:0], paths=()) for r in _results(study)]
    for results in (Results(()), Results(tuple(gone))):
        empty = Analysis(study, dataset, results).metrics
        MetricsFile.model_validate(empty)
        assert empty["comparison"]["verdict"] == "too few fits"
        assert empty["comparison"]["fits"]["got"] == 0 < empty["comparison"]["fits"]["planned"]


def test_another_form_is_refused(one):
    for change in ({"version": 1}, {"extra": 0}, {"data": {}}):
        with pytest.raises(ValidationError):
            MetricsFile.model_validate(one | change)


def test_the_promised_keys_are_there(one):
    assert one["study"] == "bali-betawi-celup"
    assert one["models"]["mobilenet_v2"]["parameters"] == 1000
    for protocol, n in (("published", 30), ("grouped", 150)):
        part = one["models"]["mobilenet_v2"][protocol]
        assert {"accuracy", "interval", "loss", "macro_f1", "n_test", "per_class"} <= set(part)
        assert part["n_test"] == n and part["interval"][0] < part["accuracy"] < part["interval"][1]
        assert set(part["per_class"]) == set(one["motifs"])
    assert [s["seed"] for s in one["models"]["scratch"]["published"]["seeds"]] == [0, 1, 2]
    assert one["models"]["mobilenet_v2"]["curve"]["10"] == pytest.approx(0.85, abs=0.1)
    assert one["models"]["mobilenet_v2"]["permuted"]["n_test"] == 150
    assert not {"curve", "search"} & set(one["models"]["scratch"]), "a protocol without fits is absent, not null"
    assert one["baselines"]["colour"]["accuracy"] == pytest.approx(0.5, abs=0.1)
    assert one["data"]["per_motif"] == dict.fromkeys(one["motifs"], 50)
    assert (one["data"]["groups"], one["data"]["identical"], one["data"]["altered"]) == (149, 149, 1)
    assert one["published"]["scratch-accuracy"]["value"] == 0.5667
    assert set(one["claims"]) == set(one["published"])
    assert one["comparison"]["verdict"] == "too few fits"  # of the many that the study plans
    assert one["comparison"]["fits"]["got"] == 40


def test_no_number_has_more_than_six_decimals_and_no_text_a_special_space(one):
    leaves = []
    json.loads(json.dumps(one), object_hook=lambda part: leaves.extend(part.values()))
    lists = [v for part in leaves if isinstance(part, list) for v in part]
    numbers = [v for v in leaves + lists if isinstance(v, float)]
    assert len(numbers) > 100 and all(v == round(v, 6) for v in numbers)
    assert "\u00a0" not in json.dumps(one, ensure_ascii=False)


def test_the_same_results_in_any_order_give_the_same_bytes(one):
    study = load_study("bali-betawi-celup")
    results = _results(study)
    order = np.random.default_rng(0).permutation(len(results))
    shuffled = Results(tuple(results.items[i] for i in order))
    assert json_text(Analysis(study, make_dataset(), shuffled).metrics) == json_text(one)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"b": 1, "a": 2})
    before = path.read_text()
    assert before.index('"a"') < before.index('"b"') and before.endswith("}\n")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert path.read_text() == before and os.listdir(tmp_path) == ["metrics.json"]
