"""Submitit for a sweep: at most as many local jobs at a time as cores, and a lost job does not affect the others."""

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from litlab.compat.submitit import show_gpus, stop, submitting_by
from litlab.distributed.hardware import cores, visible

log = logging.getLogger(__name__)

INTERVAL = 0.1  # seconds between two looks at the processes


class Submitit:
    """The launcher of Hydra's plugin, which on its own starts all local jobs at once and raises at the first lost job.

    Args:
        launcher: the plugin's, which has been set up.
    """

    def __init__(self, launcher: Any) -> None:
        self.launcher = launcher
        self.jobs: list[Any] = []  # submitit's

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
        """As the plugin's `launch`, with None for a lost job; if stopped, it cancels the jobs."""
        with submitting_by(self._submit):
            try:
                return self.launcher.launch(job_overrides, initial_job_idx)
            except BaseException:
                for job in self.jobs:
                    stop(job)
                raise
            finally:
                self.jobs = []

    def _submit(self, map_array: Callable[..., Any], executor: Any, run: Any, *columns: Any) -> list["Submitted"]:
        """Submit a run for each row of the columns: to Slurm as one array, locally by turns."""
        if executor.cluster != "local":
            self.jobs = map_array(executor, run, *columns)
            return [Submitted(job) for job in self.jobs]
        at_once, threads = split_cores(self.launcher.config.get("threads"), self.launcher.params, len(columns[0]))
        if self.launcher.params.get("gpus_per_node") is None:
            show_gpus(executor, visible())
        for row in zip(*columns, strict=True):
            while sum(not job.done() for job in self.jobs) >= at_once:
                time.sleep(INTERVAL)
            with _environment_of_jobs(threads):
                self.jobs.append(executor.submit(run, *row))
        return [Submitted(job) for job in self.jobs]


class Submitted:
    """A job of submitit's whose loss is logged, not raised: its result.json says what came of it, or is missing."""

    def __init__(self, job: Any) -> None:
        self.job = job

    def results(self) -> list[Any]:
        """Wait for what the job returned; [None] if it was lost."""
        try:
            return self.job.results()
        except Exception as error:
            log.warning("submitit's job %s was lost: %s", self.job.job_id, error)
            return [None]


def split_cores(threads: int | None, params: dict[str, Any], jobs: int) -> tuple[int, int]:
    """How many local jobs run at a time, and the threads of each: in total at most the number of cores.

    Args:
        threads: per job, if configured.
        params: the launcher's; its `cpus_per_task` counts where `threads` does not.
        jobs: their number.
    """
    at_once = min(max(cores() // (threads or params.get("cpus_per_task") or 1), 1), jobs)
    return at_once, max(cores() // at_once, 1)


@contextlib.contextmanager
def _environment_of_jobs(threads: int) -> Iterator[None]:
    """A process started in the body has `threads` threads, unless the user's environment sets OMP_NUM_THREADS.

    It ignores Ctrl-C: the sweep stops its jobs itself, and submitit would print a traceback.
    """
    is_main = threading.current_thread() is threading.main_thread()
    given = os.environ.get("OMP_NUM_THREADS")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if is_main else None
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    try:
        yield
    finally:
        if given is None:
            del os.environ["OMP_NUM_THREADS"]
        if is_main:
            signal.signal(signal.SIGINT, before)
