"""What all tasks share: a model, a loss and metrics become a LightningModule."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import lightning.pytorch as L
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import MeanMetric, Metric, MetricCollection

from litlab.config.hydra_errors import blame_setting
from litlab.config.values import Range
from litlab.data.loader import Batch, Shard
from litlab.errors import RequestError
from litlab.tasks.evaluation import Evaluation
from litlab.tasks.losses import LossWeight, TrainingLosses
from litlab.tasks.schedule import Schedule
from litlab.tasks.steps.compiled import CompiledStep
from litlab.tasks.training import Training


class Task(Training, Evaluation):
    """A model, its loss and its metrics. A new task writes `loss` and `build_metrics`.

    How they are trained is `litlab.tasks.training`, how validated and tested `litlab.tasks.evaluation`.

    Args:
        model: from inputs (N, ...) to outputs (N, num_outputs).
        optimizer: a partial of torch.optim that takes the parameters.
        schedule: the learning rate's, or None.
        monitor: the metric that selects the best weights, e.g. val/accuracy.
        mode: max or min, what is better.
        steps_per_execution: optimizer steps in one `training_step`; see `litlab.build.settle_steps`.
        compile: the whole step (forward, gradient, update) through torch.compile, which rounds differently.
        accumulate_grad_batches, gradient_clip_val, gradient_clip_algorithm: as the Trainer's settings of that name,
            which Lightning leaves to the module under manual optimization.
        augmentation: from a training batch's inputs to inputs of the same shape, changed at random; on the device.
    """

    target_kind = ""  # of targets: classification, binary (two classes with one output), regression; nothing: any
    pictures: tuple[str, ...] = ()  # of the tested model, by their names in `litlab.callbacks.pictures`

    def __init__(
        self,
        model: nn.Module,
        optimizer: Callable[..., Optimizer],
        schedule: Schedule | None = None,
        *,
        monitor: str,
        mode: Literal["min", "max"],
        steps_per_execution: Annotated[int, Range(1, such_as=16)] = 1,
        compile: bool = False,
        accumulate_grad_batches: int = 1,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
        augmentation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.mean_loss, self.metrics = MeanMetric(), MetricCollection(dict(self.build_metrics()))
        self.make_optimizer, self.schedule = optimizer, schedule
        self.monitor, self.mode = monitor, mode
        self.steps_per_execution = steps_per_execution
        self.accumulate = accumulate_grad_batches
        self.clip_val, self.clip_algorithm = gradient_clip_val, gradient_clip_algorithm
        self.compiled = CompiledStep(model, self.objective) if compile else None
        self.losses = TrainingLosses(accumulate_grad_batches)
        self.augmentation = augmentation
        self.eval_prefix = "val"
        self.fast_path, self.raw_update = False, None
        self.left, self.validated_at, self.resumed = 0, None, None
        self.resume_changes: frozenset[str] = frozenset()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""
        raise NotImplementedError

    def objective(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What training minimizes, and the loss that is reported of it; scalars. Both are the loss, by default."""
        loss = self.loss(outputs, targets)
        return loss, loss

    def build_metrics(self) -> dict[str, Metric]:
        """The metrics of validation and test by name; each takes (predictions, targets)."""
        raise NotImplementedError

    def loss_weight(self, targets: Tensor) -> int | Tensor:
        """The weight of a batch's loss in the mean over a split, by its targets: how many they are.

        A task whose loss is a weighted mean over the samples returns the sum of their weights, a scalar.
        """
        return len(targets)

    def shard_weight(self, part: Tensor, whole: Tensor) -> float | Tensor:
        """The factor of a part's loss in a whole batch's, which is the sum over its parts; given are both's targets."""
        return self.loss_weight(part) / self.loss_weight(whole)

    def weigh(self, batch: Batch | Shard) -> LossWeight:
        """A batch's samples, and the factor and the weight of its loss: 1 and `loss_weight`.

        For a `Shard`, those with which the mean over the devices is what one device would have: DDP takes the mean of
        the gradients, the losses are averaged when they are read, and the metrics when they are computed.
        """
        if not isinstance(batch, Shard):
            return LossWeight(len(batch[0]), 1.0, self.loss_weight(batch[1]))
        share = 0.0 if batch.idle else self.shard_weight(batch.targets, batch.whole)
        return LossWeight(len(batch.whole), share * self.trainer.world_size, self.loss_weight(batch.whole))

    def predictions(self, outputs: Tensor) -> Tensor:
        """What the outputs say of the targets: values, or for classes probabilities."""
        return outputs

    def forward(self, inputs: Tensor) -> Tensor:
        """The model's outputs."""
        return self.model(inputs)

    def evaluate(self, trainer: L.Trainer, prefix: str = "val", **data: Any) -> dict[str, float]:
        """The metrics of the present weights on what `Trainer.validate` would take (`dataloaders`, `datamodule`).

        Args:
            trainer: validates.
            prefix: of the metrics' names.
            data: the Trainer's arguments.
        """
        self.eval_prefix = prefix
        try:
            trainer.validate(self, verbose=False, **data)
        finally:
            self.eval_prefix = "val"
        return {name: float(value) for name, value in trainer.callback_metrics.items()}

    @property
    def seconds_compiling(self) -> float:
        """What task.compile=true has cost so far."""
        return self.compiled.seconds if self.compiled else 0.0

    def log_epoch(self, metrics: Mapping[str, Any]) -> None:
        """Metrics of an epoch: to Lightning, for callbacks; and to the loggers over optimizer steps.

        Lightning itself would log them over its calls of `training_step`.
        """
        self.log_dict(dict(metrics), logger=False)
        for logger in self.trainer.loggers:
            values = {name: float(value) for name, value in metrics.items()}
            logger.log_metrics(values | {"epoch": self.current_epoch + 1}, step=self.trainer.global_step)

    def configure_optimizers(self) -> Any:
        """The optimizer; and the scheduler, which Lightning keeps in checkpoints and LearningRateMonitor reads."""
        try:
            optimizer = self.make_optimizer(weight for weight in self.parameters() if weight.requires_grad)
        except (TypeError, ValueError) as error:
            raise RequestError(blame_setting("optimizer", self.make_optimizer, error)) from error
        if self.schedule is None:
            return optimizer
        scheduler = self.schedule.start(optimizer, self.trainer, self.accumulate)
        return [optimizer], [{"scheduler": scheduler, "interval": self.schedule.interval}]
