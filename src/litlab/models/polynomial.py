"""Polynomials of one variable."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from litlab.config.values import PositiveInt
from litlab.errors import RequestError


class Polynomial(nn.Module):
    """a x^3 + b x^2 + c x + d, for degree 3; drawn from the standard normal distribution at first.

    Attributes:
        coefficients: (degree + 1, num_outputs), the highest power's first: a, b, c, d.

    Args:
        input_shape: of one sample, which is one number.
        num_outputs: polynomials, each with coefficients of its own.
        degree: the highest power.

    Raises:
        RequestError: a sample is not one number.
    """

    def __init__(self, input_shape: Sequence[int], num_outputs: int, degree: PositiveInt = 3) -> None:
        super().__init__()
        if math.prod(input_shape) != 1:
            shape = "x".join(map(str, input_shape))
            raise RequestError(f"model=polynomial: needs data of one column, these are {shape}; try model=linear")
        self.degree = degree
        self.coefficients = nn.Parameter(torch.randn(degree + 1, num_outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, 1) to (N, num_outputs)."""
        x = inputs.flatten(1)
        powers = [x, torch.ones_like(x)]
        for _ in range(self.degree - 1):
            powers.insert(0, powers[0] * x)  # Tensor.pow with a tensor of exponents takes ten times as long
        return torch.cat(powers, 1) @ self.coefficients
