"""The record of the epochs: metrics and training time."""

import contextlib
import csv
import io
import logging
import time
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as L

from litlab.files import write_atomic
from litlab.runs.result import HISTORY
from litlab.tasks.base import Task
from litlab.tasks.position import position

log = logging.getLogger(__name__)


class History(L.Callback):
    """Keeps each epoch's metrics and training time for curves, hints and the result, and writes history.csv.

    The time includes the Trainer, logging and checkpoints, and excludes validation. An epoch ends where the next one
    begins: the Trainer logs its metrics and saves checkpoints after the callbacks' `on_train_epoch_end`. The host has
    read the losses by then, so a GPU has finished its work.

    Attributes:
        epochs: the metrics of each epoch by name; validation metrics only where there was a validation.
        seconds: training time of each epoch of this process.
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.seconds: list[float] = []
        self._earlier = 0.0  # seconds of the run that this one resumes
        self._epoch = 0  # the current one, counted from 1; 0: none
        self._started = self._paused = 0.0
        self._validated = False
        self._is_cut = False  # the last of `epochs` was cut short where a resumed run goes on
        self._was_validated = False  # the epoch within which a resumed run goes on, before that

    @classmethod
    def of(cls, trainer: L.Trainer) -> "History":
        """The trainer's."""
        return next(each for each in trainer.callbacks if isinstance(each, cls))

    @property
    def total_seconds(self) -> float:
        """Training time so far, with that of the resumed run."""
        return self._earlier + sum(self.seconds) + (self.elapsed if self._epoch else 0.0)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """A resumed run goes on within the epoch that was cut short."""
        if self._is_cut:
            self.epochs.pop()
            self._is_cut = False

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """An epoch begins."""
        self._end_epoch(trainer)
        self._epoch, self._started, self._paused = trainer.current_epoch + 1, time.perf_counter(), 0.0
        self._validated, self._was_validated = self._was_validated, False

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The last epoch is over."""
        self._end_epoch(trainer)
        self._write(trainer)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Write the epochs so far."""
        with contextlib.suppress(OSError):  # a full disk must not hide the exception
            self._write(trainer)

    def add(self, seconds: float) -> None:
        """Count time of the current epoch that was spent elsewhere."""
        self._paused -= seconds

    def pause(self) -> None:
        """Stop the clock."""
        self._paused -= time.perf_counter()

    def resume(self) -> None:
        """Start the clock again."""
        self._paused += time.perf_counter()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Exclude validation."""
        self.pause()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The validation metrics are now this epoch's, not left over from an earlier one."""
        self.resume()
        self._validated = True

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the finished epochs, including the one that ends now; at the end of training, one that was cut short."""
        done = position(trainer, cast(Task, pl_module).losses.batches)["epoch"]
        ends = [self._metrics(trainer)] if done > len(self.epochs) else []
        is_cut = not self._epoch and len(self.epochs) > done
        epochs = self.epochs if is_cut else [*self.epochs[:done], *ends]
        checkpoint["callbacks"][self.state_key] = {
            "epochs": list(epochs),
            "cut": is_cut,
            "validated": self._validated and not ends,
            "seconds": self.total_seconds,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """A resumed run continues the earlier epochs."""
        self.epochs = [{str(name): float(value) for name, value in each.items()} for each in state_dict["epochs"]]
        self._is_cut = bool(state_dict.get("cut"))
        self._was_validated = bool(state_dict.get("validated"))
        self._earlier = float(state_dict.get("seconds", 0.0))

    def best(self, metric: str, mode: str) -> int | None:
        """The first epoch, counted from 1, with the best value; None if no epoch has the metric."""
        values = {number: epoch[metric] for number, epoch in enumerate(self.epochs, start=1) if metric in epoch}
        choose: Any = max if mode == "max" else min
        return choose(values, key=values.__getitem__) if values else None

    @property
    def elapsed(self) -> float:
        """Training seconds of the current epoch so far."""
        return time.perf_counter() - self._started - self._paused

    def _end_epoch(self, trainer: L.Trainer) -> None:
        if self._epoch:
            self.seconds.append(self.elapsed)
            self.epochs.append(self._metrics(trainer))
            values = ", ".join(f"{name} {value:.4g}" for name, value in sorted(self.epochs[-1].items()))
            log.info("epoch %d: %.3f s, %s", self._epoch, self.seconds[-1], values)
        self._epoch, self._validated = 0, False

    def _metrics(self, trainer: L.Trainer) -> dict[str, float]:
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        return {name: value for name, value in values.items() if self._validated or not name.startswith("val/")}

    def _write(self, trainer: L.Trainer) -> None:
        """Write history.csv: a row per epoch, in full precision; empty cells where an epoch lacks a metric."""
        if not trainer.is_global_zero or not self.epochs:
            return
        names = sorted({name for epoch in self.epochs for name in epoch})
        text = io.StringIO()
        rows = csv.DictWriter(text, ["epoch", *names], lineterminator="\n")
        rows.writeheader()
        rows.writerows({"epoch": number, **epoch} for number, epoch in enumerate(self.epochs, start=1))
        write_atomic(Path(trainer.default_root_dir) / HISTORY, text.getvalue().encode())
