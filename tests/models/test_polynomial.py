"""Polynomials, and the gradients that seeds/000 derives by hand."""

import pytest
import torch

from litlab.errors import RequestError
from litlab.models.polynomial import Polynomial


def test_it_is_the_documents_polynomial_with_the_gradients_derived_by_hand():
    model = Polynomial((1,), 1)
    a, b, c, d = model.coefficients
    x = torch.linspace(-3, 3, 50)
    torch.testing.assert_close(model(x.unsqueeze(1))[:, 0], a * x**3 + b * x**2 + c * x + d)
    for degree in [1, 2, 5]:
        model = Polynomial((1,), 2, degree)
        assert model.coefficients.shape == (degree + 1, 2)
        x = torch.randn(4, 1)
        expected = sum(x**power * model.coefficients[degree - power] for power in range(degree + 1))
        torch.testing.assert_close(model(x), expected)
    with pytest.raises(RequestError, match="one column, but these are 1x8x8"):
        Polynomial((1, 8, 8), 10)
    x = torch.linspace(-torch.pi, torch.pi, 1000, dtype=torch.float64)
    y = x.sin()
    model = Polynomial((1,), 1).double()
    outputs = model(x.unsqueeze(1))[:, 0]
    (outputs - y).pow(2).sum().backward()
    grad_outputs = 2 * (outputs.detach() - y)
    by_hand = torch.stack([(grad_outputs * x**power).sum() for power in (3, 2, 1, 0)])
    torch.testing.assert_close(model.coefficients.grad[:, 0], by_hand)
