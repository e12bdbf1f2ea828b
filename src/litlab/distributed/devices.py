"""Checks of devices and of what several share, before any process is started."""

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.strategies import DDPStrategy

from litlab.config.checks import missing
from litlab.data.tensors import TensorData
from litlab.distributed import ranks
from litlab.distributed.hardware import GPU, cores
from litlab.errors import RequestError

MANY = 8  # processes may share fewer CPU cores, to try ddp on a small machine


def refuse_missing_devices(settings: Mapping[str, Any]) -> None:
    """Check `trainer.accelerator` and `devices`: Lightning would start any number of CPU processes.

    Raises:
        RequestError: there is no such device, or there are fewer.
    """
    accelerator = settings.get("accelerator")
    if (accelerator in ("gpu", "cuda") and not torch.accelerator.is_available()) or (
        accelerator == "mps" and not torch.backends.mps.is_available()
    ):
        raise RequestError(missing(accelerator))
    asked = settings.get("devices")
    if type(asked) is not int:
        return
    on_gpu = accelerator in GPU and torch.cuda.is_available()
    there = torch.cuda.device_count() if on_gpu else max(cores(), MANY)
    if asked > there:
        found = f"PyTorch finds {there} GPUs" if on_gpu else f"this machine has {cores()} CPU cores"
        raise RequestError(f"trainer.devices={asked}: {found}; use at most {there}")


def refuse_what_cannot_be_shared(trainer: L.Trainer, data: TensorData) -> None:
    """Check strategy, launcher and batch sizes of a run on several devices.

    Raises:
        RequestError: one of them does not fit.
    """
    info, size = ranks.process_info(), trainer.num_devices * trainer.num_nodes
    if info is not None and (size != info.world_size or not isinstance(trainer.strategy, DDPStrategy)):
        each, nodes = info.local_world_size, info.world_size // info.local_world_size
        raise RequestError(
            f"trainer.devices={trainer.num_devices}: {info.by} has started {info.world_size} processes; "
            f"use trainer=ddp trainer.devices={each} trainer.num_nodes={nodes}"
        )
    if isinstance(trainer.strategy, DDPStrategy):
        if trainer.strategy._start_method != "popen":
            raise RequestError("trainer.strategy: forked or spawned processes cannot go on to the test; use ddp")
        if trainer.num_nodes > 1 and info is None:
            raise RequestError(f"trainer.num_nodes={trainer.num_nodes}: start the run with torchrun or srun")
    elif size > 1:
        raise RequestError(f"trainer.strategy={trainer.strategy.strategy_name}: cannot train here; use ddp")
    if size == 1:
        return
    if data.batch_size % size:
        fitting = max(1, round(data.batch_size / size)) * size
        raise RequestError(
            f"data.batch_size={data.batch_size}: must be a multiple of the {size} devices that share it, "
            f"such as {fitting}"
        )
    if data.eval_batch_size < size:
        raise RequestError(
            f"data.eval_batch_size={data.eval_batch_size}: must be {size} or more, a sample for each device"
        )
