"""Regression: squared, absolute or Huber error; MAE, RMSE, R2."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanAbsoluteError, MeanSquaredError, Metric, R2Score

from litlab.tasks.base import Task

# Of outputs and targets (N, K), with `reduction` none, mean or sum.
ERRORS: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}
POWERS = {"mse": 2, "mae": 1, "huber": 2}  # of the unit, in which the error is


class Regression(Task):
    """Errors of outputs (N, K) against targets (N, K), or (N,) where K is 1; float32.

    Args:
        num_outputs: K.
        loss: mse (squared error), mae (absolute error), huber (squared up to one standard deviation
            of the targets, absolute beyond; up to 1 without standardize_targets), or a module of
            (outputs, targets) with a `reduction`, such as torch.nn.SmoothL1Loss.
        reduction: the loss of a batch is the mean or the sum over its values. With sum the gradient grows with the
            batch, and the loss of a split is the mean over its batches: use one batch per split.
        standardize_targets: train the model on targets of mean 0 and standard deviation 1, each of the K targets by its
            statistics over the training split. Loss, metrics and predictions stay in the targets' unit.

    Attributes:
        target_mean, target_std: (K,), float32, of the training split; buffers, and so in every checkpoint. Only with
            `standardize_targets`; a prediction is output * target_std + target_mean then.
    """

    target_kind = "regression"
    pictures = ("predicted_vs_actual", "residuals", "fit")
    target_mean: Tensor
    target_std: Tensor

    def __init__(
        self,
        *args: Any,
        num_outputs: int,
        loss: Literal["mse", "mae", "huber"] | nn.Module = "mse",
        reduction: Literal["mean", "sum"] = "mean",
        standardize_targets: bool = False,
        **kwargs: Any,
    ) -> None:
        self.num_outputs, self.reduction, self.standardize_targets = num_outputs, reduction, standardize_targets
        super().__init__(*args, **kwargs)
        self.criterion: Any = loss
        if isinstance(loss, nn.Module):
            self.criterion.reduction = "none"  # the task's own `reduction` follows
        if standardize_targets:
            self.register_buffer("target_mean", torch.zeros(num_outputs))
            self.register_buffer("target_std", torch.ones(num_outputs))

    def learn_scale(self, targets: Tensor) -> None:
        """Compute the statistics of the training split."""
        if not self.standardize_targets:
            return
        targets = targets.cpu().double().reshape(-1, self.num_outputs)
        std, mean = torch.std_mean(targets, dim=0, correction=0)
        # std alone will not do: rounding makes that of equal numbers tiny, not 0.
        varies = (targets.amax(0) > targets.amin(0)) & (std.float() > 0)
        self.target_mean.copy_(mean)
        self.target_std.copy_(torch.where(varies, std, 1.0))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean or sum of the errors, in the targets' unit."""
        # (N,) against (N, 1) would broadcast to (N, N): the loss would fall, but the network learn only the mean.
        targets = targets.view_as(outputs)
        if not self.standardize_targets:
            return self._error(outputs, targets, self.reduction)
        return self._reduced(self._in_unit(None, outputs, targets))

    def objective(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The loss on standardized targets, whose gradient does not depend on their unit; and the reported loss."""
        if not self.standardize_targets:
            return super().objective(outputs, targets)
        targets = targets.view_as(outputs)
        errors = self._error(outputs, self._standardized(targets))
        return self._reduced(errors), self._reduced(self._in_unit(errors.detach(), outputs.detach(), targets))

    def _error(self, outputs: Tensor, targets: Tensor, reduction: str = "none") -> Tensor:
        """Errors (N, K), or their mean or sum."""
        if isinstance(self.criterion, nn.Module):
            errors = self.criterion(outputs, targets)
            return errors if reduction == "none" else self._reduced(errors)
        return ERRORS[self.criterion](outputs, targets, reduction=reduction)

    def _in_unit(self, errors: Tensor | None, outputs: Tensor, targets: Tensor) -> Tensor:
        """Errors (N, K) in the targets' unit, perhaps from those of standardized targets."""
        if self.criterion not in POWERS:
            return self._error(self.predictions(outputs), targets)
        errors = self._error(outputs, self._standardized(targets)) if errors is None else errors
        return errors * self.target_std.pow(POWERS[self.criterion])

    def _standardized(self, targets: Tensor) -> Tensor:
        return (targets - self.target_mean) / self.target_std

    def _reduced(self, errors: Tensor) -> Tensor:
        return errors.sum() if self.reduction == "sum" else errors.mean()

    def predictions(self, outputs: Tensor) -> Tensor:
        """The predicted values (N, K), in the targets' unit."""
        return outputs * self.target_std + self.target_mean if self.standardize_targets else outputs

    def shard_weight(self, part: Tensor, whole: Tensor) -> float | Tensor:
        """1 where the loss is a sum."""
        return 1.0 if self.reduction == "sum" else super().shard_weight(part, whole)

    def build_metrics(self) -> dict[str, Metric]:
        """MAE and RMSE over all values; R2 is the mean over the K targets."""
        return {
            "mae": MeanAbsoluteError(),
            "rmse": MeanSquaredError(squared=False),
            "r2": R2Score(),
        }

    def start_evaluation(self) -> None:
        """Reset loss and metrics, in double precision."""
        super().start_evaluation()
        if self.device.type != "mps":  # which has no float64; R2 is a small difference of large sums
            self.metrics.set_dtype(torch.float64)

    def update_metrics(self, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch's outputs to the metrics."""
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        self.metrics.update(self.predictions(outputs.to(dtype)), targets.view_as(outputs).to(dtype))
