"""The process group of a run on several devices."""

import contextlib
import os
import sys
from collections.abc import Iterator

import lightning.pytorch as L
import torch
from lightning.pytorch.strategies import DDPStrategy
from omegaconf import DictConfig
from torch import distributed

from litlab.compat import lightning
from litlab.distributed import ranks
from litlab.distributed.hardware import cores
from litlab.errors import RunError

LOOPBACK = {"linux": "lo", "darwin": "lo0"}


@contextlib.contextmanager
def process_group(trainer: L.Trainer, config: DictConfig) -> Iterator[None]:
    """Run the body in the trainer's process group; no effect for a single process.

    The ranks share the CPU threads, unless `threads` or OMP_NUM_THREADS is set.

    Raises:
        RunError: under torchrun or srun, another process has ended.
    """
    strategy = trainer.strategy
    if not isinstance(strategy, DDPStrategy):
        yield
        return
    if strategy.num_processes > 1 and not config.threads and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, cores() // strategy.num_processes))
    is_ours = ranks.RENDEZVOUS in os.environ or ranks.process_info() is None
    if is_ours and not distributed.is_initialized():  # else Lightning makes the group
        _initialize(strategy)
    try:
        yield
    except RuntimeError as error:
        if not is_ours and not isinstance(error, RunError) and _is_lost(error):
            raise RunError(f"another process of this run ended: see rank*.log in {config.paths.run_dir}") from error
        raise
    finally:
        # A failed rank of ours keeps the group until its process ends, so that no other rank fails before it.
        is_failed_rank = ranks.RENDEZVOUS in os.environ and sys.exc_info()[0] is not None
        if distributed.is_initialized() and not is_failed_rank:
            distributed.destroy_process_group()


def _is_lost(error: RuntimeError) -> bool:
    """Whether a collective call failed because another process is gone; torch has no class for that."""
    return any(word in str(error).lower() for word in ("gloo", "nccl"))


def _initialize(strategy: DDPStrategy) -> None:
    """Make the group; the ranks meet in a file, so that no port is open to the network."""
    if sys.platform in LOOPBACK:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK[sys.platform])
    strategy.accelerator.setup_device(strategy.root_device)
    file, size = os.environ.get(ranks.RENDEZVOUS), strategy.num_processes
    distributed.init_process_group(
        store=distributed.FileStore(file, size) if file else distributed.HashStore(),
        rank=strategy.local_rank,
        world_size=size,
        device_id=strategy.root_device if strategy.root_device.type != "cpu" else None,
        **lightning.process_group_settings(strategy),
    )
