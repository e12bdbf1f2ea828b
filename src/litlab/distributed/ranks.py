"""The processes of one run: which of them this is, and how the first one's config comes to the others.

The first process (rank 0) composes the config, writes the result and talks to the user. The others never ask Hydra:
they get that one job's config, so that they agree on the run directory, and in a sweep run that one job. On this
machine the first starts them (see `launcher`) and hands them the config on their standard input; where torchrun or
Slurm has started all, they wait for it at a store of torch.distributed.
"""

import json
import logging
import os
import shutil
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from litlab.errors import RequestError

FLAG = "--rank"  # SCRIPT --rank 1: what `litlab.distributed.launcher` starts
MEETING = "LITLAB_MEETING"  # the folder in which the processes of a run on one machine find each other
KEY = "litlab/config"
script: Path | None = None  # the program that this job belongs to: what the other processes run
_stores: list[Any] = []  # kept: the first process serves it


class Place(NamedTuple):
    """Where torchrun or Slurm has put this process."""

    rank: int
    world_size: int
    local_world_size: int  # processes on this machine
    by: str  # torchrun or srun


def place() -> Place | None:
    """This process's place among several that torchrun or Slurm has started; None if it is none of such."""
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env:
        found = Place(int(env["RANK"]), int(env["WORLD_SIZE"]), int(env["LOCAL_WORLD_SIZE"]), "torchrun")
    elif "SLURM_PROCID" in env and env.get("SLURM_JOB_NAME") not in ("bash", "interactive"):  # as Lightning tells
        size, nodes = int(env.get("SLURM_NTASKS", 1)), int(env.get("SLURM_NNODES", 1))
        found = Place(int(env["SLURM_PROCID"]), size, size // nodes, "srun")
    else:
        return None
    return found if found.world_size > 1 else None


def is_first_process() -> bool:
    """Whether this is the only process of the run, or the first of several."""
    here = place()
    return here.rank == 0 if here else os.environ.get("LOCAL_RANK", "0") == "0"


def is_launched() -> bool:
    """Whether `litlab.distributed.launcher` has started this process."""
    return FLAG in sys.argv[1:2]


def follows() -> bool:
    """Whether this process gets its config from the first one of its run."""
    return is_launched() or not is_first_process()


def publish(config: DictConfig) -> None:
    """Let the other processes that torchrun or Slurm has started have this run's config."""
    here = place()
    if here is not None and here.rank == 0:
        _store(here).set(KEY, json.dumps(plain(config)))


def refuse_sweep(arguments: Sequence[str]) -> None:
    """Hold the command line against how this process was started.

    Raises:
        RequestError: a sweep by several processes of torchrun or Slurm.
    """
    here = place()
    if here is not None and {"-m", "--multirun"} & set(arguments):
        raise RequestError(
            f"-m: {here.by} is for one run; leave it out, trainer=ddp starts each job's processes itself"
        )


def receive() -> DictConfig:
    """The job's config, from the first process of the run; this process's own words go to RUN/rankN.log.

    A process that `launcher` started ends as soon as the first one does, whatever ends that: the pipe breaks.
    """
    here = place()
    if is_launched():
        config = OmegaConf.create(json.loads(sys.stdin.buffer.readline()))
        threading.Thread(target=_end_with_the_first, daemon=True).start()
    else:
        assert here is not None
        import lightning.pytorch  # noqa: F401  # takes seconds, as it does the first process now

        config = OmegaConf.create(json.loads(_store(here).get(KEY)))
        sys.stdout = sys.stderr = log_file(config.paths.run_dir, here.rank).open("a", buffering=1, encoding="utf-8")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level="INFO", stream=sys.stderr)
    return config


def plain(config: DictConfig) -> dict[str, Any]:
    """A config that needs nothing of Hydra any more."""
    content: Any = OmegaConf.to_container(config, resolve=True)
    return content


def log_file(run_dir: str | Path, rank: int) -> Path:
    """Where a process other than the first writes what it has to say."""
    return Path(run_dir) / f"rank{rank}.log"


def _end_with_the_first() -> None:
    while os.read(0, 1024):
        pass
    shutil.rmtree(os.environ[MEETING], ignore_errors=True)
    os._exit(1)


def _store(here: Place) -> Any:
    """A store of torch.distributed that all processes reach: torchrun's; under Slurm the first process serves it."""
    from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
    from torch.distributed import PrefixStore, TCPStore

    cluster = TorchElasticEnvironment() if here.by == "torchrun" else SLURMEnvironment()
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        store = TCPStore(cluster.main_address, cluster.main_port, is_master=False)
    else:  # the port itself is for the group that trains
        store = TCPStore(cluster.main_address, cluster.main_port + 1, is_master=here.rank == 0, wait_for_workers=False)
    _stores.append(store)
    return PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
