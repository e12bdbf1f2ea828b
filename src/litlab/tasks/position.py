"""The position of a run, for its checkpoints: epoch, batch, loss sums and random state.

Lightning's progress counts an epoch that max_steps or max_time cut short as complete, and does not know which batches
of a chunk are done. So it is rebuilt from ours.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from torch import distributed
from torch.optim.lr_scheduler import ReduceLROnPlateau

from litlab.compat.lightning import restart_data
from litlab.config.changes import ANY
from litlab.data.loader import Chunks, Skipped, TensorLoader
from litlab.errors import RequestError

KEY = "litlab"  # in a checkpoint


@dataclass
class EpochProgress:
    """Progress within an epoch, besides the batches that are done (`TrainingLosses.batches`)."""

    left: int = 0  # batches of the latest `training_step` that max_steps left undone
    validated_at: int | None = None  # batches done at the epoch's latest validation
    resumed: dict[str, Any] | None = None  # a checkpoint's state, until its epoch begins
    is_over: bool = False  # the training: of a resumed run, only the test is left

    def start_epoch(self) -> int:
        """Begin an epoch; returns the batches that are done: in a resumed epoch, those before the checkpoint."""
        batches = 0 if self.resumed is None else self.resumed["batches"]
        self.resumed = self.validated_at = None
        return batches


def state(task: Any) -> dict[str, Any]:
    """What a `Task` adds to a checkpoint: plain data and tensors."""
    trainer = task.trainer
    if trainer.optimizers:
        task.read_losses(trainer.global_step)
    at = position(trainer, task.losses.batches)
    shape = None if task.compilation is None else task.compilation.shape
    return at | {
        "over": task.progress.is_over,
        "seconds_compiling": task.seconds_compiling,
        "validated": task.progress.validated_at == at["batches"],
        "losses": task.losses.state_dict(),
        "metrics": {name: float(value) for name, value in trainer.callback_metrics.items()},
        "gradients": {name: weight.grad for name, weight in task.named_parameters() if weight.grad is not None},
        "shape": None if shape is None else list(shape),
        "random": random_states(trainer),
    }


def restore(task: Any, state: Mapping[str, Any]) -> None:
    """Restore what `state` kept, when training begins; Lightning has restored the rest.

    Raises:
        RequestError: epochs or schedule have another length now, or the loader cannot start within an epoch.
    """
    trainer = task.trainer
    if any(name.partition(".")[0] in ("optimizer", "scheduler") for name in task.resume_changes):
        replan(task)
    elif task.schedule is not None and not task.schedule.has_planned_length:
        if ANY not in task.resume_changes:
            task.schedule.refuse_length()
        replan(task)
    if state["batches"]:
        start_at(trainer, state)
    task.losses.load_state_dict(state["losses"])
    task.keep_metrics(state.get("metrics", {}))  # the end of the epoch looks at its latest validation
    named = dict(task.named_parameters())
    for name, gradient in state["gradients"].items():
        named[name].grad = gradient.to(named[name].device)
    if task.compilation is not None and state["shape"] is not None:  # the step after an eager first one is compiled
        task.compilation.shape = torch.Size(state["shape"])
        task.compilation.seconds += state.get("seconds_compiling", 0.0)
    restore_random_state(trainer, state["random"])


def replan(task: Any) -> None:
    """The optimizer's settings and the schedule as configured, not as saved; momentum and the like stay.

    ReduceLROnPlateau cannot replay its reductions: it continues with the last rate, unless optimizer.lr is changed.
    """
    (optimizer,) = task.trainer.optimizers
    rates = [group["lr"] for group in optimizer.param_groups]
    fresh = task.make_optimizer(weight for weight in task.parameters() if weight.requires_grad)
    for group, settings in zip(optimizer.param_groups, fresh.param_groups, strict=True):
        weights = group["params"]
        group.clear()
        group.update(settings | {"params": weights})
    if task.schedule is not None:
        (config,) = task.trainer.lr_scheduler_configs
        config.scheduler = task.schedule.replanned(optimizer, task.trainer, task.accumulate)
        if isinstance(config.scheduler, ReduceLROnPlateau) and "optimizer.lr" not in task.resume_changes:
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate


def batches_per_epoch(trainer: L.Trainer) -> int:
    """Batches, not calls of `training_step`."""
    loader = trainer.train_dataloader
    return len(loader.loader) if isinstance(loader, Chunks) else int(trainer.num_training_batches)


def position(trainer: L.Trainer, batches: int) -> dict[str, int]:
    """Finished epochs, and within the current one the finished `batches`, of how many."""
    progress = trainer.fit_loop.epoch_progress.current
    if not batches:
        return {"epoch": progress.processed, "batches": 0, "of": 0}
    return {"epoch": progress.started - 1, "batches": batches, "of": batches_per_epoch(trainer)}


def fit_loop(state: Mapping[str, Any], at: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Lightning's loop state for a run that resumes from a position. (A test holds what it does with it.)

    Args:
        state: Lightning's own, from a checkpoint.
        at: the position, and whether it was `validated` there.
        size: batches per `training_step`, perhaps other than before.
    """
    epoch, inside = at["epoch"], at["batches"] > 0
    calls = math.ceil(at["of"] / size)
    done = calls - math.ceil((at["of"] - at["batches"]) / size)
    epochs = _counts(epoch) | {"ready": epoch + inside}  # the epoch starts again, which calls its start hooks
    total = _counts(epoch * calls + done) if inside else state["epoch_loop.batch_progress"]["total"]
    unvalidated = _counts(0) | dict.fromkeys(("ready", "started"), int(inside and not at["validated"]))
    return dict(state) | {
        "epoch_progress": {"total": epochs, "current": dict(epochs)},
        "epoch_loop.batch_progress": {
            "total": total,
            "current": _counts(done),
            "is_last_batch": inside and at["batches"] == at["of"],
        },
        "epoch_loop.val_loop.batch_progress": {"total": unvalidated, "current": _counts(0), "is_last_batch": False},
    }


