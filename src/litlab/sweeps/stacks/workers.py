"""Stacks in a launcher's workers: the launcher is handed the first job of each, and its worker runs them all."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from litlab import signals
from litlab.compat.hydra import launcher_here
from litlab.distributed.hardware import cores
from litlab.errors import Interrupted
from litlab.runs.postponed import postponed
from litlab.sweeps.composer import Composer
from litlab.sweeps.job import Job


class StackedJob(NamedTuple):
    """What a worker needs to know of a job in a stack."""

    overrides: Sequence[str]
    launch_overrides: Sequence[str]


class WorkerStacks:
    """Stands for the function that a launcher calls with a job's config; that of a stack's first job runs all of it.

    Args:
        launcher: Hydra's, which has been set up; any.
        stacks: the jobs of each; one job alone runs as ever.
        swept: the settings that differ between the jobs.
        number: of the first job, as Hydra counts.
    """

    def __init__(self, launcher: Any, stacks: Sequence[Sequence[Job]], swept: Sequence[str], number: int) -> None:
        self.context, self.config, self.task = launcher.hydra_context, launcher.config, launcher.task_function
        self.stacks: Mapping[str, Sequence[StackedJob]] = {
            jobs[0].folder.name: [StackedJob(job.overrides, job.launch_overrides(swept)) for job in jobs]
            for jobs in stacks
            if len(jobs) > 1
        }
        self.number = number
        options = self.config.hydra.launcher
        workers = options.get("n_jobs") or -1  # joblib's; other launchers have as many as there are cores
        self.at_once = min(workers if workers > 0 else cores(), len(stacks))
        self.by_memory = self.config.sweep.stack == "auto"

    def __call__(self, config: DictConfig) -> Any:
        """Run the job of this config, or the stack that it is the first of; a signal ends the stack."""
        jobs = self.stacks.get(HydraConfig.get().sweep.subdir)
        if jobs is None:
            return self.task(config)
        from litlab.sweeps.stacks.stack import Stack  # here, because it imports torch

        composer = Composer(self.context, self.config)
        launcher = launcher_here(self.context, self.task, self.config)
        folder = HydraConfig.get().sweep.dir
        stack = Stack([composer.config_of(job.overrides) for job in jobs], self.by_memory, self.at_once)
        with signals.handled():
            try:
                for number, job in enumerate(jobs):
                    with stack.job(number):
                        launcher.launch([job.launch_overrides], self.number + number)
            except Interrupted:
                pass  # the job has recorded it
            postponed(folder).do()
        return None
