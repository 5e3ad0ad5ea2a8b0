"""However a plan is run, the same bytes come out, and nothing that was done is lost or done twice."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import tiny
from scipy.special import softmax

from batik_utils.errors import BatikError
from batik_utils.experiment import final_weights, keys, run_plan, workers
from batik_utils.experiment.run import own_tasks


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """(folder, Results) of the tiny plan done in this process."""
    folder = tmp_path_factory.mktemp("serial")
    with _cache(folder):
        return folder, _serial()


@pytest.fixture
def cache(tmp_path):
    with _cache(tmp_path):
        yield tmp_path


def _cache(folder: Path):
    return mock.patch.dict(os.environ, BATIK_CACHE=str(folder))


def _serial(plan=None, **options):
    return run_plan(plan or tiny.plan(), executor="serial", progress=False, **options)


def _stamps(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in _files(folder) if not p.name.startswith(".")}


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _wait_for(what, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_every_fit_of_the_plan_has_a_result_that_keeps_labels_and_paths_together(reference):
    plan, (_, results) = tiny.plan(), reference
    assert [r.fit for r in results] == [f for t in plan.tasks for f in t.fits] and not results.missing
    truth = dict(zip(plan.dataset.paths, plan.dataset.labels, strict=True))
    for result in results:
        assert np.allclose(result.y_prob.sum(1), 1, atol=1e-6)
        if result.fit.protocol != "permuted":
            assert [truth[p] for p in result.paths] == result.y_true.tolist()
    for result in results.select("tiny", "published"):
        assert set(result.corruptions) == {"greyscale", "blur", "patches", "border"}
        assert {*result.history} == {"accuracy", "loss", "val_accuracy", "val_loss"} and len(
            result.history["loss"]
        ) == 3
        assert result.parameters == tiny.TinyBackbone().parameters + 6 * 4 + 4 + 4 * 2 + 2
    assert len({r.y_prob.tobytes() for r in results.select("tiny", "grouped")}) == 8


def test_two_runs_at_once_on_one_cache_with_the_keras_settings_of_another_project_give_the_same_bytes(reference, cache):
    settings = {"floatx": "float64", "epsilon": 0.1, "image_data_format": "channels_first", "backend": "tensorflow"}
    (cache / "keras").mkdir()
    (cache / "keras" / "keras.json").write_text(json.dumps(settings))
    code = "import tiny, batik_utils.experiment as e; e.run_plan(tiny.plan(), executor='serial', progress=False)"
    env = tiny.ENV | {"BATIK_CACHE": str(cache / "both"), "KERAS_HOME": str(cache / "keras")}
    both = [subprocess.Popen([sys.executable, "-c", code], env=env) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert tiny.results(cache / "both") == tiny.results(reference[0])
    assert len(_files(cache / "both")) == len(_files(reference[0])), "and nothing else is left"


def test_two_shards_merged_give_the_same_bytes(reference, tmp_path):
    for i in (1, 2):
        with _cache(tmp_path / str(i)):
            _serial(shard=(i, 2))
    one, two = (tiny.results(tmp_path / str(i)) for i in (1, 2))
    assert one and two and not set(one) & set(two)
    assert {**one, **two} == tiny.results(reference[0])
    for wrong in ((3, 2), (0, 2)):
        with pytest.raises(BatikError, match=f"A shard is i/n with 1 ≤ i ≤ n, such as 2/8, not {wrong[0]}/2"):
            run_plan(tiny.plan(), shard=wrong)


@contextlib.contextmanager
def _dask_cluster(folder: Path, workers: int = 2):
    # The workers have a cache of their own: nothing may reach the caller except over the wire.
    env = {**tiny.ENV, "BATIK_CACHE": str(folder / "elsewhere"), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    file, dask = folder / "scheduler.json", [sys.executable, "-m", "dask"]
    common = ["--no-dashboard", "--scheduler-file", str(file), "--host", "127.0.0.1"]
    commands = [[*dask, "scheduler", "--port", "0", *common]]
    commands += [[*dask, "worker", *common, "--nthreads", "1", "--local-directory", str(folder)]] * workers
    options = {"env": env, "cwd": folder, "start_new_session": True}
    with (folder / "log").open("wb") as log:
        started = []
        try:
            for command in commands:
                started.append(subprocess.Popen(command, stdout=log, stderr=log, **options))
                _wait_for(lambda: file.is_file() and file.read_text().rstrip().endswith("}"))  # written whole
            yield json.loads(file.read_text())["address"]
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                if process.poll() is None:  # a nanny whose worker was killed may wait for it in vain
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait(10)


def test_a_dask_cluster_of_two_worker_processes_gives_the_same_bytes_and_tells_a_job_that_kills_one(
    reference, cache, tmp_path_factory
):
    pytest.importorskip("distributed")
    large = np.ones(200_000)  # travels once, and is sent again where the worker that held it is gone
    jobs = [(tiny.double, large * i) for i in range(8)]
    jobs[3] = (tiny.die,)
    with _dask_cluster(tmp_path_factory.mktemp("dask")) as address:
        run_plan(tiny.plan(), executor=address, progress=False)
        with workers.workers(address) as run:
            done = dict(run(jobs))
    assert tiny.results(cache) == tiny.results(reference[0])
    assert done.pop(3) == workers.DIED
    assert {i: float(v[0]) for i, v in done.items()} == {i: 2.0 * i for i in range(8) if i != 3}


def test_a_scheduler_that_does_not_answer_or_has_no_workers_is_one_clear_line(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    with pytest.raises(BatikError, match="No Dask scheduler answers"):
        workers.workers("nonsense://nowhere").__enter__()
    monkeypatch.setattr(workers, "WAIT_SECONDS", 0.5)
    with _dask_cluster(tmp_path, workers=0) as address, pytest.raises(BatikError, match="No worker joined"):
        workers.workers(address).__enter__()


def _alive(pid: str) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


def test_after_kill_9_in_mid_run_its_processes_end_and_two_do_the_rest_features_too_and_nothing_twice(reference, cache):
    env = tiny.ENV | {"BATIK_CACHE": str(cache)}
    with (cache / "said").open("wb") as said:
        killed = subprocess.run([sys.executable, "-c", "import tiny; tiny.main()"], env=env, stdout=said)
    assert killed.returncode == -signal.SIGKILL
    its = (cache / "said").read_text().split()
    if sys.platform != "win32":  # where no process is told that its parent was killed
        assert len(its) >= 2
        _wait_for(lambda: not any(map(_alive, its)), 5)
    assert list(cache.rglob(".*.npz")) and len(tiny.results(cache)) == 2
    gone = sorted((cache / "features").rglob("*.npz"))[:10]
    for path in gone:  # as if it had been killed earlier
        path.unlink()
    before = _stamps(cache)
    run_plan(tiny.plan(), jobs=2, progress=False)
    assert before.items() <= _stamps(cache).items()
    assert all(p.read_bytes() == (reference[0] / p.relative_to(cache)).read_bytes() for p in gone)
    assert tiny.results(cache) == tiny.results(reference[0])


def test_a_disk_that_takes_nothing_more_is_one_line_and_nothing_half(reference, cache, monkeypatch):
    resource = pytest.importorskip("resource")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    for trouble in ("full", "read-only"):
        with monkeypatch.context() as patch, pytest.raises(BatikError, match=r"^[^\n]+ cannot be written in [^\n]+$"):
            if trouble == "read-only":  # which a test that may run as root cannot make
                patch.setattr(tempfile, "mkstemp", mock.Mock(side_effect=OSError(errno.EROFS, "read-only")))
            else:
                resource.setrlimit(resource.RLIMIT_FSIZE, (1_500, limit[1]))
            try:
                _serial()
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        assert all(path.parent.parent.name == "features" for path in _files(cache))
        assert not any(path.name.startswith(".") for path in _files(cache))
    _serial()
    assert tiny.results(cache) == tiny.results(reference[0])


@pytest.mark.parametrize("name", keys.identity())
def test_a_worker_that_is_not_as_its_caller_is_refused(name, cache, monkeypatch):
    mine = keys.identity()
    asked = iter([mine | {name: "other"}])  # by the caller
    monkeypatch.setattr(keys, "identity", lambda: next(asked, mine))
    with pytest.raises(BatikError, match=f"A worker has another {name} than its caller .*, not other"):
        _serial()
    assert not tiny.results(cache)


def test_a_worker_that_dies_names_its_image_and_the_other_fits_go_on(cache, capsys):
    models = tiny.models()
    models["other"] = {**models["tiny"], "title": "Also tiny", "hidden": 5}
    results = run_plan(tiny.plan("die", models=models), jobs=2)
    assert {r.fit.model for r in results.missing} == {"tiny", "other", "baseline_features"}
    assert all("no Tiny features of batik-two/5.jpg: its process died" in r.missing for r in results.missing)
    others = {r.fit.model for r in results if not r.missing}
    assert others == {"scratch", "baseline_metadata", "baseline_colour"}
    assert "tiny/published/r0f0/s0" in capsys.readouterr().err


def test_a_fit_that_gives_nan_is_named_and_tried_again_but_not_by_who_only_looks(cache):
    plan = tiny.plan("nan")
    first = _serial(plan)
    named = [r for r in first.missing if r.fit.model == "tiny"]
    assert {r.fit for r in named} == {f for t in plan.tasks for f in t.fits if f.model == "tiny"}
    assert all("NaN" in r.missing for r in named)
    assert {r.fit.model for r in first if not r.missing} >= {"scratch", "baseline_metadata", "baseline_colour"}
    before = _stamps(cache)
    assert [r.fit for r in _serial(plan, retry=False).missing] == [r.fit for r in first.missing]
    assert _stamps(cache) == before
    # The same caches with a healthy backbone: what had failed succeeds, for a failure is not a result.
    for path in (cache / "features").rglob("*.npz"):
        path.unlink()
    assert not _serial().missing
    scratch = [p for p in before if "scratch." in p]
    assert scratch and all(_stamps(cache)[p] == before[p] for p in scratch)


def test_whose_a_task_is_does_not_change_where_others_are_fewer():
    plan = tiny.plan()
    parts = [[t.slug for t in own_tasks(plan, (i, 3))] for i in (1, 2, 3)]
    assert sorted(slug for part in parts for slug in part) == sorted(t.slug for t in plan.tasks)
    fewer = replace(plan, tasks=tuple(t for t in plan.tasks if t.fits[0].protocol != "published"))
    for i, part in enumerate(parts, 1):
        assert {t.slug for t in own_tasks(fewer, (i, 3))} == {s for s in part if ".published" not in s}


def test_final_weights_are_those_of_the_published_fit_with_seed_0_or_of_the_same_on_every_image(reference):
    folder, results = reference
    with _cache(folder):
        before = _stamps(folder)
        head, scratch = (final_weights(tiny.plan(), name, on="published") for name in ("tiny", "scratch"))
        whole, again = (final_weights(tiny.plan(), "tiny") for _ in range(2))
        assert _stamps(folder) == before
    assert list(head) == list(whole) == ["hidden_kernel", "hidden_bias", "kernel", "bias"]
    assert all((whole[name] == again[name]).all() for name in whole)
    assert not np.allclose(whole["kernel"], head["kernel"])
    assert sum(w.size for w in scratch) == results.select("scratch", "published").items[0].parameters
    first, data = results.select("tiny", "published").items[0], tiny.dataset()
    images = data.images[[data.paths.index(p) for p in first.paths]].astype(np.float32)
    features = np.asarray(tiny.TinyBackbone().build(tiny.SIZE).predict_on_batch(images))
    hidden = np.maximum(features @ head["hidden_kernel"] + head["hidden_bias"], 0)
    said = softmax(hidden @ head["kernel"] + head["bias"], axis=1)
    np.testing.assert_allclose(first.y_prob, said, atol=1e-5)
