"""The processes (ranks) of one run: which one this is, and how the config gets from rank 0 to the others.

On one machine litlab starts them (see `processes`). Under torchrun or srun, rank 0 composes the config, writes the
result and talks to the user; the others get its config from a store of torch.distributed, so that all agree on the run
directory.
"""

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from litlab.errors import RequestError

RENDEZVOUS = "LITLAB_RENDEZVOUS"  # the file in which the ranks that litlab starts find each other
KEY = "litlab/config"
_stores: list[Any] = []  # kept alive: rank 0 serves it


class ProcessInfo(NamedTuple):
    """This process's place among those that torchrun or Slurm has started."""

    rank: int
    world_size: int
    local_world_size: int  # processes on this machine
    by: str  # torchrun or srun


def process_info() -> ProcessInfo | None:
    """This process's place among several that torchrun or Slurm has started; None otherwise."""
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env:
        found = ProcessInfo(int(env["RANK"]), int(env["WORLD_SIZE"]), int(env["LOCAL_WORLD_SIZE"]), "torchrun")
    elif "SLURM_PROCID" in env and env.get("SLURM_JOB_NAME") not in ("bash", "interactive"):  # as in Lightning
        size, nodes = int(env.get("SLURM_NTASKS", 1)), int(env.get("SLURM_NNODES", 1))
        found = ProcessInfo(int(env["SLURM_PROCID"]), size, size // nodes, "srun")
    else:
        return None
    return found if found.world_size > 1 else None


def is_first_process() -> bool:
    """Whether this is the only process of the run, or the first of several."""
    info = process_info()
    return info.rank == 0 if info else os.environ.get("LOCAL_RANK", "0") == "0"


def publish(config: DictConfig) -> None:
    """Send the config to the other processes that torchrun or Slurm has started."""
    info = process_info()
    if info is not None and info.rank == 0:
        _store(info).set(KEY, json.dumps(as_plain_data(config)))


def refuse_sweep(arguments: Sequence[str]) -> None:
    """Refuse a sweep under torchrun or Slurm.

    Raises:
        RequestError: the command line asks for one.
    """
    info = process_info()
    if info is not None and {"-m", "--multirun"} & set(arguments):
        raise RequestError(
            f"-m: {info.by} is for one run; leave it out, trainer=ddp starts each job's processes itself"
        )


def receive() -> DictConfig:
    """The run's config, from rank 0; from now on this process writes to its own log file."""
    info = process_info()
    assert info is not None
    import lightning.pytorch  # noqa: F401  # takes seconds, meanwhile rank 0 does the same

    config = OmegaConf.create(json.loads(_store(info).get(KEY)))
    log_to(config.paths.run_dir, info.rank)
    return config


def as_plain_data(config: DictConfig) -> dict[str, Any]:
    """A resolved config, without Hydra's interpolations."""
    content: Any = OmegaConf.to_container(config, resolve=True)
    return content


def log_file(run_dir: str | Path, rank: int) -> Path:
    """The log of a process of the run."""
    return Path(run_dir) / (f"rank{rank}.log" if rank else "train.log")


def log_to(run_dir: str | Path, rank: int) -> None:
    """Log to the process's file; ranks other than 0 redirect stdout and stderr to it, too."""
    file = log_file(run_dir, rank)
    if rank:
        with file.open("ab") as log:
            for stream in (1, 2):
                os.dup2(log.fileno(), stream)
    logging.basicConfig(filename=file, format="%(asctime)s %(levelname)s %(name)s: %(message)s", level="INFO")
    logging.captureWarnings(True)
    logging.raiseExceptions = False


def _store(info: ProcessInfo) -> Any:
    """A store of torch.distributed for all processes: torchrun's; under Slurm rank 0 serves it."""
    from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
    from torch.distributed import PrefixStore, TCPStore

    cluster = TorchElasticEnvironment() if info.by == "torchrun" else SLURMEnvironment()
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        store = TCPStore(cluster.main_address, cluster.main_port, is_master=False)
    else:  # the port itself is the process group's
        store = TCPStore(cluster.main_address, cluster.main_port + 1, is_master=info.rank == 0, wait_for_workers=False)
    _stores.append(store)
    return PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
