"""The metrics of every epoch."""

import contextlib
import csv
import io
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as L

from litlab.files import write_atomic
from litlab.runs.result import HISTORY
from litlab.tasks.base import Task
from litlab.tasks.position import position


class History(L.Callback):
    """Keeps each epoch's metrics on the host, for curves and hints, and writes them to the run directory.

    As in `Stopwatch`, an epoch ends where the next one begins: its training loss is known only after the callbacks'
    `on_train_epoch_end`.
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []  # by metric; with validation metrics only if there was a validation
        self._running = self._validated = False

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """An epoch begins."""
        self._note(trainer)
        self._running = True

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The validation metrics are now this epoch's, not left over from an earlier one."""
        self._validated = True

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The last epoch is over."""
        self._note(trainer)
        self._running = False
        self._write(trainer)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Write the epochs so far."""
        with contextlib.suppress(OSError):  # a full disk must not hide the exception
            self._write(trainer)

    def write(self, folder: Path) -> None:
        """Write history.csv: a row per epoch, in full precision; empty cells where an epoch lacks a metric."""
        names = sorted({name for epoch in self.epochs for name in epoch})
        text = io.StringIO()
        rows = csv.DictWriter(text, ["epoch", *names], lineterminator="\n")
        rows.writeheader()
        rows.writerows({"epoch": number, **epoch} for number, epoch in enumerate(self.epochs, start=1))
        write_atomic(folder / HISTORY, text.getvalue().encode())

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the finished epochs, including the one that ends now."""
        done = position(trainer, cast(Task, pl_module).losses.batches)["epoch"]
        ends = [self._metrics(trainer)] if done > len(self.epochs) else []
        checkpoint["callbacks"][self.state_key] = {"epochs": [*self.epochs[:done], *ends]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """A resumed run continues the earlier epochs."""
        self.epochs = [{str(name): float(value) for name, value in each.items()} for each in state_dict["epochs"]]

    def best(self, metric: str, mode: str) -> int | None:
        """The first epoch, counted from 1, with the best value; None if no epoch has the metric."""
        values = {number: epoch[metric] for number, epoch in enumerate(self.epochs, start=1) if metric in epoch}
        choose: Any = max if mode == "max" else min
        return choose(values, key=values.__getitem__) if values else None

    def _write(self, trainer: L.Trainer) -> None:
        if trainer.is_global_zero and self.epochs:
            self.write(Path(trainer.default_root_dir))

    def _note(self, trainer: L.Trainer) -> None:
        if self._running:
            self.epochs.append(self._metrics(trainer))
        self._validated = False

    def _metrics(self, trainer: L.Trainer) -> dict[str, float]:
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        return {name: value for name, value in values.items() if self._validated or not name.startswith("val/")}
