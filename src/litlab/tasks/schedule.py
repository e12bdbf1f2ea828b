"""Learning rate schedules: by steps or by epochs, over the length of the run."""

import functools
import math
import warnings
from collections.abc import Mapping
from typing import Any, Literal, NoReturn

import lightning.pytorch as L
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from litlab.config.hydra_errors import blame_setting
from litlab.config.values import AUTO, PositiveInt
from litlab.errors import RequestError
from litlab.tasks.position import batches_per_epoch


class Schedule:
    """A scheduler of torch.optim and its interval; under manual optimization the module steps it, not the Trainer.

    Args:
        scheduler: a partial that takes the optimizer; an argument "auto" becomes the run's length in intervals.
        interval: step (an optimizer step) or epoch.
        frequency: every so many intervals.
        monitor: the metric that ReduceLROnPlateau watches.
    """

    def __init__(
        self,
        scheduler: functools.partial[Any],
        interval: Literal["step", "epoch"] = "epoch",
        frequency: PositiveInt = 1,
        monitor: str = "",
    ) -> None:
        self.make, self.interval, self.frequency, self.monitor = scheduler, interval, frequency, monitor
        self.scheduler: LRScheduler | None = None
        self._auto: list[str] = []
        self._length = 0

    def start(self, optimizer: Optimizer, trainer: L.Trainer, accumulate: int) -> LRScheduler:
        """Build the scheduler for a run that takes `accumulate` batches per optimizer step.

        Raises:
            RequestError: the scheduler needs the length of the run, and that has no end; or it cannot be built so.
        """
        auto = self._auto = [name for name, value in self.make.keywords.items() if value == AUTO]
        self._length = self._intervals(trainer, accumulate, auto) if auto else 0
        try:
            self.scheduler = self.make(optimizer, **dict.fromkeys(auto, self._length))
        except (TypeError, ValueError, ArithmeticError, KeyError) as error:
            raise RequestError(blame_setting("scheduler", self.make, error)) from error
        assert self.scheduler is not None
        if isinstance(self.scheduler, ReduceLROnPlateau) and self.interval == "step":
            raise RequestError("scheduler.interval=step: a plateau shows at the end of an epoch; set epoch")
        return self.scheduler

    def _intervals(self, trainer: L.Trainer, accumulate: int, auto: list[str]) -> int:
        trainer.fit_loop.setup_data()
        per_epoch = max(1, math.ceil(batches_per_epoch(trainer) / accumulate))
        lengths = []
        if trainer.max_epochs not in (None, -1):
            lengths.append(per_epoch * trainer.max_epochs)
        if trainer.max_steps != -1:
            lengths.append(trainer.max_steps)
        if not lengths:
            raise RequestError(f"scheduler.{auto[0]}=auto: needs the length of the run; set trainer.max_epochs")
        steps = min(lengths)
        if not steps:
            limit = "max_epochs" if trainer.max_epochs == 0 else "max_steps"
            raise RequestError(
                f"trainer.{limit}=0: there are no steps to schedule a learning rate over; set at least 1, or "
                "scheduler=none to test the untrained model"
            )
        return math.ceil((steps if self.interval == "step" else steps / per_epoch) / self.frequency)

    @property
    def has_planned_length(self) -> bool:
        """Whether the scheduler, restored from a checkpoint, was planned for this length of the run."""
        return all(getattr(self.scheduler, name, self._length) == self._length for name in self._auto)

    def refuse_length(self) -> NoReturn:
        """Refuse a length for which the scheduler was not planned, so that it would end too early or too late.

        Raises:
            RequestError: always.
        """
        name = next(name for name in self._auto if getattr(self.scheduler, name, self._length) != self._length)
        raise RequestError(
            f"trainer.max_epochs: the learning rate was planned for {getattr(self.scheduler, name)} {self.interval}s "
            f"(scheduler.{name}=auto), and this run has {self._length}; resume with that length, or plan a new "
            "schedule with resume_changes=[scheduler]"
        )

    def replanned(self, optimizer: Optimizer, trainer: L.Trainer, accumulate: int) -> LRScheduler:
        """A scheduler with the current settings, advanced to where the run stands.

        Args:
            optimizer: with the current settings.
            trainer: of the run.
            accumulate: batches per optimizer step.

        Raises:
            RequestError: as `start`; or the new schedule has ended already.
        """
        old: Any = self.scheduler
        new: Any = self.start(optimizer, trainer, accumulate)
        if isinstance(new, ReduceLROnPlateau):
            for name in ("best", "num_bad_epochs", "cooldown_counter", "last_epoch"):
                setattr(new, name, getattr(old, name))
            return new
        try:
            with warnings.catch_warnings():  # torch expects an optimizer step before each
                warnings.simplefilter("ignore")
                for _ in range(old.last_epoch):
                    new.step()
        except ValueError as error:
            raise RequestError(f"scheduler: {error}; set a larger trainer.max_epochs") from error
        return new

    @property
    def changes_rate_alone(self) -> bool:
        """Whether it changes nothing but the learning rate; OneCycleLR may cycle the momentum."""
        return not getattr(self.scheduler, "cycle_momentum", False)

    def after_step(self, step: int) -> None:
        """Call when `step` optimizer steps are done.

        Raises:
            RequestError: the (resumed) run exceeds the length that the scheduler was planned for.
        """
        if self.interval == "step" and step % self.frequency == 0:
            try:
                self.scheduler.step()
            except ValueError as error:
                raise RequestError(
                    f"scheduler: {error}; a resumed run keeps its length (trainer.max_epochs)"
                ) from error

    def after_epoch(self, epoch: int, metrics: Mapping[str, Tensor]) -> None:
        """Call at the end of an epoch, counted from 0, with the metrics so far.

        Raises:
            RequestError: the monitored metric is not among them.
        """
        if self.interval == "epoch" and (epoch + 1) % self.frequency == 0:
            if isinstance(self.scheduler, ReduceLROnPlateau):
                if self.monitor not in metrics:
                    known = f"no such metric after epoch {epoch + 1}; there are {', '.join(sorted(metrics))}"
                    validate = "trainer.check_val_every_n_epoch=1 trainer.val_check_interval=1.0"
                    remedy = f"; validate in each epoch ({validate}), or set a larger scheduler.frequency"
                    remedy *= self.monitor.startswith("val/")
                    raise RequestError(f"scheduler.monitor={self.monitor}: {known}{remedy}")
                self.scheduler.step(metrics[self.monitor])
            else:
                self.scheduler.step()
