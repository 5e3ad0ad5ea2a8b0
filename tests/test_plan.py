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


def _counts(plan) -> dict[tuple[str, str], int]:
    return Counter((f.model, f.protocol) for t in plan.tasks for f in t.fits)


def _results(task, **changes) -> list[FitResult]:
    """What a task's fits could give."""
    rows = zip(task.fits, (len(split.test) for split in task.splits), strict=True)
    return [
        FitResult(fit, ("a",) * n, np.zeros(n, int), np.full((n, 2), [0.25, 0.75]), 1, **changes) for fit, n in rows
    ]


def _made(data=None, study=None, **backbone):
    return make_plan(study or tiny.study(), data or tiny.dataset(), backbones={"tiny": tiny.TinyBackbone(**backbone)})


def test_the_plan_counts_the_fits_that_the_study_asks_for():
    assert _counts(tiny.plan()) == {
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


def test_every_task_has_its_own_file_a_key_that_repeats_and_what_its_protocol_asks_for():
    one, two = tiny.plan(), tiny.plan()
    assert len({t.slug for t in one.tasks}) == len(one.tasks) == len({t.key for t in one.tasks})
    assert [t.key for t in one.tasks] == [t.key for t in two.tasks]
    for task in one.tasks:
        protocol = task.fits[0].protocol
        assert task.history == (protocol == "published")
        assert bool(task.corruptions) == (protocol in {"published", "grouped"})


def test_batches_of_heads_are_settled_by_the_plan_and_no_larger_than_their_limit():
    grouped = {"folds": 2, "pretrained": {"repeats": 10, "seeds": 5}, "curve": [2]}
    tasks = [t for t in tiny.plan(grouped=grouped).tasks if t.slug.startswith("tiny.grouped")]
    assert [len(t.fits) for t in tasks] == [10] * 10


def test_runs_are_every_setting_with_its_epochs_as_checkpoints_and_more_seeds_leave_those_that_are_done():
    def fits(name="tiny", **runs):
        models = tiny.models() | {name: tiny.models()[name] | {"runs": runs}}
        plan = tiny.plan(models=models, published={"split": "stratified-80-10-10", "seeds": 2})
        assert len({t.splits[0].test for t in plan.tasks if t.fits[0].protocol in {"published", "runs"}}) == 1
        return {f: t for t in plan.tasks for f in t.fits if f.protocol == "runs"}

    values = {"epochs": [1, 3], "learning_rate": [0.001, 0.1], "dropout": [0.0]}
    found = fits(**values, seeds=2)
    assert {f.model for f in found} == {"tiny"} and {f.seed for f in found} == {0, 1} and len(found) == 4
    assert {f.hyper for f in found} == {Hyper(3, rate, 0.0) for rate in (0.001, 0.1)}
    assert {t.checkpoints for t in found.values()} == {(1, 3)}
    assert {f.hyper for f in fits(epochs=[2], dropout=[0.5])} == {Hyper(2, 0.001, 0.5)}
    one, two = ({(t.slug, t.key) for t in fits("scratch", **values, seeds=seeds).values()} for seeds in (1, 2))
    assert len(two) == 2 * len(one) and one < two


def test_a_model_without_weights_stops_the_plan():
    with pytest.raises(BatikError, match="never trained"):
        tiny.plan("unavailable")


def test_the_store_gives_back_what_it_was_given_and_nothing_of_another_task_or_of_no_use(tmp_path):
    store, (task, other, *_) = Store("tiny", tmp_path), tiny.plan().tasks
    assert store.read(task) is None
    good, prob = _results(task), _results(task)[0].y_prob
    store.write(task, good)
    read = store.read(task)
    assert [(r.fit, r.paths) for r in read] == [(r.fit, r.paths) for r in good] and store.is_done(task)
    assert all((r.y_prob == [0.25, 0.75]).all() and r.y_prob.dtype == np.float64 for r in read)
    (path,) = store.folder.iterdir()
    path.rename(path.with_name(f"{other.slug}--{other.key[:16]}.npz"))
    assert store.read(other) is None
    changes = [{"y_prob": prob * np.nan}, {"y_prob": prob[:, :1]}, {"y_prob": prob[1:]}, {"paths": ("a",)}]
    wrong = [replace(good[0], **change) for change in (*changes, {"fit": other.fits[0]})]
    for results in (good + good[:1], good[1:], *([one, *good[1:]] for one in wrong)):
        store.write(task, results)
        assert store.read(task) is None


def test_status_says_what_is_done_failed_and_missing_and_why_stale(tmp_path, monkeypatch):
    store, before = Store("tiny", tmp_path), tiny.plan()

    def status(plan):
        return {row["task"]: (row["state"], row["why"]) for row in store.status(plan.tasks)}

    for task in before.tasks[1:]:
        store.write(task, _results(task))
    states = {t.slug: "done" if i else "missing" for i, t in enumerate(before.tasks)}
    assert {slug: state for slug, (state, _) in status(before).items()} == states
    failed = before.tasks[0]
    store.write(failed, _results(failed, missing="it diverged"))
    state, why = status(before)[failed.slug]
    assert state == "failed" and "it diverged" in why and failed.fits[0].name in why and not store.is_done(failed)
    store.write(failed, _results(failed))

    longer = status(tiny.plan(models=tiny.models(epochs=4)))
    assert longer["tiny.grouped.r0f0s0"] == ("stale", "parameters epochs 3 → 4, views 3 → 4")
    assert longer["baseline_colour.grouped.r0f0s0"][0] == "done"

    locked = keys.lock()
    monkeypatch.setattr(keys, "lock", lambda: locked | {"keras": "2.0"})
    assert store.status(tiny.plan().tasks)[1]["why"] == f"lock keras {locked['keras']} → 2.0"
    monkeypatch.undo()

    old = keys._file
    monkeypatch.setattr(keys, "_file", lambda name: ("new", old(name)[1]) if name.endswith("heads.py") else old(name))
    edited = status(tiny.plan())
    assert edited["tiny.grouped.r0f0s0"] == ("stale", "code models/heads.py")
    assert edited["baseline_features.grouped.r0f0s0"][0] == "done"
    monkeypatch.undo()

    data = tiny.dataset()
    other = _made(replace(data, sha256=("0" * 64, *data.sha256[1:])))
    assert {*status(other).values()} == {("stale", "data")}


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
    typed = "if TYPE_CHECKING:\n    from batik_utils.models.two import Y\n"
    assert plain == digest(f"{typed}X = 1\ndef f(a):\n    return a + 1\n")
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
    found = [{t.slug: t.key for t in _made(name=name).tasks if t.features} for name in ("tiny", "unit")]
    assert "baseline_features.grouped.r0f0s0" in found[0] and found[0].keys() == found[1].keys()
    assert all(found[0][slug] != found[1][slug] for slug in found[0])


def test_statistics_load_neither_the_engine_nor_opencv():
    what = "{'cv2', 'keras', 'batik_utils.experiment'} & {*sys.modules}"
    command = [sys.executable, "-c", f"import sys, batik_utils.stats.claims; print({what})"]
    assert subprocess.check_output(command, text=True) == "set()\n"


def test_a_model_may_have_pictures_of_its_own_whose_pixels_are_in_its_keys():
    made: list[int] = []

    def decode(image: Image) -> np.ndarray:
        made.append(image.size)
        return np.zeros((24, image.size, image.size, 3), np.uint8)

    own = Image(size=48, fit="crop")
    study = tiny.study(models=tiny.models(image=own.model_dump()))
    data = replace(tiny.dataset(), made=study.image, decode=decode)
    plan = _made(data, study)
    mine = [t for t in plan.tasks if t.fits[0].model == "tiny"]
    assert {t.image for t in plan.tasks if t.fits[0].model == "scratch"} == {study.image}
    assert {t.image for t in mine} == {t.features.image for t in mine} == {own} and made == [48]
    assert all(t.parts["parameters"]["image"] == own.model_dump() for t in mine)
    assert KINDS["scratch"].inputs(plan.tasks[0], data, None) is data.images and made == [48]
    assert data.pictures(own).shape == (24, 48, 48, 3)
    brighter = replace(data, decode=lambda image: decode(image) + np.uint8(1))
    for other in (_made(data), _made(brighter, study)):
        changed = {t.fits[0].model for t, old in zip(plan.tasks, other.tasks, strict=True) if t.key != old.key}
        assert changed == {"tiny", "baseline_features"}
