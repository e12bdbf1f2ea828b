"""Numbers."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MeanAbsoluteError, MeanSquaredError, Metric, R2Score

from litlab.tasks.base import Task


class Regression(Task):
    """Squared error of outputs (N, K) against targets (N, K) or, of one number, (N,); float32.

    Args:
        num_outputs: K.
        reduction: the loss of a batch is the mean or the sum over its values. With sum the gradient grows with the
            batch, and the loss of a split is the mean over its batches, so take one batch per split.
    """

    kind = "regression"
    pictures = ("predicted_vs_actual", "residuals", "fit")

    def __init__(self, *args: Any, num_outputs: int, reduction: str = "mean", **kwargs: Any) -> None:
        self.num_outputs, self.reduction = num_outputs, reduction
        super().__init__(*args, **kwargs)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean or sum of the squared errors."""
        # (N,) against (N, 1) would broadcast to (N, N): a loss that falls, of a network that learns the mean alone.
        return F.mse_loss(outputs, targets.view_as(outputs), reduction=self.reduction)

    def share(self, part: Tensor, whole: Tensor) -> float | Tensor:
        """Of a sum, all."""
        return 1.0 if self.reduction == "sum" else super().share(part, whole)

    def build_metrics(self) -> dict[str, Metric]:
        """Of K numbers: MAE and RMSE over all values, R2 the mean of the numbers' own."""
        return {
            "mae": MeanAbsoluteError(),
            "rmse": MeanSquaredError(squared=False),
            "r2": R2Score(),
        }

    def _start_evaluation(self) -> None:
        super()._start_evaluation()
        if self.device.type != "mps":  # it has none; R2 is a small difference of large sums
            self.metrics.set_dtype(torch.float64)

    def _score(self, outputs: Tensor, targets: Tensor) -> None:
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        self.metrics.update(outputs.to(dtype), targets.view_as(outputs).to(dtype))
