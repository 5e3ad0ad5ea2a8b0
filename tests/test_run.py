"""However a plan is run, the same bytes come out, and nothing that was done is lost or done twice."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import tiny

from batik_utils.errors import BatikError
from batik_utils.experiment import cluster, final_weights, run_plan
from batik_utils.experiment.run import opened, own_tasks
from batik_utils.experiment.workers import WorkerDied
from batik_utils.models.kinds import Pretrained

TESTS = Path(__file__).parent
ENV = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}


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
    files = (p for p in folder.rglob("[!.]*.*") if p.is_file())
    return {str(p): p.stat().st_mtime_ns for p in files}


def _wait_for(what, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_every_fit_of_the_plan_has_a_result_that_keeps_labels_and_paths_together(reference):
    plan, (_, results) = tiny.plan(), reference
    assert [r.fit for r in results] == [f for t in plan.tasks for f in t.fits]
    assert not results.missing
    data = plan.dataset
    truth = dict(zip(data.paths, data.labels, strict=True))
    for result in results:
        assert np.allclose(result.y_prob.sum(1), 1, atol=1e-6)
        if result.fit.protocol != "permuted":
            assert [truth[p] for p in result.paths] == result.y_true.tolist()
    for result in results.select("tiny", "published"):
        assert set(result.corruptions) == {"greyscale", "blur", "patches", "border"}
        assert {len(values) for values in result.history.values()} == {3}
        assert set(result.history) == {"accuracy", "loss", "val_accuracy", "val_loss"}
        assert result.parameters == tiny.TinyBackbone().parameters + 6 * 4 + 4 + 4 * 2 + 2
    assert len({r.y_prob.tobytes() for r in results.select("tiny", "grouped")}) == 8


def test_a_second_run_does_nothing(reference):
    folder, results = reference
    with _cache(folder):
        before = _stamps(folder)
        again = _serial()
    assert _stamps(folder) == before
    assert [r.to_json() for r in again] == [r.to_json() for r in results]


def test_two_processes_give_the_same_bytes(reference, cache):
    run_plan(tiny.plan(), jobs=2, progress=False)
    assert tiny.results(cache) == tiny.results(reference[0])


def test_two_shards_merged_give_the_same_bytes(reference, tmp_path):
    for i in (1, 2):
        with _cache(tmp_path / str(i)):
            _serial(shard=(i, 2))
    one, two = (tiny.results(tmp_path / str(i)) for i in (1, 2))
    assert one and two and not set(one) & set(two)
    assert {**one, **two} == tiny.results(reference[0])
    with pytest.raises(BatikError, match="3/2"):
        run_plan(tiny.plan(), shard=(3, 2))


def test_a_dask_cluster_of_two_worker_processes_gives_the_same_bytes(reference, cache, tmp_path_factory):
    pytest.importorskip("distributed")
    with _dask_cluster(tmp_path_factory.mktemp("dask")) as address:
        run_plan(tiny.plan(), executor=address, progress=False)
    assert tiny.results(cache) == tiny.results(reference[0])


@contextlib.contextmanager
def _dask_cluster(folder: Path, workers: int = 2):
    # The workers have a cache of their own: nothing may reach the caller except over the wire.
    env = {**ENV, "BATIK_CACHE": str(folder / "elsewhere"), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    file, dask = folder / "scheduler.json", [sys.executable, "-m", "dask"]
    common = ["--no-dashboard", "--scheduler-file", str(file)]
    commands = [[*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", *common]]
    own = ["--host", "127.0.0.1", "--nthreads", "1", "--local-directory", str(folder)]
    commands += [[*dask, "worker", *common, *own]] * workers
    with (folder / "log").open("wb") as log:
        started = []
        try:
            for command in commands:
                started.append(
                    subprocess.Popen(command, env=env, cwd=folder, stdout=log, stderr=log, start_new_session=True)
                )
                _wait_for(file.is_file)
            yield json.loads(file.read_text())["address"]
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:  # a nanny whose worker was killed may wait for it in vain
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait(10)


def test_a_dask_address_where_nobody_answers_is_one_clear_line(monkeypatch, cache):
    pytest.importorskip("distributed")
    with pytest.raises(BatikError, match="No Dask scheduler answers"):
        run_plan(tiny.plan(), executor="nonsense://nowhere", progress=False)


def test_after_kill_9_in_mid_run_the_rest_is_done_and_nothing_twice(reference, cache):
    env = {**ENV, "BATIK_CACHE": str(cache)}
    process = subprocess.run([sys.executable, "-c", "import tiny; tiny.main()"], env=env, cwd=TESTS)
    assert process.returncode == -signal.SIGKILL
    assert list(cache.rglob(".*.result"))
    before = _stamps(cache)
    assert len(tiny.results(cache)) == 2
    _serial()
    after = _stamps(cache)
    assert {p: after[p] for p in before} == before
    assert tiny.results(cache) == tiny.results(reference[0])


def test_features_interrupted_half_way_go_on_from_there(reference, cache):
    shutil.copytree(reference[0] / "features", cache / "features")
    files = sorted((cache / "features").rglob("*.features"))
    assert len(files) == 24
    for path in files[:10]:
        path.unlink()
    before = _stamps(cache)
    _serial()
    assert {p: t for p, t in _stamps(cache).items() if p in before} == before
    assert [p.read_bytes() for p in files] == [
        p.read_bytes() for p in sorted((reference[0] / "features").rglob("*.features"))
    ]
    assert tiny.results(cache) == tiny.results(reference[0])


def test_a_job_whose_process_dies_is_told_from_its_neighbours():
    jobs = [(tiny.double, (i,)) for i in range(8)]
    jobs[3] = (tiny.die, ())
    with opened("processes", 2) as two:
        done = dict(two.run(jobs))
    assert isinstance(done[3], WorkerDied) and "process died" in done[3].reason
    assert {i: v for i, v in done.items() if i != 3} == {i: 2 * i for i in range(8) if i != 3}


@pytest.mark.skipif(sys.platform == "win32", reason="no process is told there that its parent was killed")
def test_workers_end_when_their_run_is_killed(tmp_path):
    def alive(pid):
        state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True).stdout.strip()
        return state and not state.startswith("Z")

    run = subprocess.Popen([sys.executable, "-c", "import tiny, sys; tiny.sleepers(sys.argv[1])", tmp_path], env=ENV)
    _wait_for(lambda: len(list(tmp_path.iterdir())) == 2)
    workers = [p.name for p in tmp_path.iterdir()]
    assert all(map(alive, workers)) and str(run.pid) not in workers
    run.kill()
    run.wait()
    _wait_for(lambda: not any(map(alive, workers)), 5)


def test_a_job_that_kills_its_dask_workers_is_told_from_its_neighbours(tmp_path):
    pytest.importorskip("distributed")
    large = np.ones(200_000)  # travels once, and is sent again where the worker that held it is gone
    jobs = [(tiny.double, (large * i,)) for i in range(6)]
    jobs[3] = (tiny.die, ())
    with _dask_cluster(tmp_path) as address, opened(address) as cluster:
        done = dict(cluster.run(jobs))
    assert isinstance(done[3], WorkerDied) and "process died" in done[3].reason
    assert {i: float(v[0]) for i, v in done.items() if i != 3} == {i: 2.0 * i for i in range(6) if i != 3}


def test_a_dask_worker_of_another_version_is_refused(monkeypatch):
    own = cluster.identity()
    monkeypatch.setattr(cluster, "identity", lambda: own | {"keras": "0.1"})
    client = SimpleNamespace(run=lambda _: {"tcp://there": own})
    with pytest.raises(BatikError, match="tcp://there has another keras than the caller"):
        cluster._refuse_others(client)


def test_a_scheduler_without_workers_is_one_clear_line(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "WAIT", 0.5)
    with (
        _dask_cluster(tmp_path, workers=0) as address,
        pytest.raises(BatikError, match="No worker joined"),
        opened(address),
    ):
        pass


def test_a_worker_that_dies_names_its_image_and_the_other_fits_go_on(cache, capsys):
    models = tiny.models()
    models["other"] = {**models["tiny"], "title": "Also tiny", "epochs": 2}
    results = run_plan(tiny.plan("die", models=models), jobs=2)
    assert {r.fit.model for r in results.missing} == {"tiny", "other", "baseline_features"}
    assert all("no Tiny features of batik-two/5.jpg: its process died" in r.missing for r in results.missing)
    others = {r.fit.model for r in results if not r.missing}
    assert others == {"scratch", "baseline_metadata", "baseline_colour"}
    assert "tiny/published/r0f0/s0" in capsys.readouterr().err


def test_a_fit_that_gives_nan_is_named_and_tried_again(cache):
    plan = tiny.plan("nan")
    results = _serial(plan)
    named = [r for r in results.missing if r.fit.model == "tiny"]
    assert {r.fit for r in named} == {f for t in plan.tasks for f in t.fits if f.model == "tiny"}
    assert all("NaN" in r.missing for r in named)
    done = {r.fit for r in results if not r.missing}
    assert {f.model for f in done} >= {"scratch", "baseline_metadata", "baseline_colour"}
    # The same caches with a healthy backbone: what had failed succeeds, for a failure is not a result.
    before = _stamps(cache)
    for path in (cache / "features").rglob("*.features"):
        path.unlink()
    healthy = _serial()
    assert not healthy.missing
    scratch = [p for p in before if "scratch." in p]
    assert scratch and all(_stamps(cache)[p] == before[p] for p in scratch)


def test_a_worker_with_other_code_is_refused(cache, monkeypatch):
    from batik_utils.experiment import keys

    plan = tiny.plan()
    monkeypatch.setattr("batik_utils.experiment.run.keys.code_sha256", lambda: "other")
    monkeypatch.setattr("batik_utils.experiment.tasks.keys", type("Keys", (), {"code_sha256": lambda: "mine"}))
    with pytest.raises(BatikError, match="other code"):
        _serial(plan)
    assert keys.code_sha256() == "other" and not tiny.results(cache)


def test_a_search_is_run_and_chosen_from_in_one_go(cache):
    search = {"epochs": [1, 3], "learning_rate": [0.001, 0.1], "dropout": [0.0], "seeds": 2}
    plan = tiny.plan(models=tiny.models(search=search), published={"split": "stratified-80-10-10", "seeds": 2})
    results = _serial(plan)
    assert not results.missing
    searched = results.select("tiny", "search")
    assert len(searched) == 4 and all(set(r.checkpoints) == {1, 3} for r in searched)
    assert len({r.fit.hyper for r in results.select("tiny", "published")}) == 1


def test_a_search_of_which_a_fit_fails_is_settled_by_the_rest_and_tried_again(cache, monkeypatch):
    search = {"epochs": [1], "learning_rate": [0.001, 0.1], "dropout": [0.0], "seeds": 1}
    plan = tiny.plan(models=tiny.models(search=search), published={"split": "stratified-80-10-10", "seeds": 2})
    honest, broken = Pretrained.fit, {0.001, 0.1}

    def heads(kind, task, *rest):
        if task.fits[0].protocol == "search" and task.fits[0].hyper.learning_rate in broken:
            raise MemoryError("too little")
        return honest(kind, task, *rest)

    monkeypatch.setattr(Pretrained, "fit", heads)
    results = _serial(plan)
    # Nothing to choose from: the model has no published fit, and everything else is done.
    assert {r.fit.protocol for r in results.missing} == {"search"}
    assert not results.select("tiny", "published") and results.select("scratch", "published")
    broken.remove(0.1)
    assert {r.fit.hyper.learning_rate for r in _serial(plan).select("tiny", "published")} == {0.1}
    broken.clear()
    healthy = _serial(plan)
    assert not healthy.missing and len(healthy.select("tiny", "search")) == 2
    assert not list(cache.rglob("*.failed"))


def test_results_that_failed_are_not_tried_again_by_who_only_looks(cache):
    first = _serial(tiny.plan("nan"))
    before = _stamps(cache)
    again = _serial(tiny.plan("nan"), retry=False)
    assert [r.fit for r in again.missing] == [r.fit for r in first.missing] and _stamps(cache) == before


def test_whose_a_task_is_does_not_change_when_a_search_adds_others():
    plan = tiny.plan()
    parts = [[t.slug for t in own_tasks(plan, (i, 3))] for i in (1, 2, 3)]
    assert sorted(slug for part in parts for slug in part) == sorted(t.slug for t in plan.tasks)
    fewer = replace(plan, tasks=tuple(t for t in plan.tasks if t.fits[0].protocol != "published"))
    for i, part in enumerate(parts, 1):
        assert {t.slug for t in own_tasks(fewer, (i, 3))} == {s for s in part if ".published" not in s}


def test_the_final_weights_are_those_of_the_published_fit_with_seed_0(reference):
    folder, results = reference
    with _cache(folder):
        before = _stamps(folder)
        head = final_weights(tiny.plan(), "tiny")
        scratch = final_weights(tiny.plan(), "scratch")
        assert _stamps(folder) == before
    assert {name: w.shape for name, w in head.items()} == {
        "hidden_kernel": (6, 4), "hidden_bias": (4,), "kernel": (4, 2), "bias": (2,)
    }  # fmt: skip
    assert sum(w.size for w in scratch) == results.select("scratch", "published").items[0].parameters
    first = results.select("tiny", "published").items[0]
    rows = [tiny.dataset().paths.index(p) for p in first.paths]
    features = np.asarray(
        tiny.TinyBackbone().build(tiny.SIZE).predict_on_batch(tiny.dataset().images[rows].astype(np.float32))
    )
    hidden = np.maximum(features @ head["hidden_kernel"] + head["hidden_bias"], 0)
    logits = np.exp(hidden @ head["kernel"] + head["bias"])
    np.testing.assert_allclose(first.y_prob, logits / logits.sum(1, keepdims=True), atol=1e-5)
