"""What the documents in seeds/ show by hand. (That torch differentiates is torch's to test.)"""

import torch
from torch import nn

from litlab.models.mlp import MLP


def test_the_network_of_document_003_is_model_mlp():
    layers = nn.Sequential(nn.Linear(784, 20), nn.Sigmoid(), nn.Linear(20, 10))
    model = MLP((1, 28, 28), 10, hidden_sizes=[20], activation="Sigmoid")
    layers.load_state_dict(dict(zip(layers.state_dict(), model.state_dict().values(), strict=True)))
    images = torch.rand(6, 1, 28, 28)
    torch.testing.assert_close(layers(images.flatten(1)), model(images))
    assert sum(weight.numel() for weight in model.parameters()) == 15_910
