"""Steps under torch.compile.

Compiling the network alone leaves the Python of autograd and of the optimizer between the graphs, most of a small
network's step. So the gradients are torch.func's, and the update lies in the graph. The module is not wrapped:
its weights keep their names.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from litlab import signals
from litlab.compat.lightning import begin_step, end_step
from litlab.tasks.steps.step import Executor, Part, Step, raw_update

Losses = Callable[[Tensor, Tensor], tuple[Tensor, ...]]
STEPS = 4  # per graph, to save calls, guards and .grad writes; more take long to compile


class Compilation:
    """The input shape that is compiled, that of the first batch; and the time that compiling took.

    The first batch, in whose step an optimizer makes its buffers, and other shapes (an epoch's last) run eagerly.
    """

    def __init__(self) -> None:
        self.shape: torch.Size | None = None  # of the inputs
        self.seconds = 0.0  # of the first call of each kind, nearly all of it compiling
        self._done: set[int] = set()
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it warns without a GPU

    def fits(self, inputs: Tensor) -> bool:
        """Whether the inputs have the compiled shape."""
        return inputs.shape == self.shape

    def take_share(self, stack: "Compilation", members: int) -> None:
        """Become that of a member of a stack, whose inputs have a first axis more."""
        self.shape, self.seconds = stack.shape and stack.shape[1:], stack.seconds / members

    @contextlib.contextmanager
    def _first(self, kind: int) -> Iterator[None]:
        started = time.perf_counter()
        with signals.at_once():  # it takes many seconds
            yield
        self._done.add(kind)
        self.seconds += time.perf_counter() - started

    def timed(self, kind: int) -> contextlib.AbstractContextManager[None]:
        """Time the body, if it is the first call of its kind."""
        return contextlib.nullcontext() if kind in self._done else self._first(kind)


def compiled(function: Callable[..., Any], options: Any = None) -> Callable[..., Any]:
    """torch.compile for one training; those before it are forgotten, as a sweep of them would fill its limit of 8."""
    torch.compiler.reset()
    return torch.compile(function, dynamic=False, options=options)


class CompiledLosses:
    """Losses of a batch as a compiled function, whose gradients autograd takes.

    Args:
        losses: from inputs and targets to losses.
        compilation: the compiled shape. Batches of other shapes go through `losses` itself.
    """

    def __init__(self, losses: Losses, compilation: Compilation) -> None:
        self.losses, self.compilation = losses, compilation
        self._compiled = compiled(losses)

    def __call__(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
        """The losses, with a graph for autograd."""
        self.compilation.shape = self.compilation.shape or inputs.shape
        if not self.compilation.fits(inputs):
            return self.losses(inputs, targets)
        with self.compilation.timed(0):
            return self._compiled(inputs, targets)


class CompiledBackward:
    """`Step.backward`, compiled.

    Args:
        step: to be compiled.
        compilation: the compiled shape.
        eager: backward for other shapes.
        scaled: multiplies a scalar by the loss scale of half precision, which the update divides out again.
    """

    def __init__(
        self,
        step: Step,
        compilation: Compilation,
        eager: Callable[[Part], Tensor],
        scaled: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.step, self.compilation, self.eager, self.scaled = step, compilation, eager, scaled
        self._differentiate = compiled(step.differentiation())

    def __call__(self, part: Part) -> Tensor:
        """Add the gradients to the `.grad`; returns the loss, a scalar."""
        if not self.compilation.fits(part.inputs):
            loss = self.eager(part)
            self.compilation.shape = self.compilation.shape or part.inputs.shape
            return loss
        with self.compilation.timed(0):
            gradients, loss, buffers = self._differentiate(part.inputs, part.targets)
        scale: Any = part.factor / self.step.accumulate
        if self.scaled is not None:
            scale = self.scaled(torch.as_tensor(scale, device=loss.device))
        for name, weight in self.step.weights.items():
            gradient = gradients[name] * scale
            weight.grad = gradient if weight.grad is None else weight.grad + gradient
        for name, buffer in self.step.buffers.items():
            buffer.copy_(buffers[name])
        return loss if isinstance(part.factor, float) and part.factor == 1 else loss * part.factor


class CompiledSteps:
    """Several steps in one graph, one batch and one learning rate each.

    Args:
        step: with `accumulate` 1.
        compilation: the compiled shape.
        eager: executor for other shapes.
        optimizer: Lightning's wrapper of the step's optimizer, which counts steps.
        after: sets the learning rate of the next step, and no other setting.
    """

    def __init__(
        self,
        step: Step,
        compilation: Compilation,
        eager: Executor,
        optimizer: LightningOptimizer,
        after: Callable[[], None],
    ) -> None:
        self.step, self.compilation, self.eager, self.optimizer, self.after = step, compilation, eager, optimizer, after
        weights = step.weights.values()
        first = next(iter(weights))
        self._gradients = [torch.zeros_like(weight) for weight in weights]
        # Tensors: a number would be a constant of the graph, and a new one would recompile it.
        dtype = torch.promote_types(first.dtype, torch.float32)
        self._rates = [torch.zeros((), dtype=dtype, device=first.device) for _ in step.optimizer.param_groups]
        self._graph = self._compile()

    def take(self, batches: Sequence[Sequence[Tensor]], steps: int) -> int:
        """STEPS if as many batches have the compiled shape, else 1."""
        few = len(batches) < STEPS or 0 <= steps < STEPS
        return STEPS if not few and all(self.compilation.fits(batch[0]) for batch in batches[:STEPS]) else 1

    def run(self, parts: Sequence[Part]) -> Sequence[Tensor]:
        """Run the steps; returns the losses, scalars. All `.grad` are None before and after."""
        if not self.compilation.fits(parts[0].inputs):
            return self.eager.run(parts)
        groups, weights = self.step.optimizer.param_groups, self.step.weights.values()
        values = []
        for _ in parts:
            values.append([float(group["lr"]) for group in groups])
            begin_step(self.optimizer)
            end_step(self.optimizer)
            self.after()
        rates = self._rates[0].new_tensor(values)
        next_rates = [group["lr"] for group in groups]
        for group, rate in zip(groups, self._rates, strict=True):
            group["lr"] = rate
        for weight, gradient in zip(weights, self._gradients, strict=True):
            weight.grad = gradient
        try:
            with self.compilation.timed(len(parts)):
                return self._graph([part[:2] for part in parts], rates)
        finally:
            for weight in weights:
                weight.grad = None
            for group, next_rate in zip(groups, next_rates, strict=True):
                group["lr"] = next_rate

    def _compile(self) -> Callable[[Sequence[tuple[Tensor, Tensor]], Tensor], Sequence[Tensor]]:
        # Local names: attributes of self are looked up and guarded in each call, 8% of a step.
        step, optimizer, current = self.step, self.step.optimizer, self._rates
        weights, buffers, differentiate = step.weights, step.buffers, step.differentiation()
        clip = step.clip if step.clip_val else None
        update = raw_update(optimizer)  # torch's wrappers break the graph

        def whole_steps(batches: Sequence[tuple[Tensor, Tensor]], rates: Tensor) -> Sequence[Tensor]:
            losses = []
            with torch.no_grad():
                for number, (inputs, targets) in enumerate(batches):
                    gradients, loss, moved = differentiate(inputs, targets)
                    for name, weight in weights.items():
                        weight.grad.copy_(gradients[name])
                    for name, buffer in buffers.items():
                        buffer.copy_(moved[name])
                    if clip is not None:
                        clip()
                    for group, rate in enumerate(current):
                        rate.copy_(rates[number, group])
                    update(optimizer)
                    losses.append(loss)
            return losses

        # No guards on modules: the graph is only called in training, for this one model.
        options: Any = {"guard_filter_fn": torch.compiler.skip_guard_on_all_nn_modules_unsafe}
        return compiled(whole_steps, options)
