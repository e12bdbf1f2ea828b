"""Fully connected networks."""

import pytest
import torch
from torch import nn

from litlab.build import build_data, build_task
from litlab.errors import RequestError
from litlab.models.mlp import MLP


def shapes(model):
    return [tuple(weight.shape) for weight in model.parameters()]


def test_layers():
    model = MLP((1, 28, 28), 10, hidden_sizes=[256, 128])
    assert shapes(model) == [(256, 784), (256,), (128, 256), (128,), (10, 128), (10,)]
    assert sum(weight.numel() for weight in model.parameters()) == 235_146  # as seeds/004 counts
    assert model(torch.zeros(5, 1, 28, 28)).shape == (5, 10)
    linear = MLP((8,), 3)
    x, y = torch.randn(2, 4, 8)
    torch.testing.assert_close(linear(x + y) + linear(torch.zeros(4, 8)), linear(x) + linear(y))
    assert shapes(linear) == [(3, 8), (3,)]
    by_hand = MLP((2,), 1, hidden_sizes=[2])
    weights = [[[1.0, 0.0], [0.0, 1.0]], [0.0, -1.0], [[2.0, 3.0]], [1.0]]
    by_hand.load_state_dict(dict(zip(by_hand.state_dict(), map(torch.tensor, weights), strict=True)))
    assert by_hand(torch.tensor([[-4.0, 5.0]])).tolist() == [[13.0]]  # relu(-4, 5 - 1) = (0, 4); 3 * 4 + 1
    model = MLP((4,), 2, hidden_sizes=[3, 3], activation="Tanh", dropout=0.25)
    kinds = [type(layer).__name__ for layer in model]
    assert kinds == ["Flatten", "Linear", "Tanh", "Dropout", "Linear", "Tanh", "Dropout", "Linear"]
    assert [layer.p for layer in model if isinstance(layer, nn.Dropout)] == [0.25, 0.25]
    with pytest.raises(ValueError, match=r"model\.activation=Relu: .*try ReLU"):
        MLP((4,), 2, hidden_sizes=[3], activation="Relu")


def test_an_embedding_of_columns_but_not_of_images(compose):
    config = compose("data=california", "model=mlp_periodic", "model.hidden_sizes=[5]", "paths.data_dir=/nowhere")
    model = build_task(config, build_data(config)).model.eval()
    # frequencies of 8 columns, one linear map of sines and cosines to 8 numbers, and the mlp on 8 x 8 of them
    assert shapes(model) == [(8, 16), (8, 32), (8,), (5, 64), (5,), (1, 5), (1,)]
    rows = torch.randn(4, 8)
    angles = 2 * torch.pi * rows[..., None] * model[0].periodic.weight
    waves = torch.cat([angles.cos(), angles.sin()], -1)
    embedded = (waves @ model[0].linear.weight.T + model[0].linear.bias).relu()
    torch.testing.assert_close(nn.Sequential(*list(model)[1:])(embedded), model(rows))
    config = compose("data=digits", "model=mlp_periodic")
    with pytest.raises(
        RequestError, match=r"^model\.embedding: needs rows of a table, but these samples are 1x8x8; try"
    ):
        build_task(config, build_data(config))
