"""How long training takes."""

import logging
import time
from typing import Any

import lightning.pytorch as L

log = logging.getLogger(__name__)


class Stopwatch(L.Callback):
    """Times each training epoch with all that belongs to it (Trainer, logging, checkpoint) but validation.

    The losses are read on the host at an epoch's end, so on a GPU its work is done by then.
    """

    def __init__(self) -> None:
        self.epochs: list[float] = []  # seconds each
        self._since = 0.0
        self._validation = 0.0

    def on_train_epoch_start(self, *_: Any) -> None:
        """An epoch begins."""
        self._since, self._validation = time.perf_counter(), 0.0

    def on_validation_start(self, *_: Any) -> None:
        """What follows is no training."""
        self._validation -= time.perf_counter()

    def on_validation_end(self, *_: Any) -> None:
        """Training goes on."""
        self._validation += time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note the time, and the epoch's metrics in train.log."""
        self.epochs.append(time.perf_counter() - self._since - self._validation)
        metrics = ", ".join(f"{name} {float(value):.4g}" for name, value in sorted(trainer.callback_metrics.items()))
        log.info("epoch %d: %.3f s, %s", trainer.current_epoch + 1, self.epochs[-1], metrics)
