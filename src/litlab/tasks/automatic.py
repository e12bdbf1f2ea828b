"""A task under automatic optimization, as Lightning's own tools expect it."""

from typing import Any

import lightning.pytorch as L
from torch import Tensor

from litlab.data.loader import Batch
from litlab.tasks.base import Task


class AutomaticTask(L.LightningModule):
    """A task under Lightning's automatic optimization: one step per call, no scheduler.

    The tuner needs it: under manual optimization it silently sets no rate and sees no loss, so each step of its range
    test would use min_lr.
    """

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.losses: list[Tensor] = []  # of each batch

    def setup(self, stage: str) -> None:
        """Set up the task."""
        self.task.setup(stage)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The objective of one batch."""
        inputs, targets = batch
        if self.task.augmentation is not None:
            inputs = self.task.augmentation(inputs)
        objective, loss = self.task.training_objective(self.task.model(inputs), targets)
        self.losses.append(loss.detach())
        return objective

    def configure_optimizers(self) -> Any:
        """The task's optimizer alone."""
        self.task.schedule = None
        return self.task.configure_optimizers()
