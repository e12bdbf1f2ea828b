"""An optimizer step, independent of its executor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn
from torch.func import functional_call, grad_and_value
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import Optimizer

Named = dict[str, Tensor]
Objective = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class Part(NamedTuple):
    """A batch's part in an optimizer step."""

    inputs: Tensor  # (N, ...)
    targets: Tensor  # (N, ...)
    factor: float | Tensor = 1.0  # of its loss, a scalar; for shards see `Task.weigh`
    update: bool = True  # False: accumulate its gradients


@dataclass(frozen=True, eq=False)
class Step:
    """A step of weights, buffers and optimizer state on given batches.

    Args:
        model: from inputs to outputs.
        objective: from (outputs, targets) to the minimized loss and the reported one, scalars.
        optimizer: updates the weights from their `.grad`.
        accumulate: batches per step.
        clip_val: gradient clipping; None or 0: off.
        clip_algorithm: by norm ("norm", None) or by value ("value").
    """

    model: nn.Module
    objective: Objective
    optimizer: Optimizer
    accumulate: int = 1
    clip_val: float | None = None
    clip_algorithm: str | None = None

    @cached_property
    def weights(self) -> Named:
        """The trained weights by name."""
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    @cached_property
    def buffers(self) -> Named:
        """The buffers by name."""
        return dict(self.model.named_buffers())

    def backward(self, part: Part, backward: Callable[[Tensor], None] = Tensor.backward) -> Tensor:
        """Add a part's gradients to the `.grad`; returns its loss, a scalar."""
        minimized, loss = self.objective(self.model(part.inputs), part.targets)
        if not (isinstance(part.factor, float) and part.factor == 1):
            minimized, loss = minimized * part.factor, loss * part.factor
        backward(minimized / self.accumulate if self.accumulate > 1 else minimized)
        return loss.detach()

    def differentiation(self) -> Callable[[Tensor, Tensor], tuple[Named, Tensor, Named]]:
        """A pure function of (inputs, targets) that returns gradients, loss and new buffers.

        Unlike `backward` it can be part of a compiled graph.
        """
        model, objective, weights, buffers = self.model, self.objective, self.weights, self.buffers

        def objective_of(
            weights: Named, buffers: Named, inputs: Tensor, targets: Tensor
        ) -> tuple[Tensor, tuple[Tensor, Named]]:
            outputs = functional_call(model, {**weights, **buffers}, (inputs,))
            minimized, loss = objective(outputs, targets)
            return minimized, (loss, buffers)

        def differentiate(inputs: Tensor, targets: Tensor) -> tuple[Named, Tensor, Named]:
            values = {name: weight.detach() for name, weight in weights.items()}
            moved = {name: buffer.clone() for name, buffer in buffers.items()}
            gradients, (_, (loss, moved)) = grad_and_value(objective_of, has_aux=True)(values, moved, inputs, targets)
            return gradients, loss.detach(), moved

        return differentiate

    def clip(self) -> None:
        """Clip the `.grad`, if set."""
        if self.clip_val:
            parameters = [weight for group in self.optimizer.param_groups for weight in group["params"]]
            (clip_grad_value_ if self.clip_algorithm == "value" else clip_grad_norm_)(parameters, self.clip_val)

    def zero_grad(self) -> None:
        """Optimizer.zero_grad, in a thirtieth of its time."""
        for group in self.optimizer.param_groups:
            for weight in group["params"]:
                weight.grad = None


class Executor(Protocol):
    """Runs steps, and has the learning rate set after each."""

    def take(self, batches: Sequence[Sequence[Tensor]], steps: int) -> int:
        """The number of batches for the next call of `run`, at least 1.

        Args:
            batches: (inputs, targets, ...) each; not empty.
            steps: remaining optimizer steps; negative: no limit.
        """

    def run(self, parts: Sequence[Part]) -> Sequence[Tensor]:
        """Run as many batches; returns their losses, scalars."""


def raw_update(optimizer: Optimizer) -> Callable[[Optimizer], Any]:
    """The function that updates the weights, to be called with the optimizer under torch.no_grad.

    What torch wraps around it (a label for profilers, hooks, a switch for gradients) takes twice as long as the update
    of a small network. It calls no hooks: see `litlab.compat.torch.has_step_hooks`. Wrappers of other packages stay.
    """
    step: Any = type(optimizer).step
    while hasattr(step, "__wrapped__") and step.__globals__["__name__"].startswith("torch."):
        step = step.__wrapped__
    return step
