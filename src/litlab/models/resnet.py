"""Residual networks for images."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litlab.config.values import NonNegativeInt, PositiveInt
from litlab.errors import RequestError
from litlab.models.cnn import channels_last, require_images


class ResNet(nn.Sequential):
    """Stages of a convolution that halves the image, and residual blocks; the mean over the image; a linear layer.

    The form of ResNet-9 (Page 2018, "How to Train Your ResNet"): few wide layers, which keep a processor busier than
    the many narrow ones of He et al. 2016 (arXiv:1512.03385). Convolutions are 3x3 with batch normalization and ReLU;
    that of a stage is pooled right after, as in `CNN`, so that nothing but itself is of the size before. Images are
    channels-last in memory; that and `trainer.precision=bf16-mixed` each save time on a CPU that has bf16.

    Args:
        input_shape: (channels, height, width) of one image.
        num_outputs: width of the last layer.
        channels: of the stages.
        blocks: residual blocks, of two convolutions each, in each stage.
        mirror: outside of training, the mean of the outputs for an image and for its mirror image: for objects, not
            for digits.
        shift: likewise, the mean over the image and those moved by so many pixels to each of the four sides; the
            border is replicated. Costs as many passes as there are images.

    Raises:
        RequestError: the samples are not images, or too small for so many stages; or there are not as many numbers of
            blocks as stages.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_outputs: int,
        channels: Sequence[PositiveInt] = (64, 128, 256),
        blocks: Sequence[NonNegativeInt] = (1, 1, 0),
        mirror: bool = False,
        shift: NonNegativeInt = 0,
    ) -> None:
        require_images("resnet", input_shape)
        if len(blocks) != len(channels):
            raise RequestError(f"model.blocks={list(blocks)}: needs {len(channels)} numbers, as model.channels has")
        width, *image = input_shape
        if min(image) < 2 ** len(channels):
            raise RequestError(
                f"model.channels={list(channels)}: {len(channels)} stages halve images of {image[0]}x{image[1]} to "
                f"nothing; {channels_last(input_shape) or 'use fewer'}"
            )
        layers: list[nn.Module] = []
        for next_width, count in zip(channels, blocks, strict=True):
            layers += [Convolution(width, next_width, halve=True), *(Residual(next_width) for _ in range(count))]
            width = next_width
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_outputs))
        self.mirror, self.shift = mirror, shift
        self.to(memory_format=torch.channels_last)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to (N, num_outputs)."""
        forward = super().forward
        views = [inputs] if self.training else self.views(inputs)
        outputs = [forward(each.contiguous(memory_format=torch.channels_last)) for each in views]
        return outputs[0] if len(outputs) == 1 else torch.stack(outputs).mean(0)

    def views(self, inputs: Tensor) -> list[Tensor]:
        """The images to average over, outside of training: each (N, C, H, W)."""
        images = [inputs]
        if self.shift:
            height, width = inputs.shape[2:]
            padded, ends = F.pad(inputs, [self.shift] * 4, mode="replicate"), (0, 2 * self.shift)
            images += [padded[:, :, row : row + height, self.shift : self.shift + width] for row in ends]
            images += [padded[:, :, self.shift : self.shift + height, column : column + width] for column in ends]
        return [*images, *(each.flip(3) for each in images)] if self.mirror else images


class Convolution(nn.Sequential):
    """A 3x3 convolution, max pooling if it is to `halve` the image, batch normalization and ReLU."""

    def __init__(self, width: int, next_width: int, halve: bool = False) -> None:
        super().__init__(
            nn.Conv2d(width, next_width, 3, padding=1, bias=False),
            *([nn.MaxPool2d(2)] if halve else []),
            nn.BatchNorm2d(next_width),
            nn.ReLU(),
        )


class Residual(nn.Sequential):
    """Two convolutions, added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__(Convolution(width, width), Convolution(width, width))

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return inputs + super().forward(inputs)
