"""Lightning's internals that litlab needs."""

from datetime import timedelta

from lightning.pytorch.callbacks import ModelCheckpoint


def every_n_train_steps(checkpoint: ModelCheckpoint) -> int:
    """After how many steps a checkpoint is saved; 0 for none of these."""
    return checkpoint._every_n_train_steps


def train_time_interval(checkpoint: ModelCheckpoint) -> timedelta | None:
    """After what time a checkpoint is saved; None for none of these."""
    return checkpoint._train_time_interval
