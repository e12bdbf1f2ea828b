"""Predictions of a trained task, outside of the Trainer."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from litlab.tasks.base import Task


def predict(task: Task, inputs: Tensor, batch_size: int) -> Tensor:
    """The task's predictions (N, ...) for inputs (N, ...), float32 on the CPU: probabilities, or numbers."""
    with evaluating(task), torch.inference_mode():
        batches = inputs.to(task.device).split(batch_size)
        typed = (batch.to(task.dtype) if batch.is_floating_point() else batch for batch in batches)
        return torch.cat([task.predictions(task(batch)).float().cpu() for batch in typed])


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """No dropout, fixed batch norm; afterwards each part as it was."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
