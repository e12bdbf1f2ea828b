"""How the processes of a run on several devices become one group, and part again: Lightning's launcher, and ours."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector
from omegaconf import DictConfig
from torch import distributed

from litlab import signals
from litlab.distributed import ranks
from litlab.distributed.processes import Processes

LOOPBACK = {"linux": "lo", "darwin": "lo0"}


class SignalConnector(_SignalConnector):
    """Lightning's, less SIGTERM: that is `litlab.signals`'.

    Lightning's own handler asks all devices whether they got one, too, in a collective call from wherever the signal
    came: a process that is gone, or in another such call, never answers. Slurm's requeue signal stays Lightning's.
    """

    @staticmethod
    def _register_signal(signum: Any, handlers: Any) -> None:
        if signum not in signals.SIGNALS:
            _SignalConnector._register_signal(signum, handlers)


class Launcher(_SubprocessScriptLauncher):
    """Starts the script again for each further device, with this job's config on its standard input.

    Lightning's own starts the command line again. In a sweep that is the whole sweep, and in a worker of joblib it is
    not even this program's. It also leaves LOCAL_RANK behind in the environment, so that the next job of a sweep would
    wait for processes that nobody starts, and its port is open to the network; here the processes meet in a file.

    Args:
        trainer: whose strategy is DDP.
        config: of the job.
    """

    def __init__(self, trainer: L.Trainer, config: DictConfig) -> None:
        strategy = trainer.strategy
        super().__init__(strategy.cluster_environment, strategy.num_processes, trainer.num_nodes)
        self.strategy, self.config = strategy, config
        self.others = Processes(config, self.num_processes)

    def launch(self, function: Callable[..., Any], *args: Any, trainer: L.Trainer | None = None, **kwargs: Any) -> Any:
        """Call the function when all processes are there. (Lightning's hook for fit, validate, test.)"""
        if not distributed.is_initialized() and ranks.place() is None:
            if not ranks.is_launched():
                self.others.start()
            self._connect()
        return function(*args, **kwargs)

    def _connect(self) -> None:
        """Wait for all processes, then make them a group; in the first one, with an eye on the others.

        Raises:
            RunError, RequestError: one of them died meanwhile.
        """
        strategy, rank = self.strategy, self.strategy.local_rank
        if sys.platform in LOOPBACK:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK[sys.platform])
        strategy.accelerator.setup_device(strategy.root_device)
        store = distributed.FileStore(f"{self.others.folder or os.environ[ranks.MEETING]}/store", self.num_processes)
        store.set(f"ready{rank}", "1")
        while not store.check([f"ready{other}" for other in range(self.num_processes)]):
            self.others.raise_for_the_dead()
            signals.check()
            time.sleep(0.02)
        distributed.init_process_group(
            strategy._get_process_group_backend(),
            store=store,
            rank=rank,
            world_size=self.num_processes,
            timeout=strategy._timeout or timedelta(minutes=30),
            device_id=strategy.root_device if strategy.root_device.type != "cpu" else None,
        )


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def joined(trainer: L.Trainer) -> Iterator[None]:
    """After it, the other processes of the run have ended, and this one is by itself again.

    In it, each has its share of the CPU threads, unless `threads` or OMP_NUM_THREADS says how many.

    Raises:
        RunError, RequestError: another process did not come to a good end.
    """
    launcher = trainer.strategy.launcher
    if not isinstance(launcher, Launcher):
        yield
        return
    threads = torch.get_num_threads()
    if not launcher.config.threads and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, cores() // launcher.num_processes))
    try:
        yield
        with signals.at_once():
            launcher.others.wait()
    except Exception as error:
        launcher.others.explain(error)
        raise
    finally:
        launcher.others.end()
        if distributed.is_initialized():
            distributed.destroy_process_group()
        torch.set_num_threads(threads)
