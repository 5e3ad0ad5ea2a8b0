"""The plan names every fit of a study, and the store says what of it is done, missing or stale, and why."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import tiny

from batik_utils.errors import BatikError
from batik_utils.experiment import Store, keys, make_plan
from batik_utils.models.baselines import BASELINES
from batik_utils.models.kinds import KINDS
from batik_utils.study_models import Image
from batik_utils.values import FitResult, Hyper

RUNS = {"epochs": [1, 3], "learning_rate": [0.001, 0.1], "dropout": [0.0], "seeds": 2}
TENTHS = {"split": "stratified-80-10-10", "seeds": 2}


def _counts(plan) -> dict[tuple[str, str], int]:
    return Counter((f.model, f.protocol) for t in plan.tasks for f in t.fits)


def _results(task, missing: str = "") -> list[FitResult]:
    rows = [len(split.test) for split in task.splits]
    return [
        FitResult(f, ("a",) * n, np.zeros(n, int), np.full((n, 2), [0.25, 0.75]), 1, missing=missing)
        for f, n in zip(task.fits, rows, strict=True)
    ]


def test_the_plan_counts_the_fits_that_the_study_asks_for():
    counts = _counts(tiny.plan())
    assert counts == {
        ("scratch", "published"): 2,
        ("scratch", "grouped"): 2,
        ("tiny", "published"): 2,
        ("tiny", "grouped"): 2 * 2 * 2,
        ("tiny", "curve-2"): 2 * 2,
        ("tiny", "permuted"): 2 * 2,
        ("baseline_metadata", "grouped"): 4,
        ("baseline_colour", "grouped"): 4,
        ("baseline_features", "grouped"): 4,
    }


def test_a_kind_gets_the_repetition_that_the_study_gives_it():
    scratch = {"repeats": 2, "seeds": 2, "curve": 1, "permuted": 1}
    grouped = {"folds": 2, "pretrained": {"repeats": 2, "seeds": 2, "permuted": 0}, "scratch": scratch, "curve": [2]}
    counts = _counts(tiny.plan(grouped=grouped))
    assert counts["scratch", "grouped"] == counts["tiny", "grouped"] == 8
    assert (counts["scratch", "curve-2"], counts["tiny", "curve-2"]) == (1 * 2, 2 * 2)  # repeats × folds, no seeds
    assert counts["scratch", "permuted"] == 2 and ("tiny", "permuted") not in counts


def test_confirmed_sources_add_fits_of_every_kind_that_asks_for_them():
    sources = [{"name": "a vendor", "why": "its mark", "pictures": ["batik-one/0.jpg", "batik-one/2.jpg"]}]
    grouped = {"folds": 2, "pretrained": {"repeats": 2, "seeds": 2, "sources": 3}, "curve": [2]}
    counts = _counts(tiny.plan(grouped=grouped, sources=sources))
    baselines = {(f"baseline_{name}", "sources"): 3 * 2 for name in ("metadata", "colour", "features")}
    assert {key: n for key, n in counts.items() if key[1] == "sources"} == {("tiny", "sources"): 3 * 2, **baselines}
    asked = _counts(tiny.plan(grouped=grouped | {"scratch": {"sources": 1}}, sources=sources))
    assert asked["scratch", "sources"] == 2 and asked.total() == counts.total() + 2


def test_every_task_has_its_own_file_and_keys_do_not_change_by_themselves():
    one, two = tiny.plan(), tiny.plan()
    assert len({t.slug for t in one.tasks}) == len(one.tasks) == len({t.key for t in one.tasks})
    assert [t.key for t in one.tasks] == [t.key for t in two.tasks]


def test_fits_carry_the_corruptions_and_histories_of_their_protocol():
    for task in tiny.plan().tasks:
        protocol = task.fits[0].protocol
        assert task.history == (protocol == "published")
        assert bool(task.corruptions) == (protocol in {"published", "grouped"})


def test_batches_of_heads_are_settled_by_the_plan_and_no_larger_than_their_limit():
    grouped = {"folds": 2, "pretrained": {"repeats": 10, "seeds": 5}, "curve": [2]}
    tasks = [t for t in tiny.plan(grouped=grouped).tasks if t.slug.startswith("tiny.grouped")]
    assert [len(t.fits) for t in tasks] == [10] * 10


def test_runs_are_every_setting_with_its_epochs_as_checkpoints_of_the_longest():
    plan = tiny.plan(models=tiny.models(runs=RUNS), published=TENTHS)
    fits = {f: t for t in plan.tasks for f in t.fits if f.protocol == "runs"}
    assert {f.model for f in fits} == {"tiny"} and {f.seed for f in fits} == {0, 1}
    assert {f.hyper for f in fits} == {Hyper(3, rate, 0.0) for rate in (0.001, 0.1)} and len(fits) == 4
    assert {t.checkpoints for t in fits.values()} == {(1, 3)}
    published = [t.splits[0] for t in plan.tasks if t.fits[0].protocol == "published"]
    assert {t.splits[0].test for t in fits.values()} == {published[0].test}
    fewer = tiny.plan(models=tiny.models(runs={"epochs": [2], "dropout": [0.5]}), published=TENTHS)
    assert {f.hyper for t in fewer.tasks for f in t.fits if f.protocol == "runs"} == {Hyper(2, 0.001, 0.5)}
    assert ("tiny", "runs") not in _counts(tiny.plan()), "only where the study asks for them"


def test_an_optional_model_without_weights_is_left_out_with_its_reason():
    plan = tiny.plan("unavailable", models=tiny.models(optional=True))
    assert plan.left_out == {"tiny": "it was never trained"}
    assert {t.fits[0].model for t in plan.tasks} == {"scratch", "baseline_metadata", "baseline_colour"}


def test_a_model_that_is_not_optional_stops_the_plan():
    with pytest.raises(BatikError, match="never trained"):
        tiny.plan("unavailable")


def test_the_store_gives_back_what_it_was_given_and_calls_a_damaged_file_missing(tmp_path):
    plan, store = tiny.plan(), Store("tiny", tmp_path)
    task = plan.tasks[0]
    assert store.read(task) is None
    store.write(task, _results(task))
    read = store.read(task)
    assert [(r.fit, r.paths) for r in read] == [(r.fit, r.paths) for r in _results(task)] and store.is_done(task)
    assert all((r.y_prob == [0.25, 0.75]).all() and r.y_prob.dtype == np.float64 for r in read)
    (path,) = store.folder.iterdir()
    whole = path.read_bytes()
    for damaged in (whole[:100], whole.replace(np.float64(0.75).tobytes(), np.float64(0.85).tobytes())):
        store.write(task, _results(task))
        assert path.read_bytes() == whole
        path.write_bytes(damaged)
        assert store.read(task) is None and [p.suffix for p in store.folder.iterdir()] == [".bad"]


def test_a_failed_fit_is_kept_with_its_reason_and_is_not_done(tmp_path):
    plan, store = tiny.plan(), Store("tiny", tmp_path)
    task = plan.tasks[0]
    store.write(task, _results(task, "it diverged"))
    assert not store.is_done(task)
    (row,) = [r for r in store.status(plan.tasks) if r["task"] == task.slug]
    assert row["state"] == "failed" and "it diverged" in row["why"] and task.fits[0].name in row["why"]


def test_status_says_what_is_done_and_missing_and_why_stale(tmp_path, monkeypatch):
    store, before = Store("tiny", tmp_path), tiny.plan()
    for task in before.tasks[1:]:
        store.write(task, _results(task))
    assert {r["task"]: r["state"] for r in store.status(before.tasks)} == {
        t.slug: "done" if i else "missing" for i, t in enumerate(before.tasks)
    }

    longer = tiny.plan(models=tiny.models(epochs=4))
    why = {r["task"]: (r["state"], r["why"]) for r in store.status(longer.tasks)}
    assert why["tiny.grouped.r0f0s0"] == ("stale", "parameters epochs 3 → 4, views 3 → 4")
    assert why["baseline_colour.grouped.r0f0s0"][0] == "done"

    locked = keys.lock()
    monkeypatch.setattr(keys, "lock", lambda: locked | {"keras": "2.0"})
    assert store.status(tiny.plan().tasks)[1]["why"] == f"lock keras {locked['keras']} → 2.0"
    monkeypatch.undo()

    old = keys._file
    monkeypatch.setattr(
        keys, "_file", lambda name: ("edited", old(name)[1]) if name.endswith("heads.py") else old(name)
    )
    why = {r["task"]: (r["state"], r["why"]) for r in store.status(tiny.plan().tasks)}
    assert why["tiny.grouped.r0f0s0"] == ("stale", "code models/heads.py")
    assert why["baseline_features.grouped.r0f0s0"][0] == "done"


def test_other_data_makes_everything_stale(tmp_path):
    store, plan = Store("tiny", tmp_path), tiny.plan()
    for task in plan.tasks:
        store.write(task, _results(task))
    data = tiny.dataset()
    other = type(data)(**{**vars(data), "sha256": ("0" * 64, *data.sha256[1:])})
    rows = store.status(make_plan(plan.study, other, backbones={"tiny": tiny.TinyBackbone()}).tasks)
    assert {(r["state"], r["why"]) for r in rows} == {("stale", "data")}


def test_a_key_covers_every_module_that_its_numbers_are_made_of_and_no_words():
    found = {name: {*keys.code(*kind.code)} for name, kind in KINDS.items()}
    assert {"backend.py", "models/work.py"} <= set.intersection(*found.values())
    assert {"models/train.py", "models/scratch.py", "models/augment.py"} <= found["scratch"]
    assert "models/features.py" not in found["pretrained"]  # which are a code of their own
    assert {"models/backbones.py", "models/augment.py", "models/texture.py"} <= {*keys.code(keys.FEATURES)}
    told = {name for names in found.values() for name in names}
    assert not {name for name in told if not name.startswith("models/")} - {"backend.py"} and not told & keys.APART
    assert all(name.startswith("sample/") or name == "backend.py" for name in keys.code("sample"))


def test_only_what_runs_is_in_a_key(tmp_path, monkeypatch):
    def digest(text):
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models" / "one.py").write_text(text)
        keys._file.cache_clear()
        return keys.code("models/one.py")["models/one.py"]

    monkeypatch.setattr(keys, "PACKAGE", tmp_path)
    (tmp_path / "backend.py").touch()
    plain = digest("X = 1\ndef f(a):\n    return a + 1\n")
    assert plain == digest('"""What."""\nX = 1  # why\n"""And."""\n\n\ndef f( a ):\n    "How."\n    return (a+1)\n')
    assert plain == digest(
        "if TYPE_CHECKING:\n    from batik_utils.models.two import Y\nX = 1\ndef f(a):\n    return a + 1\n"
    )
    assert plain != digest("X = 1\ndef f(a):\n    return a + 2\n")
    (tmp_path / "models" / "two.py").write_text("Y = 2\n")
    digest("def f():\n    from batik_utils.models import two\n")
    assert {*keys.code("models/one.py")} == {"backend.py", "models/one.py", "models/two.py"}
    keys._file.cache_clear()


def test_every_kind_describes_itself():
    for model in [*tiny.study().models.values(), *BASELINES.values()]:
        said = KINDS[model.kind].describe(model)
        assert said.starts and said.words
    assert KINDS["scratch"].weights_sha256(tiny.study().models["scratch"]) is None
    with pytest.raises(BatikError, match="cannot be saved"):
        KINDS["baseline"].assemble(BASELINES["baseline_colour"], {}, 32, tiny.MOTIFS, 0.0)


def test_two_backbones_with_the_same_weights_share_no_key():
    # One network with two preprocessings: what is computed of its features differs, its weights do not.
    both = [
        make_plan(tiny.study(), tiny.dataset(), backbones={"tiny": tiny.TinyBackbone(name=name)})
        for name in ("tiny", "unit")
    ]
    found = [{t.slug: t.key for t in plan.tasks if t.features} for plan in both]
    assert "baseline_features.grouped.r0f0s0" in found[0] and found[0].keys() == found[1].keys()
    assert all(found[0][slug] != found[1][slug] for slug in found[0])


def test_statistics_load_neither_the_engine_nor_opencv():
    code = (
        "import sys, batik_utils.stats.claims as s; print({'cv2', 'keras', 'batik_utils.experiment'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_more_training_seeds_leave_the_fits_that_are_done():
    models = tiny.models()
    runs = [models["scratch"] | {"runs": RUNS | {"seeds": seeds}} for seeds in (1, 2)]
    made = [tiny.plan(models=models | {"scratch": scratch}, published=TENTHS) for scratch in runs]
    one, two = ({(t.slug, t.key) for t in plan.tasks if t.fits[0].protocol == "runs"} for plan in made)
    assert len(two) == 2 * len(one) and one < two


def test_a_model_may_have_pictures_of_its_own_whose_pixels_are_in_its_keys():
    made: list[int] = []

    def decode(image: Image) -> np.ndarray:
        made.append(image.size)
        return np.zeros((24, image.size, image.size, 3), np.uint8)

    own = {"size": 48, "fit": "crop"}
    study = tiny.study(models=tiny.models(image=own))
    data = replace(tiny.dataset(), made=study.image, decode=decode)
    plan = make_plan(study, data, backbones={"tiny": tiny.TinyBackbone()})
    assert {t.image for t in plan.tasks if t.fits[0].model == "scratch"} == {study.image}
    mine = [t for t in plan.tasks if t.fits[0].model == "tiny"]
    assert {t.image for t in mine} == {t.features.image for t in mine} == {Image(size=48, fit="crop")} and made == [48]
    assert all(t.parts["parameters"]["image"] == Image(size=48, fit="crop").model_dump() for t in mine)
    assert KINDS["scratch"].inputs(plan.tasks[0], data, None) is data.images and made == [48]
    other = {t.slug: t.key for t in make_plan(tiny.study(), data, backbones={"tiny": tiny.TinyBackbone()}).tasks}
    assert {t.slug for t in plan.tasks if other[t.slug] != t.key} == {
        t.slug for t in plan.tasks if t.fits[0].model in {"tiny", "baseline_features"}
    }
    assert data.pictures(mine[0].image).shape == (24, 48, 48, 3)
    drawn = replace(data, decode=lambda image: decode(image) + np.uint8(1))
    again = make_plan(study, drawn, backbones={"tiny": tiny.TinyBackbone()})
    changed = {t.fits[0].model for t, old in zip(again.tasks, plan.tasks, strict=True) if t.key != old.key}
    assert changed == {"tiny", "baseline_features"}
