"""The losses of K stacked tasks, one per member."""

from collections.abc import Callable, Sequence
from typing import cast

from torch import Tensor
from torch.nn import functional as F

from litlab.tasks.base import Task
from litlab.tasks.binary import Binary
from litlab.tasks.classification import Classification
from litlab.tasks.regression import Regression
from litlab.tasks.steps.stacked import NotStackableError

Objective = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def stacked_objective(tasks: Sequence[Task], like: Tensor) -> Objective:
    """`Task.objective` of each member: from outputs (K, N, ...) and targets (K, N, ...) to two losses (K,).

    Args:
        tasks: the members; but for the label smoothing, their settings are the same.
        like: a tensor of the outputs' dtype and device.

    Raises:
        NotStackableError: the task is a user's own, or the model an ensemble.
    """
    task = tasks[0]
    if task.members is not None:
        raise NotStackableError(f"{type(task.model).__name__} is an ensemble, which has no loss for a stack")
    if type(task) is Classification:
        smoothing = [cast(Classification, each).label_smoothing for each in tasks]
        return _classification(task.weight, like.new_tensor(smoothing) if any(smoothing) else None)
    if type(task) is Binary:
        return _binary(task.weight)
    if type(task) is Regression:
        return _regression(task)
    raise NotStackableError(f"{type(task).__name__} has no loss for a stack")


def _classification(weight: Tensor | None, smoothing: Tensor | None) -> Objective:
    def objective(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        flat, labels, shape = outputs.flatten(0, 1), targets.flatten(), targets.shape
        total = shape[1] if weight is None else weight[targets].sum(1)
        loss = F.cross_entropy(flat, labels, weight, reduction="none").view(shape).sum(1) / total
        if smoothing is not None:
            logs = flat.log_softmax(1)
            even = -(logs.sum(1) if weight is None else logs @ weight).view(shape).sum(1) / total
            loss = (1 - smoothing) * loss + smoothing / outputs.shape[2] * even
        return loss, loss

    return objective


def _binary(weight: Tensor | None) -> Objective:
    def objective(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        of_sample = None if weight is None else weight[targets]
        losses = F.binary_cross_entropy_with_logits(
            outputs.squeeze(2), targets.to(outputs.dtype), of_sample, reduction="none"
        )
        loss = losses.mean(1)
        return loss, loss

    return objective


def _regression(task: Regression) -> Objective:
    def reduced(errors: Tensor) -> Tensor:
        return errors.flatten(1).sum(1) if task.reduction == "sum" else errors.flatten(1).mean(1)

    def objective(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        targets = targets.view_as(outputs)
        if not task.standardize_targets:
            loss = reduced(F.mse_loss(outputs, targets, reduction="none"))
            return loss, loss
        errors = F.mse_loss(outputs, (targets - task.target_mean) / task.target_std, reduction="none")
        return reduced(errors), reduced(errors.detach() * task.target_std.square())

    return objective
