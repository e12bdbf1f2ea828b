"""Lightning's internals that litlab needs."""

from datetime import timedelta

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.core.optimizer import LightningOptimizer


def every_n_train_steps(checkpoint: ModelCheckpoint) -> int:
    """After how many steps a checkpoint is saved; 0 for none of these."""
    return checkpoint._every_n_train_steps


def train_time_interval(checkpoint: ModelCheckpoint) -> timedelta | None:
    """After what time a checkpoint is saved; None for none of these."""
    return checkpoint._train_time_interval


def begin_step(optimizer: LightningOptimizer) -> None:
    """Tell the Trainer that an optimizer step begins, where it is not taken through Lightning's `step`."""
    optimizer._on_before_step()


def end_step(optimizer: LightningOptimizer) -> None:
    """Tell the Trainer that the step is done: it counts, and checkpoints, max_steps and logs go by that."""
    optimizer._on_after_step()


def is_attached(module: LightningModule) -> bool:
    """Whether the module has a Trainer."""
    return module._trainer is not None


def restart_data(trainer: Trainer) -> None:
    """Let the epoch's loader begin anew, where it has begun."""
    if (fetcher := trainer.fit_loop._data_fetcher) is not None:
        iter(fetcher)
