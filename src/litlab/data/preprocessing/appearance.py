"""What the images of a training split look like: their background and brightness, for image files to be fitted to."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

LOOKED_AT = 10_000  # images of the training split, evenly spaced
MAX_VALUES = 2**23  # in them, 32 MB as float32
CENTRAL = (0.005, 0.995)  # quantiles: the range of 99% of the images
MARGIN = 64.0  # levels outside of that range at which an image looks unlike them
WHITE = 255.0


@dataclass(frozen=True)
class Appearance:
    """Of training images, in the levels of an image file: 0 (black) to 255 (white).

    Attributes:
        background: for each channel the median, over the images, of `border`.
        border: the range of the median of an image's outermost pixels.
        brightness: the range of the mean of an image's pixels.
        levels: white in the data set's own uint8 images: 255, or less, as in scikit-learn's digits (16).
    """

    background: tuple[float, ...]
    border: tuple[float, float]
    brightness: tuple[float, float]
    levels: float

    @classmethod
    def of(cls, inputs: Tensor, pixel_max: float | None) -> "Appearance | None":
        """Of images (N, channels, height, width) as `load` returns them, which divides uint8 pixels by `pixel_max`.

        None for other samples, and where a file's pixels have no known value.
        """
        if inputs.dim() != 4 or inputs.shape[1] not in (1, 3) or pixel_max is None:
            return None
        step = max(len(inputs) // LOOKED_AT, math.prod(inputs.shape) // MAX_VALUES, 1)
        images = inputs[::step].float() * pixel_max
        levels = WHITE if pixel_max >= WHITE or float(images.max()) > pixel_max else pixel_max
        images *= WHITE / levels
        border, brightness = _border(images), images.mean((1, 2, 3))
        background = border.median(0).values.clamp(0, WHITE).tolist()
        return cls(tuple(background), _range(border.mean(1)), _range(brightness), levels)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Appearance":
        """From plain data, as a checkpoint holds them."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()
        }
        return cls(**values)

    def unlike(self, images: Tensor) -> Tensor:
        """Which images (N, channels, height, width), 0 to 255, look unlike the training's: bool, (N,)."""
        images = images.float()
        found = torch.zeros(len(images), dtype=torch.bool)
        for values, (low, high) in (
            (_border(images).mean(1), self.border),
            (images.mean((1, 2, 3)), self.brightness),
        ):
            found |= (values < low - MARGIN) | (values > high + MARGIN)
        return found


def _range(values: Tensor) -> tuple[float, float]:
    low, high = values.quantile(torch.tensor(CENTRAL)).tolist()
    return low, high


def _border(images: Tensor) -> Tensor:
    """The median of the outermost pixels of images (N, channels, height, width): (N, channels)."""
    sides = (images[:, :, 0], images[:, :, -1], images[:, :, :, 0], images[:, :, :, -1])
    return torch.cat(sides, dim=2).median(2).values
