"""The whole optimizer step under torch.compile: forward, gradient and update in one graph."""

import logging
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value
from torch.optim import Optimizer

Named = dict[str, Tensor]


class CompiledStep:
    """Compiles for the shape of the first batch; another shape (an epoch's last batch) takes the eager step.

    `loss.backward()` cannot lie within a graph, but torch.func's gradient can. Compiling the network alone leaves the
    Python of autograd and of the optimizer between the graphs, and that is most of a small network's step. The module
    is not wrapped, so its weights keep their names.

    Args:
        model: from inputs to outputs.
        loss: from (outputs, targets) to a scalar.
    """

    def __init__(self, model: nn.Module, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.model, self.loss = model, loss
        self.shape: torch.Size | None = None
        self.seconds = 0.0  # of the first compiled step, nearly all of it compiling
        self._weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self._buffers = dict(model.named_buffers())
        self._whole_step: Callable[[Tensor, Tensor], Tensor] | None = None
        self._gradients = torch.compile(self._differentiate, dynamic=False)
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it warns where there is no GPU

    def fits(self, inputs: Tensor) -> bool:
        """Whether this batch has the shape that is compiled; False for the very first, where optimizers set up."""
        if self.shape is None:
            self.shape = inputs.shape
            return False
        return inputs.shape == self.shape

    def step(self, optimizer: Optimizer, inputs: Tensor, targets: Tensor) -> Tensor:
        """Take a whole step, for which all `.grad` are None before and after; the loss, a scalar."""
        started = time.perf_counter()
        if self._whole_step is None:
            self._whole_step = self._compile_step(optimizer)
        for weight, gradient in zip(self._weights.values(), self._space, strict=True):
            weight.grad = gradient
        loss = self._whole_step(inputs, targets)
        for weight in self._weights.values():
            weight.grad = None
        self.seconds = self.seconds or time.perf_counter() - started
        return loss

    def gradients(self, inputs: Tensor, targets: Tensor, scale: float) -> Tensor:
        """Add the gradients, times `scale`, to the `.grad`, and leave the update to the caller; the loss, a scalar."""
        started = time.perf_counter()
        gradients, loss, buffers = self._gradients(inputs, targets)
        for name, weight in self._weights.items():
            gradient = gradients[name] * scale
            weight.grad = gradient if weight.grad is None else weight.grad + gradient
        for name, buffer in self._buffers.items():
            buffer.copy_(buffers[name])
        self.seconds = self.seconds or time.perf_counter() - started
        return loss

    def _compile_step(self, optimizer: Optimizer) -> Callable[[Tensor, Tensor], Tensor]:
        self._space = [torch.zeros_like(weight) for weight in self._weights.values()]
        for group in optimizer.param_groups:
            group["lr"] = torch.as_tensor(group["lr"])  # a number would be part of the graph: compiled anew each time
        update: Any = type(optimizer).step
        while hasattr(update, "__wrapped__"):  # its profiling and its switch for gradients break the graph
            update = update.__wrapped__

        def whole_step(inputs: Tensor, targets: Tensor) -> Tensor:
            with torch.no_grad():
                gradients, loss, buffers = self._differentiate(inputs, targets)
                for name, weight in self._weights.items():
                    weight.grad.copy_(gradients[name])
                for name, buffer in self._buffers.items():
                    buffer.copy_(buffers[name])
                update(optimizer)
            return loss

        return torch.compile(whole_step, dynamic=False)

    def _differentiate(self, inputs: Tensor, targets: Tensor) -> tuple[Named, Tensor, Named]:
        def loss(weights: Named, buffers: Named, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Named]:
            outputs = functional_call(self.model, {**weights, **buffers}, (inputs,))
            return self.loss(outputs, targets), buffers

        weights = {name: weight.detach() for name, weight in self._weights.items()}
        buffers = {name: buffer.clone() for name, buffer in self._buffers.items()}
        gradients, (value, buffers) = grad_and_value(loss, has_aux=True)(weights, buffers, inputs, targets)
        return gradients, value.detach(), buffers
