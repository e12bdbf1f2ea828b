"""Hydra's plugin for joblib: its workers also take single jobs, and end with the sweep, however that ends."""

import functools
import os
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Future
from typing import Any

from hydra.core.singleton import Singleton

from litlab.compat.patching import replaced

INTERVAL = 0.5  # seconds between two looks whether the sweep's process lives
PATIENCE = 30.0  # seconds that a job has to end after the sweep's process has died


class Joblib:
    """The plugin's launcher. On its own it takes only batches of jobs, and its workers outlive a killed sweep.

    Args:
        launcher: the plugin's, which has been set up.
    """

    def __init__(self, launcher: Any) -> None:
        self.launcher = launcher
        self.parallel: Any = None  # joblib's, while it has single jobs

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
        """As the plugin's `launch`."""
        from hydra_plugins.hydra_joblib_launcher import _core

        parallel = functools.partial(_core.Parallel, initializer=end_with, initargs=(os.getpid(),))
        with replaced(_core, "Parallel", parallel):
            return self.launcher.launch(job_overrides, initial_job_idx)

    @property
    def has_workers(self) -> bool:
        """Whether there are workers to `submit` to: n_jobs=1 runs here, and only a batch can have joblib's timeout."""
        return self.launcher.joblib.get("n_jobs") != 1 and self.launcher.joblib.get("timeout") is None

    def submit(self, overrides: Sequence[str], number: int) -> Future[Any]:
        """Run a job when a worker is free, as the plugin's `launch` does for each.

        Args:
            overrides: the job's.
            number: the job's, as Hydra counts.
        """
        from hydra_plugins.hydra_joblib_launcher import _core

        if self.parallel is None:
            settings = {**self.launcher.joblib, "backend": "loky", "initializer": end_with, "initargs": (os.getpid(),)}
            _core.process_joblib_cfg(settings)
            self.parallel = _core.Parallel(**settings).__enter__()
        given = (self.launcher.hydra_context, self.launcher.config, self.launcher.task_function, Singleton.get_state())
        try:
            return self.parallel._backend.submit(functools.partial(_core.execute_job, number, list(overrides), *given))
        except BrokenExecutor as error:  # a worker was killed just now: the futures of the other jobs say so, too
            future = Future[Any]()
            future.set_exception(error)
            return future

    def kill(self) -> None:
        """Kill the workers, busy or not; the next job gets new ones."""
        if self.parallel is not None:
            parallel, self.parallel = self.parallel, None
            parallel._backend.abort_everything(ensure_ready=False)

    def release(self) -> None:
        """Leave the idle workers to joblib."""
        if self.parallel is not None:
            parallel, self.parallel = self.parallel, None
            parallel.__exit__(None, None, None)


def end_with(parent: int) -> None:
    """End this process when its parent has died; a running job gets SIGTERM and writes its result."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(INTERVAL)
        deadline = time.monotonic() + PATIENCE
        os.kill(os.getpid(), signal.SIGTERM)  # without a handler, this is the end
        while signal.getsignal(signal.SIGTERM) != signal.SIG_DFL and time.monotonic() < deadline:
            time.sleep(INTERVAL)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
