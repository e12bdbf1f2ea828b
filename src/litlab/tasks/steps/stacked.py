"""Steps of K networks of the same shapes at once: their weights are stacked along a first axis.

A small network's step is overhead, not arithmetic; K of them in one product cost little more than one. Members do not
touch each other: each has the gradient, and the update, that it would have alone.
"""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from litlab.compat.torch import has_hooks
from litlab.models.mlp import MLP

Forward = Callable[[Tensor], Tensor]

# Of each element alone, without weights, buffers or random numbers: the same for members along a first axis.
ELEMENTWISE = (
    *(nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid),
    *(nn.Tanh, nn.Softplus, nn.Softsign, nn.LogSigmoid, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Tanhshrink),
    *(nn.Hardshrink, nn.Softshrink),
)
RANDOM = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.RReLU)
NARROW = 32  # outputs; measured, by members, batch and inputs, with AVX-512: from here on a batched product is as fast
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class NotStackableError(Exception):
    """A network, a setting or a task that cannot be stacked; the message continues its name."""


class _Linear(torch.autograd.Function):
    """nn.Linear of K members: inputs (K, N, in), weight (K, out, in), bias (K, out) or None, to (K, N, out).

    Autograd's own gradient of a batched product has the weight's axes swapped in memory, so that the update would walk
    through both in steps: then it takes longer than the products. And where members share their inputs and have few
    outputs, one product for all is up to ten times as fast as a batched one.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        if weight.shape[1] < NARROW and inputs.stride(0) == 0:
            outputs = F.linear(inputs[0], weight.flatten(0, 1), None if bias is None else bias.flatten())
            return outputs.unflatten(1, weight.shape[:2]).transpose(0, 1)
        matrix = weight.transpose(1, 2)
        return torch.bmm(inputs, matrix) if bias is None else torch.baddbmm(bias.unsqueeze(1), inputs, matrix)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        gradient = gradient.contiguous()  # else sums go another way, to other last bits than a member's own
        of_inputs, of_weight, of_bias = ctx.needs_input_grad
        return (
            torch.bmm(gradient, weight) if of_inputs else None,
            torch.bmm(gradient.transpose(1, 2), inputs) if of_weight else None,
            gradient.sum(1) if of_bias else None,
        )


def autocast(tensor: Tensor) -> Tensor:
    """A tensor in the dtype of the surrounding torch.autocast, if there is one, as a linear layer takes it."""
    device = tensor.device.type
    return tensor.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else tensor


class StackedNetwork:
    """K networks of the same shapes.

    Linear layers are batched products; activations are applied as they are; anything else goes through torch.func.vmap.

    Args:
        models: the members; theirs are the first weights.
        generators: of each member's dropout, in its state before the training; members may share one.

    Attributes:
        weights: by name, (K, ...); trained in place.
        training: whether units are dropped.

    Raises:
        NotStackableError: a module cannot be stacked.
    """

    def __init__(self, models: Sequence[nn.Module], generators: Sequence[torch.Generator]) -> None:
        named = [dict(model.named_parameters()) for model in models]
        shapes = [{name: weight.shape for name, weight in each.items()} for each in named]
        if any(each != shapes[0] for each in shapes):
            raise NotStackableError("its weights have other shapes")
        if any(map(has_hooks, models)):
            raise NotStackableError("it has hooks")
        self.size, self.generators, self.training = len(models), generators, True
        self.weights = {
            name: torch.stack([each[name].detach() for each in named]).requires_grad_(weight.requires_grad)
            for name, weight in named[0].items()
        }
        self.trained = {name: weight for name, weight in self.weights.items() if weight.requires_grad}
        self._forward = self._stacked(models, "")

    def __call__(self, inputs: Tensor) -> Tensor:
        """(S, N, ...), of which each of the S batches is that of K / S consecutive members, to (K, N, num_outputs)."""
        return self.expanded(self._forward(inputs))

    def expanded(self, inputs: Tensor) -> Tensor:
        """(S, N, ...) to (K, N, ...)."""
        share = self.size // len(inputs)
        return inputs if share == 1 else inputs.unsqueeze(1).expand(-1, share, *inputs.shape[1:]).flatten(0, 1)

    def _stacked(self, modules: Sequence[nn.Module], name: str) -> Forward:
        """The members' modules of one name as one function."""
        first = modules[0]
        if any(type(each) is not type(first) for each in modules):
            raise NotStackableError("its layers are others")
        if type(first) in (nn.Sequential, MLP):
            children = [children_of(each) for each in modules]
            if any(each.keys() != children[0].keys() for each in children):
                raise NotStackableError("it has other layers")
            layers = [self._stacked([each[part] for each in children], f"{name}{part}.") for part in children[0]]

            def run(inputs: Tensor) -> Tensor:
                for layer in layers:
                    inputs = layer(inputs)
                return inputs

            return run
        if type(first) is nn.Linear:
            return self._linear(name)
        if type(first) is nn.Flatten and (first.start_dim, first.end_dim) == (1, -1):
            return lambda inputs: inputs.flatten(2)
        if type(first) is nn.Dropout:
            return self._dropout([float(each.p) for each in modules])  # type: ignore[arg-type]
        check_same(modules)
        if type(first) in ELEMENTWISE:
            # What _Linear returns may be a view, which must not be changed in place.
            return (lambda inputs: first(inputs.clone())) if getattr(first, "inplace", False) else first
        return self._by_vmap(first, name)

    def _linear(self, name: str) -> Forward:
        if f"{name}weight" not in self.weights:
            raise NotStackableError("its layers share weights")
        weight, bias = self.weights[f"{name}weight"], self.weights.get(f"{name}bias")

        def linear(inputs: Tensor) -> Tensor:
            # Autocast knows torch's functions, not ours.
            own = None if bias is None else autocast(bias)
            inputs = self.expanded(autocast(inputs))
            outputs = _Linear.apply(inputs.flatten(1, -2), autocast(weight), own)
            return outputs if inputs.dim() == 3 else outputs.unflatten(1, inputs.shape[1:-1])

        return linear

    def _dropout(self, rates: Sequence[float]) -> Forward:
        @torch.compiler.disable  # its generators are not compiled
        def dropout(inputs: Tensor) -> Tensor:
            if not self.training:
                return inputs
            inputs = self.expanded(inputs)
            # A mask as torch's own on a CPU, of the member's own stream; with the same stream and rate the same mask.
            masks: dict[tuple[int, float], Tensor] = {}
            for rate, generator in zip(rates, self.generators, strict=True):
                key = (id(generator), rate)
                if key not in masks:
                    kept = torch.empty_like(inputs[0], memory_format=torch.contiguous_format)
                    masks[key] = (
                        kept.bernoulli_(1 - rate, generator=generator).div_(1 - rate)
                        if 0 < rate < 1  # else torch draws nothing
                        else kept.fill_(1 - rate)
                    )
            noise = [masks[id(generator), rate] for rate, generator in zip(rates, self.generators, strict=True)]
            return inputs * torch.stack(noise)

        return dropout

    def _by_vmap(self, module: nn.Module, name: str) -> Forward:
        for each in module.modules():
            if isinstance(each, (*RANDOM, nn.RNNBase)) or any(True for _ in each.buffers(recurse=False)):
                raise NotStackableError(f"{type(each).__name__} cannot be stacked")
            if isinstance(each, CONVOLUTIONS):
                raise NotStackableError(f"{type(each).__name__} would not be faster in a stack")
            if hasattr(each, "learn_inputs"):
                raise NotStackableError(f"{type(each).__name__} learns from the inputs before training")
        weights = {each.removeprefix(name): self.weights[each] for each in self.weights if each.startswith(name)}
        members = torch.func.vmap(lambda given, inputs: functional_call(module, given, (inputs,)), randomness="error")
        modes = [(each, each.training) for each in module.modules()]

        def by_vmap(inputs: Tensor) -> Tensor:
            if not self.training:
                module.eval()
            try:
                return members(weights, self.expanded(inputs))
            except RuntimeError as error:
                if (text := str(error)).startswith("vmap: "):
                    reason = text.partition(". ")[0]
                    raise NotStackableError(f"{type(module).__name__} cannot be stacked: {reason}") from error
                raise
            finally:
                if not self.training:
                    for each, training in modes:
                        each.training = training

        return by_vmap


def children_of(module: nn.Module) -> dict[str, nn.Module]:
    """A module's children by name; one in two places, such as an activation, is there twice."""
    named = module.named_modules(remove_duplicate=False)
    return {name: each for name, each in named if name and "." not in name}


def check_same(modules: Sequence[nn.Module]) -> None:
    """The first one can stand for all, but for its weights.

    Raises:
        NotStackableError: it cannot: an attribute was drawn at random, or follows a setting in which members differ.
    """
    base = vars(nn.Module())
    for first, *others in zip_longest(*(each.modules() for each in modules)):
        if any(type(each) is not type(first) for each in others):
            raise NotStackableError("its layers are others")
        for name, value in vars(first).items():
            if name not in base and not all(_equal(value, vars(each).get(name)) for each in others):
                raise NotStackableError(f"{type(first).__name__} has other {name} in each job")


def _equal(one: Any, other: Any) -> bool:
    """Whether two attributes are the same; of arrays other than tensors it is not known."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    try:
        return one is other or bool(one == other)
    except (RuntimeError, ValueError):
        return False
