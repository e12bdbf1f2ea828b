"""The whole optimizer step under torch.compile: loss and gradients in one graph, the update in a second."""

import time
from collections.abc import Callable

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
        self.seconds = 0.0  # of the first step, nearly all of it compiling
        self._gradients = torch.compile(self._loss_and_gradients, dynamic=False)
        self._update: Callable[[], None] | None = None

    def fits(self, inputs: Tensor) -> bool:
        """Whether this batch has the shape that is compiled."""
        self.shape = self.shape or inputs.shape
        return inputs.shape == self.shape

    def gradients(self, inputs: Tensor, targets: Tensor, scale: float = 1.0) -> Tensor:
        """Add the gradients, times `scale`, to the parameters' `.grad`; the loss, a scalar."""
        started = time.perf_counter()
        gradients, loss, buffers = self._gradients(inputs, targets)
        parameters = dict(self.model.named_parameters())
        for name, gradient in gradients.items():
            gradient = gradient if scale == 1.0 else gradient * scale
            grad = parameters[name].grad
            parameters[name].grad = gradient if grad is None else grad + gradient
        for name, buffer in self.model.named_buffers():
            buffer.copy_(buffers[name])
        self.seconds = self.seconds or time.perf_counter() - started
        return loss

    def update(self, optimizer: Optimizer) -> None:
        """Take the optimizer's step."""
        if self._update is None:
            started = time.perf_counter()
            for group in optimizer.param_groups:
                group["lr"] = torch.as_tensor(
                    group["lr"]
                )  # a number would be part of the graph: compiled anew each time
            self._update = torch.compile(optimizer.step, dynamic=False)
            self._update()
            self.seconds += time.perf_counter() - started
        else:
            self._update()

    def _loss_and_gradients(self, inputs: Tensor, targets: Tensor) -> tuple[Named, Tensor, Named]:
        weights = {name: weight.detach() for name, weight in self.model.named_parameters() if weight.requires_grad}
        buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}

        def loss(weights: Named, buffers: Named, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Named]:
            outputs = functional_call(self.model, {**weights, **buffers}, (inputs,))
            return self.loss(outputs, targets), buffers

        gradients, (value, buffers) = grad_and_value(loss, has_aux=True)(weights, buffers, inputs, targets)
        return gradients, value.detach(), buffers
