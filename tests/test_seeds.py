"""What the documents in seeds/ show by hand."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

from litlab.models.mlp import MLP


def test_gradient_of_2w2_plus_5():
    """Document 002: at w = 2 it is 8."""
    w = torch.tensor(2.0, requires_grad=True)
    (2 * w**2 + 5).backward()
    assert w.grad == 8


class Modules(nn.Module):
    """Document 003, option 3."""

    def __init__(self):
        super().__init__()
        self.hidden_linear = nn.Linear(784, 20)
        self.hidden_activation = nn.Sigmoid()
        self.output_linear = nn.Linear(20, 10)

    def forward(self, x):
        return self.output_linear(self.hidden_activation(self.hidden_linear(x)))


class Functions(nn.Module):
    """Document 003, option 4."""

    def __init__(self):
        super().__init__()
        self.hidden_linear = nn.Linear(784, 20)
        self.output_linear = nn.Linear(20, 10)

    def forward(self, x):
        return self.output_linear(F.sigmoid(self.hidden_linear(x)))


def test_the_four_ways_to_write_the_network_are_one_function():
    """Document 003: and model=mlp is the fifth, with its 15,910 parameters."""
    layers = [nn.Linear(784, 20), nn.Sigmoid(), nn.Linear(20, 10)]
    names = ["hidden_linear", "hidden_activation", "output_linear"]
    model = MLP((1, 28, 28), 10, hidden_sizes=[20], activation="Sigmoid")
    ways = [nn.Sequential(*layers), nn.Sequential(OrderedDict(zip(names, layers, strict=True))), Modules(), Functions()]
    images = torch.rand(6, 1, 28, 28)
    for way in ways:
        way.load_state_dict(dict(zip(way.state_dict(), model.state_dict().values(), strict=True)))
        torch.testing.assert_close(way(images.flatten(1)), model(images))
        assert sum(weight.numel() for weight in way.parameters()) == 15_910
    assert sum(weight.numel() for weight in model.parameters()) == 15_910
