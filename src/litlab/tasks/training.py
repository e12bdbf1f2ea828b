"""The training half of a task: the hot path, from a chunk of batches to optimizer steps.

No device sync, no torchmetrics, no self.log and no hooks of callbacks per step.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from litlab import signals
from litlab.data.loader import Batch, Shard
from litlab.tasks import position
from litlab.tasks.hooks import STEP_HOOKS, has_hook
from litlab.tasks.losses import LossWeight, TrainingLosses
from litlab.tasks.schedule import Schedule
from litlab.tasks.steps.compiled import STEPS, CompiledStep
from litlab.tasks.steps.raw_update import is_hooked, raw_update


class Training(L.LightningModule):
    """What the Trainer calls in training. What it works with is `Task`'s.

    Optimization is Lightning's "manual" one, because then one `training_step` may take several optimizer steps: the
    Trainer's own work per call (330 us) costs more than a step of a small network.
    """

    model: nn.Module
    objective: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    weigh: Callable[[Batch | Shard], LossWeight]
    loss_weight: Callable[[Tensor], int | Tensor]
    log_epoch: Callable[[Mapping[str, Any]], None]
    augmentation: Callable[[Tensor], Tensor] | None
    schedule: Schedule | None
    losses: TrainingLosses
    compiled: CompiledStep | None
    accumulate: int
    clip_val: float | None
    clip_algorithm: str | None
    fast_path: bool  # whether the short way through a step (see `_update`) means the same as Lightning's
    raw_update: Callable[[Optimizer], Any] | None  # of the optimizer, after its first step
    make_optimizer: Callable[..., Optimizer]
    steps_per_execution: int
    left: int  # batches of the present call that are not worked off: max_steps came between
    validated_at: int | None  # batches of the epoch that were done at its latest validation
    resumed: dict[str, Any] | None  # from a checkpoint, until training begins
    resume_changes: frozenset[str]  # settings in which a resumed run may differ from the checkpoint's

    def on_train_start(self) -> None:
        """Find the way through a step; seed dropout and augmentation, which differ between the devices."""
        trainer = self.trainer
        self.raw_update = None
        self.fast_path = (
            not isinstance(trainer.strategy, DDPStrategy)
            and getattr(trainer.precision_plugin, "scaler", None) is None
            and not any(has_hook(each, hook, L.Callback) for hook in STEP_HOOKS for each in trainer.callbacks)
            and not any(has_hook(self, hook, Training) for hook in STEP_HOOKS)
            and not any(is_hooked(optimizer) for optimizer in trainer.optimizers)
        )
        trainer.accumulate_grad_batches = self.accumulate  # for callbacks; before, Lightning refuses it
        if trainer.world_size > 1:  # the loader has its seed by now, the same on all
            torch.manual_seed(torch.initial_seed() + trainer.global_rank)
        if self.resumed is not None:
            self._go_on(self.resumed)

    def _go_on(self, state: dict[str, Any]) -> None:
        """Take up what `on_save_checkpoint` kept; Lightning has restored the rest."""
        trainer = self.trainer
        if any(name.partition(".")[0] in ("optimizer", "scheduler") for name in self.resume_changes):
            self._plan_anew()
        elif self.schedule is not None:
            self.schedule.check_length()
        if state["batches"]:
            position.start_at(trainer, state)
        self.losses.load_state_dict(state["losses"])
        named = dict(self.named_parameters())
        for name, gradient in state["gradients"].items():
            named[name].grad = gradient.to(named[name].device)
        if self.compiled is not None and state["shape"] is not None:  # the step after an eager first one is compiled
            self.compiled.shape = torch.Size(state["shape"])
        position.restore_random_state(trainer, state["random"])

    def _plan_anew(self) -> None:
        """The optimizer's settings and the schedule as configured, not as saved; momentum and the like stay.

        ReduceLROnPlateau's rates lie in the past: it goes on with the last one, unless the rate is what is changed.
        """
        (optimizer,) = self.trainer.optimizers
        rates = [group["lr"] for group in optimizer.param_groups]
        fresh = self.make_optimizer(weight for weight in self.parameters() if weight.requires_grad)
        for group, settings in zip(optimizer.param_groups, fresh.param_groups, strict=True):
            weights = group["params"]
            group.clear()
            group.update(settings | {"params": weights})
        if self.schedule is not None:
            (config,) = self.trainer.lr_scheduler_configs
            config.scheduler = self.schedule.planned_anew(optimizer, self.trainer, self.accumulate)
            if isinstance(config.scheduler, ReduceLROnPlateau) and "optimizer.lr" not in self.resume_changes:
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """What goes on from this checkpoint as if nothing had happened needs more than Lightning keeps."""
        trainer = self.trainer
        if trainer.optimizers:
            self._read_losses(trainer.optimizers[0], trainer.global_step)
        state: dict[str, Any] = position.position(trainer, self.losses.batches)
        state |= {"validated": self.validated_at == state["batches"], "losses": self.losses.state_dict()}
        gradients = {name: weight.grad for name, weight in self.named_parameters() if weight.grad is not None}
        shape = self.compiled.shape if self.compiled is not None else None
        state |= {"gradients": gradients, "shape": None if shape is None else list(shape)}
        checkpoint[position.KEY] = state | {"random": position.random_states(trainer)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Before a fit: let Lightning's loops begin where the run stopped."""
        if position.KEY in checkpoint and self._trainer is not None and self.trainer.state.fn == TrainerFn.FITTING:
            self.resumed = checkpoint[position.KEY]
            loops = checkpoint["loops"]
            loops["fit_loop"] = position.fit_loop(loops["fit_loop"], self.resumed, self.steps_per_execution)

    def on_train_end(self) -> None:
        """Leave the Trainer as it was."""
        self.trainer.accumulate_grad_batches = 1

    def on_train_epoch_start(self) -> None:
        """Count the epoch's batches anew, or those of a resumed one from where it stopped."""
        self.losses.batches = self.resumed["batches"] if self.resumed is not None else 0
        self.resumed = self.validated_at = None

    def on_validation_start(self) -> None:
        """Remember where in the epoch: a run that is resumed here has been validated."""
        self.validated_at = self.losses.batches

    def training_step(self, batches: Batch | Shard | list[Batch], batch_idx: int) -> Tensor:
        """Take one optimizer step per batch (per `accumulate` batches), and read the losses when that is due.

        Returns:
            the last batch's loss, a scalar, for callbacks: their `outputs["loss"]`.
        """
        trainer, losses = self.trainer, self.losses
        optimizer: Any = self.optimizers()
        step = trainer.global_step
        chunk: list[Any] = [batches] if isinstance(batches[0], Tensor) else batches
        end = losses.batches + len(chunk)
        for loss, samples, weight, updated in self._steps(optimizer, chunk):
            losses.add(loss, samples, weight)
            step += updated
            if updated and step % trainer.log_every_n_steps == 0:
                rate = self._read_losses(optimizer, step)
                values = {"train/loss_step": losses.logged.reset(), "lr": rate}
                for logger in trainer.loggers:
                    logger.log_metrics(values, step=step)
            if updated and step == trainer.max_steps:
                break
        self.left = end - losses.batches
        # On one CPU reading a loss waits for nothing, so a diverged run stops at once.
        alone = self.device.type == "cpu" and trainer.world_size == 1
        if trainer.is_last_batch or step == trainer.max_steps or alone:
            self._read_losses(optimizer, step)
        return loss

    def _read_losses(self, optimizer: Any, step: int) -> float:
        rate = float(optimizer.param_groups[0]["lr"])
        average = self.trainer.strategy.reduce if self.trainer.world_size > 1 else None  # so all see what diverges
        self.losses.read(step, self.current_epoch, rate, average)
        return rate

    def _steps(self, optimizer: Any, chunk: list[Batch | Shard]) -> Iterator[tuple[Tensor, int, int | Tensor, bool]]:
        """Work off a chunk: each batch's loss, its samples, the loss's weight, and whether a step came after it."""
        trainer, at = self.trainer, 0
        while at < len(chunk):
            signals.check()
            if whole := self._whole_steps(chunk[at : at + STEPS]):
                whole = [self._augmented(batch) for batch in whole]
                self.losses.batches += len(whole)
                for _ in whole:  # Lightning's count of steps: checkpoints, max_steps and logs go by it
                    optimizer._on_before_step()
                    optimizer._on_after_step()
                losses = self.compiled.steps(optimizer.optimizer, whole)
                self._step_schedule()
                for loss, (inputs, targets) in zip(losses, whole, strict=True):
                    yield loss, len(inputs), self.loss_weight(targets), True
                at += len(whole)
            else:
                batch = self._augmented(chunk[at])
                self.losses.batches += 1
                at += 1
                last = trainer.is_last_batch and at == len(chunk)
                update = last or self.losses.batches % self.accumulate == 0
                samples, factor, weight = self.weigh(batch)
                yield self._step(optimizer, batch[0], batch[1], factor, update), samples, weight, update

    def _augmented(self, batch: Any) -> Any:
        """Changed at random, when its turn comes: in a random state that does not depend on `steps_per_execution`."""
        if self.augmentation is None:
            return batch
        inputs = self.augmentation(batch[0])
        return batch._replace(inputs=inputs) if isinstance(batch, Shard) else (inputs, batch[1])

    def _whole_steps(self, batches: list[Any]) -> list[Batch]:
        """As many of these batches as one compiled call can take with the update: all, the first, or none."""
        if self.compiled is None or not self.fast_path or self.accumulate > 1 or self.clip_val:
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
            objective, loss = self.objective(self.model(inputs), targets)
            if not (isinstance(factor, float) and factor == 1):
                objective, loss = objective * factor, loss * factor
            share = objective / self.accumulate if self.accumulate > 1 else objective
            share.backward() if self.fast_path else self.manual_backward(share)
            if self.compiled is not None and self.compiled.shape is None:
                self.compiled.shape = inputs.shape
        if update:
            self._update(optimizer)
        return loss.detach()

    def _update(self, optimizer: Any) -> None:
        if self.compiled is not None and self.trainer.world_size > 1:
            self.compiled.average_gradients(self.trainer.strategy.reduce)
        if self.fast_path:  # Lightning's own way costs as much again as a small network's step
            self.on_before_optimizer_step(optimizer.optimizer)
            optimizer._on_before_step()
            if self.raw_update is None:  # the first is torch's own: a scheduler looks whether there was one
                optimizer.optimizer.step()
                self.raw_update = raw_update(optimizer.optimizer)
            else:
                with torch.no_grad():
                    self.raw_update(optimizer.optimizer)
            optimizer._on_after_step()  # counts the step: checkpoints, max_steps and logs go by it
            for group in optimizer.param_groups:  # as zero_grad does, in a thirtieth of its time
                for weight in group["params"]:
                    weight.grad = None
        else:
            optimizer.step()
            optimizer.zero_grad()
        self._step_schedule()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradients: here they are whole, and no longer scaled for half precision."""
        if self.clip_val:
            self.clip_gradients(optimizer, self.clip_val, self.clip_algorithm)

    def _step_schedule(self) -> None:
        if self.schedule is not None:
            self.schedule.after_step(self.trainer.global_step)

    def on_train_epoch_end(self) -> None:
        """Log the epoch's loss, a mean over samples; step a scheduler that goes by epochs.

        An epoch that max_steps or max_time cut short is not over: a run that is resumed goes on within it.
        """
        over = self.trainer.is_last_batch and not self.left
        loss = self.losses.epoch.reset() if over else self.losses.epoch.mean
        self.log_epoch({"train/loss": torch.tensor(loss, device=self.device)})
        if over:
            self.losses.batches = 0
            if self.schedule is not None:
                self.schedule.after_epoch(self.current_epoch, self.trainer.callback_metrics)
