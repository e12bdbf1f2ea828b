"""Steps run batch by batch."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from litlab.compat.lightning import begin_step, end_step
from litlab.tasks.steps.step import Part, Step, raw_update


class BatchByBatch:
    """Accumulates gradients, and updates the weights when a step is complete.

    Args:
        backward: adds a part's gradients to the `.grad`; returns its loss, a scalar.
        update: updates the weights and sets the `.grad` to None.
    """

    def __init__(self, backward: Callable[[Part], Tensor], update: Callable[[], None]) -> None:
        self.backward, self.update = backward, update

    def take(self, batches: Sequence[Sequence[Tensor]], steps: int) -> int:
        """Always 1."""
        return 1

    def run(self, parts: Sequence[Part]) -> Sequence[Tensor]:
        """Run the batches; returns their losses, scalars."""
        losses = []
        for part in parts:
            losses.append(self.backward(part))
            if part.update:
                self.update()
        return losses


class FastUpdate:
    """An update without Lightning's and torch's wrappers, which take as long as a small network's step.

    Args:
        step: clips the gradients and has the optimizer.
        optimizer: Lightning's wrapper, which counts steps.
        before: sees the gradients before they are clipped.
        after: sets the learning rate of the next step.
    """

    def __init__(
        self, step: Step, optimizer: LightningOptimizer, before: Callable[[], None], after: Callable[[], None]
    ) -> None:
        self.step, self.optimizer, self.before, self.after = step, optimizer, before, after
        self._raw: Callable[[Any], Any] | None = None

    def __call__(self) -> None:
        """Update the weights, and set the `.grad` to None."""
        step = self.step
        self.before()
        step.clip()
        begin_step(self.optimizer)
        if self._raw is None:  # first torch's own: schedulers check for it
            step.optimizer.step()
            self._raw = raw_update(step.optimizer)
        else:
            with torch.no_grad():
                self._raw(step.optimizer)
        end_step(self.optimizer)
        step.zero_grad()
        self.after()


class LightningUpdate:
    """An update with all hooks, in the precision and over the devices of the Trainer's strategy.

    Args:
        optimizer: Lightning's.
        after: sets the learning rate of the next step.
        average: averages a tensor over the devices; DDP's own backward does, but compiled gradients bypass it.
    """

    def __init__(
        self,
        optimizer: LightningOptimizer,
        after: Callable[[], None],
        average: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.optimizer, self.after, self.average = optimizer, after, average

    def __call__(self) -> None:
        """Update the weights, and set the `.grad` to None."""
        if self.average is not None:  # averaging equal gradients changes nothing
            weights = (weight for group in self.optimizer.param_groups for weight in group["params"])
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            mean = self.average(torch.cat([gradient.flatten() for gradient in gradients]))
            torch.nn.utils.vector_to_parameters(mean, gradients)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.after()
