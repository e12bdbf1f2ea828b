"""Residual networks."""

import pytest
import torch
from torch.nn import functional as F

from litlab.build import build_data, build_task
from litlab.errors import RequestError
from litlab.models.resnet import ResNet


def by_hand(weights, inputs, blocks):
    """The network's outputs while it trains, from its weights in their order."""
    weights = iter(weights)

    def convolution(inputs, halve=False):
        found = F.conv2d(inputs, next(weights), padding=1)
        found = F.max_pool2d(found, 2) if halve else found
        return F.batch_norm(found, None, None, next(weights), next(weights), training=True).relu()

    for count in blocks:
        inputs = convolution(inputs, halve=True)
        for _ in range(count):
            inputs = inputs + convolution(convolution(inputs))
    return F.linear(inputs.mean((2, 3)), next(weights), next(weights))


def test_its_outputs_and_parameters_are_those_by_hand(compose):
    torch.manual_seed(0)
    config = compose("data=digits", "model=resnet", "model.channels=[4,6,5]", "model.blocks=[2,0,1]")
    model = build_task(config, build_data(config)).model
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))  # so that batch normalization's are no ones and zeros
    images = torch.randn(7, 1, 8, 8)
    torch.testing.assert_close(model(images), by_hand(model.parameters(), images, [2, 0, 1]))
    # a convolution: 9 x in x out, and batch normalization's two of each output
    sizes = [(1, 4), *[(4, 4)] * 4, (4, 6), (6, 5), *[(5, 5)] * 2]
    count = sum(9 * before * after + 2 * after for before, after in sizes) + 5 * 10 + 10
    assert sum(weight.numel() for weight in model.parameters()) == count
    assert model(images).shape == (7, 10)
    assert ResNet((3, 17, 40), 2)(torch.rand(5, 3, 17, 40)).shape == (5, 2)


def test_the_mirror_images_outputs_are_averaged_but_not_in_training():
    torch.manual_seed(0)
    plain = ResNet((3, 8, 8), 4, channels=[6], blocks=[1])
    mirroring = ResNet((3, 8, 8), 4, channels=[6], blocks=[1], mirror=True)
    mirroring.load_state_dict(plain.state_dict())
    images = torch.randn(5, 3, 8, 8)
    assert torch.equal(mirroring(images), plain(images))
    mirroring.load_state_dict(plain.state_dict())
    outputs = [plain.eval()(each) for each in (images, images.flip(3))]
    assert not torch.allclose(*outputs)
    torch.testing.assert_close(mirroring.eval()(images), (outputs[0] + outputs[1]) / 2)


def test_the_outputs_for_moved_images_are_averaged_with_a_replicated_border():
    torch.manual_seed(0)
    plain = ResNet((1, 8, 9), 4, channels=[6], blocks=[1]).eval()
    moving = ResNet((1, 8, 9), 4, channels=[6], blocks=[1], shift=1).eval()
    moving.load_state_dict(plain.state_dict())
    images = torch.randn(5, 1, 8, 9)
    down, up = images[:, :, [0, *range(7)]], images[:, :, [*range(1, 8), 7]]
    right, left = images[..., [0, *range(8)]], images[..., [*range(1, 9), 8]]
    views = [images, down, up, right, left]
    expected = torch.stack([plain(each) for each in views]).mean(0)
    torch.testing.assert_close(moving(images), expected)
    moving.mirror = True
    expected = torch.stack([plain(each) for image in views for each in (image, image.flip(3))]).mean(0)
    torch.testing.assert_close(moving(images), expected)


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((8,), {}, "model=resnet: needs images (channels x height x width), these are 8 columns; try model=mlp"),
        ((1, 8, 8), {"channels": [4, 4]}, "model.blocks=[1, 1, 0]: needs 2 numbers, as model.channels has"),
        ((1, 8, 7), {}, "model.channels=[64, 128, 256]: 3 stages halve images of 8x7 to nothing; use fewer"),
        ((28, 28, 1), {}, "model.channels=[64, 128, 256]: 3 stages halve images of 28x1 to nothing; input_shape = ("),
    ],
)
def test_what_does_not_fit_is_refused(shape, settings, message):
    with pytest.raises(RequestError) as error:
        ResNet(shape, 10, **settings)
    assert str(error.value).startswith(message)
