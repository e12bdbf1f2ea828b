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
    """A class of torch.nn.

    Raises:
        ValueError: there is none of that name, or it is no activation.
    """
    found = getattr(nn, name, None)
    if not isinstance(found, type):
        raise ValueError(f"model.activation={name}: no such class in torch.nn; try ReLU, GELU or Sigmoid")
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(found).parameters.values()
    needs_settings = any(each.default is each.empty and each.kind not in optional for each in parameters)
    if not issubclass(found, nn.Module) or found.forward is nn.Module.forward or needs_settings:
        raise ValueError(f"model.activation={name}: is no activation; try ReLU, GELU or Sigmoid")
    return found


class MLP(nn.Sequential):
    """Linear layers with a nonlinearity between them; without hidden layers, one linear map.

    Args:
        input_shape: of one sample; it is flattened.
        num_outputs: width of the last layer.
        hidden_sizes: widths of the layers in between.
        activation: a class of torch.nn by name.
        dropout: share of each hidden layer set to zero in training.
        zero_init: all weights begin at 0, which only a linear map can leave.
        embedding: makes of a number of columns F the module before all others: (N, F) to (N, F, D).

    Raises:
        RequestError: an embedding, and the samples are no table.
        ValueError: no such activation in torch.nn.
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
        sizes = [math.prod(input_shape), *hidden_sizes]
        layers: list[nn.Module] = [nn.Flatten()]
        if embedding is not None:
            if len(input_shape) != 1:
                shape = "x".join(map(str, input_shape))
                raise RequestError(
                    "model.embedding (model=mlp_periodic): is for the columns of a table, "
                    f"these samples are {shape}; try model=mlp"
                )
            layers.insert(0, embedding(input_shape[0]))
            sizes[0] = layers[0](torch.zeros(1, *input_shape)).numel()
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
