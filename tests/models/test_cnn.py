"""Convolutional networks."""

import pytest
import torch
from torch import nn

from litlab.build import build_data, build_task
from litlab.errors import RequestError
from litlab.models.cnn import CNN


def count(model: nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters())


def test_the_documents_network(compose):
    config = compose("experiment=cifar10_cnn")
    task = build_task(config, build_data(config))
    # conv 3x5x5 to 64, conv 64x5x5 to 30, linear 30x5x5 to 10, each with biases
    assert count(task.model) == (75 * 64 + 64) + (1600 * 30 + 30) + (750 * 10 + 10) == 60_404
    document = nn.Sequential(
        *(nn.Conv2d(3, 64, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 30, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(750, 10)),  # and a ReLU, which the experiment leaves out
    )
    document.load_state_dict(dict(zip(document.state_dict(), task.model.state_dict().values(), strict=True)))
    images = torch.rand(4, 3, 32, 32)
    torch.testing.assert_close(task.model(images), document(images))


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (2, 17, 40)])
@pytest.mark.parametrize("global_pooling", [False, True])
def test_any_image_will_do(shape, global_pooling):
    settings = {"convs_per_stage": 2, "hidden_sizes": [16], "dropout": 0.2, "pooling": "avg"}
    model = CNN(shape, 7, channels=[4, 8], global_pooling=global_pooling, **settings)
    assert model(torch.rand(5, *shape)).shape == (5, 7)


def test_images_too_small_are_refused():
    with pytest.raises(RequestError, match="8x8 are too small for 4 stages"):
        CNN((1, 8, 8), 10, channels=[4, 4, 4, 4])


def test_a_table_is_refused_before_it_is_loaded(compose):
    config = compose("data=california", "model=cnn", "paths.data_dir=/nowhere")
    with pytest.raises(RequestError, match=r"model=cnn: needs images .* these are 8 columns; try model=mlp"):
        build_task(config, build_data(config))


def test_an_unknown_activation_is_told(compose):
    config = compose("model=cnn", "model.activation=Relu")
    with pytest.raises(RequestError, match=r"model\.activation=Relu"):
        build_task(config, build_data(config))
