"""Convolutional networks."""

import functools
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from litlab.config.values import Fraction, NonNegativeInt, PositiveInt
from litlab.errors import RequestError
from litlab.models.mlp import MLP, activation_class


class CNN(nn.Sequential):
    """Stages of convolutions, each with a pooling at its end, and fully connected layers on top.

    A convolution is followed by optional batch normalization and the activation. Pooling comes right after its
    convolution (as in LeCun et al. 1998), leaving a quarter of the work; for max pooling and a monotonic
    activation, such as ReLU, the order makes no difference. Images are channels-last in memory. Both together halve the
    time of a step on a CPU.

    Args:
        input_shape: (channels, height, width) of one image.
        num_outputs: width of the last layer.
        channels: output channels of the convolutions, one number per stage.
        convs_per_stage: convolutions in each stage.
        kernel_size: of the convolutions, in pixels.
        padding: zero padding, in pixels; kernel_size // 2 keeps the size of the image (odd kernels).
        pooling: max or avg, at the end of each stage.
        pool_size: in pixels; the image shrinks by this factor.
        global_pooling: average each channel over the remaining image, instead of flattening it.
        batch_norm: Ioffe and Szegedy 2015, arXiv:1502.03167.
        hidden_sizes: widths of the fully connected layers before the last.
        activation: name of a class of torch.nn.
        dropout: probability, for the inputs and the hidden units of the fully connected layers.

    Raises:
        RequestError: the samples are not images, or too small for so many stages.
        ValueError: no such activation in torch.nn.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_outputs: int,
        channels: Sequence[PositiveInt] = (32, 64),
        convs_per_stage: PositiveInt = 1,
        kernel_size: PositiveInt = 3,
        padding: NonNegativeInt = 1,
        pooling: Literal["max", "avg"] = "max",
        pool_size: PositiveInt = 2,
        global_pooling: bool = False,
        batch_norm: bool = True,
        hidden_sizes: Sequence[PositiveInt] = (),
        activation: str = "ReLU",
        dropout: Fraction = 0.0,
    ) -> None:
        require_images("cnn", input_shape)
        make_activation = activation_class(activation)
        width, *image = input_shape
        shrink = functools.partial(_shrink, image, convs_per_stage, kernel_size, pool_size)
        sizes = shrink(padding, len(channels))
        if not sizes:
            same, fewer = kernel_size // 2, any(shrink(padding, count) for count in range(1, len(channels)))
            remedies = ["use fewer"] * fewer + [f"try model.padding={same}"] * bool(shrink(same, len(channels)))
            stages = f"{len(channels)} stage{'s' if len(channels) != 1 else ''}"
            raise RequestError(
                f"model.channels={list(channels)}: images of {image[0]}x{image[1]} are too small for {stages}; "
                f"{channels_last(input_shape) or ', or '.join(remedies) or 'try model=mlp'}"
            )
        layers: list[nn.Module] = []
        for next_width in channels:
            for number in range(1, convs_per_stage + 1):
                # Batch normalization has its own bias.
                layers.append(nn.Conv2d(width, next_width, kernel_size, padding=padding, bias=not batch_norm))
                if number == convs_per_stage:
                    layers.append((nn.MaxPool2d if pooling == "max" else nn.AvgPool2d)(pool_size))
                layers += [nn.BatchNorm2d(next_width)] if batch_norm else []
                layers.append(make_activation())
                width = next_width
        if global_pooling:
            layers.append(nn.AdaptiveAvgPool2d(1))
            sizes = [1, 1]
        if dropout:
            layers.append(nn.Dropout(dropout))
        top = MLP((width, *sizes), num_outputs, hidden_sizes, activation, dropout)
        super().__init__(*layers, *top)
        self.to(memory_format=torch.channels_last)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to (N, num_outputs)."""
        return super().forward(inputs.contiguous(memory_format=torch.channels_last))


def require_images(model: str, input_shape: Sequence[int]) -> None:
    """Refuse samples that are not images.

    Args:
        model: the name that the user chose.
        input_shape: of one sample.

    Raises:
        RequestError: saying what the samples are instead.
    """
    if len(input_shape) != 3:
        raise RequestError(f"model={model}: needs images (channels x height x width), {_no_image(input_shape)}")


def channels_last(input_shape: Sequence[int]) -> str:
    """How to fix images of shape (height, width, channels); nothing for other samples."""
    if len(input_shape) != 3 or input_shape[2] not in (1, 3, 4) or input_shape[0] in (1, 3, 4):
        return ""
    height, width, channels = input_shape
    return (
        f"input_shape = {tuple(input_shape)} looks like height x width x channels, but channels come first: "
        f"permute(0, 3, 1, 2) in load(), and input_shape = {(channels, height, width)}"
    )


def _no_image(input_shape: Sequence[int]) -> str:
    """What the samples are instead of images, and what to do."""
    shape = tuple(input_shape)
    if len(shape) == 2:
        return f"input_shape = {shape} has no channels: unsqueeze(1) in load(), and input_shape = {(1, *shape)}"
    these = f"{shape[0]} column{'s' if shape[0] != 1 else ''}" if len(shape) == 1 else f"of input_shape = {shape}"
    return f"these are {these}; try model=mlp"


def _shrink(sizes: Sequence[int], convs: int, kernel_size: int, pool_size: int, padding: int, stages: int) -> list[int]:
    """Height and width after so many stages; empty if nothing is left."""
    for _ in range(stages):
        sizes = [(size + convs * (2 * padding - kernel_size + 1)) // pool_size for size in sizes]
        if min(sizes) < 1:
            return []
    return list(sizes)
