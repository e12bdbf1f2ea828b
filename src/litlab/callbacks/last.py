"""last.ckpt: what a stopped, killed or finished run goes on from."""

import time
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as L

from litlab.config.values import NonNegativeFloat
from litlab.runs import logs
from litlab.tasks import position
from litlab.tasks.base import Task

LOOK = 10  # of several devices, batches between two agreements whether it is time


class LastCheckpoint(L.Callback):
    """Saves last.ckpt after each epoch, at the end of training and, while an epoch runs, every `seconds`.

    It saves where nothing of what is done remains to be logged: before a batch, an epoch or the end is begun, and
    before all other callbacks (`litlab.build` puts it there). So a run that goes on repeats nothing and leaves out
    nothing. Within an epoch that is between two calls of `training_step`, where the undisturbed run's compiled groups
    of steps begin, too.

    Args:
        dirpath: the run's folder of checkpoints.
        seconds: between two checkpoints within an epoch; 0: none.
    """

    counts_batches = False  # it looks at the clock; see `litlab.callbacks.calls`

    def __init__(self, dirpath: str | Path, seconds: NonNegativeFloat = 60.0) -> None:
        self.path, self.seconds = Path(dirpath) / "last.ckpt", seconds
        self._saved = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self._saved = time.monotonic()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save after an epoch; not where a resumed run begins."""
        if trainer.fit_loop.epoch_progress.current.processed and cast(Task, pl_module).progress.resumed is None:
            self._save(trainer)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Save within an epoch, if it is time and a run can go on from there."""
        if self.seconds and batch_idx and self._is_due(trainer, batch_idx) and position.is_resumable(pl_module):
            self._save(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the end of the training."""
        cast(Task, pl_module).progress.is_over = True
        self._save(trainer)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add how far the log files are."""
        checkpoint[logs.KEY] = logs.mark(trainer)

    def _is_due(self, trainer: L.Trainer, batch_idx: int) -> bool:
        alone = trainer.world_size == 1
        if not alone and batch_idx % LOOK:
            return False
        due = time.monotonic() - self._saved >= self.seconds
        return due if alone else trainer.strategy.reduce_boolean_decision(due, all=False)

    def _save(self, trainer: L.Trainer) -> None:
        if not trainer.fast_dev_run:
            trainer.save_checkpoint(self.path)
            self._saved = time.monotonic()
