"""Steps that have been taken elsewhere: the Trainer goes through them again, and ends with the weights they gave."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from litlab.compat.lightning import begin_step, end_step
from litlab.tasks.steps.step import Part


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
        seconds: its share of the time of all that were trained with it.
        validation: the metrics of the validation, without "val/"; empty without one.
        kept: what it had at its end; only of the best epoch, and of the last.
    """

    losses: Tensor
    seconds: float
    validation: Mapping[str, Tensor] = field(default_factory=dict)
    kept: Kept | None = None


@dataclass(eq=False)
class Replay:
    """A training that has been taken elsewhere.

    Attributes:
        stacked: how many were trained at once.
        epochs: all of them; a diverged one is the last, and has nothing but its losses.
        passed: called with the seconds of each epoch as the Trainer ends it.
        epoch: the one that the Trainer is in.
        until: the epoch after which the sweep has ended it early; None: it has not.
    """

    stacked: int
    epochs: list[ReplayedEpoch] = field(default_factory=list)
    passed: Callable[[float], None] = lambda seconds: None
    epoch: int = 0
    until: int | None = None

    @property
    def has_weights(self) -> bool:
        """Whether there are weights of the current epoch; without, a checkpoint of it would be another epoch's."""
        return self.epochs[self.epoch].kept is not None


class Replayed:
    """The executor of a replay.

    Args:
        replay: of the whole training.
        model: gets the weights at the end of an epoch that has kept them.
        optimizer: Lightning's wrapper, which counts steps.
        after: sets the learning rate of the next step.
    """

    def __init__(
        self, replay: Replay, model: nn.Module, optimizer: LightningOptimizer, after: Callable[[], None]
    ) -> None:
        self.replay, self.model, self.optimizer, self.after = replay, model, optimizer, after
        self._at = 0  # steps of the epoch
        optimizer.optimizer.step()  # without gradients: schedulers check for it

    def take(self, batches: Sequence[Sequence[Tensor]], steps: int) -> int:
        """All of them."""
        return len(batches)

    def run(self, parts: Sequence[Part]) -> Sequence[Tensor]:
        """The losses of so many steps, scalars."""
        epoch = self.replay.epochs[self.replay.epoch]
        losses = epoch.losses[self._at : self._at + len(parts)].unbind()
        for _ in parts:
            begin_step(self.optimizer)
            end_step(self.optimizer)
            self.after()
        self._at += len(parts)
        if self._at == len(epoch.losses):
            self.replay.passed(epoch.seconds)
            if epoch.kept is not None:
                self._restore(epoch.kept)
            self._at = 0
        return losses

    @torch.no_grad()
    def _restore(self, kept: Kept) -> None:
        for name, weight in self.model.named_parameters():
            weight.copy_(kept.weights[name])
        optimizer = self.optimizer.optimizer
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        for weight, state in zip(weights, kept.optimizer, strict=False):  # there may be none
            optimizer.state[weight] = dict(state)
        torch.set_rng_state(kept.random)
