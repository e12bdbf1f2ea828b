"""The metrics of every epoch."""

from typing import Any

import lightning.pytorch as L


class History(L.Callback):
    """Keeps each epoch's metrics on the host, for curves and hints.

    As with `Stopwatch`, an epoch ends where the next one begins: its training loss is known only after the callbacks'
    `on_train_epoch_end`.
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []  # by metric; those of validation only where it took place
        self._running = self._validated = False

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """An epoch begins."""
        self._note(trainer)
        self._running = True

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The validation metrics are this epoch's, and not what Lightning remembers of an earlier one."""
        self._validated = True

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The last epoch is over."""
        self._note(trainer)
        self._running = False

    def best(self, metric: str, mode: str) -> int | None:
        """The epoch, counted from 1, with the best value (of equal ones the first); None if no epoch has the metric."""
        values = {number: epoch[metric] for number, epoch in enumerate(self.epochs, start=1) if metric in epoch}
        choose: Any = max if mode == "max" else min
        return choose(values, key=values.__getitem__) if values else None

    def _note(self, trainer: L.Trainer) -> None:
        if self._running:
            values = {name: float(value) for name, value in trainer.callback_metrics.items()}
            kept = {name: value for name, value in values.items() if self._validated or not name.startswith("val/")}
            self.epochs.append(kept)
        self._validated = False
