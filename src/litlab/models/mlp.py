"""Fully connected networks."""

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn


class MLP(nn.Sequential):
    """Linear layers with a nonlinearity between them; without hidden layers, one linear map.

    Args:
        input_shape: of one sample; it is flattened.
        num_outputs: width of the last layer.
        hidden_sizes: widths of the layers in between.
        activation: a class of torch.nn by name.
        dropout: share of each hidden layer set to zero in training.

    Raises:
        ValueError: no such activation in torch.nn.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_outputs: int,
        hidden_sizes: Sequence[int] = (),
        activation: str = "ReLU",
        dropout: float = 0.0,
    ) -> None:
        if not isinstance(getattr(nn, activation, None), type):
            raise ValueError(f"model.activation={activation}: no such class in torch.nn; try ReLU, GELU or Sigmoid")
        sizes = [math.prod(input_shape), *hidden_sizes]
        layers: list[nn.Module] = [nn.Flatten()]
        for width, next_width in itertools.pairwise(sizes):
            layers += [nn.Linear(width, next_width), getattr(nn, activation)()]
            if dropout:
                layers.append(nn.Dropout(dropout))
        super().__init__(*layers, nn.Linear(sizes[-1], num_outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, *input_shape) to (N, num_outputs)."""
        return super().forward(inputs)
