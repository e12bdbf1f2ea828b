"""What litlab takes of launchers' internals: a failure says what an upgrade of the plugin or the library broke."""

import inspect
import os
import signal
import time
from concurrent.futures import BrokenExecutor
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from litlab import signals
from litlab.compat import joblib, ray, submitit
from litlab.compat.hydra import is_from_plugin
from litlab.errors import Interrupted


@pytest.mark.slow
def test_workers_of_joblib_take_single_jobs_and_can_be_killed(monkeypatch):
    core = pytest.importorskip("hydra_plugins.hydra_joblib_launcher._core")
    from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher
    from joblib import cpu_count

    assert list(inspect.signature(core.execute_job).parameters) == [
        "idx", "overrides", "hydra_context", "config", "task_function", "singleton_state",
    ], "upgrade: the plugin runs a job otherwise"  # fmt: skip

    def execute(number, overrides, *given):
        if overrides == ["die"]:
            os.kill(os.getpid(), signal.SIGKILL)
        while overrides == ["wait"]:
            time.sleep(0.1)
        return number, overrides, os.environ["OMP_NUM_THREADS"], given[1]

    monkeypatch.setattr(core, "execute_job", execute)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    launcher = JoblibLauncher(n_jobs=2, pre_dispatch="2*n_jobs", batch_size="auto", max_nbytes=None, timeout=None)
    launcher.config = {"a": "config"}
    assert is_from_plugin(launcher, "joblib") and not is_from_plugin(object(), "joblib")
    assert not joblib.Joblib(JoblibLauncher(n_jobs=1)).has_workers
    workers = joblib.Joblib(launcher)
    assert workers.has_workers
    share = str(max(cpu_count() // 2, 1))
    assert workers.submit(("a=1",), 3).result(60) == (3, ["a=1"], share, {"a": "config"})
    slow = workers.submit(["wait"], 4)
    killed = workers.submit(["die"], 5)
    assert isinstance(killed.exception(60), BrokenExecutor) and isinstance(slow.exception(60), BrokenExecutor)
    assert isinstance(workers.submit(["a=2"], 6).exception(60), BrokenExecutor)  # not raised
    workers.kill()
    slow = workers.submit(["wait"], 7)
    assert workers.submit(["a=3"], 8).result(60)[1] == ["a=3"] and not slow.done()
    workers.kill()
    assert slow.exception(60) is not None
    assert workers.submit(["a=4"], 9).result(60)[0] == 9
    workers.release()


@pytest.mark.slow
def test_a_signal_ends_waiting_for_ray_and_cancels_the_jobs(monkeypatch, tmp_path):
    core = pytest.importorskip("hydra_plugins.hydra_ray_launcher._core")
    import ray as library

    jobs, asked, cancelled = [], [], []

    def wait(tasks, timeout):
        asked.append(tasks)
        if len(asked) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return (tasks, []) if len(asked) in (2, 3) else ([], tasks)

    def init(**settings):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as Ray's does

    monkeypatch.setattr(core, "configure_log", lambda *_: None)
    monkeypatch.setattr(library, "is_initialized", lambda: False)
    monkeypatch.setattr(library, "init", init)
    monkeypatch.setattr(library, "wait", wait)
    monkeypatch.setattr(library, "get", lambda task: f"result of {task}")
    monkeypatch.setattr(library, "cancel", cancelled.append)
    monkeypatch.setattr(core, "launch_job_on_ray", lambda *given: jobs.append(given) or f"job {len(jobs)}")
    loader = SimpleNamespace(load_sweep_config=lambda *_: OmegaConf.create({"hydra": {"job": {}}}))
    launcher = SimpleNamespace(
        config=OmegaConf.create({"hydra": {"hydra_logging": None, "verbose": False, "sweep": {"dir": str(tmp_path)}}}),
        hydra_context=SimpleNamespace(config_loader=loader),
        task_function=print,
        ray_cfg=OmegaConf.create({"init": {}, "remote": {}}),
    )
    launcher.launch = lambda overrides, first: core.launch(launcher, overrides, first)
    with pytest.raises(Interrupted), signals.handled(), signals.at_once():
        assert ray.Ray(launcher).launch([["a=1"], ["a=2"]], 0) == ["result of job 1", "result of job 2"]
        assert asked == [["job 1"], ["job 1"], ["job 2"]], "upgrade: the plugin waits otherwise"
        ray.Ray(launcher).launch([["a=3"], ["a=4"]], 2)
    assert cancelled == ["job 3", "job 4"]


@pytest.mark.slow
def test_a_local_job_of_submitit_can_be_stopped_and_shown_gpus(tmp_path):
    library = pytest.importorskip("submitit")
    plugin = pytest.importorskip("hydra_plugins.hydra_submitit_launcher.submitit_launcher")
    assert is_from_plugin(plugin.LocalLauncher(), "submitit") and is_from_plugin(plugin.SlurmLauncher(), "submitit")
    executor = library.AutoExecutor(tmp_path, cluster="local")
    submitit.show_gpus(executor, ["2", "3"])
    started = []
    with submitit.submitting_by(lambda map_array, *given: started.append((map_array, given)) or []):
        executor.map_array(print, [1, 2])
    ((map_array, given),) = started
    assert given == (executor, print, [1, 2]) and map_array is library.AutoExecutor.map_array
    job = executor.submit(os.getenv, "CUDA_VISIBLE_DEVICES")
    assert job.result() == "2,3", "upgrade: submitit passes the visible GPUs otherwise"
    slow = executor.submit(time.sleep, 60)
    submitit.stop(slow)
    deadline = time.monotonic() + 30
    while not slow.done():
        assert time.monotonic() < deadline, "upgrade: a local job has no _process to terminate"
        time.sleep(0.1)
