"""An optimizer step, described once for all executors."""

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
    factor: float | Tensor = 1.0  # of its loss, a scalar; of a shard see `Task.weigh`
    update: bool = True  # False: its gradients wait for the next batch's


@dataclass(frozen=True, eq=False)
class Step:
    """What a step does to weights, buffers and optimizer state, given batches and the optimizer's settings.

    Args:
        model: from inputs to outputs.
        objective: from (outputs, targets) to two scalars: what is minimized, and the loss that is reported of it.
        optimizer: updates the weights from their `.grad`.
        accumulate: batches whose gradients make a step.
        clip_val: the bound of the gradients; None or 0: none.
        clip_algorithm: bounds their norm ("norm", None) or each value ("value").
    """

    model: nn.Module
    objective: Objective
    optimizer: Optimizer
    accumulate: int = 1
    clip_val: float | None = None
    clip_algorithm: str | None = None

    @cached_property
    def weights(self) -> Named:
        """The model's weights that are trained."""
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    @cached_property
    def buffers(self) -> Named:
        """The model's buffers."""
        return dict(self.model.named_buffers())

    def backward(self, part: Part, backward: Callable[[Tensor], None] = Tensor.backward) -> Tensor:
        """Add the gradients of a part to the `.grad`; its loss, a scalar."""
        minimized, loss = self.objective(self.model(part.inputs), part.targets)
        if not (isinstance(part.factor, float) and part.factor == 1):
            minimized, loss = minimized * part.factor, loss * part.factor
        backward(minimized / self.accumulate if self.accumulate > 1 else minimized)
        return loss.detach()

    def differentiation(self) -> Callable[[Tensor, Tensor], tuple[Named, Tensor, Named]]:
        """The pure function of (inputs, targets) that gives the gradients, the loss and the buffers' new values.

        `backward` cannot lie within a compiled graph; this can.
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
        """Bound the `.grad`, where a bound is set."""
        if self.clip_val:
            parameters = [weight for group in self.optimizer.param_groups for weight in group["params"]]
            (clip_grad_value_ if self.clip_algorithm == "value" else clip_grad_norm_)(parameters, self.clip_val)

    def zero_grad(self) -> None:
        """Optimizer.zero_grad, in a thirtieth of its time."""
        for group in self.optimizer.param_groups:
            for weight in group["params"]:
                weight.grad = None


class Executor(Protocol):
    """Runs steps. After each update it calls what sets the next step's learning rate."""

    def take(self, batches: Sequence[Sequence[Tensor]], steps: int) -> int:
        """How many of these batches the next call of `run` takes, at least 1.

        Args:
            batches: (inputs, targets, ...) each; not empty.
            steps: that are left; negative: no limit.
        """

    def run(self, parts: Sequence[Part]) -> Sequence[Tensor]:
        """Take as many batches; their losses, scalars."""


def raw_update(optimizer: Optimizer) -> Callable[[Optimizer], Any]:
    """The function that updates the weights, to be called with the optimizer under torch.no_grad.

    What torch wraps around it (a label for profilers, hooks, a switch for gradients) takes twice as long as the update
    of a small network. It calls no hooks: see `litlab.compat.torch.has_step_hooks`. Wrappers of other packages stay.
    """
    step: Any = type(optimizer).step
    while hasattr(step, "__wrapped__") and step.__globals__["__name__"].startswith("torch."):
        step = step.__wrapped__
    return step
