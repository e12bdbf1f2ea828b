"""Squared error; the metrics against scikit-learn's."""

from typing import Any

import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from torch import nn

from litlab.tasks.regression import Regression


def task(num_outputs: int = 1, **settings: Any) -> Regression:
    return Regression(
        nn.Identity(), torch.optim.SGD, monitor="val/rmse", mode="min", num_outputs=num_outputs, **settings
    )


def evaluated(task: Regression, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
    """As validation does it, in batches."""
    task._start_evaluation()
    for batch in zip(outputs.split(300), targets.split(300), strict=True):
        task._evaluate(batch)
    return {name: float(value) for name, value in task.metrics.compute().items()}


@pytest.mark.parametrize("columns", [0, 1, 3])
def test_metrics_are_those_of_scikit_learn(columns):
    shape = (1000, columns) if columns else (1000,)
    targets = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 22 + 171
    outputs = targets + torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 3
    metrics = evaluated(task(columns or 1), outputs.reshape(1000, -1), targets)
    truth, predicted = targets.double().numpy(), outputs.double().numpy()
    assert metrics["mae"] == pytest.approx(mean_absolute_error(truth, predicted), abs=1e-6)
    assert metrics["r2"] == pytest.approx(r2_score(truth, predicted), abs=1e-6)
    together = root_mean_squared_error(truth.ravel(), predicted.ravel())
    assert metrics["rmse"] == pytest.approx(together, abs=1e-6)


def test_a_column_of_targets_may_be_flat():
    outputs, targets = torch.randn(7, 1), torch.randn(7)
    loss = task().loss(outputs, targets)
    assert loss == pytest.approx(float((outputs[:, 0] - targets).square().mean()))
    torch.testing.assert_close(task().loss(outputs, targets.unsqueeze(1)), loss)


def test_sum_of_squares():
    outputs, targets = torch.randn(7, 2), torch.randn(7, 2)
    squares = float((outputs - targets).square().sum())
    assert float(task(2, reduction="sum").loss(outputs, targets)) == pytest.approx(squares)
    assert float(task(2).loss(outputs, targets)) == pytest.approx(squares / 14)
