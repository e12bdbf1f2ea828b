"""Points on the sine curve."""

import math
from typing import Any

import torch

from litlab.config.values import PositiveInt
from litlab.data.tensors import Split, TensorData


class Sine(TensorData):
    """y = sin(x) at evenly spaced x from -pi to pi.

    Args:
        points: number of points.
        settings: see `TensorData`.
    """

    input_shape = (1,)
    num_outputs = 1
    feature_names = ("x",)
    target_name = "sin(x)"

    def __init__(self, *, points: PositiveInt = 1000, **settings: Any) -> None:
        super().__init__(**settings)
        self.points = points

    def load(self) -> tuple[Split, None]:
        """All points; there is no official test split."""
        x = torch.linspace(-math.pi, math.pi, self.points)
        return Split(x.unsqueeze(1), x.sin()), None
