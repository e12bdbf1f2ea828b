"""A job of a sweep that ends before its last epoch: as its search decides, or at a rung of successive halving."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import lightning.pytorch as L
from omegaconf import DictConfig

from litlab.callbacks.history import History
from litlab.config.job import in_sweep
from litlab.errors import Pruned, RequestError
from litlab.tasks.steps.replayed import Replay

Values = Sequence[float | None]  # the monitored metric after each epoch; None where it was not computed


class Judge(Protocol):
    """Decides how far a job trains."""

    def report(self, values: Values) -> None:
        """Take note of the epochs so far."""

    def is_enough(self, values: Values) -> bool:
        """Whether the job ends after these epochs, with more to come."""
        ...


@dataclass(frozen=True)
class Rung:
    """Ends every job after so many epochs."""

    epochs: int

    def report(self, values: Values) -> None:
        """There is nothing to note."""

    def is_enough(self, values: Values) -> bool:
        """Whether there are that many."""
        return len(values) >= self.epochs


class Pruning(L.Callback):
    """Ends the run where an epoch would begin: `LastCheckpoint`, which comes first, has saved, so the run can go on."""

    def __init__(self, metric: str, judge: Judge) -> None:
        self.metric, self.judge = metric, judge

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report the epochs so far, and ask.

        Raises:
            Pruned: the run ends here.
        """
        values = self._report(trainer)
        if self.judge.is_enough(values):
            raise Pruned(f"after epoch {len(values)}" if values else "before its first epoch")

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report the last epoch, too."""
        self._report(trainer)

    def _report(self, trainer: L.Trainer) -> list[float | None]:
        values = [epoch.get(self.metric) for epoch in History.of(trainer).epochs]
        self.judge.report(values)
        return values


def judge_of_this_job(config: DictConfig, replay: Replay | None) -> Judge | None:
    """Who ends the job that runs here early; None: nobody."""
    if not in_sweep() or config.sweep.dry_run:
        return None
    if replay is not None:
        return None if replay.until is None else Rung(replay.until)
    if config.sweep.pause is not None:
        return Rung(config.sweep.pause)
    if config.sweep.prune is None or config.sweep.trial is None:
        return None
    from litlab.sweeps.trial import RunningTrial  # here, because it needs the extra optuna

    return RunningTrial(config)


def add_pruning(config: DictConfig, trainer: L.Trainer, replay: Replay | None = None) -> None:
    """Let the job that runs here end early, if its sweep may want that.

    Args:
        config: of the job.
        trainer: gets a callback.
        replay: of the job's training, which a stack may have ended.

    Raises:
        RequestError: it trains on several devices.
    """
    judge = judge_of_this_job(config, replay)
    if judge is None:
        return
    if trainer.world_size > 1:
        asked = f"sweep.eta={config.sweep.eta}" if isinstance(judge, Rung) else f"sweep.prune={config.sweep.prune}"
        raise RequestError(f"{asked}: ends trainings early on one device only; set trainer.devices=1")
    trainer.callbacks.append(Pruning(config.task.monitor, judge))
