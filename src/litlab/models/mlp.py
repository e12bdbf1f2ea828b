"""Fully connected networks."""

import inspect
import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from litlab.config.values import Fraction, PositiveInt
from litlab.errors import RequestError


def activation_class(name: str) -> type[nn.Module]:
    """An activation class of torch.nn.

    Raises:
        ValueError: there is no such class, or it is not an activation.
    """
    found = getattr(nn, name, None)
    if not isinstance(found, type):
        raise ValueError(f"model.activation={name}: no such class in torch.nn; try ReLU, GELU or Sigmoid")
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(found).parameters.values()
    needs_settings = any(each.default is each.empty and each.kind not in optional for each in parameters)
    if not issubclass(found, nn.Module) or found.forward is nn.Module.forward or needs_settings:
        raise ValueError(f"model.activation={name}: is not an activation; try ReLU, GELU or Sigmoid")
    return found


def input_layers(
    input_shape: Sequence[int], embedding: Callable[[int], nn.Module] | None
) -> tuple[list[nn.Module], int]:
    """The modules that make samples (N, *input_shape) to vectors (N, D), and D; for `embedding` see `MLP`.

    Raises:
        RequestError: an embedding for samples that are not rows of a table.
    """
    if embedding is None:
        return [nn.Flatten()], math.prod(input_shape)
    if len(input_shape) != 1:
        shape = "x".join(map(str, input_shape))
        raise RequestError(f"model.embedding: needs rows of a table, but these samples are {shape}; try model=mlp")
    columns = embedding(input_shape[0])
    return [columns, nn.Flatten()], columns(torch.zeros(1, *input_shape)).numel()


class MLP(nn.Sequential):
    """Linear layers with an activation between them; without hidden layers, one linear layer.

    Args:
        input_shape: shape of one sample, which is flattened.
        num_outputs: width of the last layer.
        hidden_sizes: widths of the hidden layers.
        activation: name of a class of torch.nn.
        dropout: probability, for the hidden units.
        zero_init: start from zero weights; only a network without hidden layers can learn from there.
        embedding: called with the number of columns F, returns the first module: (N, F) to (N, F, D).

    Raises:
        RequestError: an embedding for samples that are not rows of a table.
        ValueError: torch.nn has no such activation.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_outputs: int,
        hidden_sizes: Sequence[PositiveInt] = (),
        activation: str = "ReLU",
        dropout: Fraction = 0.0,
        zero_init: bool = False,
        embedding: Callable[[int], nn.Module] | None = None,
    ) -> None:
        make_activation = activation_class(activation)
        layers, size = input_layers(input_shape, embedding)
        sizes = [size, *hidden_sizes]
        for width, next_width in itertools.pairwise(sizes):
            layers += [nn.Linear(width, next_width), make_activation()]
            if dropout:
                layers.append(nn.Dropout(dropout))
        super().__init__(*layers, nn.Linear(sizes[-1], num_outputs))
        if zero_init:
            for weight in self.parameters():
                nn.init.zeros_(weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, *input_shape) to (N, num_outputs)."""
        return super().forward(inputs)
