"""The base class of tasks: a LightningModule of a model, a loss and metrics."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, cast

import lightning.pytorch as L
import torch
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer
from torchmetrics import MeanMetric, Metric, MetricCollection

from litlab import signals
from litlab.compat.lightning import is_attached
from litlab.compat.torch import has_step_hooks
from litlab.config.hydra_errors import blame_setting
from litlab.config.values import Range
from litlab.data.loader import Batch, Shard
from litlab.data.preprocessing.spec import KEY as SPEC
from litlab.data.preprocessing.spec import DataSpec
from litlab.errors import RequestError
from litlab.tasks import position
from litlab.tasks.hooks import STEP_HOOKS, has_hook
from litlab.tasks.losses import TrainingLosses
from litlab.tasks.metrics import metric_name
from litlab.tasks.schedule import Schedule
from litlab.tasks.steps.compiled import Compilation, CompiledBackward, CompiledSteps
from litlab.tasks.steps.eager import BatchByBatch, FastUpdate, LightningUpdate
from litlab.tasks.steps.replayed import Replay, Replayed
from litlab.tasks.steps.step import Executor, Part, Step


class LossWeight(NamedTuple):
    """The weight of a batch's loss in the mean over a split."""

    samples: int  # over all devices
    factor: float | Tensor  # of the loss, a scalar
    weight: int | Tensor  # of the loss times its factor, a scalar


