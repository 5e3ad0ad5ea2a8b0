"""metrics.json: stable, documented, whole; and what changed between two is said in words."""

import copy
import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from paper import make_analysis
from pydantic import ValidationError
from results_factory import make_dataset, make_results
from typer.testing import CliRunner

from batik_utils.cache import json_text, write_json
from batik_utils.cli import app
from batik_utils.report.analysis import Analysis
from batik_utils.report.metrics import MetricsFile, build_metrics, changes, headline, scores_of
from batik_utils.study_file import load_study, study_names
from batik_utils.values import Results
from batik_utils.wording import NBSP


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


def test_another_form_is_refused(one):
    for change in ({"version": 1}, {"extra": 0}, {"scores": [{"model": "a"}]}, {"models": 5}):
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


def test_one_comparison_is_the_verdicts_and_each_says_what_it_declares(one):
    (head,) = [c for c in one["comparisons"] if c["primary"]]
    assert (head["a"], head["b"], head["protocol"]) == ("mobilenet_v2", "scratch", "grouped")
    assert head["word"] == "better" and head["low"] > 0 and head["p_holm"] is None
    others = [c for c in one["comparisons"] if c["protocol"] == "grouped" and c is not head]
    assert others and (len(others) == 1 or all(c["p_holm"] >= c["p"] for c in others))
    assert head["difference"] == pytest.approx(head["mean_a"] - head["mean_b"], abs=2e-6)


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
    "The verdict on the published number c1 was removed: ": lambda m: m["claims"].clear(),
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