def settle(state: dict[str, Any]) -> None:
    """Remove the traces of a resume from Lightning's loop state, so that it is that of a run that never stopped."""
    current = state["epoch_progress"]["current"]
    current["ready"] = max(current["ready"], current["started"])
    state["epoch_loop.val_loop.batch_progress"]["total"] = _counts(0)


def count_calls(state: dict[str, Any], trainer: L.Trainer, size: int) -> None:
    """Let Lightning's loop state that went through each epoch in one call (`Skipped`) have the counts of usual calls.

    Args:
        state: of Lightning's loop.
        trainer: of the run.
        size: batches per `training_step`.
    """
    calls = {"epoch_loop": math.ceil(batches_per_epoch(trainer) / size)}
    if isinstance(trainer.val_dataloaders, Skipped):
        calls["epoch_loop.val_loop"] = len(trainer.val_dataloaders.loader)
    state["epoch_loop.state_dict"]["_batches_that_stepped"] *= calls["epoch_loop"]
    for name, number in calls.items():
        progress = state[f"{name}.batch_progress"]
        for kind in ("total", "current"):
            progress[kind] = {key: count * number for key, count in progress[kind].items()}


def _counts(number: int) -> dict[str, int]:
    return dict.fromkeys(("ready", "started", "processed", "completed"), number)


def is_resumable(task: Any) -> bool:
    """Whether a run can resume from where this one is within an epoch.

    With torch's own loaders it cannot; and a checkpoint has the first device's gradients, not those that several are
    accumulating.
    """
    loader = task.trainer.train_dataloader
    loader = loader.loader if isinstance(loader, Chunks) else loader
    whole = task.trainer.world_size == 1 or task.losses.batches % task.accumulate == 0
    return isinstance(loader, TensorLoader) and whole


def start_at(trainer: L.Trainer, at: Mapping[str, int]) -> None:
    """Let the epoch's loader skip the batches that are done.

    Raises:
        RequestError: the epoch has another length now, or its order is not known to litlab.
    """
    loader = trainer.train_dataloader
    loader = loader.loader if isinstance(loader, Chunks) else loader
    if not isinstance(loader, TensorLoader):
        raise RequestError(
            f"resume: last.ckpt was saved within epoch {at['epoch'] + 1}, and these data have a loader of their own, "
            "which cannot resume there; start the run again"
        )
    if (length := batches_per_epoch(trainer)) != at["of"]:
        raise RequestError(
            f"resume: last.ckpt was saved within an epoch of {at['of']} batches, and this run's has {length}; leave "
            "data.batch_size and the data as they were"
        )
    loader.skip = {at["epoch"]: at["batches"]}


def random_states(trainer: L.Trainer) -> list[dict[str, Any]]:
    """Each process's (all must call): of Python, numpy, torch on the CPU and on the device; plain data and tensors."""
    name, keys, *rest = np.random.get_state(legacy=True)
    state: dict[str, Any] = {"python": random.getstate(), "numpy": [name, keys.tolist(), *rest]}
    state |= {"torch": torch.get_rng_state()}
    device = trainer.strategy.root_device.type
    if device != "cpu":
        state |= {device: torch.get_device_module(device).get_rng_state()}
    if trainer.world_size == 1:
        return [state]
    states: list[Any] = [None] * trainer.world_size
    distributed.all_gather_object(states, state)
    return states


def restore_random_state(trainer: L.Trainer, states: list[dict[str, Any]]) -> None:
    """Restore this process's random state; with another number of devices, they keep their seeds."""
    if len(states) != trainer.world_size:
        return
    state = states[trainer.global_rank]
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    name, words, *rest = state["numpy"]
    np.random.set_state((name, np.array(words, dtype=np.uint32), *rest))
    torch.set_rng_state(state["torch"].cpu())
    device = trainer.strategy.root_device.type
    if device in state and device != "cpu":
        torch.get_device_module(device).set_rng_state(state[device].cpu())
    restart_data(trainer)  # torch's DataLoader draws its order's seed there