class Task(L.LightningModule):
    """A model, its loss and its metrics. A new task writes `loss` and `build_metrics`.

    Optimization is Lightning's "manual" one, because then one `training_step` may take several optimizer steps: the
    Trainer's own work per call (330 us) costs more than a step of a small network. In these steps there is no device
    sync, no torchmetrics, no self.log and no callback's hook; executors (`litlab.tasks.steps`) run them.

    Args:
        model: from inputs (N, ...) to outputs (N, num_outputs). One with a number of `members`, an ensemble, returns
            in training what each of them says, (N, members, num_outputs).
        optimizer: a partial of torch.optim that takes the parameters.
        schedule: of the learning rate, or None.
        monitor: the metric that selects the best weights, e.g. val/accuracy.
        mode: max or min, which is better.
        steps_per_execution: optimizer steps in one `training_step`; see `litlab.build.steps_per_execution`.
        compile: the whole step (forward, gradient, update) through torch.compile, which rounds differently.
        accumulate_grad_batches, gradient_clip_val, gradient_clip_algorithm: as the Trainer's settings of that name,
            which are the module's under manual optimization.
        augmentation: from a training batch's inputs to inputs of the same shape, changed at random; on the device.
    """

    target_kind = ""  # of targets: classification, binary (two classes with one output), regression; nothing: any
    keeps_scale = True  # checkpoints have what `learn_scale` has learned
    pictures: tuple[str, ...] = ()  # of the tested model, by their names in `litlab.callbacks.tested`

    def __init__(
        self,
        model: nn.Module,
        optimizer: Callable[..., Optimizer],
        schedule: Schedule | None = None,
        *,
        monitor: str,
        mode: Literal["min", "max"],
        steps_per_execution: Annotated[int, Range(1, example=16)] = 1,
        compile: bool = False,
        accumulate_grad_batches: int = 1,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
        augmentation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.members: int | None = getattr(model, "members", None)
        self.mean_loss, self.metrics = MeanMetric(), MetricCollection(dict(self.build_metrics()))
        self.make_optimizer, self.schedule = optimizer, schedule
        self.monitor, self.mode = monitor, mode
        self.steps_per_execution = steps_per_execution
        self.compilation = Compilation() if compile else None
        self.accumulate = accumulate_grad_batches
        self.clip_val, self.clip_algorithm = gradient_clip_val, gradient_clip_algorithm
        self.augmentation = augmentation
        self.losses = TrainingLosses(accumulate_grad_batches)
        self.executor: Executor | None = None  # during training
        self.replay: Replay | None = None  # of this training, where it has been taken elsewhere
        self._replayed: Replayed | None = None  # instead of the executor, then
        self.eval_prefix = "val"  # of the metrics' names in validation: see `evaluate`
        self.progress = position.EpochProgress()
        self.resume_changes: frozenset[str] = frozenset()  # settings that may differ from the checkpoint's
        self.watches_gradients = False  # whether the norm of the gradients is logged; by a callback
        self._gradient_norm: Tensor | None = None  # of the step that is logged next, before clipping; on the device
        self._start = self._every = 0  # optimizer steps before the current call; between two norms (0: none)
        self._rates: list[float] = []  # after each optimizer step of the current call

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""
        raise NotImplementedError

    def objective(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The minimized loss and the reported one, scalars; the same by default."""
        loss = self.loss(outputs, targets)
        return loss, loss

    def training_objective(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """`objective` of a training batch; of an ensemble, the mean of its members'.

        The loss of their mean would be another: it trains them as one network.
        """
        if self.members is None:
            return self.objective(outputs, targets)
        minimized, loss = torch.vmap(self.objective, in_dims=(1, None))(outputs, targets)
        return minimized.mean(), loss.mean()

    def build_metrics(self) -> dict[str, Metric]:
        """The metrics of validation and test by name; each takes (predictions, targets)."""
        raise NotImplementedError

    def loss_weight(self, targets: Tensor) -> int | Tensor:
        """The weight of a batch's loss in the mean over a split: the number of its targets.

        A task whose loss is a weighted mean over samples returns the sum of their weights, a scalar.
        """
        return len(targets)

    def shard_weight(self, part: Tensor, whole: Tensor) -> float | Tensor:
        """The weight of a part's loss in the sum that makes the whole batch's loss; given the targets of both."""
        return self.loss_weight(part) / self.loss_weight(whole)

    def weigh(self, batch: Batch | Shard) -> LossWeight:
        """The samples of a batch, and the factor (1) and the weight of its loss.

        Those of a `Shard` make the mean over the devices equal one device's loss: DDP averages the gradients, and
        losses and metrics are averaged when they are read.
        """
        if not isinstance(batch, Shard):
            return LossWeight(len(batch[0]), 1.0, self.loss_weight(batch[1]))
        share = 0.0 if batch.idle else self.shard_weight(batch.targets, batch.all_targets)
        return LossWeight(len(batch.all_targets), share * self.trainer.world_size, self.loss_weight(batch.all_targets))

    def predictions(self, outputs: Tensor) -> Tensor:
        """Predictions from outputs: values, or probabilities of classes."""
        return outputs

    def learn_scale(self, targets: Tensor) -> None:
        """Before training: what the loss needs to know of the training split's targets."""

    def forward(self, inputs: Tensor) -> Tensor:
        """The model's outputs."""
        return self.model(inputs)

    def configure_optimizers(self) -> Any:
        """The optimizer; and the scheduler, which Lightning saves in checkpoints and LearningRateMonitor reads."""
        try:
            optimizer = self.make_optimizer(weight for weight in self.parameters() if weight.requires_grad)
        except (TypeError, ValueError) as error:
            raise RequestError(blame_setting("optimizer", self.make_optimizer, error)) from error
        if self.schedule is None:
            return optimizer
        scheduler = self.schedule.start(optimizer, self.trainer, self.accumulate)
        return [optimizer], [{"scheduler": scheduler, "interval": self.schedule.interval}]

    # ---- training, as the Trainer calls it

    def setup(self, stage: str) -> None:
        """Look at the training split's targets and inputs, once the data are loaded.

        Only for training: evaluation keeps the statistics that the weights were trained with.
        """
        train = getattr(self.trainer.datamodule, "splits", {}).get("train")  # foreign data modules have no splits
        if train is not None and (stage == "fit" or not self.keeps_scale):
            self.learn_scale(train.targets)
        if train is not None and stage == "fit":
            for module in self.model.modules():
                learn: Any = getattr(module, "learn_inputs", None)  # such as the quantiles of columns
                if learn is not None:
                    learn(train.inputs[:])

    def on_train_start(self) -> None:
        """Choose the executor; seed dropout and augmentation differently on each device."""
        trainer, optimizer = self.trainer, cast(Any, self.optimizers())
        if self.replay is not None:
            scheduler = self.schedule and self.schedule.scheduler
            self._replayed = Replayed(self.replay, self.model, optimizer, scheduler)
            if self.compilation is not None and self.replay.compilation is not None:
                self.compilation.take_share(self.replay.compilation, self.replay.stacked)
        else:
            self.executor = self._build_executor(optimizer)
        trainer.accumulate_grad_batches = self.accumulate  # for callbacks; earlier, Lightning would refuse it
        if trainer.world_size > 1:  # the loader has its seed by now, the same on all
            torch.manual_seed(torch.initial_seed() + trainer.global_rank)
        if self.progress.resumed is not None:
            position.restore(self, self.progress.resumed)

    def _build_executor(self, optimizer: Any) -> Executor:
        trainer, compilation, after = self.trainer, self.compilation, self._after_update
        step = Step(
            *(self.model, self.training_objective, optimizer.optimizer),
            *(self.accumulate, self.clip_val, self.clip_algorithm),
        )
        backward: Callable[[Part], Tensor] = step.backward
        update: Callable[[], None] = FastUpdate(step, optimizer, self._before_update, after)
        if by_lightning := self._needs_lightning():
            backward = functools.partial(step.backward, backward=self.manual_backward)
            average = trainer.strategy.reduce if compilation is not None and trainer.world_size > 1 else None
            update = LightningUpdate(optimizer, after, average)
        if compilation is None:
            return BatchByBatch(backward, update)
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        compiled = BatchByBatch(CompiledBackward(step, compilation, backward, scaler and scaler.scale), update)
        rate_alone = self.schedule is None or self.schedule.changes_rate_alone
        if by_lightning or self.accumulate > 1 or not rate_alone:
            return compiled
        return CompiledSteps(step, compilation, compiled, optimizer, after)

    def _needs_lightning(self) -> bool:
        """Whether hooks must see each step, or a strategy or a loss scaler takes part in it."""
        trainer = self.trainer
        return (
            isinstance(trainer.strategy, DDPStrategy)
            or getattr(trainer.precision_plugin, "scaler", None) is not None
            or any(has_hook(each, hook, L.Callback) for hook in STEP_HOOKS for each in trainer.callbacks)
            or any(has_hook(self, hook, Task) for hook in STEP_HOOKS)
            or any(has_step_hooks(optimizer) for optimizer in trainer.optimizers)
        )

    def _before_update(self) -> None:
        if self._every and (self._start + len(self._rates) + 1) % self._every == 0:
            weights = (weight for group in self.trainer.optimizers[0].param_groups for weight in group["params"])
            gradients = [weight.grad for weight in weights if weight.grad is not None and not weight.grad.is_sparse]
            self._gradient_norm = get_total_norm(gradients)

    def _after_update(self) -> None:
        if self.schedule is not None:
            self.schedule.after_step(self.trainer.global_step)
        self._rates.append(self._rate())

    def _rate(self) -> float:
        return float(self.trainer.optimizers[0].param_groups[0]["lr"])

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Measure and clip the gradients: here they are accumulated, and unscaled in half precision."""
        self._before_update()
        if self.clip_val:
            self.clip_gradients(optimizer, self.clip_val, self.clip_algorithm)

    def on_train_epoch_start(self) -> None:
        """Count the epoch's batches from 0, or from where a resumed epoch stopped."""
        if self.replay is not None:
            self.replay.epoch = self.current_epoch
        self.losses.batches = self.progress.start_epoch()

    def training_step(self, batches: Batch | Shard | list[Batch], batch_idx: int) -> Tensor:
        """Take one optimizer step per batch (per `accumulate` batches), and read the losses when due.

        Returns:
            the last batch's loss, a scalar, for callbacks: their `outputs["loss"]`.
        """
        if self._replayed is not None:
            return self._replay_epoch(self._replayed)
        trainer, executor, at = self.trainer, self.executor, 0
        chunk: list[Any] = [batches] if isinstance(batches[0], Tensor) else batches
        start = step = self._start = trainer.global_step
        self._every = trainer.log_every_n_steps if self.watches_gradients else 0
        self._rates = []
        while at < len(chunk):
            signals.check()
            size = executor.take(chunk[at:], trainer.max_steps - step)
            taken, at = chunk[at : at + size], at + size
            weights = [self.weigh(batch) for batch in taken]
            parts = self._parts(taken, weights, last=trainer.is_last_batch and at == len(chunk))
            for part, (samples, _, weight), loss in zip(parts, weights, executor.run(parts), strict=True):
                self.losses.add(loss, samples, weight)
                step += part.update
                if part.update and step % trainer.log_every_n_steps == 0:
                    self._log_step(step, self._rates[step - start - 1])
            if step == trainer.max_steps:
                break
        self.progress.left = len(chunk) - at
        # On one CPU reading a loss waits for nothing, so a diverged run stops at once.
        alone = self.device.type == "cpu" and trainer.world_size == 1
        if trainer.is_last_batch or step == trainer.max_steps or alone:
            self.read_losses(step)
        return loss

    def _replay_epoch(self, replayed: Replayed) -> Tensor:
        """Read and log the losses of an epoch's steps as if they were taken here."""
        epoch, trainer, size = replayed.latest, self.trainer, self.steps_per_execution
        steps = list(zip(epoch.losses, epoch.samples, epoch.weights, epoch.rates, strict=True))
        for at in range(0, len(steps), size):
            signals.check()
            chunk, start = steps[at : at + size], trainer.global_step
            replayed.count(len(chunk))
            self.losses.batches += len(chunk)
            for step, (loss, samples, weight, rate) in enumerate(chunk, start=start + 1):
                self.losses.add(loss, samples, weight)
                if step % trainer.log_every_n_steps == 0:
                    self._log_step(step, rate)
            self.read_losses(start + len(chunk), rate)
        replayed.end_epoch()
        return loss

    def _parts(self, batches: Sequence[Batch | Shard], weights: Sequence[LossWeight], last: bool) -> list[Part]:
        """What an executor takes; with `last`, the last of these batches is the epoch's.

        Batches are augmented when their turn comes: in a random state that does not depend on `steps_per_execution`.
        """
        parts = []
        for number, (batch, weight) in enumerate(zip(batches, weights, strict=True), start=1):
            self.losses.batches += 1
            update = self.losses.batches % self.accumulate == 0 or (last and number == len(batches))
            inputs = batch[0] if self.augmentation is None else self.augmentation(batch[0])
            parts.append(Part(inputs, batch[1], weight.factor, update))
        return parts

    def _log_step(self, step: int, rate: float) -> None:
        self.read_losses(step, rate)
        values = {"train/loss_step": self.losses.logged.reset(), "lr": rate}
        if self._gradient_norm is not None:  # the losses have been read, so this waits for little
            values["train/gradient_norm"], self._gradient_norm = float(self._gradient_norm), None
        for logger in self.trainer.loggers:
            logger.log_metrics(values, step=step)

    def read_losses(self, step: int, rate: float | None = None) -> None:
        """Fetch the losses that are on the device.

        Args:
            step: optimizer steps so far.
            rate: the learning rate at that step; the current one if None.

        Raises:
            DivergedError: a loss is not finite.
        """
        average = (
            self.trainer.strategy.reduce if self.trainer.world_size > 1 else None
        )  # so that all devices notice divergence
        self.losses.read(step, self.current_epoch, self._rate() if rate is None else rate, average)

    def on_train_epoch_end(self) -> None:
        """Log the epoch's loss, a mean over samples; step a scheduler that goes by epochs.

        An epoch that max_steps or max_time cut short is not over: a resumed run continues within it.
        """
        over = self.trainer.is_last_batch and not self.progress.left
        loss = self.losses.epoch.reset() if over else self.losses.epoch.mean
        self.log_epoch({"train/loss": torch.tensor(loss, device=self.device)})
        if over:
            self.losses.batches = 0
            if self.schedule is not None:
                self.schedule.after_epoch(self.current_epoch, self.trainer.callback_metrics)

    def on_train_end(self) -> None:
        """Restore the Trainer's setting; release the executor."""
        self.executor = self._replayed = self.replay = None
        self.trainer.accumulate_grad_batches = 1

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what an exact resume needs beyond Lightning's own state, and what predictions need of the data."""
        spec = getattr(self.trainer.datamodule, "spec", None)
        checkpoint[SPEC] = spec.as_dict() if isinstance(spec, DataSpec) else None
        checkpoint[position.KEY] = position.state(self)
        position.settle(checkpoint["loops"]["fit_loop"])
        if self.replay is not None:
            position.count_calls(checkpoint["loops"]["fit_loop"], self.trainer, self.steps_per_execution)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Before a fit: let Lightning's loops start where the run stopped."""
        if position.KEY in checkpoint and is_attached(self) and self.trainer.state.fn == TrainerFn.FITTING:
            self.trainer.precision_plugin.convert_module(self)  # else weights in float64 would be loaded as float32
            if self.progress.is_over:
                self.trainer.should_stop = True
                return
            state = self.progress.resumed = checkpoint[position.KEY]
            loops = checkpoint["loops"]
            loops["fit_loop"] = position.fit_loop(loops["fit_loop"], state, self.steps_per_execution)

    # ---- validation and test: sums over a whole split, from which its metrics are computed once

    def evaluate(self, trainer: L.Trainer, prefix: str = "val", **data: Any) -> dict[str, float]:
        """The metrics of the current weights.

        Args:
            trainer: runs the validation.
            prefix: of the metrics' names.
            data: `dataloaders` or `datamodule`, as for `Trainer.validate`.
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
        return self.compilation.seconds if self.compilation else 0.0

    def on_validation_start(self) -> None:
        """Remember the position: a run that resumes from here has been validated."""
        self.progress.validated_at = self.losses.batches

    def on_validation_epoch_start(self) -> None:
        """Reset loss and metrics."""
        self.start_evaluation()

    on_test_epoch_start = on_validation_epoch_start

    def start_evaluation(self) -> None:
        """Reset loss and metrics."""
        self.mean_loss.reset()
        self.metrics.reset()

    def validation_step(self, batch: Batch | Shard, batch_idx: int) -> None:
        """Add one batch to the sums."""
        signals.check()
        if self.replay is None:  # else validation has been done elsewhere, too
            self.add_outputs(batch, self.model(batch[0]))

    test_step = validation_step

    def add_outputs(self, batch: Batch | Shard, outputs: Tensor) -> None:
        """Add a batch, and the model's outputs for it, to the sums."""
        _, factor, weight = self.weigh(batch)
        self.mean_loss.update(self.loss(outputs, batch[1]) * factor, weight=weight)
        if not (isinstance(batch, Shard) and batch.idle):
            self.update_metrics(outputs, batch[1])

    def update_metrics(self, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch's outputs to the metrics."""
        self.metrics.update(self.predictions(outputs), targets)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the whole split."""
        self._log_evaluation(self.eval_prefix)

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the whole split."""
        self._log_evaluation("test")

    def _log_evaluation(self, prefix: str) -> None:
        self.log_epoch({metric_name(prefix, name): value for name, value in self.evaluation().items()})

    def evaluation(self) -> dict[str, Tensor]:
        """Loss and metrics, scalars by name, over the batches since `start_evaluation`."""
        if self.replay is not None:
            return dict(self.replay.epochs[self.replay.epoch].validation)
        return {"loss": self.mean_loss.compute(), **self.metrics.compute()}

    def keep_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Show metrics to callbacks and to a schedule that follows one."""
        found = {name: torch.as_tensor(value, device=self.device) for name, value in metrics.items()}
        kept = {name: (each if each.is_floating_point() else each.float()).clone() for name, each in found.items()}
        self.trainer.callback_metrics.update(kept)

    def log_epoch(self, metrics: Mapping[str, Any]) -> None:
        """Metrics of an epoch: to Lightning, for callbacks; and to the loggers over optimizer steps.

        Lightning itself would log them over its calls of `training_step`; and `self.log` of a value takes 0.5 ms.
        """
        self.keep_metrics(metrics)
        for logger in self.trainer.loggers:
            values = {name: float(value) for name, value in metrics.items()}
            logger.log_metrics(values | {"epoch": self.current_epoch + 1}, step=self.trainer.global_step)
