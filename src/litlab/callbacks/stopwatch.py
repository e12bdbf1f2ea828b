"""How long training takes."""

import logging
import time
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L
from torch import Tensor

log = logging.getLogger(__name__)


class Stopwatch(L.Callback):
    """Times each training epoch, including the Trainer, logging and checkpoints, excluding validation.

    An epoch ends where the next one begins: the Trainer saves checkpoints and logs the epoch's metrics after the
    callbacks' `on_train_epoch_end`. The host has read the losses by then, so a GPU has finished its work.
    """

    def __init__(self) -> None:
        self.epochs: list[float] = []  # seconds each
        self.earlier = 0.0  # seconds of the run that this one resumes
        self._epoch = 0  # the current one, counted from 1; 0: none
        self._since = 0.0
        self._paused = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """An epoch begins."""
        self._note(trainer.callback_metrics)
        self._epoch, self._since, self._paused = trainer.current_epoch + 1, time.perf_counter(), 0.0

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The last epoch is over."""
        self._note(trainer.callback_metrics)
        self._epoch = 0

    def state_dict(self) -> dict[str, Any]:
        """The training seconds so far."""
        current = time.perf_counter() - self._since - self._paused if self._epoch else 0.0
        return {"seconds": self.earlier + sum(self.epochs) + current}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """A resumed run adds its seconds to the earlier ones."""
        self.earlier = float(state_dict["seconds"])

    def pause(self) -> None:
        """Stop the clock."""
        self._paused -= time.perf_counter()

    def resume(self) -> None:
        """Start the clock again."""
        self._paused += time.perf_counter()

    def on_validation_start(self, *_: Any) -> None:
        """Exclude validation."""
        self.pause()

    def on_validation_end(self, *_: Any) -> None:
        """Validation has ended."""
        self.resume()

    def _note(self, metrics: Mapping[str, Tensor]) -> None:
        """Record the epoch's time, and log it with the metrics."""
        if self._epoch:
            self.epochs.append(time.perf_counter() - self._since - self._paused)
            values = ", ".join(f"{name} {float(value):.4g}" for name, value in sorted(metrics.items()))
            log.info("epoch %d: %.3f s, %s", self._epoch, self.epochs[-1], values)
