"""Lightning's internals that litlab needs."""

import contextlib
import functools
from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import entry_points
from typing import Any

from lightning.fabric.utilities import registry
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector

from litlab import signals
from litlab.compat.patching import replaced


class _SlurmSignals(_SignalConnector):
    """Lightning's connector, without the signals that `litlab.signals` handles.

    Lightning's own handler of SIGTERM asks all devices whether they got one, too, in a collective call from wherever
    the signal came: a process that is gone, or in another such call, never answers. Slurm's requeue signal stays.
    """

    @staticmethod
    def _register_signal(signum: Any, handlers: Any) -> None:
        if signum not in signals.SIGNALS:
            _SignalConnector._register_signal(signum, handlers)


def leave_signals_alone(trainer: Trainer) -> None:
    """Let the trainer install no handler for a signal that `litlab.signals` handles."""
    trainer._signal_connector = _SlurmSignals(trainer)


@contextlib.contextmanager
def entry_points_once() -> Iterator[None]:
    """In the body, each Trainer looks for other packages' callbacks among those found first: reading all takes 6 ms."""
    with replaced(registry, "entry_points", _entry_points):
        yield


_entry_points = functools.cache(entry_points)


def start_no_processes(trainer: Trainer) -> None:
    """Let the trainer's strategy start no further processes: they run already."""
    trainer.strategy._launcher = None


def process_group_settings(strategy: DDPStrategy) -> dict[str, Any]:
    """Backend and timeout of the group that the strategy would make itself, for `init_process_group`."""
    timeout = strategy._timeout or timedelta(minutes=30)
    return {"backend": strategy._get_process_group_backend(), "timeout": timeout}


def every_n_train_steps(checkpoint: ModelCheckpoint) -> int:
    """Steps between checkpoints; 0 if off."""
    return checkpoint._every_n_train_steps


def train_time_interval(checkpoint: ModelCheckpoint) -> timedelta | None:
    """Time between checkpoints; None if off."""
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
    """Restart the epoch's loader if it has started."""
    if (fetcher := trainer.fit_loop._data_fetcher) is not None:
        iter(fetcher)
