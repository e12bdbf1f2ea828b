"""How long training takes."""

import logging
import time
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L
from torch import Tensor

log = logging.getLogger(__name__)


class Stopwatch(L.Callback):
    """Times each training epoch with all that belongs to it (Trainer, logging, checkpoint) but validation.

    An epoch ends where the next one begins: the Trainer saves checkpoints and logs the epoch's metrics after the
    callbacks' `on_train_epoch_end`. The losses are read on the host by then, so a GPU's work is done, too.
    """

    def __init__(self) -> None:
        self.epochs: list[float] = []  # seconds each
        self.earlier = 0.0  # seconds of a run that this one goes on with
        self._epoch = 0  # the present one, counted from 1; 0: none
        self._since = 0.0
        self._apart = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """An epoch begins."""
        self._note(trainer.callback_metrics)
        self._epoch, self._since, self._apart = trainer.current_epoch + 1, time.perf_counter(), 0.0

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The last epoch is over."""
        self._note(trainer.callback_metrics)
        self._epoch = 0

    def state_dict(self) -> dict[str, Any]:
        """The seconds so far."""
        present = time.perf_counter() - self._since - self._apart if self._epoch else 0.0
        return {"seconds": self.earlier + sum(self.epochs) + present}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """A resumed run's seconds are added to those before."""
        self.earlier = float(state_dict["seconds"])

    def pause(self) -> None:
        """What follows is no training."""
        self._apart -= time.perf_counter()

    def resume(self) -> None:
        """Training goes on."""
        self._apart += time.perf_counter()

    def on_validation_start(self, *_: Any) -> None:
        """Validation is no training."""
        self.pause()

    def on_validation_end(self, *_: Any) -> None:
        """Training goes on."""
        self.resume()

    def _note(self, metrics: Mapping[str, Tensor]) -> None:
        """Keep the time, and the epoch's metrics in train.log."""
        if self._epoch:
            self.epochs.append(time.perf_counter() - self._since - self._apart)
            values = ", ".join(f"{name} {float(value):.4g}" for name, value in sorted(metrics.items()))
            log.info("epoch %d: %.3f s, %s", self._epoch, self.epochs[-1], values)
