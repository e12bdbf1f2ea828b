"""Steps that have been taken elsewhere: the Trainer goes through them again, and ends with the weights they gave."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from litlab.compat.lightning import begin_step, end_step
from litlab.tasks.steps.compiled import Compilation


@dataclass(frozen=True, eq=False)
class Kept:
    """What a training had at the end of an epoch.

    Attributes:
        weights: by name.
        optimizer: its state of each trained weight.
        random: the state of torch's generator.
    """

    weights: Mapping[str, Tensor]
    optimizer: Sequence[Mapping[str, Tensor]]
    random: Tensor


@dataclass(eq=False)
class ReplayedEpoch:
    """An epoch of a training.

    Attributes:
        losses: (steps,), on the host.
        samples: of each step's batch.
        weights: of each step's loss in the mean.
        rates: the learning rate after each step.
        group: settings of the optimizer after the last step.
        schedule: the state of the scheduler then; None without one.
        seconds: its share of the time of all that were trained with it.
        validation: the metrics of the validation, without "val/"; empty without one.
        kept: what it had at its end; only of the best epoch, and of the last.
    """

    losses: Tensor
    samples: Sequence[int]
    weights: Sequence[float]
    rates: Sequence[float]
    group: Mapping[str, Any]
    schedule: Mapping[str, Any] | None
    seconds: float
    validation: Mapping[str, Tensor] = field(default_factory=dict)
    kept: Kept | None = None


@dataclass(eq=False)
class Replay:
    """A training that has been taken elsewhere.

    Attributes:
        stacked: how many were trained at once.
        epochs: all of them; a diverged one is the last, and has no metrics and no weights.
        passed: called with the seconds of each epoch as the Trainer ends it.
        epoch: the one that the Trainer is in.
        compilation: of all that were trained at once.
        until: the epoch after which the sweep has ended it early; None: it has not.
    """

    stacked: int
    epochs: list[ReplayedEpoch] = field(default_factory=list)
    passed: Callable[[float], None] = lambda seconds: None
    epoch: int = 0
    compilation: Compilation | None = None
    until: int | None = None

    @property
    def has_weights(self) -> bool:
        """Whether there are weights of the current epoch; without, a checkpoint of it would be another epoch's."""
        return self.epochs[self.epoch].kept is not None

    @property
    def is_last(self) -> bool:
        """Whether no later epoch has weights."""
        return not any(each.kept for each in self.epochs[self.epoch + 1 :])


class Replayed:
    """Goes through a replay's epochs, each of them at once.

    Args:
        replay: of the whole training.
        model: gets the weights at the end of an epoch that has kept them.
        optimizer: Lightning's wrapper, which counts steps.
        scheduler: of the learning rate.
    """

    def __init__(self, replay: Replay, model: nn.Module, optimizer: LightningOptimizer, scheduler: Any) -> None:
        self.replay, self.model, self.optimizer, self.scheduler = replay, model, optimizer, scheduler
        optimizer.optimizer.step()  # without gradients: schedulers check for it

    @property
    def latest(self) -> ReplayedEpoch:
        """The epoch that the Trainer is in."""
        return self.replay.epochs[self.replay.epoch]

    def count(self, steps: int) -> None:
        """Let the Trainer count optimizer steps."""
        for _ in range(steps):
            begin_step(self.optimizer)
            end_step(self.optimizer)

    @torch.no_grad()
    def end_epoch(self) -> None:
        """Take over what the training had at the end of this epoch."""
        epoch, optimizer = self.latest, self.optimizer.optimizer
        self.replay.passed(epoch.seconds)
        optimizer.param_groups[0].update(epoch.group)
        if self.scheduler is not None:
            self.scheduler.load_state_dict(epoch.schedule)
        if epoch.kept is None:
            return
        for name, weight in self.model.named_parameters():
            weight.copy_(epoch.kept.weights[name])
        for weight, state in zip(optimizer.param_groups[0]["params"], epoch.kept.optimizer, strict=False):  # maybe none
            optimizer.state[weight] = dict(state)
        torch.set_rng_state(epoch.kept.random)
