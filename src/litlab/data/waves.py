"""Noisy waves: sequences to classify by their form."""

import math
from typing import Any

import torch

from litlab.config.values import NonNegativeFloat, PositiveInt
from litlab.data.tensors import Split, TensorData


class Waves(TensorData):
    """Sine, square and sawtooth waves of random frequency (1 to 4 periods), phase and amplitude, with Gaussian noise.

    Args:
        samples: number of waves.
        length: steps of each.
        noise: standard deviation of the noise; amplitudes are 0.5 to 1.5.
        settings: see `TensorData`.
    """

    num_outputs = 3
    class_names = ("sine", "square", "sawtooth")
    feature_names = ("amplitude",)

    def __init__(
        self, *, samples: PositiveInt = 5000, length: PositiveInt = 64, noise: NonNegativeFloat = 0.3, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.samples, self.length, self.noise = samples, length, noise
        self.input_shape = (length, 1)

    def load(self) -> tuple[Split, None]:
        """The same waves at each call; there is no official test split."""
        random = torch.Generator().manual_seed(0)
        labels = torch.arange(self.samples) % 3
        frequency, phase, amplitude = torch.rand(3, self.samples, 1, generator=random)
        turns = torch.linspace(0, 1, self.length) * (1 + 3 * frequency) + phase
        sine = (2 * math.pi * turns).sin()
        forms = torch.stack((sine, sine.sign(), 2 * (turns % 1) - 1))  # (3, samples, length)
        waves = forms[labels, torch.arange(self.samples)] * (0.5 + amplitude)
        waves += self.noise * torch.randn(waves.shape, generator=random)
        return Split(waves.unsqueeze(2), labels), None
