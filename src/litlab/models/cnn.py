"""Convolutional networks."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from litlab.errors import RequestError
from litlab.models.mlp import MLP, activation_class


class CNN(nn.Sequential):
    """Stages of convolutions, the last of each with a pooling, and fully connected layers on top.

    A convolution is followed by batch normalization, if asked for, and the nonlinearity. A pooling comes right behind
    its convolution (as in LeCun et al. 1998): what follows has a quarter of the work. For max pooling and a
    nonlinearity that rises everywhere, such as ReLU, the order of the two makes no difference. Images are kept with
    their channels last in memory. Both together halve the time of a step on a CPU.

    Args:
        input_shape: (channels, height, width) of one image.
        num_outputs: width of the last layer.
        channels: of each stage's convolutions.
        convs_per_stage: convolutions in each stage.
        kernel_size: of the convolutions, in pixels.
        padding: zeros around their inputs, in pixels; kernel_size // 2 keeps the size of the image (odd kernels).
        pooling: max or avg, at the end of each stage.
        pool_size: in pixels; the image shrinks by this factor.
        global_pooling: take each channel's mean over the image that is left, instead of all its pixels.
        batch_norm: Ioffe and Szegedy 2015, arXiv:1502.03167.
        hidden_sizes: widths of fully connected layers before the last.
        activation: a class of torch.nn by name.
        dropout: share of the top's inputs, and of its hidden layers, set to zero in training.

    Raises:
        RequestError: the samples are no images, or too small for so many stages.
        ValueError: no such activation in torch.nn.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_outputs: int,
        channels: Sequence[int] = (32, 64),
        convs_per_stage: int = 1,
        kernel_size: int = 3,
        padding: int = 1,
        pooling: str = "max",
        pool_size: int = 2,
        global_pooling: bool = False,
        batch_norm: bool = True,
        hidden_sizes: Sequence[int] = (),
        activation: str = "ReLU",
        dropout: float = 0.0,
    ) -> None:
        if len(input_shape) != 3:
            columns = f"{input_shape[0]} column{'s' if input_shape[0] != 1 else ''}"
            raise RequestError(
                f"model=cnn: needs images (channels x height x width), these are {columns}; try model=mlp"
            )
        make_activation = activation_class(activation)
        width, *sizes = input_shape
        layers: list[nn.Module] = []
        for next_width in channels:
            for number in range(1, convs_per_stage + 1):
                # The normalization has a bias of its own.
                layers.append(nn.Conv2d(width, next_width, kernel_size, padding=padding, bias=not batch_norm))
                sizes = [size + 2 * padding - kernel_size + 1 for size in sizes]
                if number == convs_per_stage:
                    layers.append((nn.MaxPool2d if pooling == "max" else nn.AvgPool2d)(pool_size))
                    sizes = [size // pool_size for size in sizes]
                layers += [nn.BatchNorm2d(next_width)] if batch_norm else []
                layers.append(make_activation())
                width = next_width
        if min(sizes) < 1:
            raise RequestError(
                f"model.channels={list(channels)}: images of {input_shape[1]}x{input_shape[2]} are too small for "
                f"{len(channels)} stages; take fewer, or model.padding={kernel_size // 2}"
            )
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
