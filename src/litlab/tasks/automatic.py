"""A task as Lightning's own tools expect it: under automatic optimization."""

from typing import Any

import lightning.pytorch as L
from torch import Tensor

from litlab.data.loader import Batch
from litlab.tasks.base import Task


class AutomaticTask(L.LightningModule):
    """A task under Lightning's automatic optimization: one step a call, and no scheduler.

    The tuner needs that. It sets no rate and sees no loss under manual optimization, and says nothing of it: each
    step of its range test would be taken with min_lr.
    """

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.losses: list[Tensor] = []  # of each batch

    def setup(self, stage: str) -> None:
        """What the task learns of the data."""
        self.task.setup(stage)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """What the task minimizes, of one batch."""
        inputs, targets = batch
        if self.task.augmentation is not None:
            inputs = self.task.augmentation(inputs)
        objective, loss = self.task.objective(self.task.model(inputs), targets)
        self.losses.append(loss.detach())
        return objective

    def configure_optimizers(self) -> Any:
        """The task's optimizer alone."""
        self.task.schedule = None
        return self.task.configure_optimizers()
