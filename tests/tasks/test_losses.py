"""Training losses read many at once."""

import math

import pytest
import torch

from litlab.errors import RunError
from litlab.tasks.losses import DivergedError, TrainingLosses, WeightedMean


def test_means_are_weighted_and_what_is_not_finite_is_told():
    mean = WeightedMean()
    mean.add(1.0, 64)
    mean.add(4.0, 32)
    assert mean.mean == pytest.approx(2.0)
    assert mean.reset() == pytest.approx(2.0)
    assert math.isnan(mean.mean)
    losses = TrainingLosses(accumulate=1)
    losses.add(torch.tensor(2.0), 10)
    losses.read(1, 0, 0.1)
    assert losses.logged.reset() == 2.0
    losses.add(torch.tensor(5.0), 20)
    losses.add(torch.tensor(8.0), 10)
    losses.read(2, 0, 0.1)
    assert losses.logged.mean == pytest.approx(6.0)
    assert losses.epoch.mean == pytest.approx(5.0)
    assert losses.samples == 40
    losses.read(2, 0, 0.1)  # nothing new
    assert losses.epoch.mean == pytest.approx(5.0)
    losses = TrainingLosses(accumulate=1)
    for loss, weight in ((2.0, 0.5), (8.0, 1.5)):
        losses.add(torch.tensor(loss), 10, torch.tensor(weight))
    losses.read(2, 0, 0.1)
    assert losses.epoch.mean == 6.5 and losses.samples == 20
    for accumulate, step in [(1, 98), (2, 99)]:
        for value in [math.nan, math.inf, -math.inf]:
            losses = TrainingLosses(accumulate)
            for loss in (1.0, value, 2.0, 3.0):  # the last of them belongs to step 100
                losses.add(torch.tensor(loss), 8)
            with pytest.raises(DivergedError) as error:
                losses.read(100, 2, 0.5)
            assert str(error.value) == f"the loss is {value} at step {step} (epoch 3, learning rate 0.5)"
            assert error.value.rate == 0.5
            assert isinstance(error.value, RunError)
