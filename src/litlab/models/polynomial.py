"""Polynomials of one variable."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from litlab.config.values import PositiveInt
from litlab.errors import RequestError


class Polynomial(nn.Module):
    """a x^3 + b x^2 + c x + d, for degree 3; initialized from the standard normal distribution.

    Attributes:
        coefficients: (degree + 1, num_outputs), from the highest power down: a, b, c, d.

    Args:
        input_shape: shape of one sample, which is one number.
        num_outputs: number of polynomials.
        degree: the highest power.

    Raises:
        RequestError: a sample is not one number.
    """

    def __init__(self, input_shape: Sequence[int], num_outputs: int, degree: PositiveInt = 3) -> None:
        super().__init__()
        if math.prod(input_shape) != 1:
            shape = "x".join(map(str, input_shape))
            raise RequestError(f"model=polynomial: needs data of one column, but these are {shape}; try model=linear")
        self.degree = degree
        self.coefficients = nn.Parameter(torch.randn(degree + 1, num_outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, 1) to (N, num_outputs)."""
        x = inputs.flatten(1)
        powers = [x, torch.ones_like(x)]
        for _ in range(self.degree - 1):
            powers.insert(0, powers[0] * x)  # ten times as fast as Tensor.pow with a tensor of exponents
        return torch.cat(powers, 1) @ self.coefficients
