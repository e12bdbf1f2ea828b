"""Training losses read many at once."""

import math

import pytest
import torch

from litlab.errors import RunError
from litlab.tasks.losses import TrainingLosses, WeightedMean, lower_rate


def test_mean_is_weighted():
    mean = WeightedMean()
    mean.add(1.0, 64)
    mean.add(4.0, 32)
    assert mean.mean == pytest.approx(2.0)
    assert mean.reset() == pytest.approx(2.0)
    assert math.isnan(mean.mean)


def test_epoch_and_log_means_are_apart():
    losses = TrainingLosses(accumulate=1)
    losses.add(torch.tensor(2.0), 10)
    losses.read(1, 0, 0.1)
    assert losses.logged.reset() == 2.0
    losses.add(torch.tensor(5.0), 20)
    losses.read(2, 0, 0.1)
    assert losses.logged.mean == 5.0
    assert losses.epoch.mean == pytest.approx(4.0)
    assert losses.samples == 30
    losses.read(2, 0, 0.1)  # nothing new
    assert losses.epoch.mean == pytest.approx(4.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("accumulate", "step"), [(1, 98), (2, 99)])
def test_a_loss_that_is_not_finite_is_told_with_its_step_and_rate(value, accumulate, step):
    losses = TrainingLosses(accumulate)
    for loss in (1.0, value, 2.0, 3.0):  # the last of them belongs to step 100
        losses.add(torch.tensor(loss), 8)
    with pytest.raises(RunError) as error:
        losses.read(100, 2, 0.5)
    message = str(error.value)
    assert f"the loss is {value} at step {step} (epoch 3, learning rate 0.5)" in message
    for hint in (
        "optimizer.lr=0.05 (or tune=lr, which looks for one)",
        "trainer.gradient_clip_val=1",
        "another loss",
        "look at the data",
    ):
        assert hint in message


@pytest.mark.parametrize(("rate", "lower"), [(0.5, 0.05), (0.87, 0.09), (1e-5, 1e-6), (30.0, 0.1), (9e29, 0.1)])
def test_a_lower_rate_is_a_tenth_and_no_absurd_one(rate, lower):
    assert lower_rate(rate) == lower
