"""Requirements of other packages' callbacks: a call at every step, or automatic optimization."""

from typing import Any

import lightning.pytorch as L
from lightning.pytorch.callbacks import (
    BatchSizeFinder,
    GradientAccumulationScheduler,
    LearningRateFinder,
    ModelCheckpoint,
    StochasticWeightAveraging,
    Timer,
)

from litlab.compat.lightning import every_n_train_steps, train_time_interval
from litlab.errors import RequestError
from litlab.tasks.hooks import STEP_HOOKS, has_hook

BATCH_HOOKS = ("on_train_batch_start", "on_train_batch_end")

# They act around `training_step`, where manual optimization leaves nothing to act on: the first would average the
# weights but never step its scheduler, the second raises during setup, and the finders change a setting after the
# scheduler was built for the old one.
AUTOMATIC_ONLY: dict[type[L.Callback], str] = {
    StochasticWeightAveraging: "use lightning.pytorch.callbacks.WeightAveraging, which averages at every step",
    GradientAccumulationScheduler: "set trainer.accumulate_grad_batches, which is the same in all epochs",
    LearningRateFinder: "use tune=lr",
    BatchSizeFinder: "use tune=batch_size",
}


def counts_batches(callback: Any) -> bool:
    """Whether a callback must be called at every step, because it has a hook around batches or optimizer steps.

    A class whose hook need not see every batch declares `counts_batches = False`.
    """
    if not getattr(callback, "counts_batches", True) or isinstance(callback, Timer):  # which looks at the clock
        return False
    if (
        isinstance(callback, ModelCheckpoint)
        and type(callback).on_train_batch_end is ModelCheckpoint.on_train_batch_end
    ):
        return every_n_train_steps(callback) > 0  # its own hook does nothing otherwise
    return any(has_hook(callback, hook, L.Callback) for hook in (*BATCH_HOOKS, *STEP_HOOKS))


def refuse_automatic_only(name: str, callback: L.Callback) -> None:
    """Refuse a callback that does not work under manual optimization.

    Args:
        name: the callback's name in the config.
        callback: the object.

    Raises:
        RequestError: naming what to use instead.
    """
    needs = "needs Lightning's automatic optimization, and litlab's tasks take their steps themselves"
    for kind, instead in AUTOMATIC_ONLY.items():
        if isinstance(callback, kind):
            raise RequestError(f"callbacks.{name}: {kind.__name__} {needs}; {instead}")
    if isinstance(callback, ModelCheckpoint) and train_time_interval(callback) is not None:
        raise RequestError(f"callbacks.{name}.train_time_interval: {needs}; use every_n_train_steps or every_n_epochs")
