"""A job in a stack: its task, its optimizer's settings and schedule, and what its training has left."""

import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.trainer.states import TrainerFn
from omegaconf import DictConfig
from torch import Tensor
from torch.optim import Optimizer

from litlab.build import build_data, build_task
from litlab.compat.instantiation import instantiate
from litlab.data.tensors import TensorData
from litlab.sweeps.stacks.stackable import EARLY_STOPPING
from litlab.tasks.base import Task
from litlab.tasks.steps.replayed import Replay, ReplayedEpoch


def is_on_gpu(config: DictConfig) -> bool:
    """Whether a stack of such jobs is trained on a GPU."""
    return str(config.trainer.accelerator) != "cpu" and torch.cuda.is_available()


def dtype_of(config: DictConfig) -> torch.dtype:
    """Of the weights of such a job."""
    return torch.float64 if str(config.trainer.precision).startswith("64") else torch.float32


def is_mixed(config: DictConfig) -> bool:
    """Whether products of such a job are of bfloat16."""
    return str(config.trainer.precision).startswith("bf16")


class Member:
    """One of the jobs in a stack: its task, its optimizer's settings and schedule, and what its training has left.

    Args:
        config: of the job.
    """

    def __init__(self, config: DictConfig) -> None:
        seed_everything(config.seed, verbose=False)
        self.config, self.seed = config, int(config.seed)
        self.data: TensorData = build_data(config)
        self.task: Task = build_task(config, self.data)
        self.random = torch.get_rng_state()  # where its dropout begins
        rates = [each.p for each in self.task.modules() if isinstance(each, torch.nn.Dropout)]
        self.stream = (self.seed, *rates)
        self.replay = Replay(1)
        self.metrics: Mapping[str, Tensor] = {}  # of the latest epoch
        self.best: Tensor | None = None
        self.best_epoch: ReplayedEpoch | None = None
        self.is_alive = True
        self.stops = False  # early
        found = [each for each in config.callbacks.values() if each and each.get("_target_") == EARLY_STOPPING]
        self.stoppers: list[EarlyStopping] = [instantiate(each) for each in found]

    def start(self, dtype: torch.dtype, batches: int) -> None:
        """Build the optimizer and the schedule, which here only say how settings change."""
        self.optimizer: Optimizer = self.task.make_optimizer([torch.nn.Parameter(torch.zeros(1, dtype=dtype))])
        if self.task.schedule is not None:
            # What a schedule asks of the Trainer: the length of the run.
            trainer: Any = SimpleNamespace(
                fit_loop=SimpleNamespace(setup_data=lambda: None), train_dataloader=None, num_training_batches=batches,
                max_epochs=self.config.trainer.max_epochs, max_steps=-1,
            )  # fmt: skip
            self.task.schedule.start(self.optimizer, trainer, 1)
        self.optimizer.step()  # without a gradient: schedules check for it

    def constants(self, update: Any, epoch: int, steps: int) -> list[Mapping[str, Any]]:
        """Those of each step of an epoch."""
        found, (group,) = [], self.optimizer.param_groups
        self.rates = []
        for step in range(epoch * steps + 1, (epoch + 1) * steps + 1):
            found.append(update.constants(group))
            if self.task.schedule is not None:
                self.task.schedule.after_step(step)
            self.rates.append(float(group["lr"]))
        return found

    def epoch(self, losses: Tensor, samples: Sequence[int], weights: Sequence[float], seconds: float) -> ReplayedEpoch:
        """The latest epoch, without metrics and weights."""
        (group,), scheduler = self.optimizer.param_groups, self.task.schedule and self.task.schedule.scheduler
        settings = {name: value for name, value in group.items() if name != "params"}
        state = None if scheduler is None else scheduler.state_dict()
        return ReplayedEpoch(losses.clone(), samples, weights, self.rates, settings, state, seconds)

    def end_epoch(self, epoch: ReplayedEpoch, loss: float, kept: Any) -> None:
        """Take over an epoch; keep its weights if they are the best, and instead of those of the one before.

        Args:
            epoch: the latest.
            loss: the mean over its steps.
            kept: returns the weights and the rest.
        """
        metrics = {"train/loss": torch.tensor(loss)} | {f"val/{name}": each for name, each in epoch.validation.items()}
        self.metrics = metrics
        if self.replay.epochs and self.replay.epochs[-1] is not self.best_epoch:
            self.replay.epochs[-1].kept = None
        self.replay.epochs.append(epoch)
        epoch.kept = kept()
        value = metrics.get(self.task.monitor)
        if value is not None and self._is_better(value):
            if self.best_epoch is not None:
                self.best_epoch.kept = None
            self.best_epoch = epoch
        if self.task.schedule is not None:
            self.task.schedule.after_epoch(len(self.replay.epochs) - 1, metrics)
        self.stops = bool(self.stoppers) and self._is_stopped()

    def _is_stopped(self) -> bool:
        """Whether a callback of its own training would now stop it; it is given what it asks of the Trainer."""
        trainer: Any = SimpleNamespace(
            callback_metrics=self.metrics, current_epoch=len(self.replay.epochs) - 1, should_stop=False,
            state=SimpleNamespace(fn=TrainerFn.FITTING), sanity_checking=False, fast_dev_run=False,
            val_check_interval=1.0, check_val_every_n_epoch=1,
            strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision),
        )  # fmt: skip
        for each in self.stoppers:
            each.verbose = False  # it speaks in the job's own training
            each.setup(trainer, self.task, "fit")
            each.on_validation_end(trainer, self.task)
            each.on_train_epoch_end(trainer, self.task)
        return trainer.should_stop

    def value(self, metric: str) -> float | None:
        """A metric of the latest epoch; None without it, or after a divergence."""
        return float(self.metrics[metric]) if self.is_alive and metric in self.metrics else None

    def _is_better(self, value: Tensor) -> bool:
        """As ModelCheckpoint decides it: not a number is the worst, and the first one is kept all the same."""
        worst, better = (-math.inf, torch.gt) if self.task.mode == "max" else (math.inf, torch.lt)
        value = torch.tensor(worst) if torch.isnan(value) else value
        if self.best is not None and not better(value, self.best):
            return False
        self.best = value
        return True
