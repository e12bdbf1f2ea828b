"""Successive halving within stacks: at a rung the worse members drop out, and the others go on as a smaller stack."""

import gc
import logging
from collections.abc import Sequence

from omegaconf import DictConfig

from litlab.escape import one_line
from litlab.sweeps.job import Job
from litlab.sweeps.plan import Plan
from litlab.sweeps.rungs import best, rungs
from litlab.sweeps.stacks.memory import fitting
from litlab.sweeps.stacks.stack import Stack, is_out_of_memory
from litlab.sweeps.stacks.stackable import MOST, groups, refusal
from litlab.sweeps.stacks.training import StackedTraining
from litlab.tasks.steps.replayed import Replay
from litlab.tasks.steps.stacked import NotStackableError

log = logging.getLogger(__name__)


def halving_stack(plan: Plan, jobs: Sequence[Job]) -> "HalvingStack | None":
    """What trains the jobs of a halving; None, and a line says why, where each has to be trained by itself to its rung.

    Args:
        plan: of the sweep.
        jobs: to be trained.
    """
    if any(job.result for job in jobs):
        return None  # at a later rung
    planned = [job for job in plan.jobs if job.error is None and job.duplicate_of is None]
    if len(jobs) < len(planned) or any(job.resume for job in jobs):
        reason = "some have been trained before"
    else:
        reason = next(filter(None, (refusal(job.settings) for job in jobs)), "")
    if reason:
        print(f"{len(jobs)} jobs are trained one by one, rung by rung: {reason}", flush=True)
        return None
    return HalvingStack(plan.config, jobs, [plan.composer.config_of(job.overrides) for job in jobs])


class HalvingStack(Stack):
    """Jobs that are halved when the first of them asks for its training, in as many stacks as they need.

    Args:
        config: the sweep's.
        jobs: of the sweep.
        configs: of the jobs.
    """

    def __init__(self, config: DictConfig, jobs: Sequence[Job], configs: Sequence[DictConfig]) -> None:
        size = config.sweep.stack or "auto"
        super().__init__(configs, by_memory=size == "auto")
        self.config = config
        self.most, self.given = MOST if size == "auto" else int(size), [job.settings for job in jobs]
        self.settings = [job.setting for job in jobs]

    def train(self, first: int) -> list[Replay | None]:
        """The training of each job from one on, as far as it goes; None if it has to train alone: a line says why."""
        number = len(self.configs)
        try:
            fit, line = fitting(self.configs[first], 1) if self.by_memory else (number, "")
            if fit < number:
                raise NotStackableError(line)
            return self._halve_within_memory()[first:]
        except NotStackableError as reason:
            why = str(reason)
        except Exception as error:  # the jobs will meet the same one by one, if it is theirs
            log.exception("the stack failed")
            why = "out of memory" if is_out_of_memory(error) else f"their stack failed: {one_line(error)}"
        print(f"{number} jobs are trained one by one, rung by rung: {why}", flush=True)
        return [None] * (number - first)

    def _halve_within_memory(self) -> list[Replay | None]:
        """Halve from the start again in smaller stacks, if the memory runs out: a step takes less of it then."""
        while True:
            self.parts = groups(self.given, self.most)
            largest = max(map(len, self.parts))
            try:
                return self._halve()
            except Exception as error:
                if not is_out_of_memory(error) or largest == 1:
                    raise
            gc.collect()  # what the failed ones have left
            self.most = largest // 2
            print(f"out of memory: {self.most} instead of {largest} jobs are trained at once", flush=True)

    def _halve(self) -> list[Replay | None]:
        trainings = [StackedTraining([self.configs[index] for index in part]) for part in self.parts]
        members = {
            index: member
            for part, training in zip(self.parts, trainings, strict=True)
            for index, member in zip(part, training.members, strict=True)
        }
        options, task = self.config.sweep, self.configs[0].task
        steps, alive = rungs(options.rung, options.eta, self.configs[0].trainer.max_epochs), set(members)
        for until in steps:
            for training in trainings:
                training.run(until)
                if training.is_late:
                    break
            if until == steps[-1] or any(training.is_late for training in trainings):
                break
            settings: dict[str, list[int]] = {}
            for index in sorted(alive):
                settings.setdefault(self.settings[index], []).append(index)
            values, losses = (
                [[members[index].value(name) for index in each] for each in settings.values()]
                for name in (task.monitor, "val/loss")
            )
            kept = best(values, losses, options.eta, task.mode)
            goes_on = {index for number in kept for index in list(settings.values())[number]}
            for index in alive - goes_on:
                members[index].replay.until = until
            alive = goes_on
            for part, training in zip(self.parts, trainings, strict=True):
                training.keep({place for place, index in enumerate(part) if index in alive})
        if any(training.is_late for training in trainings):
            for training in trainings:
                training.end_early()
        replays = [members[index].replay for index in range(len(self.configs))]
        return [replay if replay.epochs else None for replay in replays]  # None: it was too late to begin
