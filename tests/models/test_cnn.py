"""Convolutional networks."""

import pytest
import torch
from torch import nn

from litlab.build import build_data, build_task
from litlab.errors import RequestError
from litlab.models.cnn import CNN, channels_last


def test_the_documents_network(compose):
    config = compose("experiment=cifar10_cnn")
    task = build_task(config, build_data(config))
    # conv 3x5x5 to 64, conv 64x5x5 to 30, linear 30x5x5 to 10, each with biases
    count = sum(weight.numel() for weight in task.model.parameters())
    assert count == (75 * 64 + 64) + (1600 * 30 + 30) + (750 * 10 + 10) == 60_404
    document = nn.Sequential(
        *(nn.Conv2d(3, 64, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 30, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(750, 10)),  # and a ReLU, which the experiment leaves out
    )
    document.load_state_dict(dict(zip(document.state_dict(), task.model.state_dict().values(), strict=True)))
    images = torch.rand(4, 3, 32, 32)
    torch.testing.assert_close(task.model(images), document(images))


def test_any_image_will_do_and_what_is_none_is_refused(compose):
    for global_pooling in [False, True]:
        for shape in [(1, 8, 8), (1, 28, 28), (3, 32, 32), (2, 17, 40)]:
            settings = {"convs_per_stage": 2, "hidden_sizes": [16], "dropout": 0.2, "pooling": "avg"}
            model = CNN(shape, 7, channels=[4, 8], global_pooling=global_pooling, **settings)
            assert model(torch.rand(5, *shape)).shape == (5, 7)
    assert channels_last((16, 16, 3)) == TURNED and channels_last((28, 28, 1))
    assert not any(map(channels_last, ((3, 16, 4), (8, 8, 8), (16, 3))))
    for shape, problem in [
        ((1,), "these are 1 column; try model=mlp"),
        ((16, 12), "input_shape = (16, 12) has no channels: unsqueeze(1) in load(), and input_shape = (1, 16, 12)"),
        ((1, 2, 3, 4), "these are of input_shape = (1, 2, 3, 4); try model=mlp"),
    ]:
        with pytest.raises(RequestError) as error:
            CNN(shape, 10)
        assert str(error.value) == f"model=cnn: needs images (channels x height x width), {problem}"
    config = compose("data=california", "model=cnn", "paths.data_dir=/nowhere")
    with pytest.raises(RequestError, match=r"model=cnn: needs images .* these are 8 columns; try model=mlp"):
        build_task(config, build_data(config))
    config = compose("model=cnn", "model.activation=Relu")
    with pytest.raises(RequestError, match=r"model\.activation=Relu"):
        build_task(config, build_data(config))


TURNED = (
    "input_shape = (16, 16, 3) looks like height x width x channels, but channels come first: "
    "permute(0, 3, 1, 2) in load(), and input_shape = (3, 16, 16)"
)


@pytest.mark.parametrize(
    ("shape", "settings", "problem"),
    [
        ((1, 8, 8), {"channels": [4] * 4}, "8x8: 4 stages; use fewer"),
        ((1, 8, 8), {"padding": 0}, "8x8: 2 stages; use fewer, or try model.padding=1"),
        ((1, 8, 8), {"channels": [4] * 4, "padding": 0}, "8x8: 4 stages; use fewer"),
        ((1, 4, 4), {"channels": [4], "kernel_size": 5, "padding": 0}, "4x4: 1 stage; try model.padding=2"),
        ((1, 1, 1), {"channels": [4]}, "1x1: 1 stage; try model=mlp"),
        ((3, 16, 3), {}, "16x3: 2 stages; use fewer"),
        ((16, 16, 3), {}, f"16x3: 2 stages; {TURNED}"),
        # A stage that leaves nothing is seen, although the padding of the next one would make something of it.
        ((1, 1, 1), {"channels": [4] * 3, "kernel_size": 1, "padding": 0}, "1x1: 3 stages; try model=mlp"),
        ((1, 2, 2), {"kernel_size": 1, "padding": 1, "pool_size": 5}, "2x2: 2 stages; try model=mlp"),
    ],
)
def test_images_too_small_are_refused(shape, settings, problem):
    with pytest.raises(RequestError) as error:
        CNN(shape, 10, **settings)
    channels = settings.get("channels", [32, 64])
    image, _, remedy = problem.partition(": ")
    assert str(error.value) == f"model.channels={channels}: images of {image} are too small for {remedy}"
