"""Steps run batch by batch."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from litlab.compat.lightning import begin_step, end_step
from litlab.tasks.steps.step import Part, Step, raw_update


class BatchByBatch:
    """Adds up gradients, and updates the weights where a step is complete.

    Args:
        backward: adds a part's gradients to the `.grad`; gives its loss, a scalar.
        update: the weights by the `.grad`, which are None afterwards.
    """

    def __init__(self, backward: Callable[[Part], Tensor], update: Callable[[], None]) -> None:
        self.backward, self.update = backward, update

    def take(self, batches: Sequence[Sequence[Tensor]], steps: int) -> int:
        """One."""
        return 1

    def run(self, parts: Sequence[Part]) -> Sequence[Tensor]:
        """Take the batches; their losses, scalars."""
        losses = []
        for part in parts:
            losses.append(self.backward(part))
            if part.update:
                self.update()
        return losses


class FastUpdate:
    """An update without what Lightning and torch wrap around it, as long again as a small network's step.

    Args:
        step: whose gradients are clipped and used.
        optimizer: Lightning's of that step; counts it.
        after: sets the learning rate of the next step.
    """

    def __init__(self, step: Step, optimizer: LightningOptimizer, after: Callable[[], None]) -> None:
        self.step, self.optimizer, self.after = step, optimizer, after
        self._raw: Callable[[Any], Any] | None = None

    def __call__(self) -> None:
        """Update the weights by the `.grad`, which are None afterwards."""
        step = self.step
        step.clip()
        begin_step(self.optimizer)
        if self._raw is None:  # the first is torch's own: a scheduler looks whether there was one
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
        average: a tensor over the devices. DDP does it in its own backward, which compiled gradients do not go through.
    """

    def __init__(
        self,
        optimizer: LightningOptimizer,
        after: Callable[[], None],
        average: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.optimizer, self.after, self.average = optimizer, after, average

    def __call__(self) -> None:
        """Update the weights by the `.grad`, which are None afterwards."""
        if self.average is not None:  # of equal ones nothing changes
            weights = (weight for group in self.optimizer.param_groups for weight in group["params"])
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            mean = self.average(torch.cat([gradient.flatten() for gradient in gradients]))
            torch.nn.utils.vector_to_parameters(mean, gradients)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.after()
