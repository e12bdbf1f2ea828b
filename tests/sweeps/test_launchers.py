"""Sweeps on every launcher, for real: several processes, a killed one, a Ray cluster of two nodes."""

import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf
from sweeping import ROOT, Sweep, by_lr

from litlab.sweeps.submitit import Submitit, split_cores

LRS = "optimizer.lr=" + ",".join(f"0.0{number}" for number in range(1, 9))
NAMESPACE = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


def needs(plugin):
    """Skip where an extra is not installed."""
    return pytest.importorskip(f"hydra_plugins.hydra_{plugin}_launcher", reason=f"make setup EXTRAS={plugin}")


def compose(*overrides):
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", overrides=list(overrides), return_hydra_config=True)
    return OmegaConf.to_container(config.hydra.launcher, resolve=False)


def test_slurm_composes_and_its_plugin_can_be_imported():
    needs("submitit")
    slurm = compose("hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu", "hydra.launcher.gpus_per_node=1")
    module, _, name = slurm["_target_"].rpartition(".")
    assert getattr(importlib.import_module(module), name)._EXECUTOR == "slurm"
    assert (slurm["partition"], slurm["gpus_per_node"], slurm["array_parallelism"]) == ("gpu", 1, 256)


def test_a_ray_cluster_is_joined_at_its_address(monkeypatch):
    needs("ray")
    init = compose("hydra/launcher=ray_cluster")["ray"]["init"]
    assert init["object_store_memory"] is None  # else the plugin sets it, and Ray refuses it
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert OmegaConf.create(init).address == "auto"
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert OmegaConf.create(init).address == "head:6379"


@pytest.mark.parametrize(
    ("threads", "params", "jobs", "share"),
    [
        (None, {}, 100, (8, 1)),
        (None, {"cpus_per_task": None}, 2, (2, 4)),
        (3, {"cpus_per_task": 8}, 100, (2, 4)),
        (None, {"cpus_per_task": 4}, 100, (2, 4)),
        (16, {}, 100, (1, 8)),
    ],
)
def test_the_jobs_at_a_time_share_the_cores(monkeypatch, threads, params, jobs, share):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    assert split_cores(threads, params, jobs) == share


class LocalExecutor:
    """Stands for submitit's: its jobs end at the third look; it remembers what a child would inherit."""

    cluster = "local"

    def __init__(self):
        self._executor = SimpleNamespace(parameters={})
        self.jobs, self.most, self.inherited = [], 0, set()

    def submit(self, run, *row):
        job = SimpleNamespace(row=row, looks=0, job_id="1")

        def done():
            job.looks += 1
            return job.looks > 2

        job.done = done
        self.jobs.append(job)
        self.most = max(self.most, sum(job.looks <= 2 for job in self.jobs))
        self.inherited.add((os.environ["OMP_NUM_THREADS"], signal.getsignal(signal.SIGINT)))
        return self.jobs[-1]


def test_local_jobs_start_by_turns_and_leave_this_process_as_it_was(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(4)), raising=False)
    monkeypatch.setattr("litlab.sweeps.submitit.INTERVAL", 0)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    plugin = SimpleNamespace(config=OmegaConf.create({"threads": 2}), params={"gpus_per_node": None})
    executor, before = LocalExecutor(), signal.getsignal(signal.SIGINT)
    launched = Submitit(plugin)._submit(None, executor, None, ["a", "b", "c", "d", "e"], range(5))
    assert [job.job.row for job in launched] == list(zip("abcde", range(5), strict=True))
    assert executor.most == 2
    assert executor.inherited == {("2", signal.SIG_IGN)}
    assert executor._executor.parameters == {"visible_gpus": ["2", "3"], "gpus_per_node": 2}
    assert "OMP_NUM_THREADS" not in os.environ
    assert signal.getsignal(signal.SIGINT) is before


def test_slurm_gets_one_array_and_a_lost_job_is_not_raised():
    def results(outcome):
        if isinstance(outcome, Exception):
            raise outcome
        return [outcome]

    def array(executor, run, *columns):
        return [SimpleNamespace(job_id="7_0", results=lambda each=each: results(each)) for each in columns[0]]

    column = [1, RuntimeError("killed"), 3]
    launched = Submitit(None)._submit(array, SimpleNamespace(cluster="slurm"), None, column)
    assert [job.results() for job in launched] == [[1], [None], [3]]


