"""What all tasks share: a model, a loss and metrics become a LightningModule."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import MeanMetric, Metric, MetricCollection

from litlab.data.loader import Batch, Shard
from litlab.errors import RequestError
from litlab.tasks.compiled import STEPS, CompiledStep
from litlab.tasks.losses import TrainingLosses
from litlab.tasks.schedule import Schedule

# Hooks that Lightning calls around every optimizer step; where a callback has one, it gets its calls.
STEP_HOOKS = ("on_before_backward", "on_after_backward", "on_before_optimizer_step", "on_before_zero_grad")


class Task(L.LightningModule):
    """A model, its loss and its metrics. A new task writes `loss` and `build_metrics`.

    Optimization is Lightning's "manual" one, because then one `training_step` may take several optimizer steps: the
    Trainer's own work per call (330 us) costs more than a step of a small network.

    Args:
        model: from inputs (N, ...) to outputs (N, num_outputs).
        optimizer: a partial of torch.optim that takes the parameters.
        schedule: the learning rate's, or None.
        monitor: the metric that selects the best weights, e.g. val/accuracy.
        mode: max or min, what is better.
        steps_per_execution: optimizer steps in one `training_step`; see `litlab.build`.
        compile: the whole step (forward, gradient, update) through torch.compile.
        accumulate_grad_batches, gradient_clip_val, gradient_clip_algorithm: as the Trainer's settings of that name,
            which Lightning leaves to the module under manual optimization.
        augmentation: from a training batch's inputs to inputs of the same shape, changed at random; on the device.
    """

    pictures: tuple[str, ...] = ()  # of the tested model, by their names in `litlab.callbacks.pictures`

    def __init__(
        self,
        model: nn.Module,
        optimizer: Callable[..., Optimizer],
        schedule: Schedule | None = None,
        *,
        monitor: str,
        mode: str,
        steps_per_execution: int = 1,
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
        self.compiled = CompiledStep(model, self.loss) if compile else None
        self.losses = TrainingLosses(accumulate_grad_batches)
        self.augmentation = augmentation
        self.validated = "val"  # the split that the Trainer's validation gets, for the metrics' names: val or train
        self.direct = False  # see on_fit_start

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""
        raise NotImplementedError

    def build_metrics(self) -> dict[str, Metric]:
        """The metrics of validation and test by name; each takes (predictions, targets)."""
        raise NotImplementedError

    def share(self, part: Tensor, whole: Tensor) -> float | Tensor:
        """The factor of a part's loss in a whole batch's, which is the sum over its parts; given are both's targets.

        A task whose loss is no plain mean over the samples writes its own.
        """
        return len(part) / len(whole)

    def standing(self, batch: Batch | Shard) -> tuple[float | Tensor, int]:
        """The factor of a batch's loss, and the samples that it stands for: 1 and its own.

        For a `Shard`, those with which the mean over the devices is what one device would have: DDP takes the mean of
        the gradients, the losses are averaged when they are read, and the metrics when they are computed.
        """
        if not isinstance(batch, Shard):
            return 1.0, len(batch[0])
        share = 0.0 if batch.idle else self.share(batch.targets, batch.whole)
        return share * self.trainer.world_size, len(batch.whole)

    def predictions(self, outputs: Tensor) -> Tensor:
        """What the outputs say of the targets: values, or for classes probabilities."""
        return outputs

    def forward(self, inputs: Tensor) -> Tensor:
        """The model's outputs."""
        return self.model(inputs)

    # ---- training: the hot path. No device sync, no torchmetrics, no self.log and no hooks of callbacks per step.

    def on_fit_start(self) -> None:
        """Whether the short way through a step (see `_update`) means the same as Lightning's."""
        trainer = self.trainer
        self.direct = (
            not isinstance(trainer.strategy, DDPStrategy)
            and getattr(trainer.precision_plugin, "scaler", None) is None
            and not any(is_overridden(hook, each, L.Callback) for hook in STEP_HOOKS for each in trainer.callbacks)
        )

    def on_train_start(self) -> None:
        """Dropout and augmentation differ between the devices. (The loader has its seed by now, the same on all.)"""
        if self.trainer.world_size > 1:
            torch.manual_seed(torch.initial_seed() + self.trainer.global_rank)

    def on_train_epoch_start(self) -> None:
        """Count the epoch's batches anew."""
        self.losses.batches = 0

    def training_step(self, batches: Batch | Shard | list[Batch], batch_idx: int) -> None:
        """Take one optimizer step per batch (per `accumulate` batches), and read the losses when that is due."""
        trainer, losses = self.trainer, self.losses
        optimizer: Any = self.optimizers()
        step = trainer.global_step
        chunk: list[Any] = [batches] if isinstance(batches[0], Tensor) else batches
        for loss, size, updated in self._steps(optimizer, chunk):
            losses.add(loss, size)
            step += updated
            if updated and step % trainer.log_every_n_steps == 0:
                rate = self._read_losses(optimizer, step)
                values = {"train/loss_step": losses.logged.reset(), "lr": rate}
                for logger in trainer.loggers:
                    logger.log_metrics(values, step=step)
            if updated and step == trainer.max_steps:
                break
        # On one CPU reading a loss waits for nothing, so a diverged run stops at once.
        alone = self.device.type == "cpu" and trainer.world_size == 1
        if trainer.is_last_batch or step == trainer.max_steps or alone:
            self._read_losses(optimizer, step)

    def _read_losses(self, optimizer: Any, step: int) -> float:
        rate = float(optimizer.param_groups[0]["lr"])
        average = self.trainer.strategy.reduce if self.trainer.world_size > 1 else None  # so all see what diverges
        self.losses.read(step, self.current_epoch, rate, average)
        return rate

    def _steps(self, optimizer: Any, chunk: list[Batch | Shard]) -> Iterator[tuple[Tensor, int, bool]]:
        """Work off a chunk: each batch's loss, its size, and whether an optimizer step came after it."""
        trainer, position = self.trainer, 0
        if self.augmentation is not None:
            chunk = [_with_inputs(batch, self.augmentation(batch[0])) for batch in chunk]
        while position < len(chunk):
            batch = chunk[position]
            self.losses.batches += 1
            if whole := self._whole_steps(chunk[position : position + STEPS]):
                for _ in whole:  # Lightning's count of steps: checkpoints, max_steps and logs go by it
                    optimizer._on_before_step()
                    optimizer._on_after_step()
                losses = self.compiled.steps(optimizer.optimizer, whole)
                self._step_schedule()
                yield from ((loss, len(inputs), True) for loss, (inputs, _) in zip(losses, whole, strict=True))
                position += len(whole)
            else:
                position += 1
                last = trainer.is_last_batch and position == len(chunk)
                update = last or self.losses.batches % self.accumulate == 0
                factor, size = self.standing(batch)
                yield self._step(optimizer, batch[0], batch[1], factor, update), size, update

    def _whole_steps(self, batches: list[Any]) -> list[Batch]:
        """As many of these batches as one compiled call can take with the update: all, the first, or none."""
        if self.compiled is None or not self.direct or self.accumulate > 1 or self.clip_val:
            return []
        if not all(self.compiled.fits(batch[0]) for batch in batches):
            return batches[:1] if self.compiled.fits(batches[0][0]) else []
        left = self.trainer.max_steps - self.trainer.global_step
        by_step = self.schedule is not None and self.schedule.interval == "step"
        return batches[:1] if by_step or len(batches) < STEPS or 0 <= left < STEPS else batches

    def _step(self, optimizer: Any, inputs: Tensor, targets: Tensor, factor: float | Tensor, update: bool) -> Tensor:
        if self.compiled is not None and self.compiled.fits(inputs):
            loss = self.compiled.gradients(inputs, targets, factor / self.accumulate)
            loss = loss if isinstance(factor, float) and factor == 1 else loss * factor
        else:
            loss = self.loss(self.model(inputs), targets)
            loss = loss if isinstance(factor, float) and factor == 1 else loss * factor
            share = loss / self.accumulate if self.accumulate > 1 else loss
            share.backward() if self.direct else self.manual_backward(share)
            if self.compiled is not None and self.compiled.shape is None:
                self.compiled.shape = inputs.shape
        if update:
            self._update(optimizer)
        return loss.detach()

    def _update(self, optimizer: Any) -> None:
        if self.compiled is not None and self.trainer.world_size > 1:
            self._average_gradients()
        if self.clip_val:
            self.clip_gradients(optimizer, self.clip_val, self.clip_algorithm)
        if self.direct:  # Lightning's own way costs as much again as a small network's step
            optimizer._on_before_step()
            optimizer.optimizer.step()
            optimizer._on_after_step()  # counts the step: checkpoints, max_steps and logs go by it
            for group in optimizer.param_groups:  # as zero_grad does, in a thirtieth of its time
                for weight in group["params"]:
                    weight.grad = None
        else:
            optimizer.step()
            optimizer.zero_grad()
        self._step_schedule()

    def _average_gradients(self) -> None:
        """Over the devices: DDP does it in `backward`, which a compiled step has not. Of equal ones nothing changes."""
        gradients = [weight.grad for weight in self.parameters() if weight.grad is not None]
        flat = self.trainer.strategy.reduce(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, mean in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def _step_schedule(self) -> None:
        if self.schedule is not None:
            self.schedule.after_step(self.trainer.global_step)

    def on_train_epoch_end(self) -> None:
        """Log the epoch's loss, a mean over samples; step a scheduler that goes by epochs."""
        self._log({"train/loss": torch.tensor(self.losses.epoch.reset(), device=self.device)})
        if self.schedule is not None:
            self.schedule.after_epoch(self.current_epoch, self.trainer.callback_metrics)

    # ---- validation and test: sums over the whole split, computed once at its end.

    def _evaluate(self, batch: Batch | Shard) -> None:
        inputs, targets = batch[0], batch[1]
        outputs = self.model(inputs)
        factor, size = self.standing(batch)
        self.mean_loss.update(self.loss(outputs, targets) * factor, weight=size)
        if not (isinstance(batch, Shard) and batch.idle):
            self._score(outputs, targets)

    def _score(self, outputs: Tensor, targets: Tensor) -> None:
        self.metrics.update(self.predictions(outputs), targets)

    def _start_evaluation(self) -> None:
        self.mean_loss.reset()
        self.metrics.reset()

    def _end_evaluation(self, stage: str) -> None:
        metrics = {"loss": self.mean_loss.compute(), **self.metrics.compute()}
        self._log({f"{stage}/{name}": value for name, value in metrics.items()})

    def _log(self, metrics: Mapping[str, Any]) -> None:
        """To Lightning, for callbacks; and to the loggers over optimizer steps, where Lightning would count calls."""
        self.log_dict(dict(metrics), logger=False)
        for logger in self.trainer.loggers:
            values = {name: float(value) for name, value in metrics.items()}
            logger.log_metrics(values | {"epoch": self.current_epoch + 1}, step=self.trainer.global_step)

    def on_validation_epoch_start(self) -> None:
        """Sums at zero."""
        self._start_evaluation()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add one batch to the sums."""
        self._evaluate(batch)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the whole split."""
        self._end_evaluation(self.validated)

    def on_test_epoch_start(self) -> None:
        """Sums at zero."""
        self._start_evaluation()

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Add one batch to the sums."""
        self._evaluate(batch)

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the whole split."""
        self._end_evaluation("test")

    def configure_optimizers(self) -> Any:
        """The optimizer, and the scheduler for Lightning to keep in checkpoints."""
        try:
            optimizer = self.make_optimizer(weight for weight in self.parameters() if weight.requires_grad)
        except (TypeError, ValueError) as error:
            raise RequestError(f"optimizer: {error}") from error
        if self.schedule is None:
            return optimizer
        return [optimizer], [self.schedule.start(optimizer, self.trainer, self.accumulate)]


def _with_inputs(batch: Any, inputs: Tensor) -> Any:
    return batch._replace(inputs=inputs) if isinstance(batch, Shard) else (inputs, batch[1])
