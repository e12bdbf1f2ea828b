"""Joblib as a sweep needs it: its workers end with the sweep, however that ends."""

import functools
import os
import signal
import threading
import time
from collections.abc import Sequence
from typing import Any

from litlab.patching import replaced

INTERVAL = 0.5  # seconds between two looks whether the sweep's process lives
PATIENCE = 30.0  # seconds that a job has for its end when the sweep's process has died


class Joblib:
    """Stands where Jobs has its launcher: the plugin's workers would wait for the next job of a sweep that is dead.

    Args:
        launcher: the plugin's, which has been set up.
    """

    def __init__(self, launcher: Any) -> None:
        self.launcher = launcher

    @classmethod
    def fits(cls, launcher: Any) -> bool:
        """Whether a launcher is the plugin's."""
        return type(launcher).__module__.startswith("hydra_plugins.hydra_joblib_launcher")

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
        """As the plugin's."""
        from hydra_plugins.hydra_joblib_launcher import _core

        parallel = functools.partial(_core.Parallel, initializer=end_with, initargs=(os.getpid(),))
        with replaced(_core, "Parallel", parallel):
            return self.launcher.launch(job_overrides, initial_job_idx)


def end_with(parent: int) -> None:
    """End this process when its parent has died; a job at work is stopped as by SIGTERM, and writes its result."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(INTERVAL)
        deadline = time.monotonic() + PATIENCE
        os.kill(os.getpid(), signal.SIGTERM)  # by default the end
        while signal.getsignal(signal.SIGTERM) != signal.SIG_DFL and time.monotonic() < deadline:
            time.sleep(INTERVAL)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
