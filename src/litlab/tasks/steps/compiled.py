"""Whole optimizer steps under torch.compile: forward, gradient and update of several steps in one graph."""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value
from torch.optim import Optimizer

from litlab import signals
from litlab.data.loader import Batch
from litlab.tasks.steps.raw_update import raw_update

Named = dict[str, Tensor]
Objective = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
_NOTHING: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
STEPS = 4  # in one graph: the call, its guards and all but the last .grad are saved; more take long to compile


class CompiledStep:
    """Compiles for the shape of the first batch; another shape (an epoch's last batch) takes the eager step.

    `loss.backward()` cannot lie within a graph, but torch.func's gradient can. Compiling the network alone leaves the
    Python of autograd and of the optimizer between the graphs, and that is most of a small network's step. The module
    is not wrapped, so its weights keep their names.

    Args:
        model: from inputs to outputs.
        objective: from (outputs, targets) to two scalars: what is minimized, and the loss that is reported of it.
    """

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        self.shape: torch.Size | None = None
        self.seconds = 0.0  # of the first call of each kind, nearly all of it compiling
        self._compiled: set[int] = set()
        self._weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self._buffers = dict(model.named_buffers())
        self._differentiate = differentiation(model, objective, self._weights, self._buffers)
        self._gradients = torch.compile(self._differentiate, dynamic=False)
        self._whole_steps: Callable[[Sequence[Batch]], Sequence[Tensor]] | None = None
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it warns where there is no GPU

    def fits(self, inputs: Tensor) -> bool:
        """Whether this batch has the shape that is compiled. The first batch sets it, after an eager step, in which
        optimizers make their buffers: see `Training._step`.
        """
        return inputs.shape == self.shape

    def steps(self, optimizer: Optimizer, batches: Sequence[Batch]) -> Sequence[Tensor]:
        """Take a whole step per batch, in one call; all `.grad` are None before and after. The losses, scalars."""
        started = time.perf_counter()
        if self._whole_steps is None:
            self._whole_steps = self._compile_steps(optimizer)
        for weight, gradient in zip(self._weights.values(), self._space, strict=True):
            weight.grad = gradient
        with self._compiling(len(batches)):
            losses = self._whole_steps(batches)
        for weight in self._weights.values():
            weight.grad = None
        self._time(len(batches), started)
        return losses

    def gradients(self, inputs: Tensor, targets: Tensor, scale: float | Tensor) -> Tensor:
        """Add the gradients, times `scale`, to the `.grad`, and leave the update to the caller; the loss, a scalar."""
        started = time.perf_counter()
        with self._compiling(0):
            gradients, loss, buffers = self._gradients(inputs, targets)
        for name, weight in self._weights.items():
            gradient = gradients[name] * scale
            weight.grad = gradient if weight.grad is None else weight.grad + gradient
        for name, buffer in self._buffers.items():
            buffer.copy_(buffers[name])
        self._time(0, started)
        return loss

    def average_gradients(self, average: Callable[[Tensor], Tensor]) -> None:
        """Over the devices: DDP does it in `backward`, which a compiled step has not. Of equal ones nothing changes."""
        gradients = [weight.grad for weight in self._weights.values() if weight.grad is not None]
        flat = average(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, mean in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def _compiling(self, kind: int) -> contextlib.AbstractContextManager[None]:
        """The first call of each kind compiles, for many seconds: a signal ends it at once."""
        return _NOTHING if kind in self._compiled else signals.at_once()

    def _time(self, kind: int, started: float) -> None:
        if kind not in self._compiled:
            self._compiled.add(kind)
            self.seconds += time.perf_counter() - started

    def _compile_steps(self, optimizer: Optimizer) -> Callable[[Sequence[Batch]], Sequence[Tensor]]:
        self._space = [torch.zeros_like(weight) for weight in self._weights.values()]
        for group in optimizer.param_groups:
            group["lr"] = torch.as_tensor(group["lr"])  # a number would be part of the graph: compiled anew each time
        update = raw_update(optimizer)  # what torch wraps around it breaks the graph

        # Local names, not self: what is reached through self is looked up and guarded anew in each call, 8% of a step.
        differentiate, weights, buffers = self._differentiate, self._weights, self._buffers

        def whole_steps(batches: Sequence[Batch]) -> Sequence[Tensor]:
            losses = []
            with torch.no_grad():
                for inputs, targets in batches:
                    gradients, loss, moved = differentiate(inputs, targets)
                    for name, weight in weights.items():
                        weight.grad.copy_(gradients[name])
                    for name, buffer in buffers.items():
                        buffer.copy_(moved[name])
                    update(optimizer)
                    losses.append(loss)
            return losses

        # Guards on modules are for what does not happen here: it is called in training alone, for this one model.
        options: Any = {"guard_filter_fn": torch.compiler.skip_guard_on_all_nn_modules_unsafe}
        return torch.compile(whole_steps, dynamic=False, options=options)


def differentiation(
    model: nn.Module, objective: Objective, weights: Mapping[str, Tensor], buffers: Named
) -> Callable[[Tensor, Tensor], tuple[Named, Tensor, Named]]:
    """A function of (inputs, targets) that gives the weights' gradients, the loss, and the buffers' new values."""

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
