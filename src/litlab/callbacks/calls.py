"""What other people's callbacks need: a call at every step, or Lightning's automatic optimization."""

from typing import Any

import lightning.pytorch as L
from lightning.pytorch.callbacks import (
    BatchSizeFinder,
    GradientAccumulationScheduler,
    LearningRateFinder,
    ModelCheckpoint,
    StochasticWeightAveraging,
)

from litlab.compat.lightning import every_n_train_steps, train_time_interval
from litlab.errors import RequestError
from litlab.tasks.hooks import STEP_HOOKS, has_hook

BATCH_HOOKS = ("on_train_batch_start", "on_train_batch_end")

# They change what Lightning itself does around `training_step`, which under manual optimization it leaves to the task:
# the first would average the weights but never step its scheduler, the second raises in the middle of the set-up, the
# finders change a setting when the scheduler has been made for the old one.
AUTOMATIC_ONLY: dict[type[L.Callback], str] = {
    StochasticWeightAveraging: "take lightning.pytorch.callbacks.WeightAveraging, which averages at every step",
    GradientAccumulationScheduler: "set trainer.accumulate_grad_batches, which is the same in all epochs",
    LearningRateFinder: "take tune=lr",
    BatchSizeFinder: "take tune=batch_size",
}


def counts_batches(callback: Any) -> bool:
    """Whether a callback is to be called at every step, because it has a hook around batches or optimizer steps.

    One that has such a hook and does not count its calls says so by a class attribute `counts_batches = False`.
    """
    if not getattr(callback, "counts_batches", True):
        return False
    if isinstance(callback, ModelCheckpoint) and not _saves_by_step(callback):
        return False
    return any(has_hook(callback, hook, L.Callback) for hook in (*BATCH_HOOKS, *STEP_HOOKS))


def refuse_automatic_only(name: str, callback: L.Callback) -> None:
    """Refuse a callback that does nothing, or harm, under manual optimization.

    Args:
        name: of the callback in the config.
        callback: built.

    Raises:
        RequestError: naming it, and what to take instead.
    """
    needs = "needs Lightning's automatic optimization, and litlab's tasks take their steps themselves"
    for kind, instead in AUTOMATIC_ONLY.items():
        if isinstance(callback, kind):
            raise RequestError(f"callbacks.{name}: {kind.__name__} {needs}; {instead}")
    if isinstance(callback, ModelCheckpoint) and train_time_interval(callback) is not None:
        raise RequestError(f"callbacks.{name}.train_time_interval: {needs}; take every_n_train_steps or every_n_epochs")


def _saves_by_step(callback: ModelCheckpoint) -> bool:
    """Whether it does anything when a batch ends. A subclass with a hook of its own may."""
    own = type(callback).on_train_batch_end is not ModelCheckpoint.on_train_batch_end
    return own or every_n_train_steps(callback) > 0
