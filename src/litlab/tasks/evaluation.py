"""The validation and test half of a task: sums over a whole split, from which its metrics are computed once."""

from collections.abc import Callable, Mapping
from typing import Any

import lightning.pytorch as L
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection

from litlab import signals
from litlab.data.loader import Batch, Shard
from litlab.tasks.losses import LossWeight


class Evaluation(L.LightningModule):
    """What the Trainer calls in validation and test. What it works with is `Task`'s."""

    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    weigh: Callable[[Batch | Shard], LossWeight]
    predictions: Callable[[Tensor], Tensor]
    log_epoch: Callable[[Mapping[str, Any]], None]
    mean_loss: MeanMetric
    metrics: MetricCollection
    eval_prefix: str  # of the metrics of the Trainer's validation: val or train

    def on_validation_epoch_start(self) -> None:
        """Sums at zero."""
        self._start_evaluation()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add one batch to the sums."""
        self._evaluate(batch)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the whole split."""
        self._end_evaluation(self.eval_prefix)

    def on_test_epoch_start(self) -> None:
        """Sums at zero."""
        self._start_evaluation()

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Add one batch to the sums."""
        self._evaluate(batch)

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the whole split."""
        self._end_evaluation("test")

    def _evaluate(self, batch: Batch | Shard) -> None:
        signals.check()
        inputs, targets = batch[0], batch[1]
        outputs = self.model(inputs)
        _, factor, weight = self.weigh(batch)
        self.mean_loss.update(self.loss(outputs, targets) * factor, weight=weight)
        if not (isinstance(batch, Shard) and batch.idle):
            self._score(outputs, targets)

    def _score(self, outputs: Tensor, targets: Tensor) -> None:
        self.metrics.update(self.predictions(outputs), targets)

    def _start_evaluation(self) -> None:
        self.mean_loss.reset()
        self.metrics.reset()

    def _end_evaluation(self, stage: str) -> None:
        metrics = {"loss": self.mean_loss.compute(), **self.metrics.compute()}
        self.log_epoch({f"{stage}/{name}": value for name, value in metrics.items()})
