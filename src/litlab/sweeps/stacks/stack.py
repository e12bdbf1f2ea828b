"""A stack of jobs: when they are trained, at once as far as memory allows, and what becomes of those that cannot be."""

import contextlib
import gc
import logging
from collections.abc import Iterator, Sequence

from lightning.pytorch.utilities.memory import is_oom_error
from omegaconf import DictConfig

from litlab.escape import one_line
from litlab.sweeps.stacks.memory import fitting
from litlab.sweeps.stacks.stackable import CURRENT
from litlab.sweeps.stacks.training import StackedTraining
from litlab.tasks.steps.replayed import Replay
from litlab.tasks.steps.stacked import NotStackableError

log = logging.getLogger(__name__)


def replay_of_this_job() -> Replay | None:
    """The training of the job that runs here, if it is one of a stack."""
    current = CURRENT.get()
    return None if current is None else current[0].replay(current[1])


class Stack:
    """Jobs that are trained when the first of them asks for its training; the rest later, if not all are at once.

    Args:
        configs: of the jobs.
        by_memory: whether the memory limits how many are trained at once.
        processes: how many share the memory.
    """

    def __init__(self, configs: Sequence[DictConfig], by_memory: bool = False, processes: int = 1) -> None:
        self.configs, self.by_memory, self.processes = configs, by_memory, processes
        self._most = len(configs)  # at once
        self._replays: dict[int, Replay | None] = {}

    @contextlib.contextmanager
    def job(self, number: int) -> Iterator[None]:
        """Run the job of this number in the body."""
        token = CURRENT.set((self, number))
        try:
            yield
        finally:
            CURRENT.reset(token)
            if number in self._replays:
                self._replays[number] = None  # its weights have been written

    def has_trained(self, number: int) -> bool:
        """Whether the training of a job is there."""
        return self._replays.get(number) is not None

    def replay(self, number: int) -> Replay | None:
        """The training of a job; None if it has to train alone."""
        if number not in self._replays:
            self._replays.update(enumerate(self.train(number), number))
        return self._replays[number]

    def train(self, first: int) -> list[Replay | None]:
        """The trainings of a job and of some after it; None of each that has to train alone: then a line says why."""
        left = len(self.configs) - first
        try:
            if self.by_memory:
                self._limit(self.configs[first])
            while True:
                configs = self.configs[first : first + self._most]
                try:
                    return list(StackedTraining(configs).run())
                except Exception as error:
                    if not is_out_of_memory(error) or len(configs) == 1:
                        raise
                gc.collect()  # what the failed one has left
                self._most = len(configs) // 2
                print(f"out of memory: {self._most} instead of {len(configs)} jobs are trained at once", flush=True)
        except NotStackableError as reason:
            why, number = f"not as a stack: {reason}", left
        except Exception as error:  # the jobs will meet the same one by one, if it is theirs
            log.exception("the stack failed")
            why, number = f"as their stack failed: {one_line(error)}", min(left, self._most)
        print(f"{number} jobs are trained one by one, {why}", flush=True)
        return [None] * number

    def _limit(self, config: DictConfig) -> None:
        """Limit the number by the memory that is free now; once."""
        self.by_memory = False
        fit, line = fitting(config, self.processes)
        if fit < self._most:
            print(f"{fit} of {self._most} jobs are trained at once: {line}", flush=True)
            self._most = fit


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the memory did not suffice, of a GPU or of the machine."""
    return isinstance(error, MemoryError) or is_oom_error(error)