@pytest.mark.slow
def test_joblib_gives_what_serial_gives_on_a_thread_each(tmp_path):
    needs("joblib")
    words = ["trainer.max_epochs=2", "optimizer.lr=0.01,0.1", "seed=0,1"]
    serial = Sweep(tmp_path / "serial", *words, "threads=1").end()
    parallel = Sweep(tmp_path / "parallel", *words, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2").end()
    assert (serial.process.returncode, parallel.process.returncode) == (0, 0), parallel.text

    def metrics(sweep):
        return {(each["settings"]["optimizer"]["lr"], each["seed"]): each["metrics"] for each in sweep.results}

    assert len(metrics(serial)) == 4
    assert metrics(parallel) == metrics(serial)
    import joblib

    assert {each["environment"]["threads"] for each in parallel.results} == {max(joblib.cpu_count() // 2, 1)}
    assert len({each["process"]["pid"] for each in parallel.results}) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plugin", "launcher"),
    [("joblib", ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]), ("submitit", ["hydra/launcher=submitit_local"])],
)
def test_a_killed_job_loses_only_itself(tmp_path, plugin, launcher):
    needs(plugin)
    sweep = Sweep(tmp_path, *launcher, LRS, "trainer.max_epochs=10")
    killed = sweep.kill_a_job(after=2)
    sweep.end()
    # When a worker of joblib's dies, joblib ends the other one too, whatever it is at.
    fellows = 1 if plugin == "joblib" else 0
    lr = killed["settings"]["optimizer"]["lr"]
    check_eight(sweep.results, sweep.summary, lr, sweep.process.returncode, fellows)
    if plugin == "submitit":  # a process each, with its share of the cores: a job that is tried alone has them all
        finished = [each for each in sweep.results if each["status"] == "completed"]
        assert len({each["process"]["pid"] for each in finished}) == len(finished)
        shared = [each for each in finished if each["settings"] != killed["settings"]]
        assert {each["environment"]["threads"] for each in shared} == {max(len(os.sched_getaffinity(0)) // 8, 1)}


@pytest.mark.slow
def test_each_worker_trains_a_stack_and_a_killed_one_loses_nothing_else(tmp_path):
    needs("joblib")
    words = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "sweep.stack=4", LRS, "trainer.max_epochs=3"]
    sweep = Sweep(tmp_path, *words, "seed=0,1")
    killed = sweep.kill_a_job(after=2)
    sweep.end()
    assert sweep.process.returncode == 0, sweep.text
    completed = [each for each in sweep.results if each["status"] == "completed"]
    lost = [each for each in sweep.results if each["status"] == "failed"]
    assert len(completed) == 16 and len(lost) in (1, 2) and killed["settings"] in [each["settings"] for each in lost]
    assert {each["error"] for each in lost} == {"the process was killed"}
    sizes = [each.get("stacked", 1) for each in completed]
    assert max(sizes) == 4 and sizes.count(1) < 5, "the killed ones are tried alone"
    assert sweep.text.count("completed") and len(sweep.summary) == 8
    again = Sweep(tmp_path, *words, "seed=0,1", f"sweep.resume={sweep.folder}").end()
    assert "16 of 16 jobs are already completed" in again.text


@pytest.mark.slow
def test_workers_end_with_a_sweep_that_is_killed(tmp_path):
    """Those at work, which write their results, and one that has no job."""
    needs("joblib")
    words = ["seed=0,1", "trainer.max_epochs=100000", "scheduler=none"]
    sweep = Sweep(tmp_path, "hydra/launcher=joblib", "hydra.launcher.n_jobs=3", *words)
    sweep.wait_for(lambda: len(list(sweep.multiruns.glob("*/*/checkpoints/last.ckpt"))) >= 2)
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(sweep.process.pid)], capture_output=True, text=True)
    workers = [Path("/proc", pid) for pid in children.stdout.split()]
    assert len(workers) >= 3
    sweep.kill()
    deadline = time.monotonic() + 300
    while left := [worker for worker in workers if is_loky(worker)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    assert [each["error"] for each in sweep.results] == ["stopped by SIGTERM"] * 2


def is_loky(process):
    try:
        return b"loky" in (process / "cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.slow
def test_a_ray_cluster_loses_only_the_killed_job(tmp_path):
    needs("ray")
    words = [*namespace(), sys.executable, str(ROOT / "tests" / "fixtures" / "ray_cluster.py"), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr + logs(tmp_path)
    report = json.loads(done.stdout.splitlines()[-1])
    check_eight(report["results"], report["summary"], report["killed"], report["code"])
    assert {each["environment"]["threads"] for each in report["results"] if each["status"] == "completed"} == {1}
    assert report["stranger"]["results"] == [], "the cluster took a job without its token"
    assert report["stranger"]["code"] == 1
    alone = report["alone"]
    found = [(each["status"], each.get("stacked")) for each in alone["results"]]
    assert (alone["code"], found) == (0, [("completed", 2)] * 4), alone["text"]
    workers = {(each["settings"]["optimizer"]["lr"], each["process"]["pid"]) for each in alone["results"]}
    assert len(workers) == 2, "a rate's seeds are the stack of one worker"
    for number, stopped in zip((2, 15), report["stopped"], strict=True):
        assert stopped["code"] == 128 + number, stopped["text"]
        assert {each["status"] for each in stopped["results"]} == {"interrupted"}
        assert re.search(r"stopped; the same command with sweep\.resume=.* continues", stopped["text"]), stopped["text"]
        assert "Traceback" not in stopped["text"]


def check_eight(results, summary, killed, code, fellows=0):
    """Eight rows, all completed: the killed job, and those that may have died with it, were tried again, once."""
    statuses = by_lr(results)
    assert len(statuses) == len(summary) == 8
    assert {row["status"] for row in summary} == {"completed"}
    assert statuses.pop(killed) == ["failed", "completed"]
    again = [each for each in statuses.values() if each != ["completed"]]
    assert again in [[["failed", "completed"]] * number for number in range(fellows + 1)]
    assert code == 0


def namespace():
    """The words that run a command in a namespace with no network but loopback; skip where that is not permitted."""
    for words in (NAMESPACE, [*NAMESPACE, "--map-root-user"]) if shutil.which("unshare") else ():
        if subprocess.run([*words, "true"], capture_output=True, timeout=30, check=False).returncode == 0:
            return words
    pytest.skip("Ray listens on every interface, and a network namespace is not permitted here (unshare --net)")


def logs(folder):
    """The ends of what the nodes and the sweeps wrote."""
    files = [*folder.glob("*/log"), *folder.rglob("terminal.txt")]
    return "".join(f"\n--- {file}\n{file.read_text(errors='replace')[-2000:]}" for file in files)
