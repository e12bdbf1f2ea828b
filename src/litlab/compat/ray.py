"""Hydra's plugin for Ray: a signal stops it."""

import contextlib
from collections.abc import Sequence
from typing import Any

from litlab import signals
from litlab.compat.patching import replaced

INTERVAL = 0.2  # seconds between two looks whether there was a signal


class Ray:
    """The plugin's launcher, which on its own blocks in `ray.get`.

    What a signal's handler raises there appears when the task is over, as a SystemError, or aborts the process. And
    `ray.init` replaces our handler of SIGTERM.

    Args:
        launcher: the plugin's, which has been set up.
    """

    def __init__(self, launcher: Any) -> None:
        self.launcher = launcher

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
        """As the plugin's `launch`; if stopped, it cancels the jobs."""
        import ray
        from hydra_plugins.hydra_ray_launcher import _core

        tasks: list[Any] = []
        init, submit, get = ray.init, _core.launch_job_on_ray, ray.get

        def init_and_listen(*args: Any, **settings: Any) -> Any:
            try:
                return init(*args, **settings)
            finally:
                signals.install()

        def submitted(*args: Any) -> Any:
            signals.check()
            tasks.append(submit(*args))
            return tasks[-1]

        def wait_for(task: Any) -> Any:
            while not ray.wait([task], timeout=INTERVAL)[0]:
                signals.check()
            return get(task)

        with (
            signals.deferred(),
            replaced(ray, "init", init_and_listen),
            replaced(ray, "get", wait_for),
            replaced(_core, "launch_job_on_ray", submitted),
        ):
            try:
                return self.launcher.launch(job_overrides, initial_job_idx)
            except BaseException:
                for task in tasks:
                    with contextlib.suppress(Exception):
                        ray.cancel(task)
                raise
