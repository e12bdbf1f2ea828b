"""Submitit's local jobs by turns, with their share of the threads; test_launchers.py runs real ones."""

import os
import signal
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from litlab.sweeps import submitit


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
    assert submitit.shares(threads, params, jobs) == share


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
    monkeypatch.setattr(submitit, "INTERVAL", 0)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    plugin = SimpleNamespace(config=OmegaConf.create({"threads": 2}), params={"gpus_per_node": None})
    executor, before = LocalExecutor(), signal.getsignal(signal.SIGINT)

    launched = submitit.Submitit(plugin)._submit(None, executor, None, ["a", "b", "c", "d", "e"], range(5))

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
    launched = submitit.Submitit(None)._submit(array, SimpleNamespace(cluster="slurm"), None, column)
    assert [job.results() for job in launched] == [[1], [None], [3]]


def test_only_the_plugins_launchers_are_wrapped():
    basic = pytest.importorskip("hydra._internal.core_plugins.basic_launcher").BasicLauncher
    assert not submitit.Submitit.fits(basic())
    plugin = pytest.importorskip("hydra_plugins.hydra_submitit_launcher.submitit_launcher")
    assert submitit.Submitit.fits(plugin.LocalLauncher())
    assert submitit.Submitit.fits(plugin.SlurmLauncher())
